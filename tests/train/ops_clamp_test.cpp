// Gradients at the clamps of the quantised operations: values beyond the limits get only what leads
// them back.
#include "ops_fixture.h"

namespace mvinr::ops {
namespace {

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
  expect_close(fused, reference, 2e-4, "clamped block", block_tolerance(2e-4));
}

TEST_P(TrainOps, TheGuardPullsOnLargeOutputs) {
  for (const Quantise& q : {kPlain, kQuantised}) {
    const BlockCase c{1, 6, 7, 16, 32, 16, false, true, true};
    Tensors inputs = block_inputs(c, true);
    inputs[0] = inputs[0] * 8;
    const Outcome fused = run(block_operation(c, q, false, 3000.0), inputs);
    expect_close(fused, run(block_operation(c, q, true, 3000.0), inputs), 2e-4, "guarded block",
                 block_tolerance(2e-4));
    const Outcome free = run(block_operation(c, q, false), inputs);
    EXPECT_GT(difference(fused.gradients[0], free.gradients[0]), 1e-2);
  }
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

}  // namespace
}  // namespace mvinr::ops
