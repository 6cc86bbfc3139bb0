// Pointwise layers and LayerNorm alone.
#pragma once

#include "train/ops/gemm.h"
#include "train/ops/kernels.h"
#include "train/ops/normalise.h"

namespace mvinr::ops::MVINR_OPS_ISA {

inline constexpr int kLinearPixels = 96;
inline constexpr int kFewInputs = 2;

inline size_t linear_scratch(const Linear& l) {
  return size_t(kLinearPixels) * size_t(2 * padded(l.inputs) + padded(l.outputs)) +
         kFewInputs * size_t(padded(l.outputs));
}

/// Inputs of `count` pixels from p on: those in memory, or planes made floats in `memory`.
inline const float* linear_input(const Linear& l, int64_t p, int count, float* memory) {
  if (!l.planes) return l.x + p * l.inputs;
  const int16_t* from = l.planes + p * l.inputs;
  for (int i = 0; i < count * l.inputs; ++i) memory[i] = float(from[i]) * (1.0f / 1024.0f);
  return memory;
}

inline void linear_forward(const Linear& l, float* y, int64_t begin, int64_t end, float* scratch) {
  const int op = padded(l.outputs);
  for (int64_t p = begin; p < end; p += kLinearPixels) {
    const int count = int(smaller<int64_t>(kLinearPixels, end - p));
    const float* x = linear_input(l, p, count, scratch + kLinearPixels * op);
    multiply(count, op, l.inputs, x, l.inputs, l.wt, op, scratch, op);
    for (int i = 0; i < count; ++i) {
      const int64_t at = (p + i) * l.outputs;
      for (int c = 0; c < l.outputs; c += kLanes) {
        Vec v = load(scratch + i * op + c);
        if (l.quantise) v = requantise(v, load(l.mantissa + c));
        v += load(l.b + c);
        if (l.add) v += load_row(l.add + at, c, l.outputs);
        store_row(y + at, c, l.outputs, l.quantise ? clamp10(v) : v);
      }
    }
  }
}

/// Gradients of few inputs from those of the outputs, g: sums of lanes instead of products, which
/// make whole vectors of inputs. `columns` has room for l.inputs * padded outputs.
inline void few_input_gradients(const Linear& l, const float* g, int count, float* columns,
                                float* dx) {
  const int ip = padded(l.inputs), op = padded(l.outputs);
  for (int k = 0; k < l.inputs; ++k)
    for (int o = 0; o < op; ++o) columns[k * op + o] = o < l.outputs ? l.w[o * ip + k] : 0.0f;
  for (int i = 0; i < count; i += kLanes)
    for (int k = 0; k < l.inputs; ++k) {
      Vec part[kLanes];
      for (int j = 0; j < kLanes; ++j) {
        part[j] = Vec{};
        for (int o = 0; o < op; o += kLanes)
          part[j] += load(g + (i + j) * op + o) * load(columns + k * op + o);
      }
      const Vec sums = lane_sums(part);
      for (int j = 0; j < smaller(kLanes, count - i); ++j) dx[(i + j) * l.inputs + k] = sums[j];
    }
}

inline void linear_backward(const Linear& l, float* dx, float* dadd, float* dw, float* db,
                            int64_t begin, int64_t end, float* scratch) {
  const int ip = padded(l.inputs), op = padded(l.outputs);
  float* g = scratch;
  float* product = scratch + kLinearPixels * op;
  for (int64_t p = begin; p < end; p += kLinearPixels) {
    const int count = int(smaller<int64_t>(kLinearPixels, end - p));
    for (int c = 0; c < l.outputs; c += kLanes) {
      Vec sum = load(db + c);
      for (int i = 0; i < count; ++i) {
        const int64_t at = (p + i) * l.outputs;
        Vec v = load_row(l.dy + at, c, l.outputs);
        if (l.quantise) v = pulled_back10(load_row(l.y + at, c, l.outputs), v);
        sum += v;
        store(g + i * op + c, v);
        if (dadd) store_row(dadd + at, c, l.outputs, v);
      }
      store(db + c, sum);
    }
    const float* x = linear_input(l, p, count, product + kLinearPixels * ip);
    add_transposed(count, l.inputs, op, x, l.inputs, g, op, dw, op);
    if (!dx) continue;
    if (l.inputs <= kFewInputs) {
      few_input_gradients(l, g, count, product + 2 * kLinearPixels * ip, dx + p * l.inputs);
      continue;
    }
    multiply(count, ip, l.outputs, g, op, l.w, ip, product, ip);
    for (int i = 0; i < count; ++i)
      for (int c = 0; c < l.inputs; c += kLanes)
        store_row(dx + (p + i) * l.inputs, c, l.inputs, load(product + i * ip + c));
  }
}

inline size_t norm_scratch(const Norm& n) {
  return size_t(2 * kLanes) * size_t(padded(n.channels)) + kLanes;
}

/// Normalised pixels p, p + 1, ... p + kLanes - 1 < end, padded; the others are 0.
inline int load_normalised(const Norm& n, int64_t p, int64_t end, float* out, float* inv) {
  const int cp = padded(n.channels);
  const int count = int(smaller<int64_t>(kLanes, end - p));
  for (int i = 0; i < kLanes; ++i)
    for (int c = 0; c < cp; c += kLanes)
      store(out + i * cp + c,
            i < count ? load_row(n.x + (p + i) * n.channels, c, n.channels) : Vec{});
  (n.fraction_bits > 0 ? normalise<true> : normalise<false>)(out, kLanes, n.channels, cp, inv);
  return count;
}

inline void norm_forward(const Norm& n, float* y, int64_t begin, int64_t end, float* scratch) {
  const int cp = padded(n.channels);
  float* inv = scratch + kLanes * cp;
  for (int64_t p = begin; p < end; p += kLanes) {
    const int count = load_normalised(n, p, end, scratch, inv);
    for (int i = 0; i < count; ++i)
      for (int c = 0; c < n.channels; c += kLanes) {
        Vec v = load(scratch + i * cp + c);
        if (n.fraction_bits == 5)
          v = clamp(scaled_round(v, 32.0f), -128.0f, 127.0f) * (1.0f / 32.0f);
        if (n.fraction_bits == 10) v = clamp10(round10(v));
        store_row(y + (p + i) * n.channels, c, n.channels, v);
      }
  }
}

inline void norm_backward(const Norm& n, float* dx, int64_t begin, int64_t end, float* scratch) {
  const int cp = padded(n.channels);
  float* grad = scratch + kLanes * cp;
  float* inv = grad + kLanes * cp;
  for (int64_t p = begin; p < end; p += kLanes) {
    const int count = load_normalised(n, p, end, scratch, inv);
    for (int i = 0; i < kLanes; ++i)
      for (int c = 0; c < cp; c += kLanes)
        store(grad + i * cp + c,
              i < count ? load_row(n.dy + (p + i) * n.channels, c, n.channels) : Vec{});
    if (n.fraction_bits == 5) mask_clamped_input(scratch, grad, kLanes * cp);
    if (n.fraction_bits == 10)
      for (int i = 0; i < kLanes * cp; i += kLanes)
        store(grad + i, pulled_back10(round10(load(scratch + i)), load(grad + i)));
    normalise_backward(scratch, inv, grad, kLanes, n.channels, cp);
    for (int i = 0; i < count; ++i)
      for (int c = 0; c < n.channels; c += kLanes)
        store_row(dx + (p + i) * n.channels, c, n.channels, load(grad + i * cp + c));
  }
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
