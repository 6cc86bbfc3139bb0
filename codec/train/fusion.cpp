#include "train/fusion.h"

#include <torch/csrc/autograd/custom_function.h>

namespace mvinr {
namespace {

/// The gates of hybrid mode: clamp(mask + v, 0, 1). The gradient is straight-through, but does not
/// push a gate further out of its range.
struct Gate : torch::autograd::Function<Gate> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& v,
                            const at::Tensor& mask) {
    const at::Tensor sum = v + mask;
    ctx->save_for_backward({sum});
    return sum.clamp(0, 1);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const at::Tensor sum = ctx->get_saved_variables()[0];
    const at::Tensor &g = grads[0], outward = at::logical_or(at::logical_and(sum >= 1, g < 0),
                                                             at::logical_and(sum <= 0, g > 0));
    return {g.masked_fill(outward, 0), at::Tensor()};
  }
};

at::Tensor in_real_units(const at::Tensor& planes) {
  return planes.scalar_type() == at::kShort ? planes.to(at::kFloat).mul_(1.0 / 1024) : planes;
}

}  // namespace

at::Tensor head_outputs(const Trunk& trunk) {
  return at::linear(trunk.features, trunk.head_weight, trunk.head_bias.view(-1));
}

Fused fuse(const ModelConfig& config, const at::Tensor& y, const at::Tensor& planes) {
  const at::Tensor prediction = in_real_units(planes);
  const int64_t outputs = config.picture_outputs();
  const bool softmax = config.fusion == Fusion::softmax;
  const at::Tensor mask = prediction.narrow(3, outputs, 4);
  const auto gate = [&](const at::Tensor& v) {
    return softmax ? at::sigmoid(v).expand_as(mask) : Gate::apply(v.expand_as(mask), mask);
  };
  const at::Tensor luma = gate(y.narrow(3, outputs, 4));
  std::vector<at::Tensor> gates = {luma, luma.mean(3, true).expand({-1, -1, -1, 2})};
  if (config.depth) gates.push_back(gate(y.narrow(3, outputs + 4, 1)));
  const at::Tensor weights = at::cat(gates, 3), warped = prediction.narrow(3, 0, outputs);
  at::Tensor own = y.narrow(3, 0, outputs);
  if (softmax) own = Gate::apply(own, at::zeros({1}, own.options()));
  return {softmax ? own + weights * (warped - own) : own + weights * warped, own, warped};
}

}  // namespace mvinr
