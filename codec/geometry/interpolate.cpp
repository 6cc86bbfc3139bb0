// Texture between the pixels: cubic convolution of 4x4 samples.
#include "geometry/interpolate.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/clones.h"
#include "geometry/warp_parts.h"

#ifdef MVINR_HAVE_CLONES
#include <immintrin.h>
#endif

namespace mvinr {
namespace {

inline __attribute__((always_inline)) int32_t between(int32_t v, int32_t low, int32_t high) {
  v = v < low ? low : v;
  return v > high ? high : v;
}

/// Weights of the 4x4 samples around a position, row by row, Q14 (at most 2^14); of sixteenth x of
/// a column and y of a row at [16 y + x]. As products, so that one multiply-add instruction takes
/// all sixteen samples.
using Weights = std::array<int16_t, 16>;
constexpr std::array<Weights, 256> make_weights() {
  std::array<Weights, 256> weights{};
  for (size_t y = 0; y < 16; ++y)
    for (size_t x = 0; x < 16; ++x)
      for (size_t row = 0; row < 4; ++row)
        for (size_t column = 0; column < 4; ++column)
          weights[16 * y + x][4 * row + column] = int16_t(kFilter[y][row] * kFilter[x][column]);
  return weights;
}
alignas(64) constexpr auto kWeights = make_weights();

// The first of the 4x4 samples, and the number of the weights.
MVINR_CLONES void locate(const Area<int16_t>& plane, int width, int height, int half,
                         const int32_t* at_x, const int32_t* at_y, int count,
                         int32_t* __restrict offset, int32_t* __restrict weights) {
  const int32_t stride = int32_t(plane.stride);
  for (int x = 0; x < count; ++x) {
    // 1/16 of a pixel, from the first pixel's centre.
    const int32_t sx = ((between(at_x[x], -256, (width + 1) * 256) >> half) - 120) >> 4;
    const int32_t sy = ((between(at_y[x], -256, (height + 1) * 256) >> half) - 120) >> 4;
    offset[x] = ((sy >> 4) - 1) * stride + (sx >> 4) - 1;
    weights[x] = (sy & 15) * 16 + (sx & 15);
  }
}

void interpolate_rest(const int16_t* origin, ptrdiff_t stride, const int32_t* offset,
                      const int32_t* weights, int begin, int end, int32_t* out) {
  for (int x = begin; x < end; ++x) {
    const int16_t* from = origin + offset[x];
    const Weights& w = kWeights[size_t(weights[x])];
    int32_t sum = 8192;
    for (int i = 0; i < 16; ++i) sum += w[size_t(i)] * from[(i >> 2) * stride + (i & 3)];
    out[x] = between(sum >> 14, 0, 1023);
  }
}

#ifdef MVINR_HAVE_CLONES
// Eight positions at once; returns how many are done.
__attribute__((target("avx2"))) int interpolate_avx2(const int16_t* origin, ptrdiff_t stride,
                                                     const int32_t* offset, const int32_t* weights,
                                                     int count, int32_t* out) {
  const __m256i half = _mm256_set1_epi32(8192), most = _mm256_set1_epi32(1023);
  int x = 0;
  for (; x + 8 <= count; x += 8) {
    __m256i sum[8];
    for (int k = 0; k < 8; ++k) {
      const int16_t* from = origin + offset[x + k];
      const auto two_rows = [&](const int16_t* row) __attribute__((target("avx2"))) {
        const __m128i first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row));
        return _mm_castps_si128(
            _mm_loadh_pi(_mm_castsi128_ps(first), reinterpret_cast<const __m64*>(row + stride)));
      };
      const __m256i samples = _mm256_inserti128_si256(_mm256_castsi128_si256(two_rows(from)),
                                                      two_rows(from + 2 * stride), 1);
      sum[k] = _mm256_madd_epi16(samples, _mm256_load_si256(reinterpret_cast<const __m256i*>(
                                              kWeights[size_t(weights[x + k])].data())));
    }
    const __m256i low = _mm256_hadd_epi32(_mm256_hadd_epi32(sum[0], sum[1]),
                                          _mm256_hadd_epi32(sum[2], sum[3])),
                  high = _mm256_hadd_epi32(_mm256_hadd_epi32(sum[4], sum[5]),
                                           _mm256_hadd_epi32(sum[6], sum[7]));
    const __m256i total = _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                                           _mm256_permute2x128_si256(low, high, 0x31));
    const __m256i value = _mm256_srai_epi32(_mm256_add_epi32(total, half), 14);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + x),
                        _mm256_min_epi32(_mm256_max_epi32(value, _mm256_setzero_si256()), most));
  }
  return x;
}
#endif

}  // namespace

void sample_row(const Area<int16_t>& plane, int width, int height, int half, const int32_t* at_x,
                const int32_t* at_y, int count, const SampleScratch& scratch, int32_t* out) {
  locate(plane, width, height, half, at_x, at_y, count, scratch.offset, scratch.weights);
  int done = 0;
#ifdef MVINR_HAVE_CLONES
  static const bool fast = __builtin_cpu_supports("avx2");
  if (fast)
    done =
        interpolate_avx2(plane.origin, plane.stride, scratch.offset, scratch.weights, count, out);
#endif
  interpolate_rest(plane.origin, plane.stride, scratch.offset, scratch.weights, done, count, out);
}

}  // namespace mvinr
