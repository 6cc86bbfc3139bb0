// mvinrenc: pads out of step, gaps, changes of caps, key units.
#include <gst/video/video.h>

#include "enc_fixture.h"
#include "fake_encoder.h"

namespace mvinr::gst_test {
namespace {

class EncSync : public testing::Test {
 protected:
  void SetUp() override { fake::reset(); }
  void TearDown() override { EXPECT_EQ(fake::log().alive, 0); }
};

std::vector<int> frames_of_gops() {
  std::vector<int> result;
  for (const fake::Gop& gop : fake::log().gops) result.push_back(gop.frames);
  return result;
}

TEST_F(EncSync, AGapRepeatsTheLastFrame) {
  EncoderUnderTest enc;
  enc.set("gop-size", 5u);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  enc.frames("texture_0", 5);
  enc.frames("texture_1", 2);
  enc.gap("texture_1", 2 * kFrame, 2 * kFrame);
  enc.frames("texture_1", 1, 4);
  for (const char* pad : {"texture_0", "texture_1"}) enc.eos(pad);
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(fake::samples(0, 2), (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(fake::samples(1, 2), (std::vector<int>{0, 1, 1, 1, 4}));
  EXPECT_EQ(enc.warnings(), "") << "a gap is no fault";
}

TEST_F(EncSync, AMissingFrameIsRepeatedWithAWarning) {
  EncoderUnderTest enc;
  enc.set("gop-size", 5u);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  enc.frames("texture_0", 5);
  enc.frames("texture_1", 2);
  enc.frames("texture_1", 2, 3);
  for (const char* pad : {"texture_0", "texture_1"}) enc.eos(pad);
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(fake::samples(1, 2), (std::vector<int>{0, 1, 1, 3, 4}));
  EXPECT_NE(enc.warnings().find("texture_1: 1 repeated, 0 dropped"), std::string::npos)
      << enc.warnings();
}

TEST_F(EncSync, FramesBeforeTheLastPadBeginsAreDroppedAndReported) {
  EncoderUnderTest enc;
  enc.set("gop-size", 2u);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  enc.frames("texture_0", 6);
  enc.frames("texture_1", 4, 2);
  for (const char* pad : {"texture_0", "texture_1"}) enc.eos(pad);
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(fake::samples(0, 2), (std::vector<int>{2, 3, 4, 5}));
  EXPECT_EQ(enc.units()[0].pts, 2 * kFrame);
  EXPECT_EQ(enc.count(GST_MESSAGE_QOS), 2);
  EXPECT_NE(enc.warnings().find("texture_0: 0 repeated, 2 dropped"), std::string::npos)
      << enc.warnings();
}

TEST_F(EncSync, PadsArePairedByRunningTimeNotByTimestamp) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  enc.then("texture_1", [](GstHarness* h) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = segment.time = segment.position = GST_SECOND;
    gst_harness_push_event(h, gst_event_new_segment(&segment));
  });
  enc.frames("texture_0", 4);
  for (int i = 0; i < 4; ++i) enc.frame("texture_1", GST_SECOND + GstClockTime(i) * kFrame, i);
  for (const char* pad : {"texture_0", "texture_1"}) enc.eos(pad);
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(fake::samples(1, 2), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(enc.warnings(), "");
}

TEST_F(EncSync, AHoleInAllPadsInsideAGopIsFilled) {
  EncoderUnderTest enc;
  enc.set("gop-size", 8u);
  enc.pad("texture_0", kTexture);
  enc.frames("texture_0", 2);
  enc.frames("texture_0", 4, 4);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(fake::samples(0, 1), (std::vector<int>{0, 1, 1, 1, 4, 5, 6, 7}));
  EXPECT_EQ(enc.units().size(), 1u);
}

TEST_F(EncSync, ALongHoleEndsTheGop) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  enc.pad("texture_0", kTexture);
  enc.frames("texture_0", 2);
  enc.frames("texture_0", 4, 100);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  const auto units = enc.units();
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[0].duration, 2 * kFrame);
  EXPECT_EQ(units[1].pts, 100 * kFrame);
  EXPECT_TRUE(units[1].flags & GST_BUFFER_FLAG_DISCONT);
}

TEST_F(EncSync, WhenAPadEndsEarlyTheStreamEndsThereWithAWarning) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  enc.frames("texture_0", 10);
  enc.frames("texture_1", 6);
  for (const char* pad : {"texture_0", "texture_1"}) enc.eos(pad);
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(frames_of_gops(), (std::vector<int>{4, 2}));
  EXPECT_NE(enc.warnings().find("texture_1 ended early, at frame 6"), std::string::npos)
      << enc.warnings();
  EXPECT_EQ(enc.errors(), "");
}

TEST_F(EncSync, ACapsChangeEndsTheGopAndBeginsANewSequence) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  const std::string large = "video/x-raw,format=I420,width=48,height=32,framerate=25/1";
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  for (const char* pad : {"texture_0", "texture_1"}) {
    enc.frames(pad, 6);
    enc.caps(pad, large);
    enc.frames(pad, 4, 6);
    enc.eos(pad);
  }
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(enc.errors() + enc.warnings(), "");
  EXPECT_EQ(frames_of_gops(), (std::vector<int>{4, 2, 4}));
  const fake::Log log = fake::log();
  ASSERT_EQ(log.sequences.size(), 2u);
  EXPECT_EQ(log.sequences[1].views[0].width, 48);
  EXPECT_EQ(enc.events("caps").size(), 2u);
  const auto units = enc.units();
  EXPECT_EQ(units[2].pts, 6 * kFrame);
  EXPECT_TRUE(units[2].flags & GST_BUFFER_FLAG_DISCONT);
}

TEST_F(EncSync, TheSameCapsAgainChangeNothing) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  enc.pad("texture_0", kTexture);
  enc.frames("texture_0", 2);
  enc.caps("texture_0", kTexture);
  enc.frames("texture_0", 2, 2);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(frames_of_gops(), (std::vector<int>{4}));
  EXPECT_EQ(enc.events("caps").size(), 1u);
}

TEST_F(EncSync, AnUpstreamKeyUnitRequestClosesTheGop) {
  EncoderUnderTest enc;
  enc.set("gop-size", 8u);
  enc.pad("texture_0", kTexture);
  GstHarness* h = enc.pad("texture_0");
  EXPECT_TRUE(gst_harness_push_upstream_event(
      h, gst_video_event_new_upstream_force_key_unit(3 * kFrame, TRUE, 7)));
  enc.frames("texture_0", 8);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(frames_of_gops(), (std::vector<int>{3, 5}));
  const auto outputs = enc.outputs();
  ASSERT_GE(outputs.size(), 4u);
  const size_t n = outputs.size();  // …, AU, event, AU, eos
  ASSERT_EQ(outputs[n - 3].name, "custom-downstream");
  GstClockTime running_time = 0;
  gboolean headers = FALSE;
  guint count = 0;
  ASSERT_TRUE(gst_video_event_parse_downstream_force_key_unit(
      outputs[n - 3].event.get(), nullptr, nullptr, &running_time, &headers, &count));
  EXPECT_EQ(running_time, 3 * kFrame);
  EXPECT_TRUE(headers);
  EXPECT_EQ(count, 7u);
}

TEST_F(EncSync, DownstreamKeyUnitEventsOfAllPadsCloseTheGopOnce) {
  EncoderUnderTest enc;
  enc.set("gop-size", 8u);
  for (const char* pad : {"texture_0", "texture_1"}) {
    enc.pad(pad, kTexture);
    enc.frames(pad, 5);
    enc.then(pad, [](GstHarness* h) {
      gst_harness_push_event(h, gst_video_event_new_downstream_force_key_unit(
                                    5 * kFrame, 5 * kFrame, 5 * kFrame, FALSE, 1));
    });
    enc.frames(pad, 3, 5);
    enc.eos(pad);
  }
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(frames_of_gops(), (std::vector<int>{5, 3}));
  EXPECT_EQ(enc.events("custom-downstream").size(), 1u);
}

}  // namespace
}  // namespace mvinr::gst_test
