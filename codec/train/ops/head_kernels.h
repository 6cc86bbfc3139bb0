// The shuffle420 head with its squared error.
#pragma once

#include "train/ops/gemm.h"
#include "train/ops/kernels.h"

namespace mvinr::ops::MVINR_OPS_ISA {

inline constexpr int kHeadPixels = 96;
inline constexpr int kHeadLanes = 16;  // outputs, padded for every vector length

/// Component of each output, and per output: samples per unit, largest sample, 1 / largest sample.
struct HeadLanes {
  int component[kHeadLanes];
  float full[kHeadLanes], limit[kHeadLanes], unit[kHeadLanes];

  explicit HeadLanes(const Head& h) {
    for (int i = 0; i < kHeadLanes; ++i) {
      component[i] = i < 4 ? 0 : i == 4 ? 1 : i == 5 ? 2 : 3;
      const bool used = i < h.outputs;
      full[i] = used ? float(1 << h.bits[component[i]]) : 1.0f;
      limit[i] = used ? full[i] - 1.0f : 0.0f;
      unit[i] = used ? 1.0f / limit[i] : 0.0f;
    }
  }
};

inline size_t head_scratch(const Head& h) {
  return size_t(kHeadPixels) * size_t(2 * kHeadLanes + padded(h.channels));
}

inline float sample(const Head& h, int component, int64_t index) {
  return h.wide[component] ? float(static_cast<const uint16_t*>(h.targets[component])[index])
                           : float(static_cast<const uint8_t*>(h.targets[component])[index]);
}

/// Targets of `count` pixels from column x of row y on, in the order of the outputs; -1 where the
/// picture is cropped.
inline void load_targets(const Head& h, int64_t image, int y, int x, int count, float* out) {
  const int chroma_height = (h.crop_height + 1) / 2, chroma_width = (h.crop_width + 1) / 2;
  for (int i = 0; i < count; ++i, ++x, out += kHeadLanes) {
    for (int k = 0; k < kHeadLanes; ++k) out[k] = -1.0f;
    if (y >= chroma_height || x >= chroma_width) continue;
    for (int k = 0; k < 4; ++k) {
      const int ly = 2 * y + k / 2, lx = 2 * x + k % 2;
      if (ly >= h.crop_height || lx >= h.crop_width) continue;
      const int64_t at = (image * h.crop_height + ly) * h.crop_width + lx;
      out[k] = sample(h, 0, at);
      if (h.outputs == 10) out[6 + k] = sample(h, 3, at);
    }
    const int64_t at = (image * chroma_height + y) * chroma_width + x;
    out[4] = sample(h, 1, at);
    out[5] = sample(h, 2, at);
  }
}

/// Errors of `count` pixels of one row, over their targets.
inline void head_errors(const Head& h, const HeadLanes& lanes, int64_t row, int x, int count,
                        float* outputs, float* errors) {
  const int op = padded(h.outputs);
  load_targets(h, row / h.height, int(row % h.height), x, count, errors);
  multiply(count, op, h.channels, h.features + (row * h.width + x) * h.channels, h.channels, h.wt,
           op, outputs, op);
  for (int c = 0; c < op; c += kLanes) {
    const Vec b = load(h.b + c), full = load(lanes.full + c), limit = load(lanes.limit + c),
              unit = load(lanes.unit + c);
    for (int i = 0; i < count; ++i) {
      float* e = errors + i * kHeadLanes + c;
      const Vec target = load(e);
      const Vec v = minimum(maximum((load(outputs + i * op + c) + b) * full, Vec{}), limit);
      store(e, keep(target >= 0.0f, (v - target) * unit));
    }
  }
}

template <class Run>
inline void for_head_runs(const Head& h, int64_t begin, int64_t end, const Run& run) {
  for (int64_t row = begin; row < end; ++row)
    for (int x = 0; x < h.width; x += kHeadPixels) run(row, x, smaller(kHeadPixels, h.width - x));
}

inline void head_forward(const Head& h, double* sums, int64_t begin, int64_t end, float* scratch) {
  const HeadLanes lanes(h);
  float* errors = scratch + kHeadPixels * kHeadLanes;
  for_head_runs(h, begin, end, [&](int64_t row, int x, int count) {
    head_errors(h, lanes, row, x, count, scratch, errors);
    float squares[kHeadLanes] = {};
    for (int c = 0; c < padded(h.outputs); c += kLanes) {
      Vec sum{};
      for (int i = 0; i < count; ++i) {
        const Vec e = load(errors + i * kHeadLanes + c);
        sum += e * e;
      }
      store(squares + c, sum);
    }
    double* out = sums + row / h.height * 4;
    for (int k = 0; k < h.outputs; ++k) out[lanes.component[k]] += double(squares[k]);
  });
}

inline void head_backward(const Head& h, float* dfeatures, float* dw, float* db, int64_t begin,
                          int64_t end, float* scratch) {
  const HeadLanes lanes(h);
  const int op = padded(h.outputs), cp = padded(h.channels);
  float* errors = scratch + kHeadPixels * kHeadLanes;
  float* product = errors + kHeadPixels * kHeadLanes;
  for_head_runs(h, begin, end, [&](int64_t row, int x, int count) {
    head_errors(h, lanes, row, x, count, scratch, errors);
    float factor[kHeadLanes];
    for (int k = 0; k < kHeadLanes; ++k)
      factor[k] =
          2.0f * lanes.full[k] * lanes.unit[k] * h.scale[row / h.height * 4 + lanes.component[k]];
    for (int c = 0; c < op; c += kLanes) {
      Vec sum = load(db + c);
      const Vec f = load(factor + c);
      for (int i = 0; i < count; ++i) {
        float* e = errors + i * kHeadLanes + c;
        const Vec g = load(e) * f;
        store(e, g);
        sum += g;
      }
      store(db + c, sum);
    }
    const int64_t at = (row * h.width + x) * h.channels;
    add_transposed(count, h.channels, op, h.features + at, h.channels, errors, kHeadLanes, dw, op);
    multiply(count, cp, h.outputs, errors, kHeadLanes, h.w, cp, product, cp);
    for (int i = 0; i < count; ++i)
      for (int c = 0; c < h.channels; c += kLanes)
        store_row(dfeatures + at + i * h.channels, c, h.channels, load(product + i * cp + c));
  });
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
