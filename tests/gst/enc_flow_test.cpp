// mvinrenc: stops, flushes and seeks while it trains.
#include <gst/video/video.h>

#include "enc_fixture.h"
#include "fake_encoder.h"

namespace mvinr::gst_test {
namespace {

class EncFlow : public testing::Test {
 protected:
  void SetUp() override { fake::reset(); }
  void TearDown() override { EXPECT_EQ(fake::log().alive, 0); }
};

TEST_F(EncFlow, NullEndsATrainingWithinASecond) {
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

TEST_F(EncFlow, AFlushEndsATrainingAndForgetsItsFrames) {
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
  EXPECT_EQ(fake::samples(0, 1), (std::vector<int>{10, 11}));
}

TEST_F(EncFlow, AFlushOfOnePadLeavesTheOthersRunning) {
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
  EXPECT_EQ(fake::samples(1, 2), (std::vector<int>{10, 11}));
}

TEST_F(EncFlow, AFlushingSeekThatUpstreamCannotFollowIsRefused) {
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

TEST_F(EncFlow, QueriesAreAnsweredWhileItTrains) {
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

TEST_F(EncFlow, AFlushingSeekEndsATrainingAndGoesUpstream) {
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
  EXPECT_EQ(fake::samples(0, 1), (std::vector<int>{125, 126}));
  const auto units = enc.units();
  ASSERT_EQ(units.size(), 1u);
  EXPECT_EQ(units[0].pts, 5 * GST_SECOND) << "in the segment of the seek";
}

TEST_F(EncFlow, FiftyStartsAndStopsLeaveNothingBehind) {
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
