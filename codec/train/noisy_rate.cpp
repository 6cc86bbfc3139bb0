#include "train/noisy_rate.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "base/clones.h"
#include "train/noise.h"
#include "train/ops/kernels.h"
#include "train/ops/support.h"
#include "train/quantize.h"

namespace mvinr {
namespace {

using Keys = std::vector<uint32_t>;
using ops::Kept;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// out = the symbols of w; returns the sum of the magnitudes.
MVINR_CLONES __attribute__((optimize("fast-math"))) float symbols_run(const float* w, int64_t count,
                                                                      float inverse, uint32_t key,
                                                                      uint32_t first,
                                                                      SoftRounding soft,
                                                                      float* out) {
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    out[i] = soft.symbol(w[i] * inverse, noise_of(key, first + uint32_t(i)));
    sum += __builtin_fabsf(out[i]);
  }
  return sum;
}
/// From the gradients g of symbols to those of w, in place. Returns the sum of g * w / step.
MVINR_CLONES __attribute__((optimize("fast-math"))) float symbols_gradient_run(
    const float* w, int64_t count, float inverse, uint32_t key, uint32_t first, SoftRounding soft,
    float* g) {
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    g[i] *= inverse * soft.gradient(w[i] * inverse, noise_of(key, first + uint32_t(i)));
    sum += g[i] * w[i];
  }
  return sum;
}
/// g += slope * sign(s).
MVINR_CLONES void add_signs(const float* s, int64_t count, float slope, float* g) {
  for (int64_t i = 0; i < count; ++i) g[i] += s[i] < 0.0f ? -slope : slope;
}
MVINR_CLONES void scale_run(float* g, int64_t count, float factor) {
  for (int64_t i = 0; i < count; ++i) g[i] *= factor;
}

/// As in laplace_bits() of rate.cpp.
ops::LaplaceScale laplace_scale(double b) {
  const double half = std::clamp(0.5 / b, 1e-4, 30.0), p = -std::expm1(-2 * half);
  return {.inverse = float(1 / b),
          .half = float(half),
          .constant = float(1 - half / M_LN2 - std::log2(p)),
          .constant_slope = float(half + 2 * half * (1 - p) / p)};
}

struct Operand {
  const float *w, *logs;
  StepLayout layout;
  Operand(const at::Tensor& value, const at::Tensor& log_step)
      : w(value.const_data_ptr<float>()),
        logs(log_step.const_data_ptr<float>()),
        layout(step_layout(value, log_step)) {}
  /// Calls run(offset of the values, number of their step, 1 / step) for the runs of one step.
  template <class Run>
  void for_runs(const Run& run) const {
    for (int64_t i = 0; i < layout.groups; ++i) {
      const int64_t k = i % layout.steps;
      run(i * layout.inner, k, 1.0f / step_of(logs[k]));
    }
  }
  /// g: gradients of the symbols -> of the values; `steps` gets those of log2 of the steps.
  void finish_gradient(uint32_t key, const SoftRounding& soft, float* g, float* steps) const {
    for_runs([&](int64_t at, int64_t k, float inverse) {
      steps[k] -=
          symbols_gradient_run(w + at, layout.inner, inverse, key, uint32_t(at), soft, g + at) *
          float(M_LN2);
    });
  }
};

struct Symbols : Function<Symbols> {
  struct State {
    Keys keys;
    SoftRounding soft;
  };
  static variable_list forward(AutogradContext* ctx, at::TensorList values,
                               at::TensorList log_steps, const Keys& keys,
                               const SoftRounding& soft) {
    Kept<State>::make(ctx) = {keys, soft};
    variable_list out;
    for (const at::Tensor& v : values) out.push_back(ops::make_tensor(v.sizes()));
    ops::parallel_calls(int64_t(values.size()), [&](int64_t t) {
      const Operand o(values[size_t(t)], log_steps[size_t(t)]);
      float* to = out[size_t(t)].data_ptr<float>();
      o.for_runs([&](int64_t at, int64_t, float inverse) {
        symbols_run(o.w + at, o.layout.inner, inverse, keys[size_t(t)], uint32_t(at), soft,
                    to + at);
      });
    });
    variable_list saved(values.begin(), values.end());
    saved.insert(saved.end(), log_steps.begin(), log_steps.end());
    ctx->save_for_backward(saved);
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const size_t count = grads.size();
    const State& state = Kept<State>::of(ctx);
    variable_list result(2 * count + 2);
    for (size_t t = 0; t < count; ++t) {
      if (!grads[t].defined()) continue;
      result[t] = ops::make_tensor(saved[t].sizes());
      result[count + t] = at::zeros_like(saved[count + t]);
    }
    ops::parallel_calls(int64_t(count), [&](int64_t i) {
      const size_t t = size_t(i);
      if (!grads[t].defined()) return;
      const at::Tensor g = grads[t].contiguous();
      float* to = result[t].data_ptr<float>();
      std::copy_n(g.const_data_ptr<float>(), g.numel(), to);
      Operand(saved[t], saved[count + t])
          .finish_gradient(state.keys[t], state.soft, to, result[count + t].data_ptr<float>());
    });
    return result;
  }
};

/// Gradients are made with the bits, times one.
struct Bits : Function<Bits> {
  struct State {
    variable_list gradients;
  };

  /// Of one tensor; gradients if `g` is not null.
  static double tensor_bits(const Operand& o, int64_t count, bool by_step, uint32_t key,
                            const SoftRounding& soft, float* g, float* steps) {
    const auto row = ops::row_kernels().laplace_row;
    const int64_t inner = o.layout.inner, groups = by_step ? o.layout.steps : 1;
    ops::Floats symbols(count);
    std::vector<double> magnitude(size_t(groups), 0.0), slope(size_t(groups), 0.0);
    const auto group = [&](int64_t k) { return size_t(by_step ? k : 0); };
    o.for_runs([&](int64_t at, int64_t k, float inverse) {
      magnitude[group(k)] += double(
          symbols_run(o.w + at, inner, inverse, key, uint32_t(at), soft, symbols.data() + at));
    });
    const double each = double(count / groups);
    for (double& m : magnitude) m = std::max(m / each, kLeastNoisyScale);  // now the scales
    double bits = 0;
    o.for_runs([&](int64_t at, int64_t k, float) {
      bits += row(symbols.data() + at, inner, laplace_scale(magnitude[group(k)]),
                  g ? g + at : nullptr, &slope[group(k)]);
    });
    if (!g) return bits;
    // The scale is the mean magnitude: its gradient goes to every symbol.
    o.for_runs([&](int64_t at, int64_t k, float) {
      const double scale = magnitude[group(k)];
      if (scale > kLeastNoisyScale)
        add_signs(symbols.data() + at, inner, float(slope[group(k)] / (each * scale * M_LN2)),
                  g + at);
    });
    o.finish_gradient(key, soft, g, steps);
    return bits;
  }

  static at::Tensor forward(AutogradContext* ctx, at::TensorList values, at::TensorList log_steps,
                            const std::vector<bool>& by_step, const Keys& keys,
                            const SoftRounding& soft, bool gradients) {
    const size_t count = values.size();
    variable_list& made = Kept<State>::make(ctx).gradients;
    if (gradients) {
      for (const at::Tensor& v : values) made.push_back(ops::make_tensor(v.sizes()));
      for (const at::Tensor& s : log_steps) made.push_back(at::zeros_like(s));
    }
    std::vector<double> bits(count);
    ops::parallel_calls(int64_t(count), [&](int64_t i) {
      const size_t t = size_t(i);
      bits[t] = tensor_bits(Operand(values[t], log_steps[t]), values[t].numel(), by_step[t],
                            keys[t], soft, gradients ? made[t].data_ptr<float>() : nullptr,
                            gradients ? made[count + t].data_ptr<float>() : nullptr);
    });
    double sum = 0;
    for (const double b : bits) sum += b;
    return at::full({}, sum, at::kFloat);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    variable_list result = std::move(Kept<State>::of(ctx).gradients);
    TORCH_CHECK(!result.empty(), "the gradients of the bits are there once");
    const float factor = grads[0].item<float>();
    for (at::Tensor& g : result) scale_run(g.data_ptr<float>(), g.numel(), factor);
    result.resize(result.size() + 4);
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> noisy_symbols(const std::vector<at::Tensor>& values,
                                      const std::vector<at::Tensor>& log_steps, const Keys& keys,
                                      const SoftRounding& soft) {
  return Symbols::apply(at::TensorList(values), at::TensorList(log_steps), keys, soft);
}

at::Tensor noisy_bits(const std::vector<at::Tensor>& values,
                      const std::vector<at::Tensor>& log_steps, const std::vector<bool>& by_step,
                      const Keys& keys, const SoftRounding& soft) {
  return Bits::apply(at::TensorList(values), at::TensorList(log_steps), by_step, keys, soft,
                     at::GradMode::is_enabled());
}

}  // namespace mvinr
