// The gates of hybrid mode in the training network, and the guard of the residual stream.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "fixture.h"

namespace mvinr::train_test {
namespace {

using at::Tensor;

/// A hybrid network whose head has the weight 0: all positions get the outputs `bias` [15].
struct Gated {
  Network net;
  Values values;
  size_t bias_at = 0;
  int64_t h, w;

  Gated() {
    const auto clip = testutil::make_clip({.views = 2, .frames = 1, .width = 32, .height = 32});
    net = make_network(profile_for(clip, "xxs", {0}), 1, at::kCPU);
    values = prepare_values(net, {});
    for (size_t i = 0; i < net.parameters.size(); ++i) {
      if (net.parameters[i].spec.name == "head.weight") values[i] = at::zeros_like(values[i]);
      if (net.parameters[i].spec.name == "head.bias") bias_at = i;
    }
    h = net.config.canvas_height / 2;
    w = net.config.canvas_width / 2;
  }
  Tensor operator()(const Tensor& bias, const Tensor& prediction) {
    values[bias_at] = bias.view({1, 15});
    return forward(net, values, {}, 0, {0}, prediction);
  }
};

/// docs/bitstream.md 5.8 on numbers: one position, in double.
std::vector<double> plain(const std::vector<double>& y, const std::vector<double>& p) {
  std::vector<double> out(y.begin(), y.begin() + 10);
  double chroma = 0;
  for (int i = 0; i < 4; ++i) {
    const double luma = std::clamp(p[size_t(10 + i)] + y[size_t(10 + i)], 0.0, 1.0);
    const double depth = std::clamp(p[size_t(10 + i)] + y[14], 0.0, 1.0);
    out[size_t(i)] += luma * p[size_t(i)];
    out[size_t(6 + i)] += depth * p[size_t(6 + i)];
    chroma += luma / 4;
  }
  for (size_t i = 4; i < 6; ++i) out[i] += chroma * p[i];
  return out;
}

std::vector<double> numbers(const Tensor& t) {
  const Tensor d = t.to(at::kDouble).contiguous().view(-1);
  return {d.const_data_ptr<double>(), d.const_data_ptr<double>() + d.numel()};
}

TEST(HybridNetwork, AddsThePredictionAsTheSpecificationSays) {
  Gated gated;
  at::manual_seed(3);
  c10::NoGradGuard guard;
  const Tensor bias = at::randn({15}) * 0.5;
  const Tensor prediction = at::rand({1, gated.h, gated.w, 14});
  const Tensor y = gated(bias, prediction);
  ASSERT_EQ(y.size(3), 10);
  for (int64_t row : {int64_t{0}, gated.h - 1})
    for (int64_t x = 0; x < gated.w; ++x) {
      const auto expected = plain(numbers(bias), numbers(prediction[0][row][x]));
      const auto found = numbers(y[0][row][x]);
      for (size_t i = 0; i < 10; ++i) ASSERT_NEAR(found[i], expected[i], 1e-5) << i;
    }
}

TEST(HybridNetwork, GradientsOfGatesAreThoseOfFiniteDifferences) {
  Gated gated;
  at::manual_seed(4);
  // No gate is near 0 or 1.
  Tensor prediction = at::rand({1, gated.h, gated.w, 14});
  prediction.narrow(3, 10, 4).mul_(0.4).add_(0.3);
  const Tensor weights = at::randn({1, gated.h, gated.w, 10});
  const Tensor bias = ((at::rand({15}) - 0.5) * 0.3).set_requires_grad(true);
  const Tensor gradient =
      torch::autograd::grad({(gated(bias, prediction) * weights).sum()}, {bias})[0];
  c10::NoGradGuard guard;
  for (int64_t o = 0; o < 15; ++o) {
    constexpr double kStep = 0.02;
    const auto loss = [&](double change) {
      Tensor moved = bias.detach().clone();
      moved[o] += change;
      return (gated(moved, prediction) * weights).to(at::kDouble).sum().item<double>();
    };
    const double expected = (loss(kStep) - loss(-kStep)) / (2 * kStep);
    EXPECT_NEAR(gradient[o].item<double>(), expected, 0.01 + 0.002 * std::abs(expected)) << o;
  }
}

TEST(HybridNetwork, AClampedGateIsOnlyPulledBack) {
  Gated gated;
  for (const double mask : {0.0, 1.0}) {
    Tensor prediction = at::full({1, gated.h, gated.w, 14}, 0.5);
    prediction.narrow(3, 10, 4).fill_(mask);
    const double beyond = mask > 0 ? 0.2 : -0.2;
    for (const double sign : {1.0, -1.0}) {
      const Tensor bias = at::full({15}, beyond).set_requires_grad(true);
      const Tensor y = gated(bias, prediction);
      const Tensor gradient = torch::autograd::grad({y.sum() * sign}, {bias})[0];
      // Descent moves a gate against its gradient: back from above where that is positive.
      const bool back = (sign > 0) == (mask > 0);
      for (int64_t o = 10; o < 15; ++o) {
        const double g = gradient[o].item<double>();
        if (back) {
          EXPECT_GT(g * sign, 0.1) << o;
        } else {
          EXPECT_EQ(g, 0) << o;
        }
      }
      EXPECT_NEAR(gradient[0].item<double>(), sign * double(gated.h * gated.w), 1e-3);
    }
  }
}

TEST(HybridNetwork, BeginsWithThePrediction) {
  const auto clip = testutil::make_clip({.views = 3, .frames = 1, .width = 64, .height = 48});
  const Network net = make_network(profile_for(clip, "xxs", {1}), 1, at::kCPU);
  const Tensor planes = base_store_of(clip, {1}).prediction(0, {0, 1}, at::kCPU);
  ASSERT_EQ(planes.scalar_type(), at::kShort);
  const Tensor prediction = planes.to(at::kFloat) / 1024;
  ASSERT_EQ(prediction.sizes(), (std::vector<int64_t>{2, 24, 32, 14}));
  c10::NoGradGuard guard;
  const Tensor y = forward(net, prepare_values(net, {}), {}, 0, {0, 1}, planes);
  EXPECT_TRUE(at::allclose(y, forward(net, prepare_values(net, {}), {}, 0, {0, 1}, prediction),
                           1e-5, 1e-5));
  const Tensor seen = prediction.narrow(3, 10, 4) == 1;
  EXPECT_GT(seen.to(at::kFloat).mean().item<double>(), 0.5);
  const Tensor error = (y.narrow(3, 0, 4) - prediction.narrow(3, 0, 4)).abs();
  EXPECT_LT(error.masked_select(seen).mean().item<double>(), 0.1);
}

TEST(HybridNetwork, ABatchOfViewsIsTheViewsAlone) {
  const auto clip = testutil::make_clip({.views = 4, .frames = 2, .width = 32, .height = 32});
  const std::vector<int> base_views = {1};
  const Network net = random_network(profile_for(clip, "xxs", base_views));
  const BaseStore base = base_store_of(clip, base_views);
  c10::NoGradGuard guard;
  const Values values = prepare_values(net, kHard);
  const auto of = [&](const std::vector<int64_t>& views) {
    return forward(net, values, kHard, 1, views, base.prediction(1, views, at::kCPU));
  };
  const Tensor all = of({0, 1, 2});
  for (const int64_t v : {0, 1, 2}) EXPECT_TRUE(at::allclose(of({v})[0], all[v], 1e-5, 1e-5)) << v;
  EXPECT_TRUE(at::allclose(of({0, 2})[1], all[2], 1e-5, 1e-5));
}

TEST(HybridNetwork, PredictionsAreUndefinedInImplicitMode) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 1, .width = 32, .height = 32});
  EXPECT_FALSE(base_store_of(clip).prediction(0, {0}, at::kCPU).defined());
}

// Long trainings collapsed: the residual stream grew until int16 clamped it.
TEST(Network, TheResidualStreamIsKeptInsideTheRangeOfInt16) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 1, .width = 32, .height = 32});
  const Network net = make_network(profile_for(clip), 1, at::kCPU);
  Values values = prepare_values(net, {});
  const std::string last = "stage" + std::to_string(net.config.stages.size()) + ".block0.fc2.bias";
  size_t at = 0;
  for (size_t i = 0; i < net.parameters.size(); ++i) {
    // The pictures do not depend on the stream: what is left is the guard's gradient.
    if (net.parameters[i].spec.name == "head.weight") values[i] = at::zeros_like(values[i]);
    if (net.parameters[i].spec.name == last) at = i;
  }
  ASSERT_GT(at, 0u);
  Tensor bias = at::zeros_like(values[at]).detach();
  const int64_t channels = bias.numel();
  bias.view(-1)[0] = 30;
  bias.view(-1)[1] = -20;
  bias.view(-1)[2] = 2;
  bias.set_requires_grad(true);
  values[at] = bias;
  const Tensor gradient =
      torch::autograd::grad({forward(net, values, {}, 0, {0}).sum()}, {bias})[0].view(-1);
  EXPECT_NEAR(gradient[0].item<double>(), 30 * 1e-4 / double(channels), 30e-5 / double(channels));
  EXPECT_NEAR(gradient[1].item<double>(), -20 * 1e-4 / double(channels), 20e-5 / double(channels));
  for (int64_t c = 2; c < channels; ++c) EXPECT_EQ(gradient[c].item<double>(), 0) << c;
}

}  // namespace
}  // namespace mvinr::train_test
