// Fused training operations against the same maths in LibTorch operations: values and gradients, on
// every kernel set of this machine.
#include "ops_fixture.h"

namespace mvinr::ops {
namespace {

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
    expect_close(fused, reference, 2e-4, name(c), block_tolerance(2e-4));
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
      EXPECT_LE(rms_difference(fused.gradients[i], reference.gradients[i]), block_tolerance(5e-3))
          << name(c) << ", gradient of input " << i;
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
                                                {203, 1, 24, 2},
                                                {97, 2, 17, 3},
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

TEST_P(TrainOps, TheThreadCountDoesNotMatter) {
  const BlockCase c{1, 23, 50, 16, 48, 16, true, true, true};
  const Tensors inputs = block_inputs(c, false);
  const Outcome two = run(block_operation(c, kPlain, false), inputs);
  for (const int threads : {1, 5}) {
    set_threads(threads);
    const Outcome other = run(block_operation(c, kPlain, false), inputs);
    EXPECT_TRUE(at::equal(two.value, other.value)) << threads;
    if (GetParam() == "composite") continue;  // LibTorch's own sums
    for (size_t i = 0; i < two.gradients.size(); ++i)
      EXPECT_TRUE(at::equal(two.gradients[i], other.gradients[i])) << threads << ", input " << i;
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
  if (!has_head_loss(x, {})) return;
  const auto head = [&](int height, int width, int64_t outputs) {
    const HeadTargets t{.texture = {at::zeros({(height + 1) / 2, (width + 1) / 2, 6}, at::kByte)},
                        .height = height,
                        .width = width};
    head_loss(x, at::zeros({outputs, 8}), at::zeros({outputs}), {}, t, {});
  };
  EXPECT_NO_THROW(head(8, 7, 6));
  EXPECT_THROW(head(8, 9, 6), c10::Error);  // wider than 2 * 4
  EXPECT_THROW(head(8, 8, 10), c10::Error);
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
