// mvinrseiinsert and mvinrseiextract with nothing but parsers between them.
#include <gst/check/gstharness.h>

#include <algorithm>
#include <optional>

#include "file_fixture.h"
#include "hybrid_gop.h"
#include "sei_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

INSTANTIATE_TEST_SUITE_P(Codecs, Sei, testing::Values(BaseCodec::h264, BaseCodec::h265),
                         [](const auto& info) { return std::string(names_of(info.param).name); });

/// A frame of the video.
struct Frame {
  GstClockTime pts, dts, duration;
  size_t bytes;
  bool delta;
};

std::vector<Frame> frames_of(const std::string& description) {
  std::vector<Frame> frames;
  Pipeline pipeline(description + " ! fakesink name=s sync=false signal-handoffs=true");
  g_signal_connect(
      pipeline.element("s"), "handoff",
      G_CALLBACK(+[](GstElement*, GstBuffer* buffer, GstPad* pad, gpointer data) {
        GstEvent* event = gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0);
        const GstSegment* segment;
        gst_event_parse_segment(event, &segment);
        // The start of the segment is time 0; DTS may be before it.
        static_cast<std::vector<Frame>*>(data)->push_back(
            {GST_BUFFER_PTS(buffer) - segment->start, GST_BUFFER_DTS(buffer) - segment->start,
             GST_BUFFER_DURATION(buffer), gst_buffer_get_size(buffer),
             bool(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT))});
        gst_event_unref(event);
      }),
      &frames);
  EXPECT_EQ(pipeline.play(), "");
  return frames;
}

std::string insert_only(const std::string& raw, const std::string& properties = "") {
  return "filesrc location=" + raw + " ! mvinrparse ! mvinrseiinsert " + properties;
}

TEST_P(Sei, GivesBackEveryByteAndTime) { expect_back(video()); }

TEST_P(Sei, WorksWithoutAParser) { expect_back(insert_only(raw())); }

TEST_P(Sei, GivesBackEveryByteOfLengthPrefixedVideo) {
  const bool h264 = GetParam() == BaseCodec::h264;
  for (const char* format : h264 ? std::vector{"avc", "avc3"} : std::vector{"hvc1", "hev1"})
    expect_back(video() + " ! video/x-" + codec().name + ",alignment=au,stream-format=" + format);
}

TEST_P(Sei, GivesBackEveryByteOfSmallMessages) {
  expect_back(video("max-message-bytes=256"));
  expect_back(video("spread=false max-message-bytes=300"));
  expect_back(video("spread=false max-message-bytes=16777216"));
}

TEST_P(Sei, ThePicturesAreThoseOfTheBaseView) {
  const auto want = base_pictures();
  ASSERT_EQ(want.size(), 4u * kSeiFrames + 3);
  EXPECT_TRUE(pictures(video()) == want);
  EXPECT_TRUE(pictures(video("spread=false")) == want);
}

TEST_P(Sei, FramesHaveTheTimesOfTheirPictures) {
  const auto frames = frames_of(insert_only(raw()));
  ASSERT_EQ(frames.size(), 4u * kSeiFrames + 3);
  std::vector<GstClockTime> shown;
  bool reordered = false;
  for (size_t i = 0; i < frames.size(); ++i) {
    const Frame& frame = frames[i];
    shown.push_back(frame.pts);
    EXPECT_EQ(frame.duration, kSeiFrame) << i;
    EXPECT_LE(gint64(frame.dts), gint64(frame.pts)) << i;
    EXPECT_EQ(frame.delta, i % kSeiFrames != 0) << i;
    if (i > 0) {
      EXPECT_GT(gint64(frame.dts), gint64(frames[i - 1].dts)) << i;
    }
    reordered |= frame.pts != i * kSeiFrame;
  }
  EXPECT_TRUE(reordered);  // or the encoder wrote no B-frames, and this tests little
  std::sort(shown.begin(), shown.end());
  for (size_t i = 0; i < shown.size(); ++i) EXPECT_EQ(shown[i], i * kSeiFrame);
}

// The decoder knows when each picture is shown: the muxer's times must be the same.
TEST_P(Sei, DecodersPutOutPicturesInTheOrderOfTheirTimes) {
  const auto frames = frames_of(video() + " ! " + codec().decoder);
  ASSERT_EQ(frames.size(), 4u * kSeiFrames + 3);
  for (size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(frames[i].pts, i * kSeiFrame) << i;
}

TEST_P(Sei, SpreadMakesTheBitrateEven) {
  const auto largest = [&](const char* spread) {
    const auto frames = frames_of(insert_only(raw(), spread));
    size_t most = 0, all = 0;
    for (size_t i = 0; i < kSeiFrames; ++i) {
      most = std::max(most, frames[i].bytes);
      all += frames[i].bytes;
    }
    return double(most) * kSeiFrames / double(all);  // 1: all alike
  };
  EXPECT_LT(largest("spread=true"), 1.6);
  EXPECT_GT(largest("spread=false"), 4);
}

TEST_P(Sei, NothingIsSentTwice) {
  Pipeline pipeline(video() + " ! fakesink sync=false");
  ASSERT_EQ(pipeline.play(), "");
  GstStructure* stats = nullptr;
  g_object_get(pipeline.element("insert"), "stats", &stats, nullptr);
  guint64 access_units = 0, base = 0, sei = 0;
  gst_structure_get(stats, "access-units", G_TYPE_UINT64, &access_units, "base-bytes",
                    G_TYPE_UINT64, &base, "sei-bytes", G_TYPE_UINT64, &sei, nullptr);
  gst_structure_free(stats);
  EXPECT_EQ(access_units, gops_.size());
  const size_t original = joined(gops_).size();
  EXPECT_GT(base, 0u);
  // Headers of messages, the table, parameter sets and the encoder's own SEI: some hundred bytes
  // a GOP, some dozen a frame.
  EXPECT_LT(base + sei, original + gops_.size() * 900);
}

TEST_P(Sei, SeveralBaseViews) {
  HybridOptions options{.frames = kSeiFrames, .views = 4, .base_views = {1, 2}};
  options.encoder = codec().fragment;
  gops_ = make_hybrid_gops(2, options);
  expect_back(video());
}

// What the caps say follows the stream, in the middle of it too.
TEST_P(Sei, CapsFollowTheStream) {
  GstHarness* h = gst_harness_new("mvinrseiinsert");
  gst_harness_set_src_caps_str(h, "video/x-mvinr, parsed=true");
  const auto caps = [&](const Data& gop, GstClockTime pts) {
    EXPECT_EQ(gst_harness_push(h, make_buffer(gop, pts, kSeiGop)), GST_FLOW_OK);
    GstCaps* caps = gst_pad_get_current_caps(h->sinkpad);
    gchar* text = gst_caps_to_string(caps);
    const std::string copy = text;
    g_free(text);
    gst_caps_unref(caps);
    return copy;
  };
  const std::string first = caps(gops_[0], 0);
  for (const char* part : {codec().name, "byte-stream", "alignment=(string)au",
                           "framerate=(fraction)25/1", "width=", "profile="})
    EXPECT_NE(first.find(part), std::string::npos) << first;
  HybridOptions other{.first_frame = kSeiFrames, .frames = kSeiFrames};
  other.encoder =
      names_of(GetParam() == BaseCodec::h264 ? BaseCodec::h265 : BaseCodec::h264).fragment;
  EXPECT_EQ(caps(make_hybrid_gop(other), kSeiGop).find(codec().name), std::string::npos);
  EXPECT_EQ(caps(gops_[2], 2 * kSeiGop), first);
  gst_harness_teardown(h);
}

/* ---- errors ---- */

class SeiError : public testing::Test {
 protected:
  void SetUp() override {
    if (!have_element("mvinrseiinsert")) GTEST_SKIP() << "built without GStreamer's codec parsers";
    if (!have_element("x265enc")) GTEST_SKIP() << "x265enc is not installed";
  }
  std::string insert(const Data& access_unit) {
    const std::string path = folder_.write("one.mvinr", access_unit);
    return Pipeline(insert_only(path) + " ! fakesink sync=false").play(20);
  }
  static bool has(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  }
  TemporaryFolder folder_;
};

TEST_F(SeiError, AnImplicitStreamSaysWhatToSet) {
  const std::string error = insert(make_gop());
  EXPECT_TRUE(has(error, "implicit") && has(error, "mode=hybrid")) << error;
}

TEST_F(SeiError, AnotherCodecSaysWhatToSet) {
  const auto gop = make_hybrid_gop();
  const std::string error = insert(with_base_payload(gop, 1, Component::texture, [](Bytes) {
    return payload_in("video/x-av1, alignment=(string)tu");
  }));
  EXPECT_TRUE(has(error, "video/x-av1") && has(error, "base-encoder=x265enc")) << error;
}

TEST_F(SeiError, LengthPrefixedBaseViewsSayWhatToSet) {
  const auto gop = make_hybrid_gop();
  const std::string error = insert(with_base_payload(gop, 1, Component::texture, [](Bytes) {
    return payload_in("video/x-h264, stream-format=(string)avc, alignment=(string)au");
  }));
  EXPECT_TRUE(has(error, "stream-format=avc") && has(error, "base-encoder")) << error;
}

TEST_F(SeiError, ADamagedBaseViewCostsItsGop) {
  auto gops = make_hybrid_gops(3);
  const Data whole = gops[1];
  for (const auto& damage : {with_damaged_base(whole, 1, Component::texture),
                             with_base_payload(whole, 1, Component::texture, noise_for),
                             Data(whole.begin(), whole.begin() + ptrdiff_t(whole.size() / 2))}) {
    GstHarness* h = gst_harness_new("mvinrseiinsert");
    gst_harness_set_src_caps_str(h, "video/x-mvinr, parsed=true");
    std::optional<Bus> bus(std::in_place, h->element);
    EXPECT_EQ(gst_harness_push(h, make_buffer(gops[0], 0, 5 * kSeiFrame)), GST_FLOW_OK);
    EXPECT_EQ(gst_harness_push(h, make_buffer(damage, 5 * kSeiFrame, 5 * kSeiFrame)), GST_FLOW_OK);
    EXPECT_EQ(gst_harness_push(h, make_buffer(gops[2], 10 * kSeiFrame, 5 * kSeiFrame)),
              GST_FLOW_OK);
    EXPECT_EQ(gst_harness_buffers_received(h), 10u);
    EXPECT_EQ(bus->take(GST_MESSAGE_WARNING), 1);
    EXPECT_EQ(bus->take(GST_MESSAGE_ERROR), 0);
    bus.reset();
    gst_harness_teardown(h);
  }
}

TEST_F(SeiError, AnOrdinaryVideoIsNamed) {
  const std::string error =
      Pipeline(
          "videotestsrc num-buffers=300 ! video/x-raw,width=64,height=48 ! x265enc "
          "speed-preset=ultrafast log-level=none option-string=info=0 ! h265parse ! "
          "mvinrseiextract ! fakesink sync=false")
          .play(60);
  EXPECT_TRUE(has(error, "does not carry MV-INR")) << error;
}

}  // namespace
}  // namespace mvinr
