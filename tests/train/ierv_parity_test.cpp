// The profiles ierv are IERV (arXiv 2311.17350) as far as the decoder's integers allow: outputs
// equal those of a model written apart from ours, with the same random weights (reference/ierv.py
// made the file and says what differs from the paper), and sizes, loss and pruning are the
// published ones.
#include <gtest/gtest.h>

#include "fixture.h"
#include "train/fusion.h"
#include "train/prune.h"

namespace mvinr::train_test {
namespace {

constexpr int kWidth = 32, kHeight = 24, kFrames = 4, kViews = 2;

/// The model of reference/ierv.py.
ModelConfig small_ierv() {
  ModelConfig m;
  m.canvas_width = kWidth;
  m.canvas_height = kHeight;
  m.frames = kFrames;
  m.views = kViews;
  m.order = StageOrder::ierv;
  m.prediction = true;
  m.motion = Motion::learned;
  m.fusion = Fusion::softmax;
  m.flow_stage = 2;
  m.flow_bases = 1;
  m.offsets.resize(kViews);
  m.stem_channels = 8;
  m.stages = {{.scale = 2, .channels = 12, .depth = 0, .expansion = 1},
              {.scale = 2, .channels = 6, .depth = 0, .expansion = 1}};
  const auto add = [&](int stage, bool per_view, int time_steps, int channels) {
    m.grids.push_back({.stage = uint8_t(stage),
                       .local = stage > 0,
                       .per_view = per_view,
                       .time_steps = uint16_t(time_steps),
                       .channels = uint16_t(channels),
                       .nearest = true});
  };
  add(0, false, kFrames, 4);
  add(0, false, kFrames / 2, 4);
  add(0, true, 1, 8);
  add(1, true, 1, 12);
  add(2, true, 1, 6);
  return m;
}

DisplacedPicture base_of(const Tensors& stored, int t) {
  tools::PictureBuffer picture(SampleFormat::yuv420_8, kWidth, kHeight);
  const at::Tensor luma = stored.at("luma" + std::to_string(t));
  const at::Tensor chroma = stored.at("chroma" + std::to_string(t));
  for (int p = 0; p < 3; ++p)
    for (int y = 0; y < plane_size(kHeight, p); ++y)
      for (int x = 0; x < plane_size(kWidth, p); ++x)
        tools::set_sample(picture.mutable_picture(), p, x, y,
                          int((p == 0 ? luma[y][x] : chroma[p - 1][y][x]).item<float>()));
  DisplacedPicture prepared;
  EXPECT_TRUE(prepare_displaced(picture.picture(), nullptr, prepared));
  return prepared;
}

TEST(IervParity, OutputsOfStoredWeightsAreEqual) {
  const ModelConfig config = small_ierv();
  ASSERT_TRUE(validate(config)) << validate(config).error().message;
  Tensors stored = read_tensors("ierv.bin");
  Network net = make_network(config, 1, at::kCPU);
  c10::NoGradGuard guard;
  for (Parameter& p : net.parameters) {
    const at::Tensor value = stored[p.spec.name];
    ASSERT_TRUE(value.defined()) << p.spec.name;
    ASSERT_EQ(value.numel(), p.value.numel()) << p.spec.name;
    p.value.copy_(value.view_as(p.value));
  }
  double largest[3] = {};
  for (int t = 0; t < kFrames; ++t) {
    const DisplacedPicture base = base_of(stored, t);
    for (int64_t v = 0; v < kViews; ++v) {
      const Trunk features = trunk(net, prepare_values(net, {}), {}, t, {v}, {}, {}, {{&base}});
      const Fused fused = fuse(config, head_outputs(features), features.prediction);
      const at::Tensor ours[] = {fused.own, fused.warped, fused.picture};
      const char* names[] = {"own", "warped", "fused"};
      for (int i = 0; i < 3; ++i) {
        const at::Tensor wanted = stored.at(names[i] + std::to_string(t) + "." + std::to_string(v));
        EXPECT_GT(wanted.std().item<double>(), 0.05) << "a flat picture proves nothing";
        ASSERT_EQ(ours[i].sizes(), wanted.unsqueeze(0).sizes());
        largest[i] = std::max(largest[i], (ours[i][0] - wanted).abs().max().item<double>());
      }
    }
  }
  std::printf("own %.2e, warped %.2e, fused %.2e\n", largest[0], largest[1], largest[2]);
  // A vector at a boundary of its rounding could move one sample by a sixteenth of a step.
  for (const double difference : largest) EXPECT_LT(difference, 1e-4);
}

TEST(IervParity, ProfilesHaveThePublishedGridsAndChannels) {
  SequenceInfo sequence;
  sequence.views.assign(10, {.width = 1920, .height = 1080, .texture = SampleFormat::yuv420_8});
  std::vector<int> network_views;
  for (int v = 0; v < 10; ++v)
    if (v != 4) network_views.push_back(v);
  const auto made = make_profile("ierv-s", sequence, 97, network_views, Motion::learned);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->stage_width(0), 16);
  EXPECT_EQ(made->stage_height(0), 9);
  EXPECT_EQ(made->canvas_width, 1920);
  const int channels[] = {160, 80, 40, 24}, scales[] = {5, 3, 2, 2};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(made->stages[size_t(i)].channels, channels[i]);
    EXPECT_EQ(made->stages[size_t(i)].scale, scales[i]);
  }
  EXPECT_EQ(made->fusion, Fusion::softmax);
  EXPECT_EQ(made->flow_stage, 4);
  // Grids: t-grids [T, C/2, 9, 16] and [T/2, C/2, 9, 16], a v-grid [V, C, 9, 16]: 0.24 M values
  // beside small ones per stage.
  int64_t grids = 0;
  for (const TensorSpec& spec : tensor_specs(*made))
    if (spec.kind == TensorKind::grid && made->grids[size_t(spec.grid)].stage == 0)
      grids += spec.count();
  EXPECT_NEAR(double(grids), 0.24e6, 0.01e6);
}

TEST(IervParity, SixtyPercentOfTheConvolutionsArePruned) {
  Network net = make_network(small_ierv(), 1, at::kCPU);
  prune(net, 0.6);
  double zeros = 0, all = 0;
  for (const Parameter& p : net.parameters) {
    const bool convolution = p.spec.name.ends_with("convolution.weight");
    EXPECT_EQ(p.mask.defined(), convolution) << p.spec.name;
    if (!convolution) continue;
    zeros += double((p.mask == 0).sum().item<int64_t>());
    all += double(p.mask.numel());
  }
  EXPECT_NEAR(zeros / all, 0.6, 0.01);
}

}  // namespace
}  // namespace mvinr::train_test
