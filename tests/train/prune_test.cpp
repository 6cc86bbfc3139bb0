#include "train/prune.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "fixture.h"
#include "train/export.h"

namespace mvinr::train_test {
namespace {

bool may_be_pruned(const Parameter& p) {
  const std::string& n = p.spec.name;
  return p.spec.kind == TensorKind::weight && n != "head.weight" && !n.ends_with("local.weight") &&
         !n.ends_with("grid.weight");
}

Network network(const char* profile = "xxs") {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 32, .height = 32});
  return random_network(profile_for(clip, profile));
}

TEST(Prune, SetsTheShareOfWeightsToZero) {
  for (const double share : {0.15, 0.6, 0.95}) {
    Network net = network();
    int64_t zeros = 0, all = 0;
    prune(net, share);
    for (const Parameter& p : net.parameters) {
      if (!may_be_pruned(p)) continue;
      zeros += (p.value == 0).sum().item<int64_t>();
      all += p.value.numel();
    }
    EXPECT_NEAR(double(zeros) / double(all), share, 0.002);
  }
}

TEST(Prune, LeavesGridsTheirLayersBiasesAndTheHeadAlone) {
  Network net = network("mv-hinerv-xxs");
  const Network before = network("mv-hinerv-xxs");
  prune(net, 0.9);
  for (size_t i = 0; i < net.parameters.size(); ++i) {
    const Parameter& p = net.parameters[i];
    if (may_be_pruned(p)) continue;
    EXPECT_FALSE(p.mask.defined()) << p.spec.name;
    EXPECT_TRUE(at::equal(p.value, before.parameters[i].value)) << p.spec.name;
  }
}

// HiNeRV: |w| / sqrt(size of the tensor), so that small tensors lose fewer weights.
TEST(Prune, RemovesTheSmallestOfAllTensorsByScore) {
  Network net = network();
  const Network before = network();
  prune(net, 0.5);
  double largest_removed = 0, smallest_kept = 1e9;
  for (size_t i = 0; i < net.parameters.size(); ++i) {
    const Parameter& p = net.parameters[i];
    if (!may_be_pruned(p)) continue;
    const at::Tensor score =
        before.parameters[i].value.detach().abs() / std::sqrt(double(p.value.numel()));
    const at::Tensor removed = p.mask == 0;
    if (removed.any().item<bool>())
      largest_removed =
          std::max(largest_removed, score.masked_select(removed).max().item<double>());
    if (!removed.all().item<bool>())
      smallest_kept = std::min(smallest_kept, score.masked_select(~removed).min().item<double>());
  }
  EXPECT_LE(largest_removed, smallest_kept);
}

TEST(Prune, OfNothingChangesNothing) {
  Network net = network();
  prune(net, 0);
  for (const Parameter& p : net.parameters) EXPECT_FALSE(p.mask.defined());
}

TEST(Prune, HoldsThroughTheRestOfTheTraining) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 2, .width = 32, .height = 32});
  const Trained trained = train_on(clip, "xxs", {.prune = 0.6, .steps = 60});
  const CodedModel model = export_model(trained.network);
  int64_t zeros = 0, all = 0, masked = 0;
  for (size_t i = 0; i < trained.network.parameters.size(); ++i) {
    const Parameter& p = trained.network.parameters[i];
    if (!may_be_pruned(p)) continue;
    ASSERT_TRUE(p.mask.defined()) << p.spec.name;
    const at::Tensor mask = p.mask.flatten();
    for (int64_t k = 0; k < mask.numel(); ++k) {
      const bool zero = model.tensors[i].symbols[size_t(k)] == 0;
      if (mask.data_ptr<float>()[k] == 0) {
        EXPECT_TRUE(zero);
        ++masked;
      }
      zeros += zero;
    }
    all += mask.numel();
  }
  EXPECT_NEAR(double(masked) / double(all), 0.6, 0.002);
  EXPECT_GE(zeros, masked);
  EXPECT_LT(zeros, all);
}

}  // namespace
}  // namespace mvinr::train_test
