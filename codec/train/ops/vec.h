// Vectors of kLanes floats for the fused training kernels. Included only by files that are compiled
// once per instruction set, with MVINR_OPS_ISA (a name) and MVINR_OPS_LANES (16, 8 or 4) set; all
// of it lives in a namespace of that name, so that no symbol of one set can stand in for another's.
#pragma once

#include <cstddef>
#include <cstdint>

#if MVINR_OPS_LANES >= 8
#include <immintrin.h>
#endif

namespace mvinr::ops::MVINR_OPS_ISA {

inline constexpr int kLanes = MVINR_OPS_LANES;

typedef float Vec __attribute__((vector_size(4 * MVINR_OPS_LANES)));
typedef int32_t IntVec __attribute__((vector_size(4 * MVINR_OPS_LANES)));
// For loads and stores at any multiple of 4 bytes.
typedef float LooseVec __attribute__((vector_size(4 * MVINR_OPS_LANES), aligned(4), may_alias));

template <class T>
constexpr T smaller(T a, T b) {
  return a < b ? a : b;
}
constexpr int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }
constexpr int padded(int n) { return round_up(n, kLanes); }

inline Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }
inline Vec splat(float f) { return Vec{} + f; }
inline Vec select(IntVec mask, Vec a, Vec b) {
  return reinterpret_cast<Vec>((reinterpret_cast<IntVec>(a) & mask) |
                               (reinterpret_cast<IntVec>(b) & ~mask));
}
inline Vec keep(IntVec mask, Vec a) {
  return reinterpret_cast<Vec>(reinterpret_cast<IntVec>(a) & mask);
}
inline Vec absolute(Vec a) {
  return reinterpret_cast<Vec>(reinterpret_cast<IntVec>(a) & 0x7FFFFFFF);
}

#if MVINR_OPS_LANES == 16
inline Vec broadcast(const float* p) { return _mm512_set1_ps(*p); }
inline Vec minimum(Vec a, Vec b) { return _mm512_min_ps(a, b); }
inline Vec maximum(Vec a, Vec b) { return _mm512_max_ps(a, b); }
inline Vec floor_of(Vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF); }
inline Vec square_root(Vec a) { return _mm512_sqrt_ps(a); }
inline Vec load_first(const float* p, int n) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
inline void store_first(float* p, Vec v, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
}
#elif MVINR_OPS_LANES == 8
inline Vec broadcast(const float* p) { return _mm256_broadcast_ss(p); }
inline Vec minimum(Vec a, Vec b) { return _mm256_min_ps(a, b); }
inline Vec maximum(Vec a, Vec b) { return _mm256_max_ps(a, b); }
inline Vec floor_of(Vec a) { return _mm256_floor_ps(a); }
inline Vec square_root(Vec a) { return _mm256_sqrt_ps(a); }
inline IntVec first_lanes(int n) {
  const IntVec index = {0, 1, 2, 3, 4, 5, 6, 7};
  return index < n;
}
inline Vec load_first(const float* p, int n) {
  return _mm256_maskload_ps(p, reinterpret_cast<__m256i>(first_lanes(n)));
}
inline void store_first(float* p, Vec v, int n) {
  _mm256_maskstore_ps(p, reinterpret_cast<__m256i>(first_lanes(n)), v);
}
#else
inline Vec broadcast(const float* p) { return splat(*p); }
inline Vec minimum(Vec a, Vec b) { return a < b ? a : b; }
inline Vec maximum(Vec a, Vec b) { return a > b ? a : b; }
inline Vec floor_of(Vec a) {  // |a| < 2^31; the callers' values are far below
  const Vec t = __builtin_convertvector(__builtin_convertvector(a, IntVec), Vec);
  return t - keep(t > a, splat(1.0f));
}
inline Vec square_root(Vec a) {
  for (int i = 0; i < kLanes; ++i) a[i] = __builtin_sqrtf(a[i]);
  return a;
}
inline Vec load_first(const float* p, int n) {
  Vec v{};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
inline void store_first(float* p, Vec v, int n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
#endif

/// Loads and stores of a row of `n` floats, the vector at `i`: whole, or its first n - i lanes.
inline Vec load_row(const float* p, int i, int n) {
  return i + kLanes <= n ? load(p + i) : load_first(p + i, n - i);
}
inline void store_row(float* p, int i, int n, Vec v) {
  if (i + kLanes <= n) {
    store(p + i, v);
  } else {
    store_first(p + i, v, n - i);
  }
}

inline Vec clamp(Vec v, float low, float high) {
  return minimum(maximum(v, splat(low)), splat(high));
}

// Rounding of docs/bitstream.md: floor(v * scale + 0.5).
inline Vec scaled_round(Vec v, float scale) { return floor_of(v * scale + 0.5f); }
inline Vec round10(Vec v) { return scaled_round(v, 1024.0f) * (1.0f / 1024.0f); }

inline constexpr float kPlaneMin = -32.0f;  // int16 in Q10
inline constexpr float kPlaneMax = 32767.0f / 1024.0f;
inline Vec clamp10(Vec v) { return clamp(v, kPlaneMin, kPlaneMax); }
/// A sum in units of its row's power of two to a plane value (docs/bitstream.md 5.2).
inline Vec requantise(Vec sum, Vec mantissa) {
  const Vec plane = clamp(floor_of(sum + 0.5f), -32768.0f, 32767.0f);
  return floor_of(plane * mantissa + 0.5f) * (1.0f / 1024.0f);
}
/// All ones where the plane value y was not clamped.
/// The gradient g behind a clamp whose result is y: where y is at a limit, only what leads back
/// into the range. With none at all, a value that has once left it never comes back, and long
/// trainings lose one unit after another.
inline Vec pulled_back(Vec y, Vec low, Vec high, Vec g) {
  return keep(((y > low) | (g < 0.0f)) & ((y < high) | (g > 0.0f)), g);
}
inline Vec pulled_back10(Vec y, Vec g) {
  return pulled_back(y, splat(kPlaneMin), splat(kPlaneMax), g);
}

/// Scratch memory, handed out in pieces; counts only if there is none.
struct Arena {
  float* base = nullptr;
  size_t used = 0;
  float* take(size_t floats) {
    float* p = base ? base + used : nullptr;
    used += (floats + 15) / 16 * 16;
    return p;
  }
};

/// Sums of the lanes of kLanes vectors: lane j of the result is the sum of v[j].
template <int M = 1>
inline Vec lane_sums(Vec* v) {
  if constexpr (M == kLanes) {
    return v[0];
  } else {
    IntVec low{}, high{};
    for (int i = 0; i < kLanes; ++i) {
      const int group = i / (2 * M) * 2 * M, j = i % (2 * M);
      low[i] = j < M ? group + j : kLanes + group + j - M;
      high[i] = low[i] + M;
    }
    for (int i = 0; i < kLanes / M / 2; ++i)
      v[i] = __builtin_shuffle(v[2 * i], v[2 * i + 1], low) +
             __builtin_shuffle(v[2 * i], v[2 * i + 1], high);
    return lane_sums<2 * M>(v);
  }
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
