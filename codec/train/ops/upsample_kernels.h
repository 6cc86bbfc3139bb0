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
inline constexpr int kMaxScale = 5;
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

/// Weight with which output `k` of base sample `base` reads sample `i` of `size`.
inline float read_weight(const Phase& p, int base, int i, int size) {
  return (base == i ? p.near : 0.0f) + (clamp_index(base + p.side, size) == i ? p.far : 0.0f);
}

template <bool Q>
inline void upsample_backward_as(const Upsample& u, float* dx, float* dtile, int64_t begin,
                                 int64_t end, float* vertical) {
  const int s = u.scale, n = u.channels, cp = padded(n), width = u.width * s;
  Phase phases[kMaxScale];
  float
      inner[3 * kMaxScale];  // weights of the outputs of bases x - 1, x, x + 1 away from the border
  for (int k = 0; k < s; ++k) {
    phases[k] = phase(k, s);
    for (int base = 0; base < 3; ++base) inner[base * s + k] = read_weight(phases[k], base, 1, 3);
  }
  for (int64_t row = begin; row < end; ++row) {
    const int64_t image = row / u.height;
    const int i = int(row % u.height);
    // Vertical transpose: every output row that read input row i, as near or as far neighbour.
    struct Reader {
      int64_t at;
      float weight;
      float* tile;
    } readers[3 * kMaxScale];
    int count = 0;
    for (int base = clamp_index(i - 1, u.height); base <= clamp_index(i + 1, u.height); ++base)
      for (int j = 0; j < s; ++j) {
        const float weight = read_weight(phases[j], base, i, u.height);
        if (weight == 0.0f) continue;
        readers[count++] = {((image * u.height + base) * s + j) * int64_t(width) * n, weight,
                            dtile && base == i
                                ? dtile + ((u.tile_per_image ? image : 0) * s + j) * s * cp
                                : nullptr};
      }
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < n; c += kLanes) {
        Vec sum{};
        for (int r = 0; r < count; ++r) {
          const int64_t at = readers[r].at + int64_t(x) * n;
          Vec g = load_row(u.dy + at, c, n);
          if (Q) g = pulled_back10(load_row(u.y + at, c, n), g);
          sum += g * readers[r].weight;
          if (!readers[r].tile) continue;
          float* t = readers[r].tile + x % s * cp + c;
          store(t, load(t) + g);
        }
        store(vertical + x * cp + c, sum);
      }
    float* out = dx + row * u.width * n;
    for (int x = 0; x < u.width; ++x) {
      const int first = clamp_index(x - 1, u.width), last = clamp_index(x + 1, u.width);
      float border[3 * kMaxScale];
      const float* weights = inner;
      if (x == 0 || x == u.width - 1) {
        weights = border;
        for (int base = first; base <= last; ++base)
          for (int k = 0; k < s; ++k)
            border[(base - first) * s + k] = read_weight(phases[k], base, x, u.width);
      }
      for (int c = 0; c < n; c += kLanes) {
        Vec sum{};
        for (int o = 0; o < (last - first + 1) * s; ++o)
          sum += load(vertical + (first * s + o) * cp + c) * weights[o];
        store_row(out + x * n, c, n, sum);
      }
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
