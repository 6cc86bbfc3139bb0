// The fused parts of a training step around the blocks, head with loss and grids of an instant,
// against the same network in LibTorch's operations.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "fixture.h"
#include "train/device.h"
#include "train/grid_planes.h"
#include "train/loss.h"
#include "train/ops/ops.h"
#include "train/quantize.h"

namespace mvinr::train_test {
namespace {

using at::Tensor;

class FusedStep : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_TRUE(ops::use_kernel_set(GetParam())); }
  void TearDown() override { ops::use_kernel_set(ops::kernel_sets().front()); }
};

double difference(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>() / std::max(1e-12, b.abs().max().item<double>());
}

struct HeadCase {
  int width, height;
  SampleFormat texture, depth;
  bool hybrid;
  std::vector<int64_t> views;
};

TEST_P(FusedStep, HeadAndLossEqualTheirParts) {
  using enum SampleFormat;
  for (const HeadCase& c : {HeadCase{64, 48, yuv420_8, gray_16, true, {0}},
                            HeadCase{45, 31, yuv420_8, gray_16, true, {0, 1}},
                            HeadCase{230, 31, yuv420_10, gray_8, false, {1}},
                            HeadCase{33, 46, yuv420_8, none, false, {0, 1, 2}}}) {
    const auto clip = testutil::make_clip({.views = 4,
                                           .frames = 2,
                                           .width = c.width,
                                           .height = c.height,
                                           .texture = c.texture,
                                           .depth = c.depth});
    const std::vector<int> base_views = c.hybrid ? std::vector<int>{2} : std::vector<int>{};
    const PictureStore store = store_of(clip, network_views(clip, base_views));
    const Tensor prediction = base_store_of(clip, base_views).prediction(1, c.views, at::kCPU);
    const ModelConfig config = profile_for(clip, "xxs", base_views);
    at::manual_seed(5);
    const Trunk trunk{
        at::randn({int64_t(c.views.size()), config.canvas_height / 2, config.canvas_width / 2, 16})
            .set_requires_grad(true),
        (at::randn({config.head_outputs(), 16}) * 0.15).set_requires_grad(true),
        (at::randn({config.head_outputs()}) * 0.4).set_requires_grad(true), prediction};
    const std::vector<Tensor> inputs = {trunk.features, trunk.head_weight, trunk.head_bias};
    const Distortion fused = distortion(config, trunk, store, 1, c.views, Loss::psnr, 0.7);
    const Distortion parts = distortion(
        config, head(config, trunk), store.targets(1, c.views, config, at::kCPU), Loss::psnr, 0.7);
    const std::string what = std::to_string(c.width) + "x" + std::to_string(c.height);
    EXPECT_LT(difference(fused.loss, parts.loss), 1e-5) << what;
    EXPECT_LT(difference(fused.mse, parts.mse), 1e-5) << what;
    // Three times the loss, so that the incoming gradient matters.
    const auto found = torch::autograd::grad({fused.loss * 3}, inputs);
    const auto expected = torch::autograd::grad({parts.loss * 3}, inputs);
    for (size_t i = 0; i < inputs.size(); ++i)
      EXPECT_LT(difference(found[i], expected[i]), 1e-4) << what << ", input " << i;
  }
}

/// Grid planes and the gradients of all grids and steps, for fixed gradients of the planes.
struct GridOutcome {
  std::vector<Tensor> planes, gradients;
};
GridOutcome grids_of(Network& net, const Precision& precision, int frame,
                     const std::vector<int64_t>& views) {
  GridOutcome outcome;
  std::vector<Tensor> leaves, outputs, incoming;
  for (size_t i = size_t(net.first_grid); i < net.parameters.size(); ++i) {
    leaves.push_back(net.parameters[i].value);
    leaves.push_back(net.parameters[i].log_step);
  }
  at::manual_seed(7);
  for (const auto& stage : grid_planes(net, precision, frame, views))
    for (const Tensor& t : stage) {
      if (!t.defined()) continue;
      outputs.push_back(t);
      incoming.push_back(at::randn(t.sizes()));
      outcome.planes.push_back(t.detach());
    }
  outcome.gradients = torch::autograd::grad(outputs, leaves, incoming, {}, false, true);
  return outcome;
}

TEST_P(FusedStep, GridsOfAnInstantEqualTheirComposition) {
  const auto clip = testutil::make_clip({.views = 3, .frames = 6, .width = 64, .height = 48});
  for (const char* profile : {"xs", "mv-hinerv-xxs"}) {
    Network net = random_network(profile_for(clip, profile));
    const Precision hard = kHard, plain{};
    for (const Precision& precision : {plain, hard})
      for (const auto& [frame, views] :
           {std::pair<int, std::vector<int64_t>>{0, {1}}, {3, {0, 1, 2}}, {5, {0, 2}}}) {
        ops::use_kernel_set(GetParam());
        const GridOutcome fused = grids_of(net, precision, frame, views);
        ops::use_kernel_set("composite");
        const GridOutcome composed = grids_of(net, precision, frame, views);
        ASSERT_EQ(fused.planes.size(), composed.planes.size());
        for (size_t i = 0; i < fused.planes.size(); ++i) {
          ASSERT_EQ(fused.planes[i].sizes(), composed.planes[i].sizes());
          // Rounding to Q10 may fall on either side.
          EXPECT_LE((fused.planes[i] - composed.planes[i]).abs().max().item<double>(), 1.1 / 1024);
          EXPECT_LE((fused.planes[i] != composed.planes[i]).to(at::kFloat).mean().item<double>(),
                    precision.activations ? 0.001 : 1)
              << profile << i;
          if (!precision.activations) {
            EXPECT_LT(difference(fused.planes[i], composed.planes[i]), 1e-6);
          }
        }
        for (size_t i = 0; i < fused.gradients.size(); ++i) {
          if (!composed.gradients[i].defined()) continue;
          ASSERT_TRUE(fused.gradients[i].defined()) << i;
          EXPECT_LT(difference(fused.gradients[i], composed.gradients[i]), 1e-4) << i;
        }
      }
  }
}

TEST_P(FusedStep, NoiseOnGridsIsUniformAndItsGradientFits) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 4, .width = 256, .height = 192});
  Network net = random_network(profile_for(clip, "xxs"));
  const Precision noisy{.grids_noise = true};
  const size_t last = net.parameters.size() - 1;  // one channel, one step in time, per view
  Parameter& p = net.parameters[last];
  const double step = std::exp2(p.log_step.item<double>());
  const Tensor plane = grid_planes(net, noisy, 1, {1}).back()[0];
  const Tensor noise = (plane.view(-1) - p.value[1].reshape({-1})).detach() / step;
  // The step is on a grid of 1/8 octave.
  EXPECT_NEAR(noise.max().item<double>(), 0.5, 0.05);
  EXPECT_NEAR(noise.min().item<double>(), -0.5, 0.05);
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.01);
  EXPECT_NEAR(noise.var().item<double>(), 1.0 / 12, 0.01);
  const Tensor next = grid_planes(net, noisy, 1, {1}).back()[0];
  EXPECT_FALSE(at::allclose(plane, next));
  const Tensor g = at::randn(plane.sizes());
  const auto gradients =
      torch::autograd::grad({plane}, {p.value, p.log_step}, {g}, /*retain_graph=*/{});
  EXPECT_TRUE(at::allclose(gradients[0][1].reshape({-1}), g.view(-1)));
  EXPECT_EQ(gradients[0][0].abs().max().item<double>(), 0);
  const double expected =
      ((plane.view(-1) - p.value[1].reshape({-1})) * g.view(-1)).sum().item<double>() * M_LN2;
  EXPECT_NEAR(gradients[1].item<double>(), expected, 1e-3 * std::abs(expected) + 1e-4);
}

TEST_P(FusedStep, SoftlyRoundedGridsAreLibTorchs) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 4, .width = 256, .height = 192});
  const Network net = random_network(profile_for(clip, "xxs"));
  const Precision soft{.grids_noise = true, .soft = {.sharpness = 3, .amplitude = 0}};
  const Parameter& p = net.parameters.back();  // one channel, one step in time, per view
  const Tensor plane = grid_planes(net, soft, 1, {1}).back()[0];
  const Tensor step = step_from_log(p.log_step);
  const Tensor expected =
      (soft_symbols(p.value / step, at::zeros_like(p.value), soft.soft) * step)[1].reshape({-1});
  EXPECT_LT(difference(plane.view(-1), expected), 1e-4);
  const Tensor g = at::randn(expected.sizes());
  const auto fused = torch::autograd::grad({plane.view(-1)}, {p.value, p.log_step}, {g});
  const auto composed = torch::autograd::grad({expected}, {p.value, p.log_step}, {g});
  EXPECT_LT(difference(fused[0], composed[0]), 1e-4);
  EXPECT_NEAR(fused[1].item<double>(), composed[1].item<double>(),
              1e-3 * std::abs(composed[1].item<double>()) + 1e-3);
}

TEST_P(FusedStep, TheSameSeedGivesTheSameNoise) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 2, .width = 64, .height = 48});
  const Network a = make_network(profile_for(clip), 3, at::kCPU);
  const Network b = make_network(profile_for(clip), 3, at::kCPU);
  const Precision noisy{.grids_noise = true};
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(
        at::equal(grid_planes(a, noisy, i, {0})[0][0], grid_planes(b, noisy, i, {0})[0][0]));
}

INSTANTIATE_TEST_SUITE_P(KernelSets, FusedStep, testing::ValuesIn(ops::kernel_sets()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace mvinr::train_test
