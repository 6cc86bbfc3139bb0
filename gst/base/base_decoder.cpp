#include "base_decoder.h"

#include <array>
#include <string_view>

#include "base_caps.h"
#include "base_pipeline.h"

namespace mvinr::gst {
namespace {

constexpr size_t kMaxAttempts = 3;  // decoders that are tried

using Factories = std::vector<GstPtr<GstElementFactory>>;

// The installed elements of a kind that take these caps, the highest rank first. Nothing but
// parsers and decoders: a demuxer could find a whole MV-INR stream inside.
Factories find_elements(GstElementFactoryListType type, const char* klass, const GstCaps* caps) {
  GList* all = gst_element_factory_list_get_elements(
      type | GST_ELEMENT_FACTORY_TYPE_MEDIA_VIDEO | GST_ELEMENT_FACTORY_TYPE_MEDIA_IMAGE,
      GST_RANK_MARGINAL);
  GList* fitting = gst_element_factory_list_filter(all, caps, GST_PAD_SINK, FALSE);
  fitting = g_list_sort(fitting, gst_plugin_feature_rank_compare_func);
  Factories found;
  for (GList* item = fitting; item; item = item->next) {
    auto* factory = GST_ELEMENT_FACTORY(item->data);
    const char* is = gst_element_factory_get_metadata(factory, GST_ELEMENT_METADATA_KLASS);
    if (is && g_str_has_prefix(is, klass))
      found.emplace_back(GST_ELEMENT_FACTORY(gst_object_ref(factory)));
  }
  gst_plugin_feature_list_free(fitting);
  gst_plugin_feature_list_free(all);
  return found;
}

Error no_decoder(const GstCaps* caps) {
  struct Known {
    std::string_view caps, element, package;
  };
  constexpr Known kKnown[] = {{"video/x-h265", "avdec_h265", "gstreamer1.0-libav"},
                              {"video/x-h264", "avdec_h264", "gstreamer1.0-libav"},
                              {"video/x-av1", "av1dec", "gstreamer1.0-plugins-bad"},
                              {"video/x-vp9", "vp9dec", "gstreamer1.0-plugins-good"},
                              {"video/x-vp8", "vp8dec", "gstreamer1.0-plugins-good"}};
  const std::string name = gst_structure_get_name(gst_caps_get_structure(caps, 0));
  std::string message = "no decoder for base views in " + name + " is installed";
  for (const Known& known : kKnown)
    if (known.caps == name)
      message += "; one is " + std::string(known.element) +
                 " (Debian: " + std::string(known.package) + ")";
  return {ErrorCode::unsupported, message};
}

// The pictures of what is already known to be good: packets and caps.
class Attempt {
 public:
  Attempt(const BasePayload& base, GstCaps* caps, const BaseFormat& format, int frames)
      : base_(base), caps_(caps), format_(format), frames_(size_t(frames)) {}

  PipelineResult run(GstElementFactory* parser, GstElementFactory* decoder,
                     const BaseDecodeOptions& options, std::stop_token stop);
  std::vector<OwnedPicture>& pictures() { return pictures_; }

 private:
  Result<GstPtr<GstBuffer>> packet(size_t index) const {
    const Bytes bytes = base_.packets[index];
    GstPtr<GstBuffer> buffer(gst_buffer_new_memdup(bytes.data(), bytes.size()));
    if (index > 0) GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_DELTA_UNIT);
    return buffer;
  }
  Status add(GstSample* sample);

  const BasePayload& base_;
  GstCaps* caps_;
  const BaseFormat& format_;
  size_t frames_;
  std::vector<OwnedPicture> pictures_;
};

Status Attempt::add(GstSample* sample) {
  if (pictures_.size() == frames_)
    return Error{ErrorCode::corrupt, "base view: decodes to more than the GOP's " +
                                         std::to_string(frames_) + " pictures"};
  Result<OwnedPicture> picture = from_decoded(sample, format_);
  if (!picture) return picture.error();
  pictures_.push_back(std::move(*picture));
  return ok();
}

PipelineResult Attempt::run(GstElementFactory* parser, GstElementFactory* decoder,
                            const BaseDecodeOptions& options, std::stop_token stop) {
  pictures_.clear();
  const GstPtr<GstCaps> raw(gst_caps_new_empty_simple("video/x-raw"));  // in system memory
  PipelineRun run{.input_caps = caps_, .output_caps = raw.get(), .inputs = base_.packets.size()};
  for (GstElementFactory* factory : {parser, decoder})
    if (factory) {
      run.elements.push_back(own(gst_element_factory_create(factory, nullptr)));
      if (!run.elements.back())
        return {PipelineEnd::broken,
                {ErrorCode::corrupt, std::string(GST_OBJECT_NAME(factory)) + " cannot be loaded"}};
    }
  run.input = [this](size_t index) { return packet(index); };
  run.output = [this](GstSample* sample) { return add(sample); };
  run.check_caps = [format = format_](const GstCaps* caps) -> std::string {
    const GstStructure* structure = gst_caps_get_structure(caps, 0);
    int width, height;
    if (!gst_structure_get_int(structure, "width", &width) ||
        !gst_structure_get_int(structure, "height", &height))
      return "";
    const std::string wrong = size_error(format, width, height);
    return wrong.empty() ? "" : "base view: codes " + wrong;
  };
  run.stall_limit = options.stall_limit;
  return run_pipeline(std::move(run), std::move(stop));
}

// What the end of a run says about the stream; ok if all pictures came.
Status judge(const PipelineResult& result, size_t pictures, int frames,
             const BaseDecodeOptions& options) {
  const std::string came = std::to_string(pictures) + " of " + std::to_string(frames) + " pictures";
  switch (result.end) {
    case PipelineEnd::complete:
      if (pictures == size_t(frames)) return ok();
      return Error{ErrorCode::corrupt, "base view: decodes to " + came};
    case PipelineEnd::stopped:
      return Error{ErrorCode::cancelled, "decoding of a base view was cancelled"};
    case PipelineEnd::refused:
      return result.error;
    case PipelineEnd::broken:
      return Error{ErrorCode::corrupt,
                   "base view: the decoder failed after " + came + ": " + result.error.message};
    case PipelineEnd::stalled:
      return Error{ErrorCode::corrupt, "base view: the decoder stopped after " + came + " for " +
                                           std::to_string(options.stall_limit.count()) + " ms"};
  }
  return ok();
}

}  // namespace

Status BaseDecoder::installed(const GstCaps* caps) {
  if (gst_caps_is_any(caps) || gst_caps_is_empty(caps)) return ok();
  for (guint i = 0; i < gst_caps_get_size(caps); ++i) {
    const GstPtr<GstCaps> one(gst_caps_copy_nth(caps, i));
    if (!find_elements(GST_ELEMENT_FACTORY_TYPE_DECODER, "Codec/Decoder", one.get()).empty())
      return ok();
  }
  return no_decoder(caps);
}

Result<std::vector<OwnedPicture>> BaseDecoder::decode(Bytes payload, const BaseFormat& format,
                                                      int frames, std::stop_token stop,
                                                      const BaseDecodeOptions& options) {
  if (Status valid = validate(format); !valid) return valid.error();
  if (frames < 1 || frames > kMaxGopFrames)
    return Error{ErrorCode::invalid_argument,
                 "a GOP of " + std::to_string(frames) + " frames of a base view"};
  if (picture_bytes(format) > options.max_bytes / uint64_t(frames))
    return Error{ErrorCode::limit_exceeded,
                 "a GOP of a base view has " + std::to_string(frames) + " pictures of " +
                     std::to_string(picture_bytes(format)) + " bytes, more than the " +
                     std::to_string(options.max_bytes) + " bytes allowed"};
  Result<BasePayload> base = read_base_payload(payload);
  if (!base) return base.error();
  Result<GstPtr<GstCaps>> caps = parse_base_caps(base->caps);
  if (!caps) return caps.error();

  const Factories parsers =
      find_elements(GST_ELEMENT_FACTORY_TYPE_PARSER, "Codec/Parser", caps->get());
  const Factories decoders =
      find_elements(GST_ELEMENT_FACTORY_TYPE_DECODER, "Codec/Decoder", caps->get());
  if (decoders.empty()) return no_decoder(caps->get());

  Attempt attempt(*base, caps->get(), format, frames);
  std::optional<Error> first_error;
  for (size_t i = 0; i < decoders.size() && i < kMaxAttempts; ++i) {
    const PipelineResult result =
        attempt.run(parsers.empty() ? nullptr : parsers[0].get(), decoders[i].get(), options, stop);
    const size_t pictures = attempt.pictures().size();
    Status judged = judge(result, pictures, frames, options);
    if (judged) return std::move(attempt.pictures());
    // A decoder that failed before its first picture may be one that this machine cannot run.
    if (result.end != PipelineEnd::broken || pictures > 0) return judged.error();
    if (!first_error) first_error = judged.error();
  }
  return *first_error;
}

}  // namespace mvinr::gst
