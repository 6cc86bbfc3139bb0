#include "train/quantize.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <algorithm>
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

int index_of(float log_step) {
  return int(std::clamp(std::floor(log_step * 8 + 8.5f), -104.0f, 103.0f));
}

/// Of lists of tensors, in one pass: the networks have some hundred small ones, and a dozen
/// operations on each would cost more than their layers.
struct FastFakeQuantise : Function<FastFakeQuantise> {
  static variable_list forward(AutogradContext* ctx, at::TensorList ws, at::TensorList log_steps,
                               const std::vector<int64_t>& limits) {
    variable_list outputs;
    for (size_t k = 0; k < ws.size(); ++k) {
      const StepLayout layout = step_layout(ws[k], log_steps[k]);
      outputs.push_back(at::empty_like(ws[k]));
      const float* from = ws[k].const_data_ptr<float>();
      const float* logs = log_steps[k].const_data_ptr<float>();
      float* to = outputs[k].mutable_data_ptr<float>();
      for (int64_t i = 0; i < layout.groups; ++i, from += layout.inner, to += layout.inner)
        quantise_run(from, layout.inner, step_of(logs[i % layout.steps]), float(limits[k]), to);
    }
    variable_list saved(ws.begin(), ws.end());
    saved.insert(saved.end(), log_steps.begin(), log_steps.end());
    ctx->save_for_backward(saved);
    ctx->saved_data["limits"] = limits;
    return outputs;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const std::vector<int64_t> limits = ctx->saved_data["limits"].toIntVector();
    const size_t count = limits.size();
    variable_list result(2 * count + 1);
    for (size_t t = 0; t < count; ++t) {
      if (!grads[t].defined()) continue;
      const at::Tensor &w = saved[t], &log_step = saved[count + t], g = grads[t].contiguous();
      const StepLayout layout = step_layout(w, log_step);
      at::Tensor gw = at::empty_like(w), gs = at::zeros_like(log_step);
      const float* from = w.const_data_ptr<float>();
      const float* gradient = g.const_data_ptr<float>();
      const float* logs = log_step.const_data_ptr<float>();
      float *to = gw.mutable_data_ptr<float>(), *sums = gs.mutable_data_ptr<float>();
      for (int64_t i = 0; i < layout.groups; ++i) {
        const int64_t k = i % layout.steps, at = i * layout.inner;
        const float step = step_of(logs[k]);
        sums[k] += quantise_gradient_run(from + at, gradient + at, layout.inner, step,
                                         float(limits[t]), to + at) *
                   step * float(M_LN2);
      }
      result[t] = gw;
      result[count + t] = gs;
    }
    return result;
  }
};

bool fast(const at::Tensor& w, const at::Tensor& log_step) {
  return w.is_cpu() && w.scalar_type() == at::kFloat && w.is_contiguous() &&
         log_step.is_contiguous() && log_step.dim() == w.dim();
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

StepLayout step_layout(const at::Tensor& w, const at::Tensor& log_step) {
  int64_t inner = w.numel();
  if (log_step.numel() > 1) {
    inner = 1;
    for (int64_t d = w.dim(); d-- > 0 && log_step.size(d) == 1;) inner *= w.size(d);
  }
  return {log_step.numel(), inner, inner > 0 ? w.numel() / inner : 0};
}

float step_of(float log_step) { return float(step_value(index_of(log_step))); }

// What the loader chooses from is visible outside of the library, unless it is of this file alone.
namespace {

#define MVINR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
MVINR_CLONES void round_run(const float* w, int64_t count, float step, float limit, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    const float k = __builtin_floorf(w[i] / step + 0.5f);
    out[i] = (k < -limit ? -limit : k > limit ? limit : k) * step;
  }
}
MVINR_CLONES __attribute__((optimize("fast-math"))) float gradient_run(const float* w,
                                                                       const float* g,
                                                                       int64_t count, float step,
                                                                       float limit, float* out) {
  const float edge = limit + 0.5f;
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float q = w[i] / step, k = __builtin_floorf(q + 0.5f);
    const float clamped = k < -limit ? -limit : k > limit ? limit : k;
    const float inside = __builtin_fabsf(q) <= edge ? 1.0f : 0.0f;
    out[i] = g[i] * inside;
    sum += g[i] * (clamped - q * inside);
  }
  return sum;
}
#undef MVINR_CLONES

}  // namespace

void quantise_run(const float* w, int64_t count, float step, float limit, float* out) {
  round_run(w, count, step, limit, out);
}
float quantise_gradient_run(const float* w, const float* g, int64_t count, float step, float limit,
                            float* out) {
  return gradient_run(w, g, count, step, limit, out);
}

double step_value(int s) { return kStepMantissa[s & 7] / 512.0 * std::exp2(double(s >> 3)); }

// Mantissas run from 256/512, so index s means about 2^(s/8 - 1): log2(step) = s/8 - 1.
at::Tensor step_index(const at::Tensor& log_step) {
  return at::floor(log_step * 8 + 8.5).clamp_(-104, 103).to(at::kLong);
}

at::Tensor step_mantissa(const at::Tensor& log_step) {
  if (log_step.is_cpu() && log_step.scalar_type() == at::kFloat && log_step.is_contiguous()) {
    const float* logs = log_step.const_data_ptr<float>();
    at::Tensor out = at::empty(log_step.sizes(), at::kFloat);
    for (int64_t i = 0; i < out.numel(); ++i)
      out.mutable_data_ptr<float>()[i] = float(kStepMantissa[index_of(logs[i]) & 7]) / 512;
    return out;
  }
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
  if (!fast(w, log_step)) return FakeQuantise::apply(w, log_step, int64_t(limit));
  return fake_quantise_all({w}, {log_step}, {limit})[0];
}

std::vector<at::Tensor> fake_quantise_all(const std::vector<at::Tensor>& w,
                                          const std::vector<at::Tensor>& log_steps,
                                          const std::vector<int>& limits) {
  bool all_fast = true;
  for (size_t i = 0; i < w.size(); ++i) all_fast = all_fast && fast(w[i], log_steps[i]);
  if (all_fast)
    return FastFakeQuantise::apply(at::TensorList(w), at::TensorList(log_steps),
                                   std::vector<int64_t>(limits.begin(), limits.end()));
  std::vector<at::Tensor> values;
  for (size_t i = 0; i < w.size(); ++i)
    values.push_back(FakeQuantise::apply(w[i], log_steps[i], int64_t(limits[i])));
  return values;
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
