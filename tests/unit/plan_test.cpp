#include "model/plan.h"

#include <gtest/gtest.h>

#include <set>

#include "random_model.h"

namespace mvinr {
namespace {

using testutil::test_configs;

TEST(Plan, UsesEveryCodedTensorOnce) {
  for (const auto& [name, config] : test_configs()) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(validate(config).has_value()) << validate(config).error().message;
    const auto plan = make_plan(config);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    std::multiset<int> used;
    for (const PlanStep& s : plan->steps) {
      for (int t : {s.weight, s.bias, s.depthwise_weight, s.depthwise_bias, s.fc1_weight,
                    s.fc1_bias, s.fc2_weight, s.fc2_bias})
        if (t >= 0) used.insert(t);
      for (int g : s.grids) {
        std::set<int> of_views(plan->grid_tensor[g].begin(), plan->grid_tensor[g].end());
        used.insert(of_views.begin(), of_views.end());
      }
    }
    EXPECT_EQ(used.size(), plan->tensors.size());
    for (size_t i = 0; i < plan->tensors.size(); ++i)
      EXPECT_EQ(used.count(static_cast<int>(i)), 1u) << plan->tensors[i].name;
  }
}

TEST(Plan, ShapesOfStepsFitTheirTensorsAndEachOther) {
  for (const auto& [name, config] : test_configs()) {
    SCOPED_TRACE(name);
    const auto plan = make_plan(config);
    ASSERT_TRUE(plan.has_value());
    const auto expect_size = [&](int tensor, int rows, int columns) {
      if (tensor < 0) return;
      EXPECT_EQ(plan->tensors[tensor].count(), int64_t{rows} * columns)
          << plan->tensors[tensor].name;
    };
    const PlanStep* before = nullptr;
    for (const PlanStep& s : plan->steps) {
      if (before != nullptr) {
        EXPECT_EQ(s.kind == StepKind::predict ? s.outputs : s.inputs, before->outputs);
        const int scale =
            s.kind == StepKind::upsample || s.kind == StepKind::convolve ? s.scale : 1;
        EXPECT_EQ(s.height, before->height * scale);
        EXPECT_EQ(s.width, before->width * scale);
      }
      if (s.kind != StepKind::flow) before = &s;
      switch (s.kind) {
        case StepKind::stem:
          expect_size(s.weight, s.outputs, 9 * s.grid_channels);
          break;
        case StepKind::block:
          expect_size(s.depthwise_weight, s.inputs, 9);
          expect_size(s.depthwise_bias, 1, s.inputs);
          expect_size(s.fc1_weight, s.hidden, s.inputs);
          expect_size(s.fc1_bias, 1, s.hidden);
          expect_size(s.fc2_weight, s.outputs, s.hidden);
          expect_size(s.fc2_bias, 1, s.outputs);
          break;
        case StepKind::upsample:
        case StepKind::inject:
          expect_size(s.weight, s.outputs, s.grid_channels);
          break;
        case StepKind::convolve:
          expect_size(s.weight, s.outputs * s.scale * s.scale, 9 * s.inputs);
          expect_size(s.bias, 1, s.outputs * s.scale * s.scale);
          break;
        case StepKind::sum_grids:
        case StepKind::activate:
        case StepKind::norm:
          EXPECT_EQ(s.weight, -1);
          break;
        case StepKind::flow:
          EXPECT_EQ(s.outputs, 3 * config.flow_bases);
          expect_size(s.weight, s.outputs, s.inputs);
          break;
        case StepKind::predict:
          EXPECT_EQ(s.inputs, config.prediction_planes());
          [[fallthrough]];
        case StepKind::norm_reduce:
        case StepKind::head:
          expect_size(s.weight, s.outputs, s.inputs);
          break;
      }
      if (s.kind != StepKind::block && s.kind != StepKind::convolve)
        expect_size(s.bias, 1, s.outputs);
    }
    EXPECT_EQ(plan->head().outputs, config.head_outputs());
    EXPECT_EQ(plan->steps.front().kind,
              config.order == StageOrder::ierv ? StepKind::sum_grids : StepKind::stem);
    EXPECT_EQ(plan->head().kind, StepKind::head);
    EXPECT_GT(multiply_adds(*plan), 0);
  }
}

TEST(Plan, ThePredictionEntersTheLastStageBeforeItsBlocks) {
  int hybrid = 0;
  for (const auto& [name, config] : test_configs()) {
    SCOPED_TRACE(name);
    const auto plan = make_plan(config);
    ASSERT_TRUE(plan.has_value());
    size_t predictions = 0;
    for (size_t i = 0; i < plan->steps.size(); ++i) {
      const PlanStep& s = plan->steps[i];
      if (s.kind != StepKind::predict) continue;
      ++predictions;
      EXPECT_EQ(s.stage, int(config.stages.size()));
      EXPECT_EQ(s.height, config.canvas_height / 2);
      EXPECT_EQ(plan->tensors[size_t(s.weight)].dims,
                (std::vector<int>{s.outputs, config.depth ? 14 : 10}));
      const StepKind before = plan->steps[i - 1].kind;
      EXPECT_TRUE(before == StepKind::upsample || before == StepKind::inject);
      EXPECT_EQ(plan->steps[i + 1].kind, StepKind::block);
    }
    EXPECT_EQ(predictions, config.conditions() ? 1u : 0u);
    EXPECT_EQ(plan->head().outputs - config.picture_outputs(),
              config.prediction ? (config.depth ? 5 : 4) : 0);
    hybrid += config.prediction;
  }
  EXPECT_EQ(hybrid, 7);
}

TEST(Plan, RowsNeededGrowByOnePerBlockAndShrinkAtUpsamplings) {
  ModelConfig m = test_configs()[0].config;  // 48x40, scales 2 and 2, blocks 1 and 2, shuffle
  const auto plan = make_plan(m);
  ASSERT_TRUE(plan.has_value());
  const std::vector<int> rows = rows_needed(*plan, 21);
  ASSERT_EQ(rows.size(), plan->steps.size());
  // 21 picture rows: 11 trunk rows; 2 blocks: 13; upsampling reads rows 0..7; 1 block: 9 of 10;
  // the stem has 5.
  EXPECT_EQ(rows.back(), 11);
  std::vector<int> of_blocks;
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_LE(rows[i], plan->steps[i].height);
    if (plan->steps[i].kind == StepKind::block) of_blocks.push_back(rows[i]);
    if (plan->steps[i].kind == StepKind::upsample) {
      EXPECT_EQ(rows[i], plan->steps[i].stage == 2 ? 13 : 9);
    }
  }
  EXPECT_EQ(of_blocks, (std::vector<int>{8, 12, 11}));
  EXPECT_EQ(rows.front(), 5);
}

TEST(Plan, RowsNeededOfTheWholeCanvasAreAllRows) {
  for (const auto& [name, config] : test_configs()) {
    const auto plan = make_plan(config);
    ASSERT_TRUE(plan.has_value());
    const std::vector<int> rows = rows_needed(*plan, config.canvas_height);
    for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i], plan->steps[i].height) << name;
  }
}

}  // namespace
}  // namespace mvinr
