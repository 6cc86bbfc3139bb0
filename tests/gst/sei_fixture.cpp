#include "sei_fixture.h"

#include <map>
#include <mutex>
#include <utility>

#include "file_fixture.h"
#include "format/access_unit.h"
#include "hybrid_gop.h"

namespace mvinr::testutil {

const CodecNames& names_of(BaseCodec codec) {
  static const CodecNames h264 = {
      "h264",
      "x264enc",
      "gstreamer1.0-plugins-ugly",
      "h264parse",
      "avdec_h264 max-threads=1",
      "x264enc speed-preset=veryfast bframes=3 b-adapt=false threads=1 key-int-max=1024"};
  static const CodecNames h265 = {"h265",
                                  "x265enc",
                                  "gstreamer1.0-plugins-bad",
                                  "h265parse",
                                  "avdec_h265 max-threads=1",
                                  HybridOptions{}.encoder};
  return codec == BaseCodec::h264 ? h264 : h265;
}

/* ---- pipelines ---- */

Extraction::Extraction(const std::string& description) : pipeline_(description) {
  GstPad* pad = gst_element_get_static_pad(pipeline_.element("out"), "sink");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, at_out, this, nullptr);
  gst_object_unref(pad);
}

GstPadProbeReturn Extraction::at_out(GstPad* pad, GstPadProbeInfo* info, gpointer data) {
  auto* self = static_cast<Extraction*>(data);
  GstBuffer* buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  const std::lock_guard lock(self->mutex_);
  self->got_.push_back({bytes_of(buffer), running_time(pad, buffer), GST_BUFFER_DURATION(buffer),
                        bool(GST_BUFFER_IS_DISCONT(buffer))});
  return GST_PAD_PROBE_OK;
}

std::vector<Extracted> Extraction::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(got_, {});
}

/* ---- streams ---- */

// Coding takes a while: once per codec.
static const std::vector<Data>& stream_of(BaseCodec codec) {
  static std::map<BaseCodec, std::vector<Data>> streams;
  std::vector<Data>& gops = streams[codec];
  if (gops.empty()) {
    HybridOptions options{.frames = kSeiFrames, .encoder = names_of(codec).fragment};
    gops = make_hybrid_gops(4, options);
    options.first_frame = 4 * kSeiFrames;
    options.frames = 3;
    options.seed = 5;
    gops.push_back(make_hybrid_gop(options));
  }
  return gops;
}

void Sei::SetUp() {
  if (!have_element("mvinrseiinsert")) GTEST_SKIP() << "built without GStreamer's codec parsers";
  if (!have_element(codec().encoder))
    GTEST_SKIP() << codec().encoder << " is not installed (Debian: " << codec().package << ")";
  gops_ = stream_of(GetParam());
}

std::string Sei::video(const std::string& properties) {
  return "filesrc location=" + raw() + " ! mvinrparse ! mvinrseiinsert name=insert " + properties +
         " ! " + codec().parser;
}

std::string Sei::mux(const std::string& muxer, const std::string& name) {
  const std::string path = folder_.file(name);
  Pipeline pipeline(video() + " ! " + muxer + " ! filesink location=" + path);
  EXPECT_EQ(pipeline.play(), "");
  return path;
}

void Sei::expect_equal(const std::vector<Extracted>& got, GstClockTime tolerance, size_t first) {
  ASSERT_EQ(got.size(), gops_.size() - first);
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(got[i].data == gops_[first + i]) << "access unit " << first + i;
    const GstClockTime want = (first + i) * kSeiGop;
    EXPECT_LE(std::max(got[i].time, want) - std::min(got[i].time, want), tolerance) << first + i;
    EXPECT_EQ(got[i].duration, first + i == 4 ? 3 * kSeiFrame : kSeiGop) << first + i;
  }
}

void Sei::expect_back(const std::string& source, GstClockTime tolerance, size_t first) {
  Extraction extraction(source + " ! mvinrseiextract name=extract ! fakesink name=out sync=false");
  EXPECT_EQ(extraction.play(), "") << source;
  expect_equal(extraction.take(), tolerance, first);
}

std::vector<std::string> Sei::pictures(const std::string& source) {
  std::vector<std::string> md5s;
  Pipeline pipeline(source + " ! " + codec().decoder +
                    " ! fakesink name=s sync=false signal-handoffs=true");
  g_signal_connect(pipeline.element("s"), "handoff",
                   G_CALLBACK(+[](GstElement*, GstBuffer* buffer, GstPad* pad, gpointer data) {
                     GstCaps* caps = gst_pad_get_current_caps(pad);
                     static_cast<std::vector<std::string>*>(data)->push_back(md5_of(buffer, caps));
                     gst_caps_unref(caps);
                   }),
                   &md5s);
  EXPECT_EQ(pipeline.play(), "") << source;
  return md5s;
}

std::vector<std::string> Sei::base_pictures() {
  Data stream;
  for (const Data& gop : gops_) {
    const auto parsed = parse_access_unit(gop);
    const UnitView* unit = parsed->find(UnitType::base, base_unit_index(1, Component::texture));
    const auto base = read_base_payload(unit->payload);
    for (const Bytes& packet : base->packets)
      stream.insert(stream.end(), packet.begin(), packet.end());
  }
  const std::string path = folder_.write(std::string("base.") + codec().name, stream);
  return pictures("filesrc location=" + path + " ! " + codec().parser);
}

}  // namespace mvinr::testutil
