// mvinrseiextract with any bytes: what goes out of it must be an access unit of whole units.
#include <gst/gst.h>

#include <cstdio>
#include <cstdlib>

#include "gstmvinr.h"
#include "gstmvinrseibits.h"
#include "gstmvinrseiextract.h"
#include "targets.h"

namespace mvinr::fuzz {
namespace {

constexpr GstClockTime kFrame = 40 * GST_MSECOND;

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

size_t access_units = 0;  // that came out

GstFlowReturn check_access_unit(GstPad*, GstObject*, GstBuffer* buffer) {
  {
    const GstMvinrMap map(buffer);
    const auto info = read_gop_info(map.bytes());
    require(info && info->bytes == map.bytes().size(), "no access unit of the buffer's size");
    const auto units = list_units(map.bytes());
    require(units.has_value(), "units that cannot be listed");
    for (const UnitInfo& unit : *units) require(unit.intact, "a damaged unit");
    require(view_states(map.bytes()).has_value(), "views that cannot be told");
  }
  gst_buffer_unref(buffer);
  ++access_units;
  return GST_FLOW_OK;
}

/// The element between two pads of ours, in PAUSED.
class Extractor {
 public:
  Extractor() {
    // No plugin is needed: looking for them takes time, more so under a sanitizer.
    for (const char* variable : {"GST_PLUGIN_PATH", "GST_PLUGIN_SYSTEM_PATH"})
      g_setenv(variable, "", TRUE);
    g_setenv("GST_REGISTRY", "/dev/null", TRUE);
    gst_init(nullptr, nullptr);
    element_ = GST_ELEMENT(gst_object_ref_sink(g_object_new(GST_TYPE_MVINR_SEI_EXTRACT, nullptr)));
    in_ = gst_pad_new("in", GST_PAD_SRC);
    out_ = gst_pad_new("out", GST_PAD_SINK);
    gst_pad_set_chain_function(out_, check_access_unit);
    for (GstPad* pad : {in_, out_}) gst_pad_set_active(pad, TRUE);
    GstPad* sink = gst_element_get_static_pad(element_, "sink");
    GstPad* src = gst_element_get_static_pad(element_, "src");
    require(
        gst_pad_link(in_, sink) == GST_PAD_LINK_OK && gst_pad_link(src, out_) == GST_PAD_LINK_OK,
        "pads do not link");
    gst_object_unref(sink);
    gst_object_unref(src);
  }

  /// Begins a stream. `length_bytes`: in front of each NAL unit; 0: start codes.
  void open(GstMvinrSeiCodec codec, int length_bytes) {
    gst_element_set_state(element_, GST_STATE_READY);
    gst_element_set_state(element_, GST_STATE_PAUSED);
    const bool h264 = codec == GstMvinrSeiCodec::h264;
    GstCaps* caps = gst_caps_new_simple(h264 ? "video/x-h264" : "video/x-h265", "alignment",
                                        G_TYPE_STRING, "au", "stream-format", G_TYPE_STRING,
                                        length_bytes == 0 ? "byte-stream"
                                        : h264            ? "avc"
                                                          : "hvc1",
                                        nullptr);
    if (length_bytes > 0) {
      guint8 data[22] = {};
      data[4] = data[21] = guint8(length_bytes - 1);
      GstBuffer* codec_data = gst_buffer_new_memdup(data, sizeof data);
      gst_caps_set_simple(caps, "codec_data", GST_TYPE_BUFFER, codec_data, nullptr);
      gst_buffer_unref(codec_data);
    }
    gst_pad_push_event(in_, gst_event_new_stream_start("fuzz"));
    gst_pad_push_event(in_, gst_event_new_caps(caps));
    gst_caps_unref(caps);
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_pad_push_event(in_, gst_event_new_segment(&segment));
  }
  void push(Bytes frame, int number) {
    GstBuffer* buffer = gst_buffer_new_memdup(frame.data(), frame.size());
    GST_BUFFER_PTS(buffer) = GstClockTime(number) * kFrame;
    require(gst_pad_push(in_, buffer) == GST_FLOW_OK, "a frame was refused");
  }
  void close() {
    gst_pad_push_event(in_, gst_event_new_eos());
    for (GstPad* pad : {in_, out_}) {  // forget the end
      gst_pad_set_active(pad, FALSE);
      gst_pad_set_active(pad, TRUE);
    }
  }

 private:
  GstElement* element_;
  GstPad *in_, *out_;
};

}  // namespace

// Byte 0: codec, size of the lengths, whether every fifth frame is lost. The rest: NAL units behind
// start codes; each slice ends a frame.
size_t sei(Bytes data) {
  static Extractor& extractor = *new Extractor;
  if (data.empty()) return 0;
  const unsigned options = std::to_integer<unsigned>(data[0]);
  const auto codec = options & 1 ? GstMvinrSeiCodec::h265 : GstMvinrSeiCodec::h264;
  constexpr int kLengths[] = {0, 1, 2, 4};
  const int length_bytes = kLengths[options >> 1 & 3];
  const bool lossy = options & 8;
  const Bytes stream = data.subspan(1);
  extractor.open(codec, length_bytes);
  access_units = 0;
  size_t begin = 0;
  int frames = 0;
  const auto push_to = [&](size_t end) {
    if (!lossy || frames % 5 != 4) extractor.push(stream.subspan(begin, end - begin), frames);
    begin = end;
    ++frames;
  };
  for (const GstMvinrNal& nal : gst_mvinr_nals(stream, codec, 0))
    if (gst_mvinr_is_slice(codec, nal.type)) push_to(nal.offset + nal.bytes);
  if (begin < stream.size()) push_to(stream.size());
  extractor.close();
  return access_units;
}

}  // namespace mvinr::fuzz
