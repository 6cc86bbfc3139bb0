// Scalar arithmetic that the kernel sets share (docs/bitstream.md 5.2, 5.4, 5.5). Everything here
// has internal linkage: a file compiled for AVX-512 must not give the linker a copy of a function
// that then runs on a machine without it. For the same reason the kernels use no std:: templates.
// The functions of one element (here: from one position to the value that is stored) are what
// reference.cpp and the CUDA kernels have in common.
#pragma once

#include <cassert>
#include <cstdint>

#include "kernels/host_device.h"
#include "kernels/kernels.h"
#include "kernels/tables.inc"

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

MVINR_HOST_DEVICE inline int min_int(int a, int b) { return a < b ? a : b; }
MVINR_HOST_DEVICE inline int max_int(int a, int b) { return a > b ? a : b; }

MVINR_HOST_DEVICE inline int32_t clamp_int(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : x > high ? high : x;
}

MVINR_HOST_DEVICE inline int16_t sat16(int32_t x) {
  return static_cast<int16_t>(clamp_int(x, -32768, 32767));
}

/// Accumulator of a row -> Q10.
MVINR_HOST_DEVICE inline int16_t requantise(uint32_t acc, const Requant& r) {
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

MVINR_HOST_DEVICE inline BilinearTap bilinear_tap(int phase, int scale) {
  const int d = 2 * phase + 1 - scale;
  return {((d < 0 ? -d : d) * 256 + scale) / (2 * scale), d < 0 ? -1 : 1};
}

MVINR_HOST_DEVICE inline int16_t lerp(int near, int far, int weight) {
  return static_cast<int16_t>((near * (256 - weight) + far * weight + 128) >> 8);
}

MVINR_HOST_DEVICE inline uint8_t& packed_at(const Packed8& p, int channel, int position) {
  return p.data[(channel / 4 * p.plane + position) * 4 + channel % 4];
}

MVINR_HOST_DEVICE inline int16_t& plane_at(const Plane16& p, int channel, int position) {
  return p.data[channel * p.plane + position];
}

MVINR_HOST_DEVICE inline int leading_zeros(uint32_t x) {  // x > 0
#ifdef __CUDA_ARCH__
  return __clz(static_cast<int>(x));
#else
  return __builtin_clz(x);
#endif
}

/// Q10 -> Q5.
MVINR_HOST_DEVICE inline int quantise_q5(int16_t x) { return clamp_int((x + 16) >> 5, -128, 127); }

/// Q10 -> Q5 with zero point 128.
MVINR_HOST_DEVICE inline uint8_t quantise_byte(int16_t x) {
  return static_cast<uint8_t>(quantise_q5(x) + kNormZero);
}

/// Q10 -> GELU, Q6 with zero point 11.
MVINR_DEVICE inline uint8_t gelu_byte(int16_t y) { return kGeluTable[quantise_q5(y) + 128]; }

/// LayerNorm of the channels of one position: what turns a sample d_c into its result.
struct PositionNorm {
  int32_t mean = 0, factor = 0;
  int shift = 1;

  MVINR_HOST_DEVICE int32_t centred(int16_t x) const { return sat16(x - mean); }
  MVINR_HOST_DEVICE int32_t scaled(int16_t x) const {
    return (centred(x) * factor + (1 << (shift - 1))) >> shift;
  }
  MVINR_HOST_DEVICE uint8_t packed(int16_t x) const {  // for fraction 5
    return static_cast<uint8_t>(clamp_int(scaled(x), -128, 127) + kNormZero);
  }
  MVINR_HOST_DEVICE int16_t plane(int16_t x) const { return sat16(scaled(x)); }  // fraction 10
};

/// `fraction`: fractional bits of the results, 5 or 10.
MVINR_DEVICE inline PositionNorm norm_of(const Plane16& in, int position, int fraction,
                                         const NormConstants& constants) {
  const int channels = in.channels;
  PositionNorm norm;
  int32_t sum = 0;
  for (int c = 0; c < channels; ++c) sum += plane_at(in, c, position);
  const int32_t numerator = 2 * sum + channels, denominator = 2 * channels;
  norm.mean = numerator / denominator;
  if (norm.mean * denominator > numerator) --norm.mean;  // floor
  uint32_t v = 1;
  for (int c = 0; c < channels; c += 2) {
    const int32_t a = norm.centred(plane_at(in, c, position));
    const int32_t b = c + 1 < channels ? norm.centred(plane_at(in, c + 1, position)) : 0;
    v += (static_cast<uint32_t>(a * a) + static_cast<uint32_t>(b * b)) >> constants.shift;
  }
  const int z = leading_zeros(v) & ~1;
  const int32_t root = kRsqrtTable[(v << z >> 22) - 256];
  norm.factor = (root * constants.factor) >> 12;
  norm.shift = 29 - fraction - z / 2;
  return norm;
}

/// Depthwise 3x3, zero padding: the accumulator at (x, y); `weight`: the nine of the channel.
MVINR_HOST_DEVICE inline uint32_t depthwise_at(const Plane16& in, const int16_t* weight,
                                               int channel, int x, int y) {
  uint32_t acc = 0;
  for (int tap = 0; tap < 9; ++tap) {
    const int row = y + tap / 3 - 1, column = x + tap % 3 - 1;
    if (row < 0 || row >= in.height || column < 0 || column >= in.width) continue;
    acc += static_cast<uint32_t>(weight[tap] * plane_at(in, channel, row * in.width + column));
  }
  return acc;
}

/// Bilinear x scale plus tile (may be null): the result at (x, y) of the enlarged plane.
MVINR_HOST_DEVICE inline int16_t upsample_at(const Plane16& in, int scale, const int16_t* tile,
                                             int channel, int x, int y) {
  const BilinearTap row = bilinear_tap(y % scale, scale), column = bilinear_tap(x % scale, scale);
  const int near_row = y / scale, near = x / scale;
  const int far_row = clamp_int(near_row + row.side, 0, in.height - 1);
  const int far = clamp_int(near + column.side, 0, in.width - 1);
  const int16_t* upper = &plane_at(in, channel, near_row * in.width);
  const int16_t* lower = &plane_at(in, channel, far_row * in.width);
  int32_t value = lerp(lerp(upper[near], lower[near], row.weight),
                       lerp(upper[far], lower[far], row.weight), column.weight);
  if (tile != nullptr) value += tile[(channel * scale + y % scale) * scale + x % scale];
  return sat16(value);
}

MVINR_HOST_DEVICE inline int32_t sat32(int64_t x) {
  return static_cast<int32_t>(x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : x);
}

/// Accumulator of a row of the head -> Q16.
MVINR_HOST_DEVICE inline int32_t head_value(uint32_t acc, const HeadRow& row) {
  const int64_t product = static_cast<int64_t>(static_cast<int32_t>(acc)) * row.mantissa;
  const int64_t scaled = row.shift > 0 ? (product + (int64_t{1} << (row.shift - 1))) >> row.shift
                                       : product * (int64_t{1} << -row.shift);
  return sat32(int64_t{sat32(scaled)} + row.bias);
}

}  // namespace
}  // namespace mvinr
