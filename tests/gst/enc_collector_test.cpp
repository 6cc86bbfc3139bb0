// The plain parts of mvinrenc: pairing by time, rate control, cameras.
#include <gst/video/video.h>
#include <gtest/gtest.h>

#include <cmath>
#include <deque>

#include "collector.h"
#include "rate_control.h"
#include "sequence.h"

namespace mvinr::gst {
namespace {

constexpr int64_t kD = 40;  // frame duration of these tests

/// One pad's queue.
struct Queue {
  std::deque<Head> heads;
  bool ended = true;  // when the queue has run out
};

Queue at(std::vector<int64_t> times) {
  Queue queue;
  for (int64_t time : times) queue.heads.push_back({Head::State::frame, time, time + kD});
  return queue;
}

/// Runs the collector until it ends or waits; one letter per pad and set: h(ead), l(ast), g(ap).
std::string run(std::vector<Queue> queues, bool timeout = false, std::string* dropped = nullptr,
                std::vector<int64_t>* times = nullptr, int64_t* missing = nullptr) {
  Collector collector(queues.size(), kD);
  std::string sets;
  for (int guard = 0; guard < 1000; ++guard) {
    std::vector<Head> heads;
    for (const Queue& q : queues)
      heads.push_back(!q.heads.empty() ? q.heads.front()
                                       : Head{q.ended ? Head::State::ended : Head::State::empty});
    const Decision d = collector.next(heads, timeout);
    if (d.kind == Decision::Kind::wait) return sets + "wait";
    if (d.kind == Decision::Kind::ended) return sets + "end";
    for (size_t i = 0; i < queues.size(); ++i) {
      if (d.actions[i].pop && d.actions[i].use == Action::Use::none && dropped)
        *dropped += std::to_string(i) + ":" + std::to_string(heads[i].time) + " ";
      if (d.actions[i].pop) queues[i].heads.pop_front();
      if (d.kind == Decision::Kind::set) sets += " hlg"[int(d.actions[i].use)];
    }
    if (d.kind != Decision::Kind::set) continue;
    sets += ' ';
    if (times) times->push_back(d.time);
    if (missing) *missing += d.missing;
  }
  return "endless";
}

TEST(Collector, PairsFramesOfTheSameTime) {
  EXPECT_EQ(run({at({0, 40, 80}), at({0, 40, 80})}), "hh hh hh end");
}

TEST(Collector, PairsFramesWithinHalfAFrame) {
  std::vector<int64_t> times;
  EXPECT_EQ(run({at({0, 40, 80}), at({20, 60, 100})}, false, nullptr, &times), "hh hh hh end");
  EXPECT_EQ(times, (std::vector<int64_t>{0, 40, 80}));
}

TEST(Collector, DropsFramesBeforeAllPadsHaveBegun) {
  std::string dropped;
  EXPECT_EQ(run({at({0, 40, 80, 120}), at({80, 120})}, false, &dropped), "hh hh end");
  EXPECT_EQ(dropped, "0:0 0:40 ");
}

TEST(Collector, RepeatsThePictureOfAPadThatLeftOutAFrame) {
  int64_t missing = 0;
  EXPECT_EQ(run({at({0, 40, 80, 120}), at({0, 80, 120})}, false, nullptr, nullptr, &missing),
            "hh hl hh hh end");
  EXPECT_EQ(missing, 0);
}

TEST(Collector, DropsAFrameThatComesTwice) {
  std::string dropped;
  EXPECT_EQ(run({at({0, 40, 80}), at({0, 5, 40, 80})}, false, &dropped), "hh hh hh end");
  EXPECT_EQ(dropped, "1:5 ");
}

TEST(Collector, ReportsInstantsThatAllPadsLeftOut) {
  int64_t missing = 0;
  EXPECT_EQ(run({at({0, 160}), at({0, 160})}, false, nullptr, nullptr, &missing), "hh hh end");
  EXPECT_EQ(missing, 3);
}

TEST(Collector, RepeatsDuringAGapAndTakesTheFrameAfterIt) {
  Queue gap = at({0});
  gap.heads.push_back({Head::State::gap, 40, 120});
  gap.heads.push_back({Head::State::frame, 120, 160});
  std::string dropped;
  EXPECT_EQ(run({at({0, 40, 80, 120}), gap}, false, &dropped), "hh hg hg hh end");
  EXPECT_EQ(dropped, "");
}

TEST(Collector, GapsOnAllPadsAreTimeThatPasses) {
  Queue gap = at({0});
  gap.heads.push_back({Head::State::gap, 40, 160});
  EXPECT_EQ(run({gap, gap}), "hh gg gg gg end");
}

TEST(Collector, AGapBeforeTheFirstFrameIsNothing) {
  Queue gap;
  gap.heads.push_back({Head::State::gap, 0, 40});
  gap.heads.push_back({Head::State::frame, 40, 80});
  EXPECT_EQ(run({at({0, 40}), gap}), "hh end");
}

TEST(Collector, WaitsForAPadWithoutData) {
  Queue slow = at({0});
  slow.ended = false;
  EXPECT_EQ(run({at({0, 40, 80}), slow}), "hh wait");
}

TEST(Collector, OnTimeoutRepeatsInsteadOfWaiting) {
  Queue slow = at({0}), live = at({0, 40, 80});
  slow.ended = live.ended = false;
  EXPECT_EQ(run({live, slow}, true), "hh hl hl wait");
}

TEST(Collector, BeforeTheFirstSetATimeoutStillWaits) {
  Queue none;
  none.ended = false;
  EXPECT_EQ(run({at({0}), none}, true), "wait");
}

TEST(Collector, ASlowerPadIsRepeatedRegularly) {
  std::vector<int64_t> half, full;
  for (int i = 0; i < 20; ++i) full.push_back(i * kD);
  for (int i = 0; i < 10; ++i) half.push_back(2 * i * kD);
  std::string expected = "hh ";
  for (int i = 1; i < 19; ++i) expected += i % 2 ? "hl " : "hh ";
  EXPECT_EQ(run({at(full), at(half)}), expected + "end");
}

TEST(Collector, JitterBelowHalfAFrameLosesNothing) {
  std::vector<int64_t> a, b;
  uint32_t state = 1;
  auto jitter = [&] { return int64_t((state = state * 1664525u + 1013904223u) >> 16) % 10; };
  for (int i = 0; i < 200; ++i) {
    a.push_back(i * kD + jitter());
    b.push_back(i * kD + jitter());
  }
  std::string dropped, sets = run({at(a), at(b)}, false, &dropped);
  EXPECT_EQ(sets.find_first_not_of("h "), sets.find("end"));
  EXPECT_EQ(dropped, "");
}

TEST(RateControl, PaysBackWhatWasSpentTooMuch) {
  RateControl rate(0.01);
  double spent = 0;
  for (int gop = 0; gop < 40; ++gop) {
    const double bits = rate.aim(1000) * (gop == 0 ? 3 : 1.02);
    rate.update(1000, bits, 0.02);
    spent += bits;
    EXPECT_GE(rate.aim(1000), 500) << gop;
    EXPECT_LE(rate.aim(1000), 1500) << gop;
  }
  EXPECT_NEAR(spent / 40000, 1, 0.01);
  EXPECT_EQ(rate.lambda(), 0.02);
}

TEST(RateControl, ASceneCutDoesNotStarveWhatFollows) {
  RateControl rate(0.01);
  rate.update(1000, 1e6, 0.01);
  EXPECT_EQ(rate.aim(1000), 500);
  for (int gop = 0; gop < 30; ++gop) rate.update(1000, rate.aim(1000), 0.01);
  EXPECT_GT(rate.aim(1000), 900);
}

InputPad input(int view, Component component, int width = 64, int height = 32) {
  InputPad pad{.id = {view, component}};
  gst_video_info_set_format(
      &pad.info,
      component == Component::texture ? GST_VIDEO_FORMAT_I420 : GST_VIDEO_FORMAT_GRAY16_LE,
      guint(width), guint(height));
  pad.info.fps_n = 25;
  pad.info.fps_d = 1;
  return pad;
}

std::string camera(const std::string& name, int width, int height, double focal) {
  return "{\"Name\":\"" + name + "\",\"Resolution\":[" + std::to_string(width) + "," +
         std::to_string(height) + "],\"Projection\":\"Perspective\",\"Focal\":[" +
         std::to_string(focal) + "," + std::to_string(focal) +
         "],\"Principle_point\":[32,16],\"Depth_range\":[1,9],\"Position\":[0,0,0],"
         "\"Rotation\":[0,0,0]}";
}

TEST(Sequence, CameraTextIsOneObjectOfACameraFile) {
  Result<CameraFileEntry> entry = parse_camera(camera("v7", 64, 32, 50), "here");
  ASSERT_TRUE(entry) << entry.error().message;
  EXPECT_EQ(entry->name, "v7");
  EXPECT_EQ(entry->camera.focal[0], 50);

  entry = parse_camera("{\"Name\":\"v7\"}", "here");
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error().message.find("here, camera 0 (v7)"), 0u) << entry.error().message;
  entry = parse_camera("{broken", "here");
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error().message.find("here"), 0u) << entry.error().message;
}

TEST(Sequence, CamerasOfPadsComeBeforeThoseOfTheFile) {
  CameraFile file;
  file.cameras.push_back(*parse_camera(camera("a", 128, 64, 10), ""));
  file.cameras.push_back(*parse_camera(camera("b", 128, 64, 20), ""));
  std::vector<InputPad> pads = {input(0, Component::texture), input(0, Component::depth),
                                input(1, Component::texture)};
  pads[1].camera = camera("own", 64, 32, 70);
  Result<SequenceInfo> sequence = describe_sequence(pads, file);
  ASSERT_TRUE(sequence) << sequence.error().message;
  EXPECT_EQ(sequence->views[0].camera->focal[0], 70);
  EXPECT_EQ(sequence->views[1].camera->focal[0], 10) << "20 at twice the size";

  pads[0].camera = camera("texture", 64, 32, 80);
  sequence = describe_sequence(pads, file);
  ASSERT_TRUE(sequence);
  EXPECT_EQ(sequence->views[0].camera->focal[0], 80);

  file.cameras.pop_back();
  sequence = describe_sequence(pads, file);
  ASSERT_FALSE(sequence);
  EXPECT_NE(sequence.error().message.find("view 1"), std::string::npos);
}

TEST(Sequence, OddSizesAndPadsWithoutDepthAreFine) {
  const std::vector<InputPad> pads = {input(0, Component::texture, 33, 17),
                                      input(0, Component::depth, 33, 17),
                                      input(1, Component::texture, 1, 1)};
  const Result<SequenceInfo> sequence = describe_sequence(pads, {});
  ASSERT_TRUE(sequence);
  EXPECT_EQ(sequence->views[0].width, 33);
  EXPECT_EQ(sequence->views[1].depth, SampleFormat::none);
  EXPECT_EQ(sequence->frame_rate, (Fraction{25, 1}));
}

}  // namespace
}  // namespace mvinr::gst
