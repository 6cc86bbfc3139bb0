#include <gtest/gtest.h>

#include <functional>

#include "model/config.h"
#include "unit/random_header.h"

namespace mvinr {
namespace {

ModelConfig small_model() {
  ModelConfig m{.canvas_width = 64, .canvas_height = 48, .frames = 8, .views = 3, .depth = true};
  m.stem_channels = 20;
  m.stages = {{.scale = 2, .channels = 16, .depth = 1, .expansion = 4, .norm = true, .bias = true},
              {.scale = 2, .channels = 8, .depth = 2, .expansion = 2, .norm = false, .bias = true}};
  m.grids = {{.stage = 0, .per_view = false, .time_steps = 4, .channels = 3},
             {.stage = 0, .per_view = true, .time_steps = 2, .channels = 2},
             {.stage = 1, .local = true, .per_view = false, .time_steps = 8, .channels = 5},
             {.stage = 2, .per_view = true, .time_steps = 1, .channels = 1}};
  return m;
}

std::string in_words(const std::vector<TensorSpec>& specs) {
  std::string text;
  for (const TensorSpec& t : specs) {
    text += t.name + " ";
    for (int d : t.dims) text += std::to_string(d) + "x";
    text.back() = '\n';
  }
  return text;
}

TEST(ModelConfig, KnowsTheShapeOfEveryStage) {
  const ModelConfig m = small_model();
  EXPECT_EQ(m.total_scale(), 8);
  EXPECT_EQ(m.stage_width(0), 8);
  EXPECT_EQ(m.stage_height(0), 6);
  EXPECT_EQ(m.stage_width(2), 32);
  EXPECT_EQ(m.stage_height(2), 24);
  EXPECT_EQ(m.stage_channels(0), 20);
  EXPECT_EQ(m.stage_channels(1), 16);
  EXPECT_EQ(m.entry_channels(2), 8);
  EXPECT_EQ(m.grid_channels(0, false), 5);
  EXPECT_EQ(m.grid_channels(1, true), 5);
  EXPECT_EQ(m.grid_channels(1, false), 0);
  EXPECT_EQ(m.head_outputs(), 10);
  ModelConfig full = m;
  full.head = HeadKind::full444;
  full.order = StageOrder::hinerv;
  EXPECT_EQ(full.total_scale(), 4);
  EXPECT_EQ(full.entry_channels(2), 16);
  EXPECT_EQ(full.head_outputs(), 4);
  full.depth = false;
  EXPECT_EQ(full.head_outputs(), 3);
}

TEST(ModelConfig, APredictionAddsOneLayerAndFiveGates) {
  ModelConfig m = small_model();
  EXPECT_EQ(m.prediction_planes(), 0);
  const size_t tensors = tensor_specs(m).size();
  m.prediction = true;
  ASSERT_TRUE(validate(m));
  EXPECT_EQ(m.prediction_planes(), 14);
  EXPECT_EQ(m.picture_outputs(), 10);
  EXPECT_EQ(m.head_outputs(), 15);
  const std::string text = in_words(tensor_specs(m));
  EXPECT_EQ(tensor_specs(m).size(), tensors + 2);
  EXPECT_NE(text.find("stage2.grid.weight 8x1\nstage2.prediction.weight 8x14\n"
                      "stage2.prediction.bias 1x8\nstage2.block0.depthwise.weight"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("stage1.prediction"), std::string::npos);
  EXPECT_NE(text.find("head.weight 15x8\nhead.bias 1x15\n"), std::string::npos) << text;
}

TEST(ModelConfig, DisplacementsAddALayerBehindTheBlocksOfTheirStage) {
  ModelConfig m = small_model();
  m.prediction = true;
  m.motion = Motion::learned;
  m.flow_stage = 1;
  m.flow_bases = 2;
  m.offsets.resize(size_t{m.views} * 2);
  ASSERT_TRUE(validate(m)) << validate(m).error().message;
  const std::string text = in_words(tensor_specs(m));
  EXPECT_NE(text.find("stage1.flow.weight 6x16\nstage1.flow.bias 1x6\nstage2."), std::string::npos)
      << text;
  m.depth = false;
  ASSERT_TRUE(validate(m));
  EXPECT_EQ(m.prediction_planes(), 10);
  EXPECT_EQ(m.head_outputs(), 6 + 4);
}

TEST(ModelConfig, APredictionNeedsDepthAndTheHeadAtHalfResolution) {
  for (const bool without_depth : {true, false}) {
    ModelConfig m = small_model();
    m.prediction = true;
    without_depth ? void(m.depth = false) : void(m.head = HeadKind::full444);
    const Status status = validate(m);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::corrupt);
    EXPECT_NE(status.error().message.find(without_depth ? "geometry needs depth" : "shuffle420"),
              std::string::npos);
  }
}

TEST(TensorSpecs, ListsReduceFirstInTheOrderOfTheBitstream) {
  EXPECT_EQ(in_words(tensor_specs(small_model())),
            "stem.weight 20x45\n"
            "stem.bias 1x20\n"
            "stage1.reduce.weight 16x20\n"
            "stage1.reduce.bias 1x16\n"
            "stage1.local.weight 16x5\n"
            "stage1.local.bias 1x16\n"
            "stage1.block0.depthwise.weight 16x9\n"
            "stage1.block0.fc1.weight 64x16\n"
            "stage1.block0.fc1.bias 1x64\n"
            "stage1.block0.fc2.weight 16x64\n"
            "stage1.block0.fc2.bias 1x16\n"
            "stage2.reduce.weight 8x16\n"
            "stage2.reduce.bias 1x8\n"
            "stage2.grid.weight 8x1\n"
            "stage2.block0.depthwise.weight 8x9\n"
            "stage2.block0.depthwise.bias 1x8\n"
            "stage2.block0.fc1.weight 16x8\n"
            "stage2.block0.fc1.bias 1x16\n"
            "stage2.block0.fc2.weight 8x16\n"
            "stage2.block0.fc2.bias 1x8\n"
            "stage2.block1.depthwise.weight 8x9\n"
            "stage2.block1.depthwise.bias 1x8\n"
            "stage2.block1.fc1.weight 16x8\n"
            "stage2.block1.fc1.bias 1x16\n"
            "stage2.block1.fc2.weight 8x16\n"
            "stage2.block1.fc2.bias 1x8\n"
            "head.weight 10x8\n"
            "head.bias 1x10\n"
            "grid0 4x3x6x8\n"
            "grid2 8x5x2x2\n"
            "grid1.view0 2x2x6x8\n"
            "grid3.view0 1x1x24x32\n"
            "grid1.view1 2x2x6x8\n"
            "grid3.view1 1x1x24x32\n"
            "grid1.view2 2x2x6x8\n"
            "grid3.view2 1x1x24x32\n");
}

TEST(TensorSpecs, HinervMapsChannelsInTheFirstBlockAndHasNoBiasThere) {
  ModelConfig m = small_model();
  m.order = StageOrder::hinerv;
  m.views = 1;
  m.stages.resize(1);
  m.stages[0].bias = false;
  m.stages[0].depth = 2;
  m.grids.resize(3);
  EXPECT_EQ(in_words(tensor_specs(m)),
            "stem.weight 20x45\n"
            "stem.bias 1x20\n"
            "stage1.local.weight 20x5\n"
            "stage1.local.bias 1x20\n"
            "stage1.block0.depthwise.weight 20x9\n"
            "stage1.block0.fc1.weight 64x20\n"
            "stage1.block0.fc2.weight 16x64\n"
            "stage1.block1.depthwise.weight 16x9\n"
            "stage1.block1.fc1.weight 64x16\n"
            "stage1.block1.fc2.weight 16x64\n"
            "head.weight 10x16\n"
            "head.bias 1x10\n"
            "grid0 4x3x12x16\n"
            "grid2 8x5x2x2\n"
            "grid1.view0 2x2x12x16\n");
}

TEST(TensorSpecs, SayKindUnitViewGridCountAndSteps) {
  const auto specs = tensor_specs(small_model());
  const TensorSpec& fc1 = specs[7];
  EXPECT_EQ(fc1.kind, TensorKind::weight);
  EXPECT_EQ(fc1.unit, UnitType::network);
  EXPECT_EQ(fc1.count(), 1024);
  EXPECT_EQ(fc1.rows(), 64);
  EXPECT_EQ(fc1.step_count(), 64) << "64 rows have a step each";
  EXPECT_EQ(specs[0].step_count(), 1) << "20 rows share one";
  EXPECT_EQ(specs[8].kind, TensorKind::bias);
  EXPECT_EQ(specs[8].step_count(), 1);
  const TensorSpec& local = specs[specs.size() - 7];
  EXPECT_EQ(local.unit, UnitType::shared);
  EXPECT_EQ(local.view, -1);
  EXPECT_EQ(local.grid, 2);
  EXPECT_EQ(local.step_count(), 5);
  const TensorSpec& last = specs.back();
  EXPECT_EQ(last.kind, TensorKind::grid);
  EXPECT_EQ(last.unit, UnitType::view);
  EXPECT_EQ(last.view, 2);
  EXPECT_EQ(last.grid, 3);
  EXPECT_EQ(last.count(), 24 * 32);
}

TEST(ModelConfig, RandomValidModelsAreAccepted) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const Status status = validate(testutil::random_header(seed).model);
    ASSERT_TRUE(status) << seed << ": " << status.error().message;
  }
}

struct BadModel {
  const char* word;  // of the message
  ErrorCode code;
  std::function<void(ModelConfig&)> spoil;
};

TEST(ModelConfig, ImpossibleAndOversizedModelsAreRefusedByName) {
  const ErrorCode corrupt = ErrorCode::corrupt, limit = ErrorCode::limit_exceeded;
  const BadModel cases[] = {
      {"frames", corrupt, [](auto& m) { m.frames = 0; }},
      {"frames", corrupt, [](auto& m) { m.frames = 257; }},
      {"views", corrupt, [](auto& m) { m.views = 0; }},
      {"views", corrupt, [](auto& m) { m.views = 65; }},
      {"canvas_width", corrupt, [](auto& m) { m.canvas_width = 0; }},
      {"canvas_width", corrupt, [](auto& m) { m.canvas_width = 68; }},
      {"canvas_height", corrupt, [](auto& m) { m.canvas_height = 16392; }},
      {"order", corrupt, [](auto& m) { m.order = static_cast<StageOrder>(3); }},
      {"head", corrupt, [](auto& m) { m.head = static_cast<HeadKind>(2); }},
      {"stem_channels", corrupt, [](auto& m) { m.stem_channels = 0; }},
      {"stem_channels", corrupt, [](auto& m) { m.stem_channels = 1025; }},
      {"stages", corrupt, [](auto& m) { m.stages.clear(); }},
      {"stages", corrupt, [](auto& m) { m.stages.resize(7); }},
      {"stage 2.scale", corrupt, [](auto& m) { m.stages[1].scale = 0; }},
      {"stage 2.scale", corrupt, [](auto& m) { m.stages[1].scale = 6; }},
      {"stage 1.channels", corrupt, [](auto& m) { m.stages[0].channels = 0; }},
      {"stage 1.depth", corrupt, [](auto& m) { m.stages[0].depth = 9; }},
      {"stage 1.expansion", corrupt, [](auto& m) { m.stages[0].expansion = 0; }},
      {"hidden", corrupt,
       [](auto& m) {
         m.stages[0].channels = 1024;
         m.stages[0].expansion = 5;
       }},
      {"depth is 0", corrupt,
       [](auto& m) {
         m.order = StageOrder::hinerv;
         m.stages[0].depth = 0;
       }},
      {"even", corrupt,
       [](auto& m) {
         m.head = HeadKind::full444;
         m.stages[0].scale = m.stages[1].scale = 1;
         m.canvas_width = 63;
       }},
      {"grids", corrupt, [](auto& m) { m.grids.clear(); }},
      {"grids", corrupt, [](auto& m) { m.grids.resize(17); }},
      {"grid 3.stage", corrupt, [](auto& m) { m.grids[3].stage = 3; }},
      {"grid 3.stage", corrupt, [](auto& m) { m.grids[3].stage = 0; }},
      {"grid 0.stage", corrupt, [](auto& m) { m.grids[0].local = true; }},
      {"grid 0.time_steps", corrupt, [](auto& m) { m.grids[0].time_steps = 0; }},
      {"grid 0.time_steps", corrupt, [](auto& m) { m.grids[0].time_steps = 257; }},
      {"grid 0.channels", corrupt, [](auto& m) { m.grids[0].channels = 257; }},
      {"grids of stage 0", corrupt,
       [](auto& m) { m.grids = {{.stage = 1, .local = false, .channels = 1}}; }},
      {"stage 0 shared have 3 channels", corrupt, [](auto& m) { m.order = StageOrder::ierv; }},
      {"stage 0 per view have 4 channels", corrupt,
       [](auto& m) {
         m.order = StageOrder::ierv;
         m.stem_channels = 3;
         m.grids = {{.channels = 3}, {.per_view = true, .channels = 4}};
       }},
      {"stage 1.local grids have 5 channels", corrupt,
       [](auto& m) {
         m.order = StageOrder::ierv;
         m.stem_channels = 3;
         m.grids = {{.channels = 3}, {.stage = 1, .local = true, .channels = 5}};
       }},
      {"grids of stage 0", corrupt,
       [](auto& m) { m.grids.assign(5, {.stage = 0, .channels = 256}); }},
      {"features of stage 2", limit,
       [](auto& m) {
         m.canvas_width = m.canvas_height = 16384;
         m.stages[1].channels = 17;
       }},
      {"symbols of a unit", limit,
       [](auto& m) {
         m.canvas_width = m.canvas_height = 8192;
         m.grids[3].time_steps = 17;
       }},
      {"symbols", limit,
       [](auto& m) {
         m.canvas_width = m.canvas_height = 8192;
         m.grids[3].time_steps = 15;
         m.views = 5;
       }},
  };
  for (const BadModel& bad : cases) {
    ModelConfig model = small_model();
    ASSERT_TRUE(validate(model));
    bad.spoil(model);
    const Status status = validate(model);
    ASSERT_FALSE(status) << bad.word;
    EXPECT_EQ(status.error().code, bad.code) << status.error().message;
    EXPECT_NE(status.error().message.find(bad.word), std::string::npos) << status.error().message;
  }
}

}  // namespace
}  // namespace mvinr
