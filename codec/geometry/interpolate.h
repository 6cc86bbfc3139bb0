// The interpolation filter of warping and of displacements (docs/bitstream.md 7.3, step 6).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mvinr {

// Cubic convolution (Keys, 1981, equation 15: a = -1/2) at sixteenths, Q7; each row's sum is 128.
constexpr std::array<std::array<int32_t, 4>, 16> make_filter() {
  std::array<std::array<int32_t, 4>, 16> filter{};
  const auto round = [](int numerator) {  // of 1/8192 to Q7
    return (numerator + 32 + (1 << 20)) / 64 - (1 << 14);
  };
  for (int t = 0; t < 16; ++t) {
    const int s = 16 - t;
    // 2 w(-1) = -t^3 + 2 t^2 - t, 2 w(0) = 3 t^3 - 5 t^2 + 2, the others mirrored.
    filter[t][0] = round(-t * t * t + 32 * t * t - 256 * t);
    filter[t][3] = round(-s * s * s + 32 * s * s - 256 * s);
    filter[t][1] = round(3 * t * t * t - 80 * t * t + 8192);
    filter[t][2] = 128 - filter[t][0] - filter[t][1] - filter[t][3];
  }
  return filter;
}
alignas(16) inline constexpr auto kFilter = make_filter();

/// The sample (0..`most`, Q10) at a Q8 position; `origin` is the plane's first sample.
inline __attribute__((always_inline)) int32_t interpolate(const int16_t* origin, ptrdiff_t stride,
                                                          int32_t px, int32_t py,
                                                          int32_t most = 1023) {
  using Half4 [[gnu::vector_size(8)]] = int16_t;
  using Word4 [[gnu::vector_size(16)]] = int32_t;
  const int32_t sx = (px - 120) >> 4, sy = (py - 120) >> 4;  // 1/16, from the first pixel's centre
  const int16_t* from = origin + ((sy >> 4) - 1) * stride + (sx >> 4) - 1;
  const std::array<int32_t, 4>& along = kFilter[sy & 15];
  Word4 across, column = {};
  std::memcpy(&across, kFilter[sx & 15].data(), sizeof across);
  for (int y = 0; y < 4; ++y) {
    Half4 samples;
    std::memcpy(&samples, from + y * stride, sizeof samples);
    column += along[y] * __builtin_convertvector(samples, Word4);
  }
  const Word4 product = column * across;
  int32_t sum = product[0] + product[1] + product[2] + product[3] + 8192;
  sum >>= 14;
  return sum < 0 ? 0 : sum > most ? most : sum;
}

}  // namespace mvinr
