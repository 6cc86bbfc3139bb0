#include "train/optimizer.h"

#include <torch/types.h>

#include <cmath>

#include "train/ops/support.h"

namespace mvinr {
namespace {

struct Update {
  float beta1, beta2, rate, epsilon;  // rate and epsilon hold the bias corrections
  float kept;                         // of the parameter, by the decay
};
// Of what is left of the updates: about a third of them is left out.
constexpr float kBoost = 1.5f;

__attribute__((target_clones("avx512f", "avx2", "default"))) void adam_range(
    float* __restrict p, const float* __restrict g, float* __restrict m, float* __restrict v,
    int64_t count, Update u) {
  for (int64_t i = 0; i < count; ++i) {
    m[i] += (1 - u.beta1) * (g[i] - m[i]);
    v[i] += (1 - u.beta2) * (g[i] * g[i] - v[i]);
    const float step = kBoost * u.rate * m[i] / (__builtin_sqrtf(v[i]) + u.epsilon);
    p[i] = u.kept * p[i] - (m[i] * g[i] >= 0 ? step : 0.0f);
  }
}

}  // namespace

void Adam::add(const at::Tensor& parameter, double rate, double decay) {
  slots_.push_back({parameter, at::zeros_like(parameter), at::zeros_like(parameter), rate, decay});
}

void Adam::step(double learning_rate) {
  torch::NoGradGuard guard;
  ++steps_;
  const double c1 = 1 - std::pow(options_.beta1, double(steps_));
  const double c2 = std::sqrt(1 - std::pow(options_.beta2, double(steps_)));
  for (Slot& s : slots_) {
    at::Tensor g = s.parameter.grad();
    if (!g.defined()) continue;
    const Update u{float(options_.beta1), float(options_.beta2),
                   float(learning_rate * s.rate * c2 / c1), float(options_.epsilon * c2),
                   float(1 - learning_rate * s.rate * s.decay)};
    if (s.parameter.is_cpu()) {
      g = g.contiguous();
      float* p = s.parameter.mutable_data_ptr<float>();
      const float* gp = g.const_data_ptr<float>();
      float *m = s.m.mutable_data_ptr<float>(), *v = s.v.mutable_data_ptr<float>();
      const int64_t count = s.parameter.numel();
      ops::for_shares((count >> 15) + 1, count, [&](int64_t, int64_t a, int64_t b) {
        adam_range(p + a, gp + a, m + a, v + a, b - a, u);
      });
    } else {
      s.m.lerp_(g, 1 - u.beta1);
      s.v.mul_(u.beta2).addcmul_(g, g, 1 - u.beta2);
      const at::Tensor agreed = s.m.masked_fill(s.m * g < 0, 0);
      s.parameter.mul_(double(u.kept))
          .addcdiv_(agreed, s.v.sqrt().add_(u.epsilon), -double(kBoost) * double(u.rate));
    }
    s.parameter.mutable_grad().reset();
  }
}

}  // namespace mvinr
