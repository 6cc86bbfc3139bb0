// The hidden activation of a block: GELU x * Phi(x) and its derivative Phi(x) + x * phi(x), or the
// decoder's table GELU (docs/bitstream.md 5.4) with straight-through gradients.
#pragma once

#include "train/ops/kernels.h"
#include "train/ops/vec.h"

namespace mvinr::ops::MVINR_OPS_ISA {

struct ValueAndSlope {
  Vec value, slope;
};

// gelu(x) = max(x, 0) - t(|x|) with t(z) = z * (1 - Phi(z)), smooth for z >= 0; and
// gelu'(x) = (x > 0) - sign(x) * t'(|x|).
#if MVINR_OPS_LANES == 16

/// t as 32 polynomials of degree 4: segment k is centred on k / kGeluScale; one two-register
/// permutation looks up a coefficient for 16 values. Error below 1e-6, of the slope 1e-5.
class Tail {
 public:
  explicit Tail(const GeluTables& tables) {
    for (int i = 0; i < kGeluCoefficients; ++i)
      for (int j = 0; j < 2; ++j) table_[i][j] = load(tables.tail[i] + j * kLanes);
  }
  template <bool Slope>
  ValueAndSlope at(Vec z) const {
    // Adding 1.5 * 2^23 rounds to an integer, which appears in the low bits. Past the last segment
    // t is 0 to 3e-7.
    const float magic = 12582912.0f;
    const Vec s = minimum(z, splat(5.33f));
    const Vec shifted = s * kGeluScale + magic;
    const Vec u = s * kGeluScale - (shifted - magic);
    const IntVec segment = reinterpret_cast<IntVec>(shifted);
    Vec value = coefficient(4, segment);
    Vec slope = value;
    for (int i = 3; i >= 0; --i) {
      value = value * u + coefficient(i, segment);
      if (Slope && i > 0) slope = slope * u + value;
    }
    return {value, slope * kGeluScale};
  }

 private:
  Vec coefficient(int i, IntVec segment) const {
    return _mm512_permutex2var_ps(table_[i][0], reinterpret_cast<__m512i>(segment), table_[i][1]);
  }
  Vec table_[kGeluCoefficients][2];
};

#else

class Tail {
 public:
  explicit Tail(const GeluTables&) {}

  template <bool Slope>
  ValueAndSlope at(Vec unlimited) const {
    // exp(-z^2/2) = 2^n * 2^f: n integer, |f| <= 1/2; a minimax polynomial for 2^f. Beyond z = 13
    // the result would be a denormal.
    const Vec z = minimum(unlimited, splat(13.0f));
    const Vec e = z * z * -0.72134752044448170f;  // -log2(e)/2
    const float magic = 12582912.0f;              // 1.5 * 2^23: adding it rounds to an integer
    const Vec shifted = e + magic;
    const Vec f = e - (shifted - magic);
    Vec p = splat(1.3400432e-3f);
    p = p * f + 9.6765098e-3f;
    p = p * f + 5.5503313e-2f;
    p = p * f + 2.4022119e-1f;
    p = p * f + 6.9314720e-1f;
    p = p * f + 1.0f;
    const IntVec exponent = reinterpret_cast<IntVec>(shifted) << 23;
    const Vec exp = reinterpret_cast<Vec>(reinterpret_cast<IntVec>(p) + exponent);
    // 1 - Phi = erfc(z / sqrt(2)) / 2 from Abramowitz and Stegun 7.1.26, error below 1e-7.
    const Vec t = 1.0f / (z * 0.23164188f + 1.0f);
    Vec q = splat(0.5f * 1.061405429f);
    q = q * t + 0.5f * -1.453152027f;
    q = q * t + 0.5f * 1.421413741f;
    q = q * t + 0.5f * -0.284496736f;
    q = q * t + 0.5f * 0.254829592f;
    const Vec above = q * t * exp;
    return {z * above, above - z * (exp * 0.39894228040143268f)};
  }
};

#endif

inline Vec gelu(Vec x, const Tail& tail) {
  return maximum(x, Vec{}) - tail.at<false>(absolute(x)).value;
}
inline ValueAndSlope gelu_with_slope(Vec x, const Tail& tail) {
  const ValueAndSlope t = tail.at<true>(absolute(x));
  return {maximum(x, Vec{}) - t.value, select(x > 0.0f, 1.0f - t.slope, t.slope)};
}

/// As pulled_back, for the clamps before and behind the table: `inside` is negative where one of
/// them was at work. Positive gradients lead back at both ends, since the GELU falls at the lower
/// one.
inline Vec back_inside(Vec g, Vec inside) { return keep((inside >= 0.0f) | (g > 0.0f), g); }

// Quantised: the sums of fc1 come times 1024, the bias likewise; the activation leaves times
// kHiddenScale, and so is an exact integer.
#if MVINR_OPS_LANES == 16

/// A table of 256 int16, indexed by -128..127, in eight registers.
class Lookup {
 public:
  explicit Lookup(const int16_t* p) {
    for (__m512i& v : table_) v = _mm512_loadu_si512(p), p += 32;
  }
  __m512i at(__m512i index) const {
    const __m512i bit6 = _mm512_set1_epi16(64);
    const __mmask32 odd = _mm512_test_epi16_mask(index, bit6);
    const __mmask32 negative = _mm512_movepi16_mask(index);
    const auto pair = [&](int i) {
      return _mm512_permutex2var_epi16(table_[2 * i], index, table_[2 * i + 1]);
    };
    return _mm512_mask_blend_epi16(negative, _mm512_mask_blend_epi16(odd, pair(0), pair(1)),
                                   _mm512_mask_blend_epi16(odd, pair(2), pair(3)));
  }

 private:
  __m512i table_[8];
};

struct Index {
  __m512i clamped;
  __mmask32 outside;  // of what no clamp changes
};
/// Two vectors of sums to 32 indices; `bias` is Q10 plus 16.
inline Index hidden_index(Vec sum0, Vec sum1, Vec mantissa, __m512i bias) {
  const auto round = [&](Vec v) {
    return _mm512_cvt_roundps_epi32(floor_of(v + 0.5f) * mantissa + 0.5f,
                                    _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  };
  const __m512i plane = _mm512_packs_epi32(round(sum0), round(sum1));
  const __m512i index = _mm512_srai_epi16(_mm512_adds_epi16(plane, bias), 5);
  const __m512i clamped =
      _mm512_max_epi16(_mm512_min_epi16(index, _mm512_set1_epi16(127)), _mm512_set1_epi16(-128));
  return {clamped, _mm512_cmpgt_epi16_mask(index, _mm512_set1_epi16(kGeluLast)) |
                       _mm512_cmplt_epi16_mask(index, clamped)};
}
inline __m512i pack_bias(const float* b) {
  const __m512i wide = _mm512_add_epi32(_mm512_cvtps_epi32(load(b)), _mm512_set1_epi32(16));
  return _mm512_packs_epi32(wide, wide);
}
// 16-bit values to floats times 65536, in the order before packs_epi32.
inline Vec low_to_float(__m512i v) {
  return _mm512_cvtepi32_ps(_mm512_unpacklo_epi16(_mm512_setzero_si512(), v));
}
inline Vec high_to_float(__m512i v) {
  return _mm512_cvtepi32_ps(_mm512_unpackhi_epi16(_mm512_setzero_si512(), v));
}

inline void activate_quantised(float* hidden, int pixels, int width, const float* bias,
                               const float* mantissa, const GeluTables& tables) {
  const Lookup values(tables.value);
  for (int j = 0; j < width; j += kLanes) {
    const __m512i b = pack_bias(bias + j);
    const Vec m = load(mantissa + j);
    for (int p = 0; p < pixels; p += 2) {
      float* h0 = hidden + p * width + j;
      float* h1 = h0 + width;
      const __m512i v = values.at(hidden_index(load(h0), load(h1), m, b).clamped);
      store(h0, low_to_float(v));
      store(h1, high_to_float(v));
    }
  }
}

inline void activate_quantised_with_slope(float* hidden, float* grad, int pixels, int width,
                                          const float* bias, const float* mantissa,
                                          const GeluTables& tables) {
  const Lookup values(tables.value), slopes(tables.slope);
  const float unit = 1.0f / (65536.0f * kSlopeScale);
  for (int j = 0; j < width; j += kLanes) {
    const __m512i b = pack_bias(bias + j);
    const Vec m = load(mantissa + j);
    for (int p = 0; p < pixels; p += 2) {
      float* h0 = hidden + p * width + j;
      float* h1 = h0 + width;
      float* g0 = grad + p * width + j;
      float* g1 = g0 + width;
      const Index index = hidden_index(load(h0), load(h1), m, b);
      const __m512i v = values.at(index.clamped);
      const __m512i s = slopes.at(index.clamped);
      const __m512i inside = _mm512_movm_epi16(index.outside);  // -1: no
      store(h0, low_to_float(v));
      store(h1, high_to_float(v));
      store(g0, back_inside(load(g0), low_to_float(inside)) * (low_to_float(s) * unit));
      store(g1, back_inside(load(g1), high_to_float(inside)) * (high_to_float(s) * unit));
    }
  }
}

#else

inline Vec hidden_index(Vec sum, Vec mantissa, Vec bias) {
  return floor_of((requantise(sum, mantissa) * 1024.0f + bias + 16.0f) * (1.0f / 32.0f));
}
inline Vec look_up(const int16_t* table, Vec index, float unit) {
  const IntVec i = __builtin_convertvector(index, IntVec) & 255;
#if MVINR_OPS_LANES == 8
  // 32 bits from the 16-bit table: the tables are followed by padding.
  const auto pairs = reinterpret_cast<IntVec>(
      _mm256_i32gather_epi32(reinterpret_cast<const int*>(table), reinterpret_cast<__m256i>(i), 2));
  return __builtin_convertvector((pairs << 16) >> 16, Vec) * unit;
#else
  Vec v{};
  for (int lane = 0; lane < kLanes; ++lane) v[lane] = table[i[lane]];
  return v * unit;
#endif
}

inline void activate_quantised(float* hidden, int pixels, int width, const float* bias,
                               const float* mantissa, const GeluTables& tables) {
  for (int p = 0; p < pixels; ++p) {
    for (int j = 0; j < width; j += kLanes) {
      float* h = hidden + p * width + j;
      const Vec i =
          clamp(hidden_index(load(h), load(mantissa + j), load(bias + j)), -128.0f, 127.0f);
      store(h, look_up(tables.value, i, 65536.0f));
    }
  }
}

inline void activate_quantised_with_slope(float* hidden, float* grad, int pixels, int width,
                                          const float* bias, const float* mantissa,
                                          const GeluTables& tables) {
  for (int p = 0; p < pixels; ++p) {
    for (int j = 0; j < width; j += kLanes) {
      float* h = hidden + p * width + j;
      float* g = grad + p * width + j;
      const Vec index = hidden_index(load(h), load(mantissa + j), load(bias + j));
      const Vec i = clamp(index, -128.0f, 127.0f);
      store(h, look_up(tables.value, i, 65536.0f));
      const Vec inside = minimum(float(kGeluLast) - index, index + 128.0f);
      store(g, back_inside(load(g), inside) * look_up(tables.slope, i, 1.0f / kSlopeScale));
    }
  }
}

#endif

/// hidden [pixels, rounded up to even][width]: sums of fc1 -> activations.
template <bool Q>
void activate(float* hidden, int pixels, int width, const float* bias, const float* mantissa,
              const GeluTables& tables) {
  if (Q) return activate_quantised(hidden, pixels, width, bias, mantissa, tables);
  const Tail tail(tables);
  for (int j = 0; j < width; j += kLanes) {
    const Vec b = load(bias + j);
    for (int p = 0; p < pixels; ++p) {
      float* h = hidden + p * width + j;
      store(h, gelu(load(h) + b, tail));
    }
  }
}

/// The same, and grad *= slope.
template <bool Q>
void activate_with_slope(float* hidden, float* grad, int pixels, int width, const float* bias,
                         const float* mantissa, const GeluTables& tables) {
  if (Q) return activate_quantised_with_slope(hidden, grad, pixels, width, bias, mantissa, tables);
  const Tail tail(tables);
  for (int j = 0; j < width; j += kLanes) {
    const Vec b = load(bias + j);
    for (int p = 0; p < pixels; ++p) {
      float* h = hidden + p * width + j;
      float* g = grad + p * width + j;
      const ValueAndSlope v = gelu_with_slope(load(h) + b, tail);
      store(h, v.value);
      store(g, load(g) * v.slope);
    }
  }
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
