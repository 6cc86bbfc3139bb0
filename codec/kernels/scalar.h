// Scalar arithmetic that the kernel sets share (docs/bitstream.md 5.2, 5.4, 5.5). Everything here
// has internal linkage: a file compiled for AVX-512 must not give the linker a copy of a function
// that then runs on a machine without it. For the same reason the kernels use no std:: templates.
#pragma once

#include <cassert>
#include <cstdint>

#include "kernels/kernels.h"

// GCC judges by size what to inline; the kernels' vectors must not travel through memory.
#define MVINR_INLINE [[gnu::always_inline]] inline
#define MVINR_INLINE_LAMBDA __attribute__((always_inline))

namespace mvinr {
namespace {

inline void check_range(int height, int width, int begin, int end) {
  assert(begin >= 0 && begin % kPositionStep == 0 && end <= height * width);
  assert(end % kPositionStep == 0 || end == height * width);
  (void)height, (void)width, (void)begin, (void)end;
}

inline int min_int(int a, int b) { return a < b ? a : b; }
inline int max_int(int a, int b) { return a > b ? a : b; }

inline int32_t clamp_int(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : x > high ? high : x;
}

inline int16_t sat16(int32_t x) { return static_cast<int16_t>(clamp_int(x, -32768, 32767)); }

/// Accumulator of a row -> Q10.
inline int16_t requantise(uint32_t acc, const Requant& r) {
  const int32_t rounded = static_cast<int32_t>((acc << r.left) + ((1u << r.right) >> 1));
  const int32_t p = sat16(rounded >> r.right);
  return sat16(((p * r.mantissa + 256) >> 9) + r.bias);
}

/// Constants of the LayerNorm over `channels` channels.
struct NormConstants {
  int shift = 0;       // sh
  int32_t factor = 0;  // K = floor(sqrt(C << (24 - sh)))
};

inline NormConstants norm_constants(int channels) {
  NormConstants c;
  while ((2 << c.shift) < channels) ++c.shift;
  const uint32_t square = static_cast<uint32_t>(channels) << (24 - c.shift);  // < 2^26
  for (int bit = 12; bit >= 0; --bit) {
    const uint32_t candidate = static_cast<uint32_t>(c.factor | (1 << bit));
    if (candidate * candidate <= square) c.factor = static_cast<int32_t>(candidate);
  }
  return c;
}

/// Weight of the neighbour in phase j of a bilinear x scale, and on which side it is.
struct BilinearTap {
  int weight = 0;  // of the far sample, in 256ths
  int side = 0;    // -1: the sample before, +1: the one behind
};

inline BilinearTap bilinear_tap(int phase, int scale) {
  const int d = 2 * phase + 1 - scale;
  return {((d < 0 ? -d : d) * 256 + scale) / (2 * scale), d < 0 ? -1 : 1};
}

inline int16_t lerp(int near, int far, int weight) {
  return static_cast<int16_t>((near * (256 - weight) + far * weight + 128) >> 8);
}

}  // namespace
}  // namespace mvinr
