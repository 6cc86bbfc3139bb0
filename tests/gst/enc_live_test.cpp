// mvinrenc in live pipelines: deadlines, machines that are too slow, sources that stall, are slow
// or drift. The encoder is a fake that only takes time; tests/live has the real one.
#include <algorithm>
#include <cmath>

#include "enc_fixture.h"
#include "fake_encoder.h"

namespace mvinr::gst_test {
namespace {

class EncLive : public testing::Test {
 protected:
  void SetUp() override { fake::reset(); }
  void TearDown() override { EXPECT_EQ(fake::log().alive, 0); }

  // The clock that the sources and the element share starts here.
  void start_clock(EncoderUnderTest& enc) {
    gst_harness_use_systemclock(enc.pad("texture_0"));
    clock_ = gst_system_clock_obtain();
    base_ = gst_clock_get_time(clock_);
    gst_element_set_base_time(enc.element(), base_);
    GstPad* src = gst_element_get_static_pad(enc.element(), "src");
    gst_pad_add_probe(src, GST_PAD_PROBE_TYPE_BUFFER, at_src, this, nullptr);
    gst_object_unref(src);
    gst_object_unref(clock_);  // the system clock stays
  }
  double now() const { return double(gst_clock_get_time(clock_) - base_) / GST_SECOND; }

  // A camera: pushes frame `i` when it is over, as a live source does.
  void camera(EncoderUnderTest& enc, const std::string& pad, int first, int count) {
    for (int i = first; i < first + count; ++i) {
      enc.then(pad, [this, i](GstHarness*) {
        const double wait = double(GstClockTime(i + 1) * kFrame) / GST_SECOND - now();
        if (wait > 0) std::this_thread::sleep_for(std::chrono::duration<double>(wait));
        lag_ = std::max(lag_.load(), -wait);
      });
      enc.frame(pad, GstClockTime(i) * kFrame, i);
    }
  }
  void two_cameras(EncoderUnderTest& enc, int count) {
    for (const char* pad : {"texture_0", "texture_1"}) {
      camera(enc, pad, 0, count);
      enc.eos(pad);
    }
  }
  // Seconds from the first frame of each access unit to its arrival behind the element.
  std::vector<double> latencies() {
    const std::lock_guard lock(mutex_);
    return latencies_;
  }
  double lag() const { return lag_; }  // the longest time for which a camera had to wait

 private:
  static GstPadProbeReturn at_src(GstPad*, GstPadProbeInfo* info, gpointer data) {
    auto* self = static_cast<EncLive*>(data);
    const GstClockTime pts = GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info));
    const std::lock_guard lock(self->mutex_);
    self->latencies_.push_back(self->now() - double(pts) / GST_SECOND);
    return GST_PAD_PROBE_OK;
  }
  GstClock* clock_ = nullptr;
  GstClockTime base_ = 0;
  std::mutex mutex_;
  std::vector<double> latencies_;
  std::atomic<double> lag_ = 0;
};

int sum_of_frames() {
  int sum = 0;
  for (const fake::Gop& gop : fake::log().gops) sum += gop.frames;
  return sum;
}

int dropped_frames(EncoderUnderTest& enc) {
  GstStructure* stats = nullptr;
  guint64 dropped = 0;
  g_object_get(enc.element(), "stats", &stats, nullptr);
  gst_structure_get_uint64(stats, "dropped-frames", &dropped);
  gst_structure_free(stats);
  return int(dropped);
}

guint64 latency_property(EncoderUnderTest& enc) {
  guint64 latency = 0;
  g_object_get(enc.element(), "latency", &latency, nullptr);
  return latency;
}

constexpr int kGop = 10;  // 0.4 s

// The access unit of a GOP is due when its frames are there and the budget is over: for training,
// export and all.
TEST_F(EncLive, AGopHasItsBudgetAndNoMore) {
  for (const double budget : {0.0, 0.3}) {
    fake::reset();
    fake::set_behaviour({.seconds = 100});  // would like to, but obeys its deadline
    EncoderUnderTest enc;
    enc.set("gop-size", guint(kGop));
    enc.set("time-budget", budget);
    enc.pad("texture_0", kTexture);
    enc.pad("texture_1", kTexture);
    start_clock(enc);
    two_cameras(enc, 3 * kGop);
    ASSERT_TRUE(enc.run());
    const double most = budget > 0 ? budget : 0.4;  // none: the duration of a GOP
    const auto gops = fake::log().gops;
    ASSERT_GE(gops.size(), 2u);
    for (const fake::Gop& gop : gops) {
      EXPECT_LE(gop.deadline, most + 1e-3);
      EXPECT_GE(gop.deadline, most / 4 - 0.05);
    }
    EXPECT_EQ(gst_harness_query_latency(enc.pad("texture_0")),
              kGop * kFrame + GstClockTime(most * GST_SECOND));
    enc.join();
  }
}

// No queue stands between cameras and encoder: its pads hold what comes while it trains.
TEST_F(EncLive, CamerasDoNotWaitForATraining) {
  fake::set_behaviour({.seconds = 0.8, .obeys = false});
  EncoderUnderTest enc;
  enc.set("gop-size", 25u);
  enc.set("time-budget", 1.0);
  enc.set("latency", 20 * GST_MSECOND);  // the application's own
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  start_clock(enc);
  two_cameras(enc, 50);
  ASSERT_TRUE(enc.run());
  EXPECT_LT(lag(), 0.5) << "two frames at a time would leave them waiting for 0.7 s";
  EXPECT_EQ(dropped_frames(enc), 0);
  EXPECT_EQ(sum_of_frames(), 50);
  EXPECT_EQ(latency_property(enc), GST_SECOND + 20 * GST_MSECOND);
  enc.join();
  enc.state(GST_STATE_NULL);
  EXPECT_EQ(latency_property(enc), 20 * GST_MSECOND) << "as it was";
}

// Every GOP takes 0.6 s, which is more than it lasts: what is left of the budget shrinks, then
// frames are dropped and reported, and access units are never later than one such GOP.
TEST_F(EncLive, AMachineThatIsTooSlowDropsFramesAndSaysSo) {
  fake::set_behaviour({.seconds = 0.6, .obeys = false});
  EncoderUnderTest enc;
  enc.set("gop-size", guint(kGop));
  enc.set("time-budget", 0.4);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  start_clock(enc);
  const int frames = 8 * kGop;
  two_cameras(enc, frames);
  ASSERT_TRUE(enc.run(30));
  const int dropped = dropped_frames(enc);
  EXPECT_GT(dropped, kGop / 2);
  EXPECT_LT(dropped, frames - 2 * kGop);
  EXPECT_LE(std::abs(sum_of_frames() + dropped - frames), kGop) << "nothing is lost silently";
  EXPECT_EQ(enc.count(GST_MESSAGE_QOS), 2 * dropped);
  EXPECT_NE(enc.warnings().find("too slow for the live stream"), std::string::npos);
  const auto all = latencies();
  ASSERT_GE(all.size(), 3u);
  for (const double latency : all) EXPECT_LT(latency, 0.4 + 0.4 + 0.6 + 0.3);
  // What is in the stream is in pairs.
  EXPECT_EQ(fake::samples(0, 2), fake::samples(1, 2));
  const auto last = enc.messages("mvinrenc-gop").back();
  EXPECT_TRUE(gst_structure_has_field(last, "latency"));
  enc.join();
}

// One camera stops for more than a second. The other one goes on, with its pictures repeated.
TEST_F(EncLive, ACameraThatStallsIsRepeatedAndHoldsNobodyUp) {
  fake::set_behaviour({.seconds = 0.1});
  EncoderUnderTest enc;
  enc.set("gop-size", guint(kGop));
  enc.set("time-budget", 0.4);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  start_clock(enc);
  camera(enc, "texture_0", 0, 6 * kGop);
  camera(enc, "texture_1", 0, kGop + 5);
  camera(enc, "texture_1", 5 * kGop, kGop);  // 35 frames later
  for (const char* pad : {"texture_0", "texture_1"}) enc.eos(pad);
  ASSERT_TRUE(enc.run(30));
  EXPECT_EQ(sum_of_frames(), 6 * kGop);
  EXPECT_EQ(dropped_frames(enc), 0);
  for (const double latency : latencies()) EXPECT_LT(latency, 0.4 + 0.4 + 0.3);
  const auto first = fake::samples(0, 2), second = fake::samples(1, 2);
  for (int i = 0; i < 6 * kGop; ++i) {
    EXPECT_EQ(first[size_t(i)], i);
    const bool stalled = i >= kGop + 5 && i < 5 * kGop;
    EXPECT_EQ(second[size_t(i)], stalled ? kGop + 4 : i) << i;
  }
  EXPECT_NE(enc.warnings().find("texture_1: 10 repeated"), std::string::npos) << enc.warnings();
  enc.join();
}

// A frame that is not there is given up soon: not only when the whole latency is over, which is for
// training.
TEST_F(EncLive, AMissingFrameIsGivenUpLongBeforeTheDeadline) {
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  enc.set("time-budget", 30.0);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  start_clock(enc);
  enc.frames("texture_0", 12);
  enc.frames("texture_1", 2);
  EXPECT_LT(seconds_of([&] {
              enc.start();
              EXPECT_TRUE(eventually([&] { return enc.units().size() == 1; }, 20));
            }),
            5);
  EXPECT_EQ(fake::samples(1, 2), (std::vector<int>{0, 1, 1, 1}));
  EXPECT_NE(enc.warnings().find("texture_1: 2 repeated"), std::string::npos) << enc.warnings();
  enc.join();
}

// A training may end late; frames that lie in queues, whose threads are slow, are not.
TEST_F(EncLive, ATrainingThatIsLateDropsNothingThatIsThere) {
  fake::set_behaviour({.seconds = 0.5, .obeys = false});
  EncoderUnderTest enc;
  enc.set("gop-size", 4u);
  enc.set("time-budget", 2.0);
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  start_clock(enc);
  for (const char* pad : {"texture_0", "texture_1"}) {
    for (int i = 0; i < 8; ++i) {
      if (i >= 4)
        enc.then(pad,
                 [](GstHarness*) { std::this_thread::sleep_for(std::chrono::milliseconds(2)); });
      enc.frame(pad, GstClockTime(i) * kFrame, i);
    }
    enc.eos(pad);
  }
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(fake::samples(0, 2), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(fake::samples(1, 2), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(enc.warnings(), "");
}

// Cameras with clocks of their own: 0.4 % apart. At all times the pictures of a set are those that
// are nearest in time; a frame is repeated, or dropped, once per 250.
TEST_F(EncLive, CamerasThatDriftStayPaired) {
  for (const double rate : {0.996, 1.004}) {
    fake::reset();
    EncoderUnderTest enc;
    enc.set("gop-size", 50u);
    enc.pad("texture_0", kTexture);
    enc.pad("texture_1", kTexture);
    constexpr int kFrames = 2000;
    const auto time = [=](int i) { return GstClockTime(double(i) * kFrame / rate); };
    for (int i = 0; i < kFrames; ++i) enc.frame("texture_0", GstClockTime(i) * kFrame, i % 250);
    for (int i = 0; time(i) < kFrames * kFrame; ++i) enc.frame("texture_1", time(i), i % 250);
    for (const char* pad : {"texture_0", "texture_1"}) enc.eos(pad);
    ASSERT_TRUE(enc.run(60));
    const auto first = fake::samples(0, 2), second = fake::samples(1, 2);
    ASSERT_GE(first.size(), size_t(kFrames - 10));
    int steps = 0;
    for (size_t k = 0; k < first.size(); ++k) {
      // The numbers of the two frames modulo 250, as times: half a frame apart, or one when a frame
      // was repeated.
      const int i = int(k) + (first[k] - int(k) % 250 + 375) % 250 - 125;
      const double j = double(i) * rate;
      const double distance = std::remainder(second[k] - j, 250);
      EXPECT_LE(std::abs(distance), 1.01) << k;
      if (k > 0) steps += first[k] == first[k - 1] || second[k] == second[k - 1];
    }
    EXPECT_LE(steps, 12) << rate;
    const auto units = enc.units();
    for (size_t u = 1; u < units.size(); ++u)
      EXPECT_LE(std::abs(GST_CLOCK_DIFF(units[u - 1].pts + units[u - 1].duration, units[u].pts)),
                GstClockTimeDiff(kFrame));
    EXPECT_EQ(enc.errors(), "");
  }
}

// A camera of half the frame rate that its caps claim: each of its pictures is used twice.
TEST_F(EncLive, ACameraThatIsTooSlowIsRepeatedEveryOtherTime) {
  EncoderUnderTest enc;
  enc.set("gop-size", guint(kGop));
  enc.pad("texture_0", kTexture);
  enc.pad("texture_1", kTexture);
  enc.frames("texture_0", 3 * kGop);
  for (int i = 0; i < 3 * kGop; i += 2) enc.frame("texture_1", GstClockTime(i) * kFrame, i);
  for (const char* pad : {"texture_0", "texture_1"}) enc.eos(pad);
  ASSERT_TRUE(enc.run());
  const auto second = fake::samples(1, 2);
  ASSERT_GE(second.size(), size_t(3 * kGop - 1));
  for (int i = 0; i < 3 * kGop - 1; ++i) EXPECT_EQ(second[size_t(i)], i / 2 * 2);
  EXPECT_NE(enc.warnings().find("texture_1: 5 repeated"), std::string::npos) << enc.warnings();
}

}  // namespace
}  // namespace mvinr::gst_test
