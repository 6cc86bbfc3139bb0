// Fused training operations beside the same maths in LibTorch operations, for the tests of both.
#pragma once

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>

#include "train/ops/ops.h"

namespace mvinr::ops {

using torch::Tensor;
using Tensors = std::vector<Tensor>;
using Operation = std::function<Tensor(const Tensors&)>;

inline const Quantise kPlain{};
inline const Quantise kQuantised{.activations = true};

struct Outcome {
  Tensor value;
  Tensors gradients;  // of the defined inputs
};

/// Value, and gradients for a fixed random gradient of the result.
inline Outcome run(const Operation& operation, const Tensors& inputs) {
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
inline double difference(const Tensor& a, const Tensor& b) {
  const double scale = std::max(1e-6, b.abs().max().item<double>());
  return (a - b).abs().max().item<double>() / scale;
}

inline double unequal_share(const Tensor& a, const Tensor& b) {
  return (a != b).to(at::kFloat).mean().item<double>();
}

/// Root mean square of the difference relative to that of b.
inline double rms_difference(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / (b.norm() + 1e-12)).item<double>();
}

/// Tolerance of the gradients of a quantised block: on avx512bf16, its products are of bfloat16
/// numbers, with 8 bits; an error in the mathematics is far above both.
inline double block_tolerance(double tolerance) {
  return kernel_set() == "avx512bf16" ? std::max(tolerance, 1.5e-2) : tolerance;
}

/// `gradient_tolerance` 0: as `tolerance`.
inline void expect_close(const Outcome& fused, const Outcome& reference, double tolerance,
                         const std::string& what, double gradient_tolerance = 0) {
  ASSERT_EQ(fused.value.sizes(), reference.value.sizes()) << what;
  EXPECT_LE(difference(fused.value, reference.value), tolerance) << what;
  ASSERT_EQ(fused.gradients.size(), reference.gradients.size());
  for (size_t i = 0; i < fused.gradients.size(); ++i) {
    ASSERT_EQ(fused.gradients[i].sizes(), reference.gradients[i].sizes())
        << what << ", input " << i;
    EXPECT_LE(difference(fused.gradients[i], reference.gradients[i]),
              gradient_tolerance > 0 ? gradient_tolerance : tolerance)
        << what << ", gradient of input " << i;
  }
}

/// Multiples of `step`: sums of products of such numbers are exact in float32 in any order.
inline Tensor steps(at::IntArrayRef shape, double step, double deviation) {
  return (at::randn(shape) * (deviation / step)).round() * step;
}

class TrainOps : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(use_kernel_set(GetParam()));
    set_threads(2);
    at::manual_seed(1);
  }
  void TearDown() override { use_kernel_set(kernel_sets().front()); }
};

struct BlockCase {
  int64_t n, h, w, channels, hidden, outputs;
  bool norm, residual, biases;
};

inline std::string name(const BlockCase& c) {
  return "block " + std::to_string(c.n) + "x" + std::to_string(c.h) + "x" + std::to_string(c.w) +
         " " + std::to_string(c.channels) + "-" + std::to_string(c.hidden) + "-" +
         std::to_string(c.outputs) + (c.norm ? " norm" : "") + (c.residual ? " residual" : "") +
         (c.biases ? " biases" : "");
}

inline const BlockCase kBlockCases[] = {
    {1, 1, 1, 1, 1, 1, false, true, true},       {1, 1, 1, 8, 24, 8, true, true, true},
    {2, 3, 5, 1, 3, 1, false, false, false},     {2, 3, 5, 7, 21, 7, true, true, true},
    {1, 3, 5, 7, 14, 11, true, false, false},    {1, 9, 40, 16, 48, 16, true, true, true},
    {2, 20, 37, 16, 64, 24, false, false, true}, {3, 7, 13, 24, 72, 24, true, true, false},
    {1, 11, 19, 64, 192, 64, true, true, true},  {1, 5, 6, 33, 100, 17, true, false, true},
    {1, 2, 500, 8, 16, 8, false, true, true},
};

inline Tensors block_inputs(const BlockCase& c, bool exact) {
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

inline Operation block_operation(const BlockCase& c, Quantise q, bool reference, double guard = 0) {
  const auto function = reference ? composite::convnext_block : convnext_block;
  return [=](const Tensors& t) {
    return function(t[0], t[1], t[2], c.norm, t[3], t[4], t[5], t[6], c.residual, q, guard);
  };
}

/// A block that is one GELU: one channel, identity kernels.
inline Tensor gelu_of(const Tensor& x, Quantise q) {
  Tensor taps = at::zeros({1, 9});
  taps[0][4] = 1.0;
  const Tensor one = at::ones({1, 1});
  return convnext_block(x.view({1, 1, -1, 1}), taps, {}, false, one, {}, one, {}, false, q)
      .view({-1});
}

}  // namespace mvinr::ops
