// mvinrenc with an encoder that does not train: pads, caps, access units, times, properties.
#include <gst/video/video.h>

#include "enc_fixture.h"
#include "fake_encoder.h"

namespace mvinr::gst_test {
namespace {

class Enc : public testing::Test {
 protected:
  void SetUp() override { fake::reset(); }
  void TearDown() override { EXPECT_EQ(fake::log().alive, 0); }
};

void add_views(EncoderUnderTest& enc, int views, bool depth = true) {
  for (int v = 0; v < views; ++v) {
    enc.pad("texture_" + std::to_string(v), kTexture);
    if (depth) enc.pad("depth_" + std::to_string(v), kDepth);
  }
}

void feed(EncoderUnderTest& enc, int views, int frames, bool depth = true) {
  for (int v = 0; v < views; ++v)
    for (const char* kind : {"texture_", "depth_"}) {
      if (!depth && std::string(kind) == "depth_") continue;
      enc.frames(kind + std::to_string(v), frames);
      enc.eos(kind + std::to_string(v));
    }
}

TEST_F(Enc, TwoViewsWithDepthGiveOneAccessUnitPerGop) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  add_views(enc, 2);
  feed(enc, 2, 12);
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(enc.errors(), "");
  EXPECT_EQ(enc.warnings(), "");
  const auto units = enc.units();
  ASSERT_EQ(units.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(units[i].pts, i * 4 * kFrame);
    EXPECT_EQ(units[i].duration, 4 * kFrame);
    EXPECT_EQ(units[i].offset, i * 4);
    EXPECT_FALSE(units[i].flags & GST_BUFFER_FLAG_DELTA_UNIT);
    EXPECT_EQ(bool(units[i].flags & GST_BUFFER_FLAG_DISCONT), i == 0);
  }
  const fake::Log log = fake::log();
  ASSERT_EQ(log.sequences.size(), 1u);
  ASSERT_EQ(log.sequences[0].views.size(), 2u);
  EXPECT_EQ(log.sequences[0].views[1].texture, SampleFormat::yuv420_8);
  EXPECT_EQ(log.sequences[0].views[1].depth, SampleFormat::gray_16);
  EXPECT_EQ(log.sequences[0].frame_rate, (Fraction{25, 1}));
  ASSERT_EQ(log.gops.size(), 3u);
  for (int g = 0; g < 3; ++g)
    for (int i = 0; i < 16; ++i) EXPECT_EQ(log.gops[size_t(g)].samples[size_t(i)], g * 4 + i / 4);
}

TEST_F(Enc, SendsOneCapsEventAndATimeSegmentBeforeTheFirstUnit) {
  EncoderUnderTest enc;
  enc.set("gop-size", 2u);
  add_views(enc, 2, false);
  enc.pad("depth_1", kDepth);
  for (const char* pad : {"texture_0", "texture_1", "depth_1"}) {
    enc.frames(pad, 4);
    enc.eos(pad);
  }
  ASSERT_TRUE(enc.run());
  std::vector<std::string> names;
  for (const Output& output : enc.outputs()) names.push_back(output.buffer ? "AU" : output.name);
  EXPECT_EQ(names, (std::vector<std::string>{"stream-start", "caps", "tag", "segment", "AU", "AU",
                                             "eos"}));
  const auto caps_events = enc.events("caps");
  GstCaps* caps = nullptr;
  gst_event_parse_caps(caps_events[0].event.get(), &caps);
  GstCaps* expected = gst_caps_from_string(
      "video/x-mvinr,parsed=(boolean)true,version=(int)4,width=(int)32,height=(int)32,"
      "framerate=(fraction)25/1,views=(int)2,textures=(int)2,depths=(int)1");
  EXPECT_TRUE(gst_caps_is_equal(caps, expected)) << gst_caps_to_string(caps);
  gst_caps_unref(expected);
  const GstSegment* segment = nullptr;
  const auto segments = enc.events("segment");
  gst_event_parse_segment(segments[0].event.get(), &segment);
  EXPECT_EQ(segment->format, GST_FORMAT_TIME);
}

TEST_F(Enc, NamesTheMuxersThatFitIfDownstreamCannotTakeTheStream) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  add_views(enc, 1, false);
  gst_harness_set_sink_caps_str(enc.pad("texture_0"), "video/x-h264");
  feed(enc, 1, 4, false);
  enc.run();
  for (const char* name : {"mvinrmkvmux", "mp4mux", "mvinrseiinsert"})
    EXPECT_NE(enc.errors().find(name), std::string::npos) << enc.errors();
}

TEST_F(Enc, ShortGopIsEncodedAtEos) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  add_views(enc, 1);
  feed(enc, 1, 6);
  ASSERT_TRUE(enc.run());
  const auto units = enc.units();
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[1].pts, 4 * kFrame);
  EXPECT_EQ(units[1].duration, 2 * kFrame);
  EXPECT_EQ(enc.warnings(), "");
}

TEST_F(Enc, NoFramesGiveEosAndNothingElse) {
  EncoderUnderTest enc;
  add_views(enc, 2);
  feed(enc, 2, 0);
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(enc.units().size(), 0u);
  EXPECT_EQ(enc.events("eos").size(), 1u);
  EXPECT_EQ(enc.errors() + enc.warnings(), "");
}

TEST_F(Enc, OneFrameGivesOneAccessUnit) {
  EncoderUnderTest enc;
  add_views(enc, 1, false);
  feed(enc, 1, 1, false);
  ASSERT_TRUE(enc.run());
  ASSERT_EQ(enc.units().size(), 1u);
  EXPECT_EQ(enc.units()[0].duration, kFrame);
}

TEST_F(Enc, AllFormatsReachTheEncoderAsTheyAre) {
  EncoderUnderTest enc;
  auto of = [](const std::string& format) {
    return "video/x-raw,framerate=30000/1001,width=35,height=19,format=" + format;
  };
  enc.pad("texture_0", of("I420"));
  enc.pad("depth_0", of("GRAY8"));
  enc.pad("texture_1", of("I420_10LE"));
  enc.pad("depth_1", of("GRAY10_LE32"));
  enc.pad("texture_2", of("I420"));
  enc.pad("depth_2", of("GRAY16_LE"));
  int value = 200;
  for (const char* pad : {"texture_0", "depth_0", "texture_1", "depth_1", "texture_2", "depth_2"}) {
    enc.frame(pad, 0, value++);
    enc.eos(pad);
  }
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(enc.errors(), "");
  const fake::Log log = fake::log();
  ASSERT_EQ(log.gops.size(), 1u);
  EXPECT_EQ(log.gops[0].samples, (std::vector<int>{200, 201, 202, 203, 204, 205}));
  const auto& views = log.sequences[0].views;
  EXPECT_EQ(views[0].depth, SampleFormat::gray_8);
  EXPECT_EQ(views[1].texture, SampleFormat::yuv420_10);
  EXPECT_EQ(views[1].depth, SampleFormat::gray_10);
  EXPECT_EQ(log.sequences[0].frame_rate, (Fraction{30000, 1001}));
}

TEST_F(Enc, ViewsMayDifferInSize) {
  EncoderUnderTest enc;
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", "video/x-raw,format=I420,width=48,height=16,framerate=25/1");
  feed(enc, 2, 2, false);
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(enc.errors(), "");
  EXPECT_EQ(fake::log().sequences[0].views[1].width, 48);
}

/// Feeds one frame to each of the pads and returns the error that must come.
std::string error_of(const std::vector<std::pair<std::string, std::string>>& pads) {
  EncoderUnderTest enc;
  for (const auto& [name, caps] : pads) enc.pad(name, caps);
  for (const auto& [name, caps] : pads) {
    enc.frame(name, 0, 1);
    enc.eos(name);
  }
  EXPECT_TRUE(enc.run());
  EXPECT_EQ(enc.units().size(), 0u);
  return enc.errors();
}

TEST_F(Enc, AMissingViewIsNamed) {
  const std::string error = error_of({{"texture_0", kTexture}, {"texture_2", kTexture}});
  EXPECT_NE(error.find("texture_1 is missing"), std::string::npos) << error;
}

TEST_F(Enc, ADepthWithoutTextureIsAnError) {
  const std::string error = error_of({{"texture_0", kTexture}, {"depth_1", kDepth}});
  EXPECT_NE(error.find("texture_1 is missing"), std::string::npos) << error;
  EXPECT_NE(error.find("depth_1"), std::string::npos) << error;
}

TEST_F(Enc, DifferentFrameRatesAreNamed) {
  const std::string error =
      error_of({{"texture_0", kTexture},
                {"texture_1", "video/x-raw,format=I420,width=32,height=32,framerate=30/1"}});
  EXPECT_NE(error.find("texture_0 25/1, texture_1 30/1"), std::string::npos) << error;
}

TEST_F(Enc, ADepthOfAnotherSizeIsNamed) {
  const std::string error =
      error_of({{"texture_0", kTexture},
                {"depth_0", "video/x-raw,format=GRAY16_LE,width=16,height=32,framerate=25/1"}});
  EXPECT_NE(error.find("texture_0 32x32, depth_0 16x32"), std::string::npos) << error;
}

TEST_F(Enc, ABufferThatIsTooSmallIsAnError) {
  EncoderUnderTest enc;
  enc.pad("texture_0", kTexture);
  enc.then("texture_0", [](GstHarness* h) {
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, 100, nullptr);
    GST_BUFFER_PTS(buffer) = 0;
    gst_harness_push(h, buffer);
  });
  ASSERT_TRUE(enc.run());
  EXPECT_NE(enc.errors().find("texture_0: a buffer of 100 bytes"), std::string::npos)
      << enc.errors();
}

TEST_F(Enc, PadsKeepTheirNamesAndCountUpWithoutOne) {
  EncoderUnderTest enc;
  GstElement* element = enc.element();
  auto request = [&](const char* name) {
    GstPad* pad = gst_element_request_pad_simple(element, name);
    std::string result = pad ? GST_PAD_NAME(pad) : "refused";
    if (pad) gst_object_unref(pad);
    return result;
  };
  EXPECT_EQ(request("texture_7"), "texture_7");
  EXPECT_EQ(request("depth_63"), "depth_63");
  EXPECT_EQ(request("texture_%u"), "texture_0");
  EXPECT_EQ(request("texture_%u"), "texture_1");
  EXPECT_EQ(request("depth_%u"), "depth_0");
  EXPECT_EQ(request("texture_64"), "refused");
  EXPECT_EQ(gst_child_proxy_get_children_count(GST_CHILD_PROXY(element)), 5u);
}

TEST_F(Enc, PadPropertiesAreReachedThroughTheElement) {
  EncoderUnderTest enc;
  GstPad* pad = gst_element_request_pad_simple(enc.element(), "texture_3");
  gst_child_proxy_set(GST_CHILD_PROXY(enc.element()), "texture_3::camera", "rig.json#left",
                      nullptr);
  gchar* camera = nullptr;
  g_object_get(pad, "camera", &camera, nullptr);
  EXPECT_STREQ(camera, "rig.json#left");
  g_free(camera);
  gst_object_unref(pad);
}

TEST_F(Enc, PadsAreRefusedOnceEncodingHasBegun) {
  EncoderUnderTest enc;
  enc.set("gop-size", 1u);
  add_views(enc, 1, false);
  enc.frames("texture_0", 1);
  enc.start();
  ASSERT_TRUE(eventually([&] { return enc.units().size() == 1; }));
  EXPECT_EQ(gst_element_request_pad_simple(enc.element(), "texture_1"), nullptr);
  EXPECT_NE(enc.warnings().find("texture_1 is refused"), std::string::npos) << enc.warnings();
}

TEST_F(Enc, APadThatIsReleasedBeforeTheStartDoesNotCount) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  add_views(enc, 1, false);
  GstPad* other = gst_element_request_pad_simple(enc.element(), "texture_1");
  gst_element_release_request_pad(enc.element(), other);
  gst_object_unref(other);
  feed(enc, 1, 4, false);
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(enc.units().size(), 1u);
  EXPECT_EQ(enc.warnings(), "");
}

TEST_F(Enc, UpstreamMayUseVideoMeta) {
  EncoderUnderTest enc;
  enc.set("gop-size", 1u);
  add_views(enc, 1, false);
  bool answered = false, meta = false;
  enc.frames("texture_0", 1);
  enc.then("texture_0", [&](GstHarness* h) {
    GstCaps* caps = gst_caps_from_string(kTexture);
    GstQuery* query = gst_query_new_allocation(caps, FALSE);
    answered = gst_pad_peer_query(h->srcpad, query);
    meta = gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr);
    gst_query_unref(query);
    gst_caps_unref(caps);
  });
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  enc.join();
  EXPECT_TRUE(answered);
  EXPECT_TRUE(meta);
}

TEST_F(Enc, PaddedRowsAreRead) {
  EncoderUnderTest enc;
  add_views(enc, 1, false);
  enc.then("texture_0", [](GstHarness* h) {
    gsize offset[4] = {0, 64 * 32, 64 * 32 + 32 * 16};
    gint stride[4] = {64, 32, 32};
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, 64 * 32 + 2 * 32 * 16, nullptr);
    gst_buffer_memset(buffer, 0, 0, gst_buffer_get_size(buffer));
    for (int y = 0; y < 32; ++y) gst_buffer_memset(buffer, gsize(y) * 64, 9, 32);
    gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_I420, 32, 32,
                                   3, offset, stride);
    GST_BUFFER_PTS(buffer) = 0;
    gst_harness_push(h, buffer);
  });
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(enc.errors(), "");
  ASSERT_EQ(fake::log().gops.size(), 1u);
  EXPECT_EQ(fake::log().gops[0].samples[0], 9);
}

TEST_F(Enc, FramesWithoutTimestampsFollowOneAnother) {
  EncoderUnderTest enc;
  enc.set("gop-size", 2u);
  add_views(enc, 2, false);
  for (const char* pad : {"texture_0", "texture_1"}) {
    for (int i = 0; i < 4; ++i) enc.frame(pad, GST_CLOCK_TIME_NONE, i);
    enc.eos(pad);
  }
  ASSERT_TRUE(enc.run());
  const auto units = enc.units();
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[1].pts, 2 * kFrame);
  EXPECT_EQ(enc.warnings(), "");
}

TEST_F(Enc, RoundedTimestampsGiveUnitsWithoutGapsAndOverlaps) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  enc.pad("texture_0", "video/x-raw,format=I420,width=32,height=32,framerate=30/1");
  for (int i = 0; i < 400; ++i)  // as Matroska stores them
    enc.frame("texture_0", (GstClockTime(i) * 1000 + 15) / 30 * GST_MSECOND, i % 256);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  const auto units = enc.units();
  ASSERT_EQ(units.size(), 100u);
  for (size_t i = 1; i < units.size(); ++i)
    EXPECT_EQ(units[i].pts, units[i - 1].pts + units[i - 1].duration);
  EXPECT_NEAR(double(units[99].pts), 396 / 30.0 * GST_SECOND, double(GST_MSECOND));
}

TEST_F(Enc, FramesOutsideOfTheSegmentAreNotEncoded) {
  EncoderUnderTest enc;
  enc.set("gop-size", 2u);
  add_views(enc, 1, false);
  enc.then("texture_0", [](GstHarness* h) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = segment.time = segment.position = 2 * kFrame;
    segment.stop = 6 * kFrame;
    gst_harness_push_event(h, gst_event_new_segment(&segment));
  });
  enc.frames("texture_0", 9);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  const auto units = enc.units();
  ASSERT_EQ(units.size(), 2u) << "frames 2 to 5";
  EXPECT_EQ(units[0].pts, 0u) << "the running time of frame 2";
  EXPECT_EQ(fake::log().gops[0].samples[0], 2);
}

}  // namespace
}  // namespace mvinr::gst_test
