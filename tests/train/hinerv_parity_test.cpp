// With one view and HiNeRV's order of layers, the network is HiNeRV (arXiv 2306.09818): outputs
// equal those of a PyTorch model written apart from ours, with the same random weights
// (reference/hinerv.py made the files), and the sizes are the published ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "fixture.h"

namespace mvinr::train_test {
namespace {

/// The model of reference/hinerv.py: 8 frames, stem of 24 channels.
ModelConfig small_hinerv(std::vector<int> scales, int base_width, int base_height) {
  ModelConfig m;
  m.frames = 8;
  m.order = StageOrder::hinerv;
  m.head = HeadKind::full444;
  m.stem_channels = 24;
  const int depth[] = {3, 3, 3, 1}, expansion[] = {4, 4, 4, 1}, channels[] = {24, 12, 6, 3};
  for (int i = 0; i < 4; ++i)
    m.stages.push_back({.scale = uint8_t(scales[size_t(i)]),
                        .channels = uint16_t(channels[i]),
                        .depth = uint8_t(depth[i]),
                        .expansion = uint8_t(expansion[i]),
                        .norm = true,
                        .bias = false});
  auto add = [&](int stage, int time_steps, int grid_channels) {
    m.grids.push_back({.stage = uint8_t(stage),
                       .local = stage > 0,
                       .per_view = true,
                       .time_steps = uint16_t(time_steps),
                       .channels = uint16_t(grid_channels),
                       .coding = GridCoding::factorised});
  };
  add(0, 2, 2);
  add(0, 1, 4);
  for (int stage = 1; stage <= 4; ++stage)
    for (int level = 0; level < 3; ++level) add(stage, 8 >> level, (stage == 1 ? 2 : 1) << level);
  m.canvas_width = uint16_t(base_width * m.total_scale());
  m.canvas_height = uint16_t(base_height * m.total_scale());
  return m;
}

/// Largest differences between our forward pass and the stored frames.
struct Differences {
  double exact = 0;    // HiNeRV as published
  double rounded = 0;  // with bilinear weights that are multiples of 1/256
};

Differences compare(const std::string& file, const ModelConfig& config) {
  EXPECT_TRUE(validate(config));
  Tensors stored = read_tensors(file);
  Network net = make_network(config, 1, at::kCPU);
  c10::NoGradGuard guard;
  for (Parameter& p : net.parameters) {
    const at::Tensor value = stored[p.spec.name];
    EXPECT_TRUE(value.defined()) << p.spec.name;
    if (!value.defined() || value.numel() != p.value.numel()) {
      ADD_FAILURE() << p.spec.name << " has another size";
      return {1, 1};
    }
    p.value.copy_(value.view_as(p.value));
    stored.erase(p.spec.name);
  }
  Differences largest;
  int frames = 0;
  for (const auto& [name, picture] : stored) {
    const bool rounded = name.starts_with("rounded");
    EXPECT_TRUE(rounded || name.starts_with("frame")) << name << " is not a tensor of ours";
    EXPECT_GT(picture.std().item<double>(), 0.05) << "a flat picture proves nothing";
    const at::Tensor y = forward(net, prepare_values(net, {}), {}, name.back() - '0', {0});
    EXPECT_EQ(y.sizes(), picture.unsqueeze(0).sizes());
    double& difference = rounded ? largest.rounded : largest.exact;
    difference = std::max(difference, (y[0] - picture).abs().max().item<double>());
    ++frames;
  }
  EXPECT_EQ(frames, 4);
  std::printf("%s: %.2e from HiNeRV, %.2e with rounded bilinear weights\n", file.c_str(),
              largest.exact, largest.rounded);
  return largest;
}

TEST(HinervParity, OutputsOfStoredWeightsAreEqual) {
  EXPECT_LT(compare("hinerv-2222.bin", small_hinerv({2, 2, 2, 2}, 4, 3)).exact, 1e-4);
}

// HiNeRV's own scales. Here bilinear weights are multiples of 1/256 (docs/bitstream.md 5.4), which
// thirds and fifths are not; nothing else differs.
TEST(HinervParity, OutputsAtHinervsOwnScalesDifferByTheRoundedBilinearWeightsOnly) {
  const Differences d = compare("hinerv-5322.bin", small_hinerv({5, 3, 2, 2}, 2, 1));
  EXPECT_LT(d.rounded, 1e-4);
  EXPECT_LT(d.exact, 1e-2);
}

TEST(HinervParity, ProfileSHasThePublishedSizes) {
  const SequenceInfo sequence{
      .views = {{.width = 1920, .height = 1080, .texture = SampleFormat::yuv420_8}}};
  const auto made = make_profile("mv-hinerv-s", sequence, 200);
  ASSERT_TRUE(made) << made.error().message;
  const ModelConfig& m = *made;
  EXPECT_EQ(m.canvas_width, 1920);
  EXPECT_EQ(m.canvas_height, 1080);
  EXPECT_EQ(m.stage_width(0), 32);
  EXPECT_EQ(m.stage_height(0), 18);
  double base = 0, local = 0, network = 0, products = 0;
  for (const TensorSpec& s : tensor_specs(m)) {
    if (s.kind == TensorKind::grid) {
      (m.grids[size_t(s.grid)].local ? local : base) += 3.0 * double(s.count());
      continue;
    }
    network += double(s.count());
    if (s.kind != TensorKind::weight || s.name.ends_with("local.weight")) continue;
    const int stage = s.name.starts_with("stage") ? s.name[5] - '0'
                      : s.name == "stem.weight"   ? 0
                                                  : 4;
    products += double(s.count()) * m.stage_width(stage) * m.stage_height(stage);
  }
  EXPECT_NEAR(base, 0.346e6, 0.02 * 0.346e6);
  EXPECT_NEAR(local, 0.227e6, 0.02 * 0.227e6);
  EXPECT_NEAR(network, 2.62e6, 0.02 * 2.62e6);
  EXPECT_NEAR(base + local + network, 3.19e6, 0.02 * 3.19e6);
  EXPECT_NEAR(products / (1920 * 1080), 87.1e3, 0.02 * 87.1e3);
}

// MV-HiNeRV (arXiv 2402.01596): grids of their own for every view, one network for all.
TEST(HinervParity, ViewsMultiplyTheGridsAndShareTheNetwork) {
  SequenceInfo sequence{
      .views = {{.width = 512, .height = 288, .texture = SampleFormat::yuv420_8}}};
  auto sizes = [&] {
    const auto config = make_profile("mv-hinerv-xs", sequence, 16);
    EXPECT_TRUE(config);
    std::pair<int64_t, int64_t> grids_and_network;
    for (const TensorSpec& s : tensor_specs(*config))
      (s.kind == TensorKind::grid ? grids_and_network.first : grids_and_network.second) +=
          s.count();
    return grids_and_network;
  };
  const auto one = sizes();
  sequence.views.resize(5, sequence.views[0]);
  const auto five = sizes();
  EXPECT_EQ(five.first, 5 * one.first);
  EXPECT_EQ(five.second, one.second);
}

}  // namespace
}  // namespace mvinr::train_test
