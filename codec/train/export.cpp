#include "train/export.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "base/try.h"
#include "format/model_units.h"
#include "train/quantize.h"

namespace mvinr {
namespace {

/// Context weights have 8 fractional bits (docs/bitstream.md 6.5).
int16_t to_q8(float v) {
  const float limit = kMaxContextWeight;
  return int16_t(std::lround(std::clamp(v * 256.0f, -limit, limit)));
}

ContextModel export_context(const ContextParameters& c) {
  ContextModel m;
  if (!c.out_bias.defined()) return m;
  auto copy = [](const at::Tensor& t, int16_t* out) {
    const at::Tensor f = t.detach().cpu().contiguous();
    for (int64_t i = 0; i < f.numel(); ++i) out[i] = to_q8(f.data_ptr<float>()[i]);
  };
  copy(c.hidden_weight, &m.hidden_weight[0][0]);
  copy(c.hidden_bias, m.hidden_bias);
  copy(c.out_weight, &m.out_weight[0][0]);
  copy(c.skip_weight, &m.skip_weight[0][0]);
  copy(c.out_bias, m.out_bias);
  return m;
}

}  // namespace

CodedModel export_model(const Network& net) {
  torch::NoGradGuard guard;
  CodedModel model{.config = net.config};
  int network_tensor = 0;
  for (const TensorSpec& spec : tensor_specs(net.config)) {
    const bool grid = spec.kind == TensorKind::grid;
    const int index = grid ? net.grid_parameter(spec.grid) : network_tensor++;
    const Parameter& p = net.parameters[size_t(index)];
    at::Tensor value = p.mask.defined() ? p.value * p.mask : p.value.detach();
    at::Tensor log_step = p.log_step.detach();
    if (grid) {
      value = value.select(0, std::max(spec.view, 0));
      log_step = log_step.select(0, 0);
    }
    model.tensors.push_back(
        {to_symbols(value, log_step, p.limit), to_step_indices(log_step.flatten())});
  }
  for (const ContextParameters& c : net.contexts) model.context_models.push_back(export_context(c));
  for (int v = 0; v < net.config.views; ++v) {
    ViewReference r{.view = int8_t(v == 0 ? -1 : 0)};
    r.dx.assign(net.config.grids.size(), 0);
    r.dy.assign(net.config.grids.size(), 0);
    model.references.push_back(std::move(r));
  }
  return model;
}

uint64_t CodedUnits::bytes() const {
  uint64_t bytes = 0;
  for (const UnitPayload& unit : units) bytes += unit.payload.size();
  return bytes;
}

Result<CodedUnits> code_units(const Network& net) {
  CodedUnits coded{.model = export_model(net)};
  refine_context_models(coded.model);
  MVINR_ASSIGN(coded.units, encode_model(coded.model));
  return coded;
}

void adopt_contexts(Network& net, const CodedModel& model) {
  torch::NoGradGuard guard;
  for (size_t g = 0; g < net.contexts.size(); ++g) {
    const ContextParameters& c = net.contexts[g];
    if (!c.out_bias.defined()) continue;
    const ContextModel& m = model.context_models[g];
    auto copy = [](const int16_t* from, const at::Tensor& to) {
      at::Tensor values = at::empty(to.sizes(), at::kFloat);
      for (int64_t i = 0; i < values.numel(); ++i)
        values.mutable_data_ptr<float>()[i] = float(from[i]) / 256;
      to.copy_(values);
    };
    copy(&m.hidden_weight[0][0], c.hidden_weight);
    copy(m.hidden_bias, c.hidden_bias);
    copy(&m.out_weight[0][0], c.out_weight);
    copy(&m.skip_weight[0][0], c.skip_weight);
    copy(m.out_bias, c.out_bias);
  }
}

}  // namespace mvinr
