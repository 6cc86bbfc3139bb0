#include "train/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <thread>

#include "fixture.h"
#include "train/loss.h"
#include "train/ops/ops.h"

namespace mvinr::train_test {
namespace {

using Clock = std::chrono::steady_clock;

/// Processor time of this process: other programs on the machine do not count.
double cpu_seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }

/// Mean squared luma error over the clip, as a decoder would show it.
double luma_error(const testutil::Clip& clip, const Network& net) {
  c10::NoGradGuard guard;
  const PictureStore store = store_of(clip);
  const Values values = prepare_values(net, kHard);
  double sum = 0;
  for (int t = 0; t < clip.frames; ++t)
    for (int64_t v = 0; v < net.config.views; ++v)
      sum += distortion(net.config, forward(net, values, kHard, t, {v}),
                        store.targets(t, {v}, net.config, at::kCPU), Loss::psnr, 1)
                 .mse[0]
                 .item<double>();
  return sum / (clip.frames * net.config.views);
}

TEST(Trainer, BringsTheErrorDown) {
  const auto& [clip, trained] = trained_example();
  const double untrained = luma_error(clip, make_network(profile_for(clip), 1, at::kCPU));
  const double few = luma_error(clip, train_on(clip, "xxs", {.steps = 80}).network);
  const double more = luma_error(clip, trained.network);
  std::printf("luma PSNR: untrained %.2f dB, 80 steps %.2f dB, 250 steps %.2f dB\n",
              -10 * std::log10(untrained), -10 * std::log10(few), -10 * std::log10(more));
  EXPECT_LT(few, untrained * 0.9);
  EXPECT_LT(more, untrained * 0.4);
  EXPECT_LT(more, few * 0.8);
}

TEST(Trainer, GivesFewerBitsForALargerLambda) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 48, .height = 32});
  const auto low = train_on(clip, "xxs", {.lambda = 0.0005, .steps = 120});
  const auto high = train_on(clip, "xxs", {.lambda = 0.05, .steps = 120});
  EXPECT_LT(access_unit_of(clip, high.network).size(),
            access_unit_of(clip, low.network).size() * 8 / 10);
}

TEST(Trainer, GivesTheSameBytesForTheSameSeedOnly) {
  const auto clip = testutil::make_clip({.views = 3, .frames = 2, .width = 96, .height = 64});
  auto bytes = [&](uint64_t seed) {
    return access_unit_of(clip,
                          train_on(clip, "xxs", {.prune = 0.2, .steps = 40, .seed = seed}).network);
  };
  const auto first = bytes(7);
  EXPECT_EQ(first, bytes(7));
  EXPECT_NE(first, bytes(8));
  ops::set_threads(3);
  const auto shared = bytes(7);
  ops::set_threads(1);
  EXPECT_EQ(first, shared) << "the number of threads matters";
}

TEST(Trainer, LearnsWithThePapersLossAndWithoutDepth) {
  const auto clip = testutil::make_clip(
      {.views = 1, .frames = 2, .width = 48, .height = 32, .depth = SampleFormat::none});
  const double untrained = luma_error(clip, make_network(profile_for(clip), 1, at::kCPU));
  const auto trained = train_on(clip, "xxs", {.loss = Loss::ssim, .steps = 80});
  EXPECT_LT(luma_error(clip, trained.network), untrained * 0.6);
}

TEST(Trainer, ReportsProgressAndKeepsToItsTimeBudget) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 48, .height = 32});
  std::vector<Progress> reports;
  const auto start = Clock::now();
  const auto trained = train_on(
      clip, "xxs",
      {.time_budget = 1.5, .on_progress = [&](const Progress& p) { reports.push_back(p); }});
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  EXPECT_GT(seconds, 1.4);
  EXPECT_LT(seconds, 4);
  EXPECT_GT(trained.result.steps, 5);
  ASSERT_GE(reports.size(), 2u);
  EXPECT_LE(reports.size(), 7u);
  for (size_t i = 1; i < reports.size(); ++i) {
    EXPECT_GT(reports[i].step, reports[i - 1].step);
    EXPECT_GT(reports[i].seconds, reports[i - 1].seconds);
    EXPECT_GE(reports[i].seconds_left, 0);
    EXPECT_LT(reports[i].seconds_left, 1.5);
    EXPECT_TRUE(std::isfinite(reports[i].psnr));
    EXPECT_GT(reports[i].psnr, 3);
  }
  const std::string last = reports.back().phase;
  EXPECT_TRUE(last == "noise" || last == "quantise") << last;
  EXPECT_GT(reports.back().bits, 0);
}

TEST(Trainer, StopsWithinATenthOfASecond) {
  const auto clip = testutil::make_clip({.views = 3, .frames = 2, .width = 256, .height = 144});
  const PictureStore store = store_of(clip);
  // Several moments, so that the stop meets different parts of a step.
  for (const int milliseconds : {700, 931}) {
    Network net = make_network(profile_for(clip, "xs"), 1, at::kCPU);
    std::stop_source stop;
    double stopped = 0;
    std::thread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
      stopped = cpu_seconds();
      stop.request_stop();
    });
    ErrorCode code = ErrorCode::internal;
    try {
      const auto result =
          train(net, store, base_store_of(clip), {.steps = 1000000}, stop.get_token());
      if (!result) code = result.error().code;
    } catch (const Cancelled&) {
      code = ErrorCode::cancelled;
    }
    const double seconds = cpu_seconds() - stopped;
    stopper.join();
    EXPECT_EQ(code, ErrorCode::cancelled);
    std::printf("stopped after %.0f ms\n", seconds * 1000);
    EXPECT_LT(seconds, 0.1);
  }
}

TEST(Trainer, DoesNothingIfItIsStoppedBefore) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 1, .width = 32, .height = 32});
  Network net = make_network(profile_for(clip), 1, at::kCPU);
  std::stop_source stop;
  stop.request_stop();
  const auto result =
      train(net, store_of(clip), base_store_of(clip), {.steps = 1000000}, stop.get_token());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::cancelled);
}

TEST(Network, IsReproducibleFromItsSeed) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 32, .height = 32});
  const Network a = make_network(profile_for(clip), 5, at::kCPU);
  const Network b = make_network(profile_for(clip), 5, at::kCPU);
  const Network c = make_network(profile_for(clip), 6, at::kCPU);
  int different = 0;
  for (size_t i = 0; i < a.parameters.size(); ++i) {
    EXPECT_TRUE(at::equal(a.parameters[i].value, b.parameters[i].value));
    different += !at::equal(a.parameters[i].value, c.parameters[i].value);
  }
  EXPECT_GT(different, 5);
}

TEST(Network, RendersViewsAloneAsInABatch) {
  const auto clip = testutil::make_clip({.views = 3, .frames = 4, .width = 32, .height = 32});
  const Network net = random_network(profile_for(clip));
  c10::NoGradGuard guard;
  const Values values = prepare_values(net, kHard);
  const at::Tensor all = forward(net, values, kHard, 1, {0, 1, 2});
  for (const int64_t v : {0, 1, 2})
    EXPECT_TRUE(at::allclose(forward(net, values, kHard, 1, {v})[0], all[v], 1e-5, 1e-5)) << v;
  const at::Tensor two = forward(net, values, kHard, 1, {0, 2});
  EXPECT_TRUE(at::allclose(two[1], all[2], 1e-5, 1e-5));
  EXPECT_FALSE(at::allclose(all[0], all[1], 1e-3, 1e-3));
}

}  // namespace
}  // namespace mvinr::train_test
