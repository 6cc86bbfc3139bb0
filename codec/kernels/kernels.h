// One signature per operation of the decoder. reference.cpp defines every result; every other
// kernel set must equal it bit by bit (docs/bitstream.md chapter 5).
//
// Layouts
//   Plane16: int16 planar [c][h][w], rows contiguous (row stride == w), channel planes
//            `plane` samples apart (a multiple of 64, >= w*h + 64). Values have 10 fractional bits
//            ("Q10").
//   Packed8: uint8 [c/4 rounded up][plane][4]: four channels of one position are adjacent, so that
//            one 32-bit lane holds them. Position-major as Plane16. The bytes of the channels
//            that are missing in the last four are unspecified: their weights are 0.
// Buffers are 64-byte aligned and readable and writable up to the end of their last plane; kernels
// may write garbage into the padding behind w*h of a plane and must not rely on its content.
// Kernels work on positions [begin, end) of the flattened h*w plane, or on rows [y0, y1), so that
// callers can share work or keep strips in the cache. begin and end are multiples of kPositionStep
// (asserted), except that end may be w*h; only then is padding (and nothing else outside the range)
// overwritten. Short ranges cost: preparing a layer's rows is worth it from some 512 positions on.
// Input and output must not overlap, except that norm_to_plane may work in place. They never
// allocate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mvinr {

inline constexpr int kPositionStep = 64;
inline constexpr int kMaxInputs8 = 4096;  // of a Pointwise8; a Pointwise16 has no limit
inline constexpr int kGeluZero = 11;      // zero point of the GELU output, Q6
inline constexpr int kNormZero = 128;     // zero point of Packed8 from norm/quantise, Q5

struct Plane16 {
  int16_t* data = nullptr;
  int channels = 0, height = 0, width = 0;
  ptrdiff_t plane = 0;  // samples between channels
};
struct Packed8 {
  uint8_t* data = nullptr;
  int channels = 0, height = 0, width = 0;
  ptrdiff_t plane = 0;  // positions between groups of four channels (x 4 bytes)
};

/// Per-row requantisation: p = sat16(((acc << left) + (1 << right >> 1)) >> right),
/// y = (p * mantissa + 256) >> 9, then y = sat16(y + bias). acc wraps modulo 2^32.
struct Requant {
  uint8_t left = 0, right = 0;  // 0..31, one of them 0
  int16_t mantissa = 256;       // 256..511
  int16_t bias = 0;             // Q10
};

/// Weights of a 1x1 layer on Packed8 input (unsigned bytes x signed bytes).
struct Pointwise8 {
  int inputs = 0, outputs = 0;
  const int8_t* weight = nullptr;     // [outputs][inputs rounded up to 4], 4-byte aligned, 0 padded
  const int32_t* acc_init = nullptr;  // [outputs]: -zero_point * sum of the row's weights
  const Requant* requant = nullptr;   // [outputs]
};

/// Weights of a layer on Plane16 input (int16 x signed 8 bit held as int16).
struct Pointwise16 {
  int inputs = 0, outputs = 0;
  const int16_t* weight = nullptr;   // [outputs][inputs rounded up to 2], zero padded
  const Requant* requant = nullptr;  // [outputs]
};

/// One output plane of the shuffle420/full444 head before conversion to samples: Q16 int32.
struct HeadRow {
  int32_t mantissa = 256;  // 256..511; value = (int64(acc) * mantissa) shifted right by `shift`
  int32_t shift = 0;       // -12..19 (rounding; left if negative), saturated to int32; then + bias,
  int32_t bias = 0;        // Q16, and saturated again
};

struct Kernels {
  const char* name;

  /// LayerNorm without affine over channels (bitstream.md 5.5) -> Packed8 Q5 with zero point 128.
  /// in and out have the same shape.
  void (*norm_to_packed)(const Plane16& in, const Packed8& out, int begin, int end);
  /// The same -> Plane16 Q10.
  void (*norm_to_plane)(const Plane16& in, const Plane16& out, int begin, int end);
  /// clamp((x + 16) >> 5, -128, 127) + 128.
  void (*quantise)(const Plane16& in, const Packed8& out, int begin, int end);

  /// Depthwise 3x3, zero padding; weight [channels][9] as int16 (row-major taps), rows [y0, y1).
  void (*depthwise)(const Plane16& in, const int16_t* weight, const Requant* requant,
                    const Plane16& out, int y0, int y1);

  /// Packed8 -> requant -> index clamp((y + 16) >> 5) -> GELU table -> Packed8 Q6 with zero 11.
  void (*pointwise_gelu)(const Packed8& in, const Pointwise8& layer, const Packed8& out, int begin,
                         int end);
  /// Packed8 -> requant -> out = y, or sat16(out + y) if `add`.
  void (*pointwise)(const Packed8& in, const Pointwise8& layer, bool add, const Plane16& out,
                    int begin, int end);
  /// Plane16 -> requant -> out = y, or sat16(out + y) if `add`.
  void (*pointwise16)(const Plane16& in, const Pointwise16& layer, bool add, const Plane16& out,
                      int begin, int end);

  /// Bilinear x scale (1..5), vertical pass first, each pass rounds to int16; then
  /// out = sat16(up + tile[c][y % scale][x % scale]) (tile may be null). Rows [y0, y1) of out.
  void (*upsample)(const Plane16& in, int scale, const int16_t* tile, const Plane16& out, int y0,
                   int y1);

  /// Head: out[o * plane + p] (Q16) for the listed outputs o and p in [begin, end); nothing else is
  /// written. layer.requant is not used.
  void (*head)(const Plane16& in, const Pointwise16& layer, const HeadRow* rows,
               std::span<const int> outputs, int32_t* out, ptrdiff_t plane, int begin, int end);
};

/// Kernel sets that this machine can run, "reference" first, fastest last.
std::span<const Kernels* const> available_kernel_sets();
/// nullptr if the name is unknown or this machine cannot run it; "auto": the fastest.
const Kernels* find_kernels(std::string_view name);

extern const Kernels kReferenceKernels;

}  // namespace mvinr
