// Memory for planes: how much, and views into it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace mvinr {

inline constexpr size_t kPlaneAlignment = 64;  // bytes; of every buffer and so of every plane

/// Samples (positions) between the channels (groups of channels) of an h x w plane: h * w and the
/// 64 positions behind it that kernels read and write, rounded up.
constexpr ptrdiff_t plane_stride(int height, int width) {
  return (static_cast<ptrdiff_t>(height) * width + 2 * kPositionStep - 1) / kPositionStep *
         kPositionStep;
}

constexpr size_t bytes_for_plane16(int channels, int height, int width) {
  return static_cast<size_t>(channels) * static_cast<size_t>(plane_stride(height, width)) *
         sizeof(int16_t);
}

constexpr size_t bytes_for_packed8(int channels, int height, int width) {
  return static_cast<size_t>((channels + 3) / 4) *
         static_cast<size_t>(plane_stride(height, width)) * 4;
}

/// A view of `memory`: bytes_for_plane16() bytes with alignment kPlaneAlignment.
inline Plane16 plane16_at(void* memory, int channels, int height, int width) {
  return {static_cast<int16_t*>(memory), channels, height, width, plane_stride(height, width)};
}

/// A view of `memory`: bytes_for_packed8() bytes with alignment kPlaneAlignment.
inline Packed8 packed8_at(void* memory, int channels, int height, int width) {
  return {static_cast<uint8_t*>(memory), channels, height, width, plane_stride(height, width)};
}

}  // namespace mvinr
