// Bilinear enlargement with the decoder's 8-bit weights (docs/bitstream.md 5.4), and its transpose.
#pragma once

#include "train/ops/kernels.h"
#include "train/ops/vec.h"

namespace mvinr::ops::MVINR_OPS_ISA {

/// Output j of a base sample: weight of the far neighbour, and on which side that is.
struct Phase {
  float near, far;
  int side;
};
inline Phase phase(int j, int scale) {
  const int d = 2 * j + 1 - scale;
  const int far = ((d < 0 ? -d : d) * 256 + scale) / (2 * scale);
  return {float(256 - far) / 256.0f, float(far) / 256.0f, d < 0 ? -1 : 1};
}
inline int clamp_index(int i, int size) { return i < 0 ? 0 : i >= size ? size - 1 : i; }

inline size_t upsample_scratch(const Upsample& u) {
  return size_t(u.width) * size_t(u.scale) * size_t(padded(u.channels));
}

template <bool Q>
inline void upsample_forward_as(const Upsample& u, float* y, int64_t begin, int64_t end,
                                float* vertical) {
  const int s = u.scale, n = u.channels, cp = padded(n);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t image = row / u.height;
    const int i = int(row % u.height);
    const float* tile = u.tile ? u.tile + (u.tile_per_image ? image : 0) * s * s * n : nullptr;
    for (int j = 0; j < s; ++j) {
      const Phase v = phase(j, s);
      const float* near = u.x + row * u.width * n;
      const float* far = u.x + (image * u.height + clamp_index(i + v.side, u.height)) * u.width * n;
      for (int x = 0; x < u.width; ++x)
        for (int c = 0; c < n; c += kLanes) {
          const Vec a = load_row(near + x * n, c, n) * v.near + load_row(far + x * n, c, n) * v.far;
          store(vertical + x * cp + c, Q ? round10(a) : a);
        }
      float* out = y + ((image * u.height + i) * s + j) * u.width * s * n;
      for (int k = 0; k < s; ++k) {
        const Phase h = phase(k, s);
        for (int x = 0; x < u.width; ++x) {
          const float* a = vertical + x * cp;
          const float* b = vertical + clamp_index(x + h.side, u.width) * cp;
          for (int c = 0; c < n; c += kLanes) {
            Vec value = load(a + c) * h.near + load(b + c) * h.far;
            if (Q) value = round10(value);
            if (tile) value += load_row(tile + (j * s + k) * n, c, n);
            store_row(out + (x * s + k) * n, c, n, Q ? clamp10(value) : value);
          }
        }
      }
    }
  }
}

template <bool Q>
inline void upsample_backward_as(const Upsample& u, float* dx, float* dtile, int64_t begin,
                                 int64_t end, float* vertical) {
  const int s = u.scale, n = u.channels, cp = padded(n), width = u.width * s;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t image = row / u.height;
    const int i = int(row % u.height);
    // Vertical transpose: every output row that read input row i, as near or as far neighbour.
    for (int x = 0; x < width * cp; x += kLanes) store(vertical + x, Vec{});
    for (int base = clamp_index(i - 1, u.height); base <= clamp_index(i + 1, u.height); ++base) {
      for (int j = 0; j < s; ++j) {
        const Phase v = phase(j, s);
        const float weight = (base == i ? v.near : 0.0f) +
                             (clamp_index(base + v.side, u.height) == i ? v.far : 0.0f);
        if (weight == 0.0f) continue;
        const int64_t at = ((image * u.height + base) * s + j) * int64_t(width) * n;
        float* tile = dtile && base == i ? dtile + ((u.tile_per_image ? image : 0) * s + j) * s * cp
                                         : nullptr;
        for (int x = 0; x < width; ++x)
          for (int c = 0; c < n; c += kLanes) {
            Vec g = load_row(u.dy + at + x * n, c, n);
            if (Q) g = pulled_back10(load_row(u.y + at + x * n, c, n), g);
            float* sum = vertical + x * cp + c;
            store(sum, load(sum) + g * weight);
            if (!tile) continue;
            float* t = tile + x % s * cp + c;
            store(t, load(t) + g);
          }
      }
    }
    float* out = dx + row * u.width * n;
    for (int x = 0; x < u.width; ++x)
      for (int c = 0; c < n; c += kLanes) {
        Vec sum{};
        for (int base = clamp_index(x - 1, u.width); base <= clamp_index(x + 1, u.width); ++base)
          for (int k = 0; k < s; ++k) {
            const Phase h = phase(k, s);
            const float weight = (base == x ? h.near : 0.0f) +
                                 (clamp_index(base + h.side, u.width) == x ? h.far : 0.0f);
            if (weight != 0.0f) sum += load(vertical + (base * s + k) * cp + c) * weight;
          }
        store_row(out + x * n, c, n, sum);
      }
  }
}

inline void upsample_forward(const Upsample& u, float* y, int64_t begin, int64_t end,
                             float* scratch) {
  (u.quantise ? upsample_forward_as<true> : upsample_forward_as<false>)(u, y, begin, end, scratch);
}
inline void upsample_backward(const Upsample& u, float* dx, float* dtile, int64_t begin,
                              int64_t end, float* scratch) {
  (u.quantise ? upsample_backward_as<true> : upsample_backward_as<false>)(u, dx, dtile, begin, end,
                                                                          scratch);
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
