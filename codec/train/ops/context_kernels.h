// The context model of docs/bitstream.md 6.4 in float: bits of a row of symbols and all gradients.
#pragma once

#include "train/ops/kernels.h"
#include "train/ops/vec.h"

namespace mvinr::ops::MVINR_OPS_ISA {

inline constexpr float kMaxBits = 64, kMinLogScale = -4, kMaxLogScale = 5.875f;
inline constexpr float kContextLimit = 127;

inline Vec exp2_fast(Vec x) {  // relative error 2e-6 for x in [-126, 126]
  const Vec f = floor_of(x), t = x - f;
  Vec p = splat(1.8775767e-3f);
  p = p * t + 8.9893397e-3f;
  p = p * t + 5.5826318e-2f;
  p = p * t + 2.4015361e-1f;
  p = p * t + 6.9315308e-1f;
  p = p * t + 9.9999994e-1f;
  return p * reinterpret_cast<Vec>((__builtin_convertvector(f, IntVec) + 127) << 23);
}

inline Vec log2_fast(Vec x) {  // x > 0, absolute error 1e-5
  const IntVec bits = reinterpret_cast<IntVec>(x);
  const Vec e = __builtin_convertvector((bits >> 23) - 127, Vec);
  const Vec m = reinterpret_cast<Vec>((bits & 0x7fffff) | 0x3f800000);
  const Vec s = (m - 1.41421356f) / (m + 1.41421356f), z = s * s;
  return e + 0.5f + s * (2.88539008f + z * (0.96179669f + z * (0.57707802f + z * 0.41219858f)));
}

/// All ones in the first n lanes.
inline IntVec first_of(int n) {
  IntVec lane{};
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  return lane < n;
}

inline constexpr float kLog2e = 1.44269504f;

/// ops::LaplaceScale of every lane.
struct LaplaceScales {
  Vec inverse, half, constant, constant_slope;
  explicit LaplaceScales(const LaplaceScale& s)
      : inverse(splat(s.inverse)),
        half(splat(s.half)),
        constant(splat(s.constant)),
        constant_slope(splat(s.constant_slope)) {}
  explicit LaplaceScales(Vec l) {  // log2, within [kMinLogScale, kMaxLogScale]
    inverse = exp2_fast(-l);
    half = 0.5f * inverse;
    // ln P = -x/b + half + ln(1 - e^(-2 half)) - ln 2.
    const Vec e2 = exp2_fast(-2.0f * half * kLog2e);
    constant = 1.0f - half * kLog2e - log2_fast(1.0f - e2);
    constant_slope = half + 2.0f * half * e2 / (1.0f - e2);
  }
};

struct LaplaceBits {
  Vec bits, dx, dl;
};
/// -log2 P of the symbol that is `x` from the mean of a Laplace distribution, and its derivatives,
/// dl for log2 of the scale. As laplace_bits() in rate.cpp.
inline LaplaceBits laplace(Vec x, const LaplaceScales& s) {
  const Vec a = absolute(x) * s.inverse;
  const Vec y = minimum(a, s.half);
  const Vec out = a * kLog2e + s.constant;
  // Inside: P = 1 - (e^(y - half) + e^(-y - half)) / 2.
  const Vec up = exp2_fast((y - s.half) * kLog2e), down = exp2_fast((-y - s.half) * kLog2e);
  const Vec p = maximum(1.0f - 0.5f * (up + down), splat(1e-9f));
  const Vec in_dx = 0.5f * (up - down) * s.inverse / p;
  const Vec in_dl = -0.5f * (up * (y - s.half) - down * (y + s.half)) / p;
  const IntVec outside = absolute(x) > 0.5f;
  const Vec dx = select(outside, s.inverse, in_dx) * kLog2e;
  return {minimum(select(outside, out, -log2_fast(p)), splat(kMaxBits)), select(x < 0.0f, -dx, dx),
          select(outside, s.constant_slope - a, in_dl)};
}

inline double laplace_row(const float* symbols, int64_t count, const LaplaceScale& scale,
                          float* slope, double* scale_slope) {
  const LaplaceScales s(scale);
  Vec bits{}, dl{};
  for (int64_t i = 0; i < count; i += kLanes) {
    const int n = int(smaller<int64_t>(kLanes, count - i));
    const Vec x = n == kLanes ? load(symbols + i) : load_first(symbols + i, n);
    LaplaceBits b = laplace(x, s);
    if (n < kLanes) {
      const IntVec valid = first_of(n);
      b.bits = keep(valid, b.bits);
      b.dl = keep(valid, b.dl);
    }
    bits += b.bits;
    dl += b.dl;
    if (slope) store_row(slope, int(i), int(count), b.dx);
  }
  double sum = 0;
  for (int i = 0; i < kLanes; ++i) {
    sum += double(bits[i]);
    *scale_slope += double(dl[i]);
  }
  return sum;
}

/// Lane sums of the gradients, ContextFloats with kLanes floats for each.
struct ContextSums {
  float hidden_weight[kContextHidden][kContexts][kLanes], hidden_bias[kContextHidden][kLanes];
  float out_weight[2][kContextHidden][kLanes], skip_weight[2][kContexts][kLanes],
      out_bias[2][kLanes];
};

inline void add_to(float* sum, Vec v) { store(sum, load(sum) + v); }

inline double context_row(const ContextRow& row, const ContextFloats& m, float* sums) {
  auto& g = *reinterpret_cast<ContextSums*>(sums);
  Vec total{};
  const int width = int(row.width);
  for (int x = 0; x < width; x += kLanes) {
    const int n = smaller(kLanes, width - x);
    const IntVec valid = first_of(n);
    Vec c[kContexts], h[kContextHidden], out[2];
    for (int k = 0; k < kContexts; ++k)
      c[k] = clamp(load_row(row.context[k], x, width), -kContextLimit, kContextLimit);
    for (int j = 0; j < kContextHidden; ++j) {
      Vec sum = splat(m.hidden_bias[j]);
      for (int k = 0; k < kContexts; ++k) sum += broadcast(&m.hidden_weight[j][k]) * c[k];
      h[j] = maximum(sum, Vec{});
    }
    for (int o = 0; o < 2; ++o) {
      out[o] = splat(m.out_bias[o]);
      for (int k = 0; k < kContexts; ++k) out[o] += broadcast(&m.skip_weight[o][k]) * c[k];
      for (int j = 0; j < kContextHidden; ++j) out[o] += broadcast(&m.out_weight[o][j]) * h[j];
    }
    const LaplaceBits b = laplace(load_row(row.symbol, x, width) - out[0],
                                  LaplaceScales(clamp(out[1], kMinLogScale, kMaxLogScale)));
    total += keep(valid, b.bits);
    if (!row.symbol_gradient) continue;

    const Vec dx = keep(valid, b.dx);
    const IntVec inside = (out[1] > kMinLogScale) & (out[1] < kMaxLogScale) & valid;
    const Vec d[2] = {-dx, keep(inside, b.dl)};
    store_row(row.symbol_gradient, x, width, load_row(row.symbol_gradient, x, width) + dx);
    Vec dh[kContextHidden];
    for (int o = 0; o < 2; ++o) {
      add_to(g.out_bias[o], d[o]);
      for (int k = 0; k < kContexts; ++k) add_to(g.skip_weight[o][k], d[o] * c[k]);
      for (int j = 0; j < kContextHidden; ++j) add_to(g.out_weight[o][j], d[o] * h[j]);
    }
    for (int j = 0; j < kContextHidden; ++j) {
      dh[j] = broadcast(&m.out_weight[0][j]) * d[0] + broadcast(&m.out_weight[1][j]) * d[1];
      dh[j] = keep(h[j] > 0.0f, dh[j]);
      add_to(g.hidden_bias[j], dh[j]);
      for (int k = 0; k < kContexts; ++k) add_to(g.hidden_weight[j][k], dh[j] * c[k]);
    }
    for (int k = 0; k < kContexts; ++k) {
      float* to = row.context_gradient[k];
      if (!to) continue;
      Vec sum = broadcast(&m.skip_weight[0][k]) * d[0] + broadcast(&m.skip_weight[1][k]) * d[1];
      for (int j = 0; j < kContextHidden; ++j) sum += broadcast(&m.hidden_weight[j][k]) * dh[j];
      store_row(to, x, width, load_row(to, x, width) + sum);
    }
  }
  double bits = 0;
  for (int i = 0; i < kLanes; ++i) bits += double(total[i]);
  return bits;
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
