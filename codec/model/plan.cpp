#include "model/plan.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "base/try.h"

namespace mvinr {
namespace {

class Builder {
 public:
  explicit Builder(const ModelConfig& config) {
    plan_.config = config;
    plan_.tensors = tensor_specs(config);
    for (size_t i = 0; i < plan_.tensors.size(); ++i)
      index_.emplace(plan_.tensors[i].name, static_cast<int>(i));
  }

  Result<Plan> build() {
    const ModelConfig& config = plan_.config;
    find_grids();
    add_stem();
    for (int stage = 1; stage <= static_cast<int>(config.stages.size()); ++stage) add_stage(stage);
    add_head();
    if (!missing_.empty())
      return Error{ErrorCode::internal, "the plan needs a tensor that is not coded: " + missing_};
    return std::move(plan_);
  }

 private:
  PlanStep step(StepKind kind, int stage, int inputs, int outputs) const {
    PlanStep s;
    s.kind = kind;
    s.stage = stage;
    s.inputs = inputs;
    s.outputs = outputs;
    s.height = plan_.config.stage_height(stage);
    s.width = plan_.config.stage_width(stage);
    return s;
  }

  int tensor(const std::string& name) {
    const auto it = index_.find(name);
    if (it != index_.end()) return it->second;
    missing_ = name;
    return -1;
  }

  void find_grids() {
    const ModelConfig& config = plan_.config;
    plan_.grid_tensor.assign(config.grids.size(), std::vector<int>(config.views, -1));
    for (size_t i = 0; i < plan_.tensors.size(); ++i) {
      const TensorSpec& spec = plan_.tensors[i];
      if (spec.kind != TensorKind::grid) continue;
      std::vector<int>& row = plan_.grid_tensor[spec.grid];
      if (spec.view >= 0)
        row[spec.view] = static_cast<int>(i);
      else
        std::fill(row.begin(), row.end(), static_cast<int>(i));
    }
    for (size_t g = 0; g < config.grids.size(); ++g)
      for (int t : plan_.grid_tensor[g])
        if (t < 0) missing_ = "grid" + std::to_string(g);
  }

  void take_grids(PlanStep& s, bool local) const {
    const ModelConfig& config = plan_.config;
    for (size_t g = 0; g < config.grids.size(); ++g) {
      if (config.grids[g].stage != s.stage || config.grids[g].local != local) continue;
      s.grids.push_back(static_cast<int>(g));
      s.grid_channels += config.grids[g].channels;
    }
  }

  void add_stem() {
    if (plan_.config.order == StageOrder::ierv) {
      PlanStep sum = step(StepKind::sum_grids, 0, 0, plan_.config.stage_channels(0));
      take_grids(sum, false);
      sum.inputs = sum.grid_channels;
      plan_.steps.push_back(std::move(sum));
      return;
    }
    PlanStep s = step(StepKind::stem, 0, 0, plan_.config.stage_channels(0));
    take_grids(s, false);
    s.inputs = s.grid_channels;
    s.weight = tensor("stem.weight");
    s.bias = tensor("stem.bias");
    plan_.steps.push_back(std::move(s));
  }

  /// reduce_first and hinerv.
  void add_upsampling(int stage, int before, int entry) {
    const ModelConfig& config = plan_.config;
    const std::string prefix = "stage" + std::to_string(stage) + ".";
    // Before the upsampling: at the resolution of the previous stage.
    const bool reduce = config.order == StageOrder::reduce_first;
    PlanStep norm = step(reduce ? StepKind::norm_reduce : StepKind::norm, stage, before, entry);
    norm.height = config.stage_height(stage - 1);
    norm.width = config.stage_width(stage - 1);
    if (reduce) {
      norm.weight = tensor(prefix + "reduce.weight");
      norm.bias = tensor(prefix + "reduce.bias");
    }
    plan_.steps.push_back(std::move(norm));

    PlanStep up = step(StepKind::upsample, stage, entry, entry);
    up.scale = config.stages[stage - 1].scale;
    take_grids(up, true);
    if (!up.grids.empty()) {
      up.weight = tensor(prefix + "local.weight");
      up.bias = tensor(prefix + "local.bias");
    }
    plan_.steps.push_back(std::move(up));
  }

  void add_stage(int stage) {
    const ModelConfig& config = plan_.config;
    const StageConfig& shape = config.stages[stage - 1];
    const std::string prefix = "stage" + std::to_string(stage) + ".";
    const int before = config.stage_channels(stage - 1);
    const int entry = config.entry_channels(stage);

    if (config.order == StageOrder::ierv) {
      PlanStep convolve = step(StepKind::convolve, stage, before, entry);
      convolve.scale = shape.scale;
      convolve.weight = tensor(prefix + "convolution.weight");
      convolve.bias = tensor(prefix + "convolution.bias");
      take_grids(convolve, true);
      plan_.steps.push_back(std::move(convolve));
    } else {
      add_upsampling(stage, before, entry);
    }

    PlanStep inject = step(StepKind::inject, stage, entry, entry);
    take_grids(inject, false);
    if (!inject.grids.empty()) {
      inject.weight = tensor(prefix + "grid.weight");
      plan_.steps.push_back(std::move(inject));
    }
    if (config.conditions() && stage == static_cast<int>(config.stages.size())) {
      PlanStep predict = step(StepKind::predict, stage, config.prediction_planes(), entry);
      predict.weight = tensor(prefix + "prediction.weight");
      predict.bias = tensor(prefix + "prediction.bias");
      plan_.steps.push_back(std::move(predict));
    }
    if (config.order == StageOrder::ierv)
      plan_.steps.push_back(step(StepKind::activate, stage, entry, entry));

    int inputs = entry;
    for (int j = 0; j < shape.depth; ++j) {
      const std::string name = prefix + "block" + std::to_string(j) + ".";
      PlanStep block = step(StepKind::block, stage, inputs, shape.channels);
      block.hidden = shape.expansion * shape.channels;
      block.norm = shape.norm;
      block.residual = block.inputs == block.outputs;
      block.depthwise_weight = tensor(name + "depthwise.weight");
      block.fc1_weight = tensor(name + "fc1.weight");
      block.fc2_weight = tensor(name + "fc2.weight");
      if (shape.bias) {
        if (!shape.norm) block.depthwise_bias = tensor(name + "depthwise.bias");
        block.fc1_bias = tensor(name + "fc1.bias");
        block.fc2_bias = tensor(name + "fc2.bias");
      }
      inputs = block.outputs;
      plan_.steps.push_back(std::move(block));
    }
    if (config.has_flow() && stage == config.flow_stage) {
      PlanStep flow = step(StepKind::flow, stage, inputs, config.flow_outputs());
      flow.weight = tensor(prefix + "flow.weight");
      flow.bias = tensor(prefix + "flow.bias");
      plan_.steps.push_back(std::move(flow));
    }
  }

  void add_head() {
    const ModelConfig& config = plan_.config;
    const int last = static_cast<int>(config.stages.size());
    PlanStep s = step(StepKind::head, last, config.stage_channels(last), config.head_outputs());
    s.weight = tensor("head.weight");
    s.bias = tensor("head.bias");
    plan_.steps.push_back(std::move(s));
  }

  Plan plan_;
  std::unordered_map<std::string, int> index_;
  std::string missing_;
};

}  // namespace

Result<Plan> make_plan(const ModelConfig& config) { return Builder(config).build(); }

std::vector<int> rows_needed(const Plan& plan, int picture_height) {
  std::vector<int> rows(plan.steps.size());
  int need = plan.config.head == HeadKind::shuffle420
                 ? (picture_height + 1) / 2
                 : picture_height + (picture_height & 1);  // chroma averages two rows
  for (size_t i = plan.steps.size(); i-- > 0;) {
    const PlanStep& s = plan.steps[i];
    need = std::min(need, s.height);
    rows[i] = need;
    // Now what this step reads from the one before it.
    if (s.kind == StepKind::block) need += 1;
    if (s.kind == StepKind::upsample || s.kind == StepKind::convolve)
      need = (need - 1) / s.scale + 2;
  }
  return rows;
}

int64_t multiply_adds(const Plan& plan) {
  int64_t sum = 0;
  for (const PlanStep& s : plan.steps) {
    int64_t per_position = 0;
    switch (s.kind) {
      case StepKind::stem:
        per_position = int64_t{9} * s.inputs * s.outputs;
        break;
      case StepKind::norm_reduce:
      case StepKind::predict:
      case StepKind::flow:
        per_position = int64_t{s.inputs} * s.outputs;
        break;
      case StepKind::inject:
        per_position = int64_t{s.grid_channels} * s.outputs;
        break;
      case StepKind::block:
        per_position = int64_t{9} * s.inputs + int64_t{s.hidden} * (s.inputs + s.outputs);
        break;
      case StepKind::head:
        per_position = int64_t{s.inputs} * s.outputs;
        break;
      case StepKind::convolve:  // scale^2 outputs per channel, at a scale^2-th of the positions
        per_position = int64_t{9} * s.inputs * s.outputs;
        break;
      case StepKind::norm:
      case StepKind::upsample:
      case StepKind::sum_grids:
      case StepKind::activate:
        break;
    }
    sum += per_position * s.height * s.width;
  }
  return sum;
}

}  // namespace mvinr
