// mvinrenc: pads out of step, gaps, changes of caps, key units, flushes, stops.
#include <gst/video/video.h>

#include <numeric>

#include "enc_fixture.h"
#include "fake_encoder.h"

namespace mvinr::gst_test {
namespace {

class EncSync : public testing::Test {
 protected:
  void SetUp() override { fake::reset(); }
  void TearDown() override { EXPECT_EQ(fake::log().alive, 0); }
};

/// First samples of view `view` in all GOPs, of a sequence of `views` textures.
std::vector<int> samples(int view, int views) {
  std::vector<int> result;
  for (const fake::Gop& gop : fake::log().gops)
    for (int t = 0; t < gop.frames; ++t)
      result.push_back(gop.samples[size_t((t * views + view) * 2)]);
  return result;
}

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
  EXPECT_EQ(samples(0, 2), (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(samples(1, 2), (std::vector<int>{0, 1, 1, 1, 4}));
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
  EXPECT_EQ(samples(1, 2), (std::vector<int>{0, 1, 1, 3, 4}));
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
  EXPECT_EQ(samples(0, 2), (std::vector<int>{2, 3, 4, 5}));
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
  EXPECT_EQ(samples(1, 2), (std::vector<int>{0, 1, 2, 3}));
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
  EXPECT_EQ(samples(0, 1), (std::vector<int>{0, 1, 1, 1, 4, 5, 6, 7}));
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

TEST_F(EncSync, NullEndsATrainingWithinASecond) {
  EncoderUnderTest enc;
  fake::set_behaviour({.seconds = 100});
  enc.set("gop-size", 2u);
  enc.pad("texture_0", kTexture);
  enc.frames("texture_0", 4);
  enc.start();
  ASSERT_TRUE(eventually([] { return fake::log().training == 1; }));
  EXPECT_LT(seconds_of([&] { enc.state(GST_STATE_NULL); }), 1);
  enc.join();
  EXPECT_EQ(enc.units().size(), 0u);
  EXPECT_EQ(enc.errors(), "");
  EXPECT_EQ(fake::log().alive, 0);
}

TEST_F(EncSync, AFlushEndsATrainingAndForgetsItsFrames) {
  EncoderUnderTest enc;
  fake::set_behaviour({.seconds = 100});
  enc.set("gop-size", 2u);
  enc.pad("texture_0", kTexture);
  GstHarness* h = enc.pad("texture_0");
  enc.frames("texture_0", 2);
  enc.start();
  ASSERT_TRUE(eventually([] { return fake::log().training == 1; }));
  EXPECT_LT(seconds_of([&] {
              gst_harness_push_event(h, gst_event_new_flush_start());
              gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
            }),
            1);
  enc.join();
  ASSERT_TRUE(eventually([] { return fake::log().training == 0; }));
  fake::set_behaviour({});
  enc.then("texture_0", [](GstHarness* harness) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
  });
  enc.frames("texture_0", 2, 10);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(enc.errors(), "");
  const auto units = enc.units();
  ASSERT_EQ(units.size(), 1u);
  EXPECT_EQ(units[0].pts, 10 * kFrame);
  EXPECT_TRUE(units[0].flags & GST_BUFFER_FLAG_DISCONT);
  EXPECT_EQ(samples(0, 1), (std::vector<int>{10, 11}));
}

TEST_F(EncSync, AFlushOfOnePadLeavesTheOthersRunning) {
  EncoderUnderTest enc;
  fake::set_behaviour({.seconds = 100});
  enc.set("gop-size", 2u);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  enc.frames("texture_0", 2);
  enc.frames("texture_1", 2);
  enc.start();
  ASSERT_TRUE(eventually([] { return fake::log().training == 1; }));
  gst_harness_push_event(enc.pad("texture_1"), gst_event_new_flush_start());
  ASSERT_TRUE(eventually([] { return fake::log().training == 0; }, 1));
  fake::set_behaviour({});
  gst_harness_push_event(enc.pad("texture_1"), gst_event_new_flush_stop(TRUE));
  enc.join();
  enc.then("texture_1", [](GstHarness* harness) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
  });
  for (const char* pad : {"texture_0", "texture_1"}) {
    enc.frames(pad, 2, 10);
    enc.eos(pad);
  }
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(samples(1, 2), (std::vector<int>{10, 11}));
}

TEST_F(EncSync, AFlushingSeekThatUpstreamCannotFollowIsRefused) {
  EncoderUnderTest enc;
  enc.set("gop-size", 2u);
  enc.pad("texture_0", kTexture);
  GstHarness* h = enc.pad("texture_0");
  enc.frames("texture_0", 1);
  enc.start();
  enc.join();
  GstEvent* seek = gst_event_new_seek(1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                                      GST_SEEK_TYPE_NONE, -1);
  EXPECT_FALSE(gst_harness_push_upstream_event(h, seek));
  enc.frames("texture_0", 1, 1);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run()) << "and encoding goes on";
  EXPECT_EQ(enc.units().size(), 1u);
}

TEST_F(EncSync, QueriesAreAnsweredWhileItTrains) {
  EncoderUnderTest enc;
  fake::set_behaviour({.seconds = 100});
  enc.set("gop-size", 2u);
  enc.set("time-budget", 3.0);
  enc.pad("texture_0", kTexture);
  GstHarness* h = enc.pad("texture_0");
  enc.frames("texture_0", 2);
  enc.start();
  ASSERT_TRUE(eventually([] { return fake::log().training == 1; }));
  GstClockTime latency = 0;
  EXPECT_LT(seconds_of([&] { latency = gst_harness_query_latency(h); }), 0.5);
  EXPECT_EQ(latency, 2 * kFrame + 3 * GST_SECOND) << "a GOP and its training";
  EXPECT_LT(seconds_of([&] {
              gst_harness_push_upstream_event(
                  h, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, FALSE, 0));
            }),
            0.5);
}

TEST_F(EncSync, ALiveSourceThatStallsIsRepeatedWhenTheLatencyIsOver) {
  EncoderUnderTest enc;  // harnesses are live sources
  enc.set("gop-size", 4u);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  GstHarness* h = enc.pad("texture_0");
  gst_harness_use_systemclock(h);
  GstClock* clock = gst_element_get_clock(enc.element());
  gst_element_set_base_time(enc.element(), gst_clock_get_time(clock));
  gst_object_unref(clock);
  enc.frames("texture_0", 6);
  enc.frames("texture_1", 2);
  // Frame 3 is given up at its time plus the latency, the duration of a GOP.
  EXPECT_GE(seconds_of([&] {
              enc.start();
              EXPECT_TRUE(eventually([&] { return enc.units().size() == 1; }));
            }),
            0.25);
  EXPECT_EQ(samples(0, 2), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(samples(1, 2), (std::vector<int>{0, 1, 1, 1}));
  EXPECT_NE(enc.warnings().find("texture_1: 2 repeated"), std::string::npos) << enc.warnings();
  enc.join();
}

TEST_F(EncSync, AFlushingSeekEndsATrainingAndGoesUpstream) {
  EncoderUnderTest enc;
  fake::set_behaviour({.seconds = 100});
  enc.set("gop-size", 2u);
  enc.pad("texture_0", kTexture);
  GstHarness* h = enc.pad("texture_0");
  // An upstream that can seek, and then sends two frames of the new position.
  gst_pad_add_probe(
      h->srcpad, GST_PAD_PROBE_TYPE_QUERY_UPSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer) {
        GstQuery* query = GST_PAD_PROBE_INFO_QUERY(info);
        if (GST_QUERY_TYPE(query) != GST_QUERY_SEEKING) return GST_PAD_PROBE_OK;
        gst_query_set_seeking(query, GST_FORMAT_TIME, TRUE, 0, GST_SECOND * 100);
        return GST_PAD_PROBE_HANDLED;
      },
      nullptr, nullptr);
  gst_pad_add_probe(
      h->srcpad, GST_PAD_PROBE_TYPE_EVENT_UPSTREAM,
      [](GstPad* pad, GstPadProbeInfo* info, gpointer) {
        GstEvent* event = GST_PAD_PROBE_INFO_EVENT(info);
        if (GST_EVENT_TYPE(event) != GST_EVENT_SEEK) return GST_PAD_PROBE_OK;
        const guint32 seqnum = gst_event_get_seqnum(event);
        GstSegment segment;
        gst_segment_init(&segment, GST_FORMAT_TIME);
        segment.start = segment.time = segment.position = 5 * GST_SECOND;
        for (GstEvent* answer : {gst_event_new_flush_start(), gst_event_new_flush_stop(TRUE),
                                 gst_event_new_segment(&segment)}) {
          gst_event_set_seqnum(answer, seqnum);
          gst_pad_push_event(pad, answer);
        }
        gst_event_unref(event);
        return GST_PAD_PROBE_HANDLED;
      },
      nullptr, nullptr);
  enc.frames("texture_0", 2);
  enc.start();
  ASSERT_TRUE(eventually([] { return fake::log().training == 1; }));
  GstEvent* seek = gst_event_new_seek(1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET,
                                      5 * GST_SECOND, GST_SEEK_TYPE_NONE, -1);
  bool sought = false;
  EXPECT_LT(seconds_of([&] { sought = gst_harness_push_upstream_event(h, seek); }), 1);
  EXPECT_TRUE(sought);
  enc.join();
  fake::set_behaviour({});
  enc.frames("texture_0", 2, 125);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(samples(0, 1), (std::vector<int>{125, 126}));
  const auto units = enc.units();
  ASSERT_EQ(units.size(), 1u);
  EXPECT_EQ(units[0].pts, 5 * GST_SECOND) << "in the segment of the seek";
}

TEST_F(EncSync, FiftyStartsAndStopsLeaveNothingBehind) {
  EncoderUnderTest enc;
  fake::set_behaviour({.seconds = 0.02});
  enc.set("gop-size", 2u);
  enc.pad("texture_0", kTexture);
  enc.pad("depth_0", kDepth);
  for (int cycle = 0; cycle < 50; ++cycle) {
    for (const char* pad : {"texture_0", "depth_0"}) enc.frames(pad, 1 + cycle % 5);
    enc.start();
    std::this_thread::sleep_for(std::chrono::milliseconds(cycle % 7 * 5));
    ASSERT_NE(enc.state(cycle % 2 ? GST_STATE_NULL : GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
    enc.join();
    ASSERT_EQ(fake::log().alive, 0);
    ASSERT_NE(enc.state(GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
    for (const char* pad : {"texture_0", "depth_0"}) {
      GstHarness* h = enc.pad(pad);
      GstSegment segment;
      gst_segment_init(&segment, GST_FORMAT_TIME);
      gst_harness_push_event(h, gst_event_new_stream_start("again"));
      GstCaps* caps = gst_caps_from_string(std::string(pad) == "depth_0" ? kDepth : kTexture);
      gst_harness_push_event(h, gst_event_new_caps(caps));
      gst_caps_unref(caps);
      gst_harness_push_event(h, gst_event_new_segment(&segment));
    }
  }
  EXPECT_EQ(enc.errors(), "");
}

}  // namespace
}  // namespace mvinr::gst_test
