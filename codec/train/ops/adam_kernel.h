// One pass of the optimiser: see optimizer.h.
#pragma once

#include "train/ops/kernels.h"
#include "train/ops/vec.h"

namespace mvinr::ops::MVINR_OPS_ISA {

inline void adam(const AdamStep& u, float* p, const float* gradient, float* m, float* v,
                 int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int n = int(smaller<int64_t>(kLanes, count - i));
    const auto read = [&](const float* from) {
      return n == kLanes ? load(from + i) : load_first(from + i, n);
    };
    const auto write = [&](float* to, Vec value) {
      n == kLanes ? store(to + i, value) : store_first(to + i, value, n);
    };
    const Vec g = read(gradient), m0 = read(m), v0 = read(v);
    const Vec m1 = m0 + (1 - u.beta1) * (g - m0), v1 = v0 + (1 - u.beta2) * (g * g - v0);
    const Vec step = u.rate * m1 / (square_root(v1) + u.epsilon);
    write(m, m1);
    write(v, v1);
    write(p, u.kept * read(p) - keep(m1 * g >= 0.0f, step));
  }
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
