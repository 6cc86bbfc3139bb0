// The optimiser's vector kernels against its formulas in double precision.
#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "train/ops/ops.h"

namespace mvinr::train_test {
namespace {

class AdamKernels : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_TRUE(ops::use_kernel_set(GetParam())); }
  void TearDown() override { ops::use_kernel_set(ops::kernel_sets().front()); }
};

TEST_P(AdamKernels, FollowTheFormulas) {
  constexpr double kBeta1 = 0.9, kBeta2 = 0.95, kEpsilon = 1e-10, kRate = 0.01, kDecay = 0.1;
  at::manual_seed(6);
  for (const int64_t count : {1, 15, 16, 37, 4099}) {
    at::Tensor p = at::randn({count}).set_requires_grad(true);
    at::Tensor expected = p.detach().to(at::kDouble), m = at::zeros_like(expected),
               v = at::zeros_like(expected);
    Adam adam({kBeta1, kBeta2, kEpsilon});
    adam.add(p, 2.0, kDecay);
    for (int step = 1; step <= 5; ++step) {
      const at::Tensor g = at::randn({count});
      p.mutable_grad() = g.clone();
      adam.step(kRate);
      EXPECT_FALSE(p.grad().defined());
      const at::Tensor d = g.to(at::kDouble);
      m = kBeta1 * m + (1 - kBeta1) * d;
      v = kBeta2 * v + (1 - kBeta2) * d * d;
      const at::Tensor update = (m / (1 - std::pow(kBeta1, step))) /
                                ((v / (1 - std::pow(kBeta2, step))).sqrt() + kEpsilon);
      expected =
          expected * (1 - 2 * kRate * kDecay) - 1.5 * 2 * kRate * update.masked_fill(m * d < 0, 0);
      // A momentum may be so near 0 that its sign is a matter of rounding.
      const at::Tensor sure = (m.abs() > 1e-6).to(at::kDouble);
      EXPECT_LE(((p.detach() - expected) * sure).abs().max().item<double>(), 1e-5) << count;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(KernelSets, AdamKernels, testing::ValuesIn(ops::kernel_sets()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace mvinr::train_test
