#include "train/optimizer.h"

#include <torch/types.h>

#include <cmath>

#include "train/ops/kernels.h"
#include "train/ops/support.h"

namespace mvinr {
namespace {

// Of what is left of the updates: about a third of them is left out.
constexpr float kBoost = 1.5f;

}  // namespace

void Adam::add(const at::Tensor& parameter, double rate, double decay) {
  slots_.push_back({parameter, at::zeros_like(parameter), at::zeros_like(parameter), rate, decay});
}

void Adam::step(double learning_rate) {
  torch::NoGradGuard guard;
  ++steps_;
  const double c1 = 1 - std::pow(options_.beta1, double(steps_));
  const double c2 = std::sqrt(1 - std::pow(options_.beta2, double(steps_)));
  const auto adam = ops::row_kernels().adam;
  for (Slot& s : slots_) {
    at::Tensor g = s.parameter.grad();
    if (!g.defined()) continue;
    const ops::AdamStep u{.beta1 = float(options_.beta1),
                          .beta2 = float(options_.beta2),
                          .rate = kBoost * float(learning_rate * s.rate * c2 / c1),
                          .epsilon = float(options_.epsilon * c2),
                          .kept = float(1 - learning_rate * s.rate * s.decay)};
    if (s.parameter.is_cpu()) {
      g = g.contiguous();
      float* p = s.parameter.mutable_data_ptr<float>();
      const float* gp = g.const_data_ptr<float>();
      float *m = s.m.mutable_data_ptr<float>(), *v = s.v.mutable_data_ptr<float>();
      const int64_t count = s.parameter.numel();
      ops::for_shares((count >> 15) + 1, count, [&](int64_t, int64_t a, int64_t b) {
        adam(u, p + a, gp + a, m + a, v + a, b - a);
      });
    } else {
      s.m.lerp_(g, 1 - u.beta1);
      s.v.mul_(u.beta2).addcmul_(g, g, 1 - u.beta2);
      const at::Tensor agreed = s.m.masked_fill(s.m * g < 0, 0);
      s.parameter.mul_(double(u.kept))
          .addcdiv_(agreed, s.v.sqrt().add_(u.epsilon), -double(u.rate));
    }
    s.parameter.mutable_grad().reset();
  }
}

}  // namespace mvinr
