// Fused training operations against the same maths in LibTorch operations: values and gradients, on
// every kernel set of this machine.
#include "train/ops/ops.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>

namespace mvinr::ops {
namespace {

using torch::Tensor;
using Tensors = std::vector<Tensor>;
using Operation = std::function<Tensor(const Tensors&)>;

const Quantise kPlain{};
const Quantise kQuantised{.activations = true};

struct Outcome {
  Tensor value;
  Tensors gradients;  // of the defined inputs
};

/// Value, and gradients for a fixed random gradient of the result.
Outcome run(const Operation& operation, const Tensors& inputs) {
  Tensors leaves, defined;
  for (const Tensor& t : inputs) {
    leaves.push_back(t.defined() ? t.detach().clone().set_requires_grad(true) : t);
    if (t.defined()) defined.push_back(leaves.back());
  }
  Outcome outcome;
  const Tensor y = operation(leaves);
  at::manual_seed(99);
  outcome.value = y.detach();
  outcome.gradients =
      torch::autograd::grad({y}, defined, {at::randn(y.sizes())}, /*retain_graph=*/{},
                            /*create_graph=*/false, /*allow_unused=*/true);
  return outcome;
}

/// Largest difference relative to the largest value.
double difference(const Tensor& a, const Tensor& b) {
  const double scale = std::max(1e-6, b.abs().max().item<double>());
  return (a - b).abs().max().item<double>() / scale;
}

double unequal_share(const Tensor& a, const Tensor& b) {
  return (a != b).to(at::kFloat).mean().item<double>();
}

/// Root mean square of the difference relative to that of b.
double rms_difference(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / (b.norm() + 1e-12)).item<double>();
}

void expect_close(const Outcome& fused, const Outcome& reference, double tolerance,
                  const std::string& what) {
  ASSERT_EQ(fused.value.sizes(), reference.value.sizes()) << what;
  EXPECT_LE(difference(fused.value, reference.value), tolerance) << what;
  ASSERT_EQ(fused.gradients.size(), reference.gradients.size());
  for (size_t i = 0; i < fused.gradients.size(); ++i) {
    ASSERT_EQ(fused.gradients[i].sizes(), reference.gradients[i].sizes())
        << what << ", input " << i;
    EXPECT_LE(difference(fused.gradients[i], reference.gradients[i]), tolerance)
        << what << ", gradient of input " << i;
  }
}

/// Multiples of `step`: sums of products of such numbers are exact in float32 in any order.
Tensor steps(at::IntArrayRef shape, double step, double deviation) {
  return (at::randn(shape) * (deviation / step)).round() * step;
}

class TrainOps : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(use_kernel_set(GetParam()));
    at::set_num_threads(2);
    at::manual_seed(1);
  }
  void TearDown() override { use_kernel_set(kernel_sets().front()); }
};

struct BlockCase {
  int64_t n, h, w, channels, hidden, outputs;
  bool norm, residual, biases;
};

std::string name(const BlockCase& c) {
  return "block " + std::to_string(c.n) + "x" + std::to_string(c.h) + "x" + std::to_string(c.w) +
         " " + std::to_string(c.channels) + "-" + std::to_string(c.hidden) + "-" +
         std::to_string(c.outputs) + (c.norm ? " norm" : "") + (c.residual ? " residual" : "") +
         (c.biases ? " biases" : "");
}

const BlockCase kBlockCases[] = {
    {1, 1, 1, 1, 1, 1, false, true, true},       {1, 1, 1, 8, 24, 8, true, true, true},
    {2, 3, 5, 1, 3, 1, false, false, false},     {2, 3, 5, 7, 21, 7, true, true, true},
    {1, 3, 5, 7, 14, 11, true, false, false},    {1, 9, 40, 16, 48, 16, true, true, true},
    {2, 20, 37, 16, 64, 24, false, false, true}, {3, 7, 13, 24, 72, 24, true, true, false},
    {1, 11, 19, 64, 192, 64, true, true, true},  {1, 5, 6, 33, 100, 17, true, false, true},
    {1, 2, 500, 8, 16, 8, false, true, true},
};

Tensors block_inputs(const BlockCase& c, bool exact) {
  const auto values = [&](at::IntArrayRef shape, double step, double deviation) {
    return exact ? steps(shape, step, deviation) : at::randn(shape) * deviation;
  };
  const auto bias = [&](int64_t count) {
    return c.biases ? values({count}, 1.0 / 1024, 0.2) : Tensor();
  };
  return {values({c.n, c.h, c.w, c.channels}, 1.0 / 1024, 1.0),
          values({c.channels, 9}, 1.0 / 128, 0.4),
          bias(c.channels),
          values({c.hidden, c.channels}, 1.0 / 128, 1.0 / std::sqrt(double(c.channels))),
          bias(c.hidden),
          values({c.outputs, c.hidden}, 1.0 / 128, 1.0 / std::sqrt(double(c.hidden))),
          bias(c.outputs)};
}

Operation block_operation(const BlockCase& c, Quantise q, bool reference) {
  const auto function = reference ? composite::convnext_block : convnext_block;
  return [=](const Tensors& t) {
    return function(t[0], t[1], t[2], c.norm, t[3], t[4], t[5], t[6], c.residual, q);
  };
}

TEST_P(TrainOps, BlockEqualsCompositionInValueAndGradients) {
  for (const BlockCase& c : kBlockCases) {
    const Tensors inputs = block_inputs(c, false);
    // LayerNorm of one channel is 0 with gradients near 0: nothing to compare there.
    expect_close(run(block_operation(c, kPlain, false), inputs),
                 run(block_operation(c, kPlain, true), inputs), 1e-4, name(c));
  }
}

TEST_P(TrainOps, QuantisedBlockWithoutNormIsExact) {
  for (const BlockCase& c : kBlockCases) {
    if (c.norm) continue;
    const Tensors inputs = block_inputs(c, true);
    const Outcome fused = run(block_operation(c, kQuantised, false), inputs);
    const Outcome reference = run(block_operation(c, kQuantised, true), inputs);
    EXPECT_EQ(unequal_share(fused.value, reference.value), 0.0) << name(c);
    expect_close(fused, reference, 2e-4, name(c));
  }
}

TEST_P(TrainOps, QuantisedBlockWithNormDiffersOnlyByRareRoundings) {
  for (const BlockCase& c : kBlockCases) {
    if (!c.norm) continue;
    const Tensors inputs = block_inputs(c, true);
    const Outcome fused = run(block_operation(c, kQuantised, false), inputs);
    const Outcome reference = run(block_operation(c, kQuantised, true), inputs);
    EXPECT_LE(unequal_share(fused.value, reference.value), 0.02) << name(c);
    EXPECT_LE(rms_difference(fused.value, reference.value), 1e-3) << name(c);
    for (size_t i = 0; i < fused.gradients.size(); ++i)
      EXPECT_LE(rms_difference(fused.gradients[i], reference.gradients[i]), 5e-3)
          << name(c) << ", gradient of input " << i;
  }
}

constexpr double kLeast = -32.0, kMost = 32767.0 / 1024;  // of a plane

void expect_both_limits(const Tensor& y, const char* what) {
  EXPECT_GT((y == kLeast).sum().item<int>(), 0) << what;
  EXPECT_GT((y == kMost).sum().item<int>(), 0) << what;
}

TEST_P(TrainOps, QuantisedBlockPullsBackWhatItClamps) {
  const BlockCase c{1, 6, 7, 16, 32, 16, false, true, true};
  Tensors inputs = block_inputs(c, true);
  inputs[0] = inputs[0] * 16;  // most inputs of fc1 and some outputs beyond their ranges
  const Outcome fused = run(block_operation(c, kQuantised, false), inputs);
  const Outcome reference = run(block_operation(c, kQuantised, true), inputs);
  expect_both_limits(reference.value, "clamped block");
  EXPECT_EQ(unequal_share(fused.value, reference.value), 0.0);
  expect_close(fused, reference, 2e-4, "clamped block");
}

// At a limit only gradients that lead back into the range come through.
TEST_P(TrainOps, ClampsOfPlanesPullBack) {
  const Tensors inputs = {steps({1, 3, 67, 7}, 1.0 / 1024, 1.0), steps({5, 7}, 1.0 / 128, 1.0),
                          steps({5}, 1.0 / 1024, 1.0), steps({1, 3, 67, 5}, 1.0 / 1024, 30.0)};
  const auto with = [](auto function) {
    return [=](const Tensors& t) { return function(t[0], t[1], t[2], kQuantised, t[3]); };
  };
  const Outcome fused = run(with(pointwise), inputs);
  const Outcome reference = run(with(composite::pointwise), inputs);
  expect_both_limits(fused.value, "pointwise");
  expect_close(fused, reference, 1e-4, "pointwise");
  at::manual_seed(99);
  const Tensor g = at::randn(fused.value.sizes());
  const Tensor stopped = ((fused.value == kMost) & (g < 0)) | ((fused.value == kLeast) & (g > 0));
  EXPECT_TRUE(at::equal(fused.gradients[3], g.masked_fill(stopped, 0)));

  for (const int scale : {2, 3}) {
    const Tensors up = {steps({2, 9, 8, 7}, 1.0 / 1024, 25.0),
                        steps({1, scale, scale, 7}, 1.0 / 1024, 12.0)};
    const auto upsampled = [scale](auto function) {
      return [=](const Tensors& t) { return function(t[0], scale, t[1], kQuantised); };
    };
    const Outcome fast = run(upsampled(upsample_bilinear), up);
    expect_both_limits(fast.value, "upsample");
    expect_close(fast, run(upsampled(composite::upsample_bilinear), up), 1e-4, "upsample");
  }
}

TEST_P(TrainOps, ClampsBehindTheNormPullBack) {
  for (const int64_t channels : {40, 100}) {
    Tensor x = steps({1, 4, 33, channels}, 1.0 / 1024, 1.0);
    x.select(3, 3).fill_(24.0);  // becomes about sqrt(channels / 2), beyond 127 / 32
    x.select(3, 7).fill_(-24.0);
    const auto with = [](auto function) {
      return [=](const Tensors& t) { return function(t[0], kQuantised, 5); };
    };
    const Outcome fused = run(with(layer_norm), {x});
    const Outcome reference = run(with(composite::layer_norm), {x});
    EXPECT_EQ(fused.value.max().item<double>(), 127.0 / 32);
    EXPECT_EQ(fused.value.min().item<double>(), -4.0);
    EXPECT_LE(unequal_share(fused.value, reference.value), 0.01) << channels;
    EXPECT_LE(difference(fused.gradients[0], reference.gradients[0]), 1e-3) << channels;
    // The clamps must matter: without them the gradient is another one.
    const Outcome plain = run([](const Tensors& t) { return layer_norm(t[0], kPlain, 5); }, {x});
    EXPECT_GT(difference(fused.gradients[0], plain.gradients[0]), 1e-2) << channels;
  }
}

/// A block that is one GELU: one channel, identity kernels.
Tensor gelu_of(const Tensor& x, Quantise q) {
  Tensor taps = at::zeros({1, 9});
  taps[0][4] = 1.0;
  const Tensor one = at::ones({1, 1});
  return convnext_block(x.view({1, 1, -1, 1}), taps, {}, false, one, {}, one, {}, false, q)
      .view({-1});
}

// Hidden values above the table's range, or whose GELU is above that of bytes: the slope there is
// 1, but only to pull back.
TEST_P(TrainOps, TheClampBeforeTheGeluPullsBack) {
  const Tensor x = at::tensor({-9.0f, -4.5f, 0.0f, 3.0f, 3.84f, 3.96f, 4.5f, 9.0f});
  for (const double sign : {1.0, -1.0}) {
    const Tensor leaf = x.clone().set_requires_grad(true);
    const Tensor gradient =
        torch::autograd::grad({gelu_of(leaf, kQuantised).sum() * sign}, {leaf})[0];
    for (const int64_t above : {4, 5, 6, 7}) {
      const double g = gradient[above].item<double>();
      if (sign > 0) {
        EXPECT_NEAR(g, 1, 0.02);
      } else {
        EXPECT_EQ(g, 0);
      }
    }
    EXPECT_NEAR(gradient[3].item<double>(), sign * 1.01, 0.05);
    EXPECT_NEAR(gradient[0].item<double>(), 0, 1e-3);
  }
}

TEST_P(TrainOps, GeluIsExactToAMillionth) {
  const Tensor x = at::linspace(-12, 12, 48001).set_requires_grad(true);
  const Tensor y = gelu_of(x, kPlain);
  const Tensor error = (y - at::gelu(x)).abs() / x.abs().clamp_min(1);
  EXPECT_LE(error.max().item<double>(), 1e-6);
  const Tensor slope = torch::autograd::grad({y.sum()}, {x})[0];
  const Tensor exact = torch::autograd::grad({at::gelu(x).sum()}, {x})[0];
  EXPECT_LE((slope - exact).abs().max().item<double>(), 1e-5);
}

TEST_P(TrainOps, QuantisedGeluIsTheDecodersTable) {
  const Tensor x = at::arange(-128, 128).to(at::kFloat) / 32;
  const Tensor y = gelu_of(x, kQuantised);
  for (int i = 0; i < 256; ++i) {
    const double v = (i - 128) / 32.0;
    const double gelu = v * std::erfc(-v / std::sqrt(2.0)) / 2;
    const double sample = std::min(255.0, std::max(0.0, std::floor(64 * gelu + 0.5) + 11));
    EXPECT_EQ(y[i].item<double>(), (sample - 11) / 64) << "index " << i;
  }
}

TEST_P(TrainOps, UpsampleEqualsCompositionInValueAndGradients) {
  for (const Quantise& q : {kPlain, kQuantised}) {
    for (int scale = 1; scale <= 5; ++scale) {
      for (const auto& [n, h, w, c, tiles] : {std::array<int64_t, 5>{1, 1, 1, 1, 0},
                                              {2, 3, 5, 7, 1},
                                              {2, 1, 4, 24, 2},
                                              {1, 9, 17, 16, 1},
                                              {3, 30, 12, 8, 3}}) {
        const Tensors inputs = {
            steps({n, h, w, c}, 1.0 / 1024, 12.0),
            tiles ? steps({tiles, scale, scale, c}, 1.0 / 1024, 4.0) : Tensor()};
        const auto with = [&, s = scale](auto function) {
          return [=](const Tensors& t) { return function(t[0], s, t[1], q); };
        };
        const std::string what = "upsample " + std::to_string(h) + "x" + std::to_string(w) +
                                 " by " + std::to_string(scale) + (q.on() ? " quantised" : "");
        const Outcome fused = run(with(upsample_bilinear), inputs);
        const Outcome reference = run(with(composite::upsample_bilinear), inputs);
        expect_close(fused, reference, 1e-4, what);
        if (q.on()) {
          EXPECT_EQ(unequal_share(fused.value, reference.value), 0.0) << what;
        }
      }
    }
  }
}

TEST_P(TrainOps, UpsampleByPowersOfTwoIsOrdinaryBilinear) {
  const Tensor x = at::randn({2, 5, 7, 12});
  for (const int64_t scale : {1, 2, 4}) {
    const std::vector<int64_t> size = {5 * scale, 7 * scale};
    const Tensor expected =
        at::upsample_bilinear2d(x.permute({0, 3, 1, 2}), size, false).permute({0, 2, 3, 1});
    EXPECT_LE(difference(upsample_bilinear(x, int(scale)), expected), 1e-6);
  }
}

TEST_P(TrainOps, PointwiseEqualsCompositionInValueAndGradients) {
  for (const Quantise& q : {kPlain, kQuantised}) {
    for (const auto& [pixels, ci, co, extra] : {std::array<int64_t, 4>{1, 1, 1, 3},
                                                {15, 7, 5, 1},
                                                {400, 24, 16, 3},
                                                {3000, 64, 48, 0},
                                                {97, 16, 33, 2}}) {
      const Tensors inputs = {steps({1, 1, pixels, ci}, 1.0 / 1024, 1.0),
                              steps({co, ci}, 1.0 / 128, 1.0),
                              extra & 1 ? steps({co}, 1.0 / 1024, 1.0) : Tensor(),
                              extra & 2 ? steps({1, 1, pixels, co}, 1.0 / 1024, 20.0) : Tensor()};
      const auto with = [&](auto function) {
        return [=](const Tensors& t) { return function(t[0], t[1], t[2], q, t[3]); };
      };
      const std::string what = "pointwise " + std::to_string(ci) + "-" + std::to_string(co) +
                               (q.on() ? " quantised" : "");
      const Outcome fused = run(with(pointwise), inputs);
      const Outcome reference = run(with(composite::pointwise), inputs);
      expect_close(fused, reference, 1e-4, what);
      if (q.on()) {
        EXPECT_EQ(unequal_share(fused.value, reference.value), 0.0) << what;
      }
    }
  }
}

TEST_P(TrainOps, LayerNormEqualsComposition) {
  for (const int64_t channels : {2, 7, 16, 24, 64, 100}) {
    const Tensors inputs = {at::randn({2, 3, 11, channels}) * 2 + 0.5};
    const auto with = [&](auto function, Quantise q, int bits) {
      return [=](const Tensors& t) { return function(t[0], q, bits); };
    };
    expect_close(run(with(layer_norm, kPlain, 5), inputs),
                 run(with(composite::layer_norm, kPlain, 5), inputs), 1e-4, "layer_norm");
    for (const int bits : {5, 10}) {
      const Outcome fused = run(with(layer_norm, kQuantised, bits), inputs);
      const Outcome reference = run(with(composite::layer_norm, kQuantised, bits), inputs);
      EXPECT_LE(unequal_share(fused.value, reference.value), 0.01) << channels;
      EXPECT_LE(difference(fused.gradients[0], reference.gradients[0]), 1e-3) << channels;
    }
  }
}

HeadTargets targets(int64_t n, int64_t h, int64_t w, int texture_bits, int depth_bits) {
  const auto plane = [&](int64_t height, int64_t width, int bits) {
    const Tensor t = at::randint(0, 1 << bits, {n, height, width}, at::kInt);
    return bits == 8 ? t.to(at::kByte) : t.to(at::kShort);  // wraps: the bits of a uint16
  };
  HeadTargets out;
  out.texture_bits = texture_bits;
  out.y = plane(h, w, texture_bits);
  out.u = plane((h + 1) / 2, (w + 1) / 2, texture_bits);
  out.v = plane((h + 1) / 2, (w + 1) / 2, texture_bits);
  if (depth_bits) {
    out.depth_bits = depth_bits;
    out.d = plane(h, w, depth_bits);
  }
  return out;
}

TEST_P(TrainOps, HeadLossEqualsCompositionInValueAndGradients) {
  for (const auto& [n, h, w, channels, crop, depth_bits] :
       {std::array<int64_t, 6>{1, 1, 1, 4, 1, 0},
        {2, 4, 6, 7, 0, 8},
        {2, 5, 130, 16, 3, 16},
        {1, 9, 20, 24, 1, 10}}) {
    for (const int bits : {8, 10}) {
      const HeadTargets t = targets(n, 2 * h - crop, 2 * w - crop, bits, int(depth_bits));
      const int64_t outputs = depth_bits ? 10 : 6;
      // Some outputs lie beyond 0..1, where samples are clamped.
      const Tensors inputs = {at::randn({n, h, w, channels}),
                              at::randn({outputs, channels}) * 0.4 / std::sqrt(double(channels)),
                              at::rand({outputs})};
      const auto with = [&](auto function) {
        return [=](const Tensors& in) { return function(in[0], in[1], in[2], t); };
      };
      expect_close(run(with(head_shuffle420_loss), inputs),
                   run(with(composite::head_shuffle420_loss), inputs), 1e-4,
                   "head " + std::to_string(h) + "x" + std::to_string(w));
    }
  }
}

TEST_P(TrainOps, HeadLossIsTheSquaredErrorOfSamples) {
  // One pixel of features, luma cropped to 1x2; output k is the bias k.
  HeadTargets t;
  t.y = at::tensor({255, 0}).to(at::kByte).view({1, 1, 2});
  t.u = at::tensor({128}).to(at::kByte).view({1, 1, 1});
  t.v = at::tensor({0}).to(at::kByte).view({1, 1, 1});
  const Tensor bias = at::tensor({2.0f, 0.25f, 7.0f, 7.0f, 0.5f, -3.0f});
  const Tensor loss = head_shuffle420_loss(at::zeros({1, 1, 1, 3}), at::zeros({6, 3}), bias, t);
  // Y: 255 against 255 (clamped), 64 against 0; U: 128 against 128; V: 0 against 0 (clamped).
  EXPECT_NEAR(loss[0][0].item<double>(), (64.0 / 255) * (64.0 / 255), 1e-7);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(loss[0][i].item<double>(), 0.0);
}

TEST_P(TrainOps, ResultsAreTheSameOnEveryRun) {
  const BlockCase c{2, 30, 50, 16, 48, 16, true, true, true};
  const Tensors inputs = block_inputs(c, false);
  const Outcome first = run(block_operation(c, kPlain, false), inputs);
  for (int i = 0; i < 3; ++i) {
    const Outcome again = run(block_operation(c, kPlain, false), inputs);
    EXPECT_TRUE(at::equal(first.value, again.value));
    for (size_t k = 0; k < first.gradients.size(); ++k)
      EXPECT_TRUE(at::equal(first.gradients[k], again.gradients[k])) << "input " << k;
  }
}

TEST_P(TrainOps, ThreadCountChangesOnlyTheOrderOfSums) {
  const BlockCase c{1, 23, 50, 16, 48, 16, true, true, true};
  const Tensors inputs = block_inputs(c, false);
  const Outcome two = run(block_operation(c, kPlain, false), inputs);
  for (const int threads : {1, 5}) {
    at::set_num_threads(threads);
    const Outcome other = run(block_operation(c, kPlain, false), inputs);
    EXPECT_TRUE(at::equal(two.value, other.value)) << threads;
    expect_close(other, two, 1e-5, "other threads");
  }
}

TEST_P(TrainOps, TakesInputsThatAreNotContiguous) {
  const BlockCase c{2, 6, 9, 8, 24, 8, true, true, true};
  const Tensors inputs = block_inputs(c, false);
  const Operation operation = block_operation(c, kPlain, false);
  const Operation strided = [&](const Tensors& t) {
    Tensors views = t;
    views[0] = t[0].permute({0, 3, 1, 2}).contiguous().permute({0, 2, 3, 1});
    views[3] = t[3].t().contiguous().t();
    return operation(views);
  };
  expect_close(run(strided, inputs), run(operation, inputs), 1e-6, "strided");
}

TEST_P(TrainOps, NoiseModeIsPlain) {
  const BlockCase c{1, 6, 9, 8, 24, 8, true, true, true};
  const Tensors inputs = block_inputs(c, false);
  const Quantise noisy{.activations = true, .noise = true};
  expect_close(run(block_operation(c, noisy, false), inputs),
               run(block_operation(c, kPlain, false), inputs), 0.0, "noise");
}

TEST_P(TrainOps, RefusesShapesThatDoNotFit) {
  const Tensor x = at::zeros({1, 4, 4, 8}), taps = at::zeros({8, 9});
  const auto block = [&](const Tensor& w1, const Tensor& w2, const Tensor& b2, bool residual) {
    return convnext_block(x, taps, {}, true, w1, {}, w2, b2, residual, kPlain);
  };
  EXPECT_THROW(block(at::zeros({24, 7}), at::zeros({8, 24}), {}, true), c10::Error);
  EXPECT_THROW(block(at::zeros({24, 8}), at::zeros({8, 23}), {}, true), c10::Error);
  EXPECT_THROW(block(at::zeros({24, 8}), at::zeros({9, 24}), {}, true), c10::Error);
  EXPECT_THROW(block(at::zeros({24, 8}), at::zeros({8, 24}), at::zeros({9}), true), c10::Error);
  EXPECT_NO_THROW(block(at::zeros({24, 8}), at::zeros({9, 24}), at::zeros({9}), false));
  EXPECT_THROW(upsample_bilinear(x, 6), c10::Error);
  EXPECT_THROW(upsample_bilinear(x, 2, at::zeros({1, 2, 3, 8})), c10::Error);
  EXPECT_THROW(pointwise(x, at::zeros({8, 9})), c10::Error);
  HeadTargets t = targets(1, 8, 9, 8, 0);  // wider than 2 * 4
  EXPECT_THROW(head_shuffle420_loss(x, at::zeros({6, 8}), at::zeros({6}), t), c10::Error);
}

INSTANTIATE_TEST_SUITE_P(KernelSets, TrainOps, testing::ValuesIn(kernel_sets()),
                         [](const auto& info) { return info.param; });

TEST(KernelSets, UnknownNamesAreRefused) {
  const std::string before = kernel_set();
  EXPECT_FALSE(use_kernel_set("abacus"));
  EXPECT_EQ(kernel_set(), before);
}

}  // namespace
}  // namespace mvinr::ops
