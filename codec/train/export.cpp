#include "train/export.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "train/quantize.h"

namespace mvinr {
namespace {

int16_t to_q8(float v) { return int16_t(std::clamp(std::lround(v * 256.0f), -32767l, 32767l)); }

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

}  // namespace mvinr
