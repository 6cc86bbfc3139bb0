#include "train/quantize.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <cmath>

#include "model/config.h"

namespace mvinr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

const at::Tensor& step_table() {
  static const at::Tensor table = [] {
    at::Tensor t = at::empty({256}, at::kFloat);
    for (int s = -128; s < 128; ++s) t.data_ptr<float>()[s + 128] = float(step_value(s));
    return t;
  }();
  return table;
}

at::Tensor reduce_to(at::Tensor g, at::IntArrayRef shape) {
  return g.sizes() == shape ? g : at::sum_to(std::move(g), shape);
}

struct FakeQuantise : Function<FakeQuantise> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& w, const at::Tensor& log_step,
                            int64_t limit) {
    const at::Tensor step = step_table().to(w.device()).index({step_index(log_step) + 128});
    const at::Tensor q = w / step;
    const at::Tensor k = at::floor(q + 0.5).clamp_(-double(limit), double(limit));
    ctx->save_for_backward({q, k, step});
    ctx->saved_data["limit"] = limit;
    return k * step;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &step = saved[2];
    const double limit = double(ctx->saved_data["limit"].toInt()) + 0.5;
    const at::Tensor inside = q.abs() <= limit;
    const at::Tensor gw = grads[0] * inside;
    const at::Tensor gs = grads[0] * (k - q * inside) * (step * M_LN2);
    return {gw, reduce_to(gs, step.sizes()), at::Tensor()};
  }
};

struct RoundTo : Function<RoundTo> {
  static at::Tensor forward(AutogradContext*, const at::Tensor& v, double scale) {
    return at::floor(v * scale + 0.5).mul_(1.0 / scale);
  }
  static variable_list backward(AutogradContext*, variable_list grads) {
    return {grads[0], at::Tensor()};
  }
};

struct StepFromLog : Function<StepFromLog> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& log_step) {
    const at::Tensor step = step_table().to(log_step.device()).index({step_index(log_step) + 128});
    ctx->save_for_backward({step});
    return step;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    return {grads[0] * ctx->get_saved_variables()[0] * M_LN2};
  }
};

}  // namespace

double step_value(int s) { return kStepMantissa[s & 7] / 512.0 * std::exp2(double(s >> 3)); }

// Mantissas run from 256/512, so index s means about 2^(s/8 - 1): log2(step) = s/8 - 1.
at::Tensor step_index(const at::Tensor& log_step) {
  return at::floor(log_step * 8 + 8.5).clamp_(-104, 103).to(at::kLong);
}

at::Tensor step_mantissa(const at::Tensor& log_step) {
  static const at::Tensor table = [] {
    at::Tensor t = at::empty({8}, at::kFloat);
    for (int i = 0; i < 8; ++i) t.mutable_data_ptr<float>()[i] = float(kStepMantissa[i]) / 512;
    return t;
  }();
  const at::Tensor index = step_index(log_step.detach()).bitwise_and(7);
  return table.to(log_step.device()).index({index});
}

at::Tensor step_from_log(const at::Tensor& log_step) { return StepFromLog::apply(log_step); }

at::Tensor fake_quantise(const at::Tensor& w, const at::Tensor& log_step, int limit) {
  return FakeQuantise::apply(w, log_step, int64_t(limit));
}

at::Tensor round_to(const at::Tensor& v, double scale) { return RoundTo::apply(v, scale); }

std::vector<int16_t> to_symbols(const at::Tensor& w, const at::Tensor& log_step, int limit) {
  torch::NoGradGuard guard;
  const at::Tensor step = step_table().to(w.device()).index({step_index(log_step) + 128});
  const at::Tensor k = at::floor(w / step + 0.5)
                           .clamp_(-double(limit), double(limit))
                           .to(at::kCPU, at::kShort)
                           .contiguous();
  return {k.data_ptr<int16_t>(), k.data_ptr<int16_t>() + k.numel()};
}

std::vector<int8_t> to_step_indices(const at::Tensor& log_step) {
  const at::Tensor s = step_index(log_step.detach()).to(at::kCPU, at::kChar).contiguous();
  return {s.data_ptr<int8_t>(), s.data_ptr<int8_t>() + s.numel()};
}

}  // namespace mvinr
