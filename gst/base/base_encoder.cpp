#include "base_encoder.h"

#include <algorithm>

#include "base_caps.h"
#include "base_decoder.h"
#include "base_pipeline.h"
#include "encoder_table.h"

namespace mvinr::gst {
namespace {

// What `element` can put out; first, where it has the choice, packets with their parameter sets
// inside and one packet per picture.
GstPtr<GstCaps> packet_caps(GstElement* element) {
  GstPtr<GstCaps> caps(
      gst_caps_from_string("video/x-h265, stream-format=byte-stream, alignment=au; "
                           "video/x-h264, stream-format=byte-stream, alignment=au; "
                           "video/x-av1, stream-format=obu-stream, alignment=tu"));
  const GstPtr<GstPad> pad(gst_element_get_static_pad(element, "src"));
  return GstPtr<GstCaps>(gst_caps_merge(caps.release(), gst_pad_query_caps(pad.get(), nullptr)));
}

GstPtr<GstCaps> raw_caps(GstVideoFormat format, const BaseFormat& base) {
  GstPtr<GstCaps> caps(gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING,
                                           gst_video_format_to_string(format), nullptr));
  if (base.frame_rate.num > 0)
    gst_caps_set_simple(caps.get(), "framerate", GST_TYPE_FRACTION, int(base.frame_rate.num),
                        int(base.frame_rate.den), nullptr);
  return caps;
}

// The smallest multiple that is not below `size` and that the caps' field allows; 0: none.
int coded_size(const GstStructure* structure, const char* field, int size, int multiple) {
  const GValue* value = gst_structure_get_value(structure, field);
  int least = 1, most = G_MAXINT;
  if (value && GST_VALUE_HOLDS_INT_RANGE(value)) {
    least = gst_value_get_int_range_min(value);
    most = gst_value_get_int_range_max(value);
  } else if (value && G_VALUE_HOLDS_INT(value)) {
    least = most = g_value_get_int(value);
  }
  const int coded = (std::max(least, size) + multiple - 1) / multiple * multiple;
  return coded <= most && coded <= size + kMaxBasePadding ? coded : 0;
}

Status check_pictures(std::span<const Picture> frames, const BaseFormat& format) {
  if (frames.empty() || frames.size() > size_t(kMaxGopFrames))
    return Error{ErrorCode::invalid_argument,
                 "a GOP of " + std::to_string(frames.size()) + " frames of a base view"};
  for (const Picture& picture : frames)
    if (picture.format != format.format || picture.width != format.width ||
        picture.height != format.height)
      return Error{ErrorCode::invalid_argument, "a base view's picture has another size or format"};
  return ok();
}

}  // namespace

Result<std::unique_ptr<BaseEncoder>> BaseEncoder::create(const std::string& fragment,
                                                         const BaseFormat& format, int quantiser) {
  if (Status valid = validate(format); !valid) return valid.error();
  if (quantiser < -1 || quantiser > kMaxQuantiser)
    return Error{ErrorCode::invalid_argument,
                 "base-quantiser " + std::to_string(quantiser) + " is not in -1 to 51"};
  std::string elements = fragment;
  if (elements.empty()) {
    Result<std::string> automatic = automatic_base_encoder();
    if (!automatic) return automatic.error();
    elements = std::move(*automatic);
    if (quantiser < 0) quantiser = kDefaultQuantiser;
  }
  std::unique_ptr<BaseEncoder> encoder(new BaseEncoder(std::move(elements), format, quantiser));
  if (Status good = encoder->look_at_elements(); !good) return good.error();
  return encoder;
}

Status BaseEncoder::look_at_elements() {
  Result<GstPtr<GstElement>> element = make_base_encoder(fragment_, quantiser_);
  if (!element) return element.error();
  const GstPtr<GstPad> pad(gst_element_get_static_pad(element->get(), "sink"));
  const GstPtr<GstCaps> all(gst_pad_query_caps(pad.get(), nullptr));
  const int columns = width_multiple(element->get());
  for (const GstVideoFormat format : coded_formats(format_.format)) {
    const GstPtr<GstCaps> wanted = raw_caps(format, format_);
    const GstPtr<GstCaps> taken(gst_caps_intersect(all.get(), wanted.get()));
    if (gst_caps_is_empty(taken.get())) continue;
    const GstStructure* structure = gst_caps_get_structure(taken.get(), 0);
    const int width = coded_size(structure, "width", format_.width, columns);
    const int height = coded_size(structure, "height", format_.height, 2);
    if (width == 0 || height == 0) continue;
    gst_video_info_set_format(&coded_, format, guint(width), guint(height));
    // Encoders want a frame rate; nothing else here depends on it.
    coded_.fps_n = format_.frame_rate.num > 0 ? int(format_.frame_rate.num) : 30;
    coded_.fps_d = format_.frame_rate.num > 0 ? int(format_.frame_rate.den) : 1;
    const GstPtr<GstPad> src(gst_element_get_static_pad(element->get(), "src"));
    const GstPtr<GstCaps> packets(gst_pad_query_caps(src.get(), nullptr));
    return BaseDecoder::installed(packets.get());
  }
  return Error{ErrorCode::invalid_argument, "base-encoder \"" + fragment_ + "\" takes no " +
                                                (is_depth(format_.format) ? "depth" : "texture") +
                                                " of " + std::to_string(format_.width) + "x" +
                                                std::to_string(format_.height) +
                                                " samples as 4:2:0 or gray video"};
}

Result<std::vector<std::byte>> BaseEncoder::encode_payload(std::span<const Picture> frames,
                                                           std::stop_token stop) const {
  Result<GstPtr<GstElement>> element = make_base_encoder(fragment_, quantiser_);
  if (!element) return element.error();
  const GstPtr<GstCaps> input(gst_video_info_to_caps(&coded_));
  const GstPtr<GstCaps> output = packet_caps(element->get());

  std::vector<std::vector<std::byte>> packets;
  std::string caps;
  PipelineRun run{.input_caps = input.get(), .output_caps = output.get(), .inputs = frames.size()};
  run.elements.push_back(std::move(*element));
  run.input = [&](size_t index) {
    Result<GstPtr<GstBuffer>> frame = to_coded(frames[index], coded_);
    if (frame) {
      const auto time = [&](size_t i) {
        return gst_util_uint64_scale(i, GST_SECOND * guint64(coded_.fps_d), guint64(coded_.fps_n));
      };
      GST_BUFFER_PTS(frame->get()) = time(index);
      GST_BUFFER_DURATION(frame->get()) = time(index + 1) - time(index);
    }
    return frame;
  };
  run.output = [&](GstSample* sample) -> Status {
    GstBuffer* buffer = gst_sample_get_buffer(sample);
    if (packets.empty()) {
      if (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT))
        return Error{ErrorCode::invalid_argument,
                     "the base encoder does not begin with an intra picture"};
      Result<std::string> text = format_base_caps(gst_sample_get_caps(sample));
      if (!text) return text.error();
      caps = std::move(*text);
    }
    std::vector<std::byte>& packet = packets.emplace_back(gst_buffer_get_size(buffer));
    gst_buffer_extract(buffer, 0, packet.data(), packet.size());
    return ok();
  };
  const PipelineResult result = run_pipeline(std::move(run), stop);
  if (result.end == PipelineEnd::stopped)
    return Error{ErrorCode::cancelled, "coding of a base view was cancelled"};
  if (result.end == PipelineEnd::refused) return result.error;
  if (result.end != PipelineEnd::complete)
    return Error{ErrorCode::invalid_argument, "the base encoder failed: " + result.error.message};
  const std::vector<Bytes> spans(packets.begin(), packets.end());
  return write_base_payload(caps, spans);
}

Result<CodedBase> BaseEncoder::encode(std::span<const Picture> frames, std::stop_token stop) const {
  if (Status valid = check_pictures(frames, format_); !valid) return valid.error();
  Result<std::vector<std::byte>> payload = encode_payload(frames, stop);
  if (!payload) return payload.error();
  // The pictures themselves are in memory already.
  Result<std::vector<OwnedPicture>> decoded =
      BaseDecoder::decode(*payload, format_, int(frames.size()), stop, {.max_bytes = UINT64_MAX});
  if (decoded) return CodedBase{std::move(*payload), std::move(*decoded)};
  if (decoded.error().code != ErrorCode::corrupt) return decoded.error();
  return Error{ErrorCode::invalid_argument,
               "what the base encoder made does not decode: " + decoded.error().message};
}

}  // namespace mvinr::gst
