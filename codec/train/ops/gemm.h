// Small matrix products for the fused training kernels: register blocks of rows x vectors, one
// factor broadcast from memory, the other read as vectors. Everything fits the L1/L2 cache, so
// there is no blocking over the inner dimension.
#pragma once

#include "train/ops/vec.h"

namespace mvinr::ops::MVINR_OPS_ISA {

/// out[i][j] (= or +=) sum over k < inner of a[i * a_row + k * a_inner] * b[k][j]: i < rows,
/// j < columns (a multiple of kLanes).
struct Product {
  int rows, columns, inner;
  const float* a;
  ptrdiff_t a_row, a_inner;
  const float* b;
  ptrdiff_t b_stride;
  float* out;
  ptrdiff_t out_stride;
};

/// sum + a * b; Pairs: each lane is two bfloat16 numbers of the inner dimension.
template <bool Pairs>
inline Vec multiply_add(Vec sum, Vec a, Vec b) {
#if MVINR_OPS_BF16
  if constexpr (Pairs)
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
#endif
  return sum + a * b;
}

template <int Rows, int Vecs, bool Add, bool UnitInner, bool Pairs>
__attribute__((always_inline)) inline void multiply_block(const Product& m, int row, int column) {
  Vec sum[Rows][Vecs];
  float* out = m.out + row * m.out_stride + column;
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Vecs; ++j)
      sum[i][j] = Add ? load(out + i * m.out_stride + j * kLanes) : Vec{};
  const float* b = m.b + column;
  // Groups of three rows share a base, the others are base + stride and base + 2 * stride, which
  // x86 addresses for free.
  constexpr int kBases = (Rows + 2) / 3;
  const ptrdiff_t a_row = UnitInner ? m.a_row : 1;
  const ptrdiff_t a_inner = UnitInner ? 1 : m.a_inner;
  const float* a[kBases];
  for (int i = 0; i < kBases; ++i) a[i] = m.a + (row + 3 * i) * a_row;
#pragma GCC unroll 2
  for (int k = 0; k < m.inner; ++k) {
    Vec bv[Vecs];
    for (int j = 0; j < Vecs; ++j) bv[j] = load(b + j * kLanes);
    b += m.b_stride;
    for (int i = 0; i < Rows; ++i) {
      const Vec av = broadcast(a[i / 3] + (i % 3) * a_row);
      for (int j = 0; j < Vecs; ++j) sum[i][j] = multiply_add<Pairs>(sum[i][j], av, bv[j]);
    }
    for (int i = 0; i < kBases; ++i) a[i] += a_inner;
  }
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Vecs; ++j) store(out + i * m.out_stride + j * kLanes, sum[i][j]);
}

template <int Vecs, bool Add, bool UnitInner, bool Pairs>
inline void multiply_columns(const Product& m, int column) {
  // As many accumulators as registers allow: 32 of them with AVX-512, else 16.
  constexpr int kMax = kLanes == 16 ? (Vecs == 4   ? 6
                                       : Vecs == 3 ? 8
                                                   : 12)
                                    : (Vecs == 4   ? 2
                                       : Vecs == 3 ? 4
                                       : Vecs == 2 ? 6
                                                   : 8);
  int row = 0;
  for (; row + kMax <= m.rows; row += kMax)
    multiply_block<kMax, Vecs, Add, UnitInner, Pairs>(m, row, column);
  if constexpr (kMax > 4)
    for (; row + 4 <= m.rows; row += 4)
      multiply_block<4, Vecs, Add, UnitInner, Pairs>(m, row, column);
  for (; row < m.rows; ++row) multiply_block<1, Vecs, Add, UnitInner, Pairs>(m, row, column);
}

template <bool Add, bool UnitInner, bool Pairs = false>
inline void multiply_strided(const Product& m) {
  int left = m.columns / kLanes;
  int column = 0;
  while (left > 0) {
    // Groups of three vectors, and of four or two where three do not divide the number.
    const int group = left % 3 == 0 ? 3 : left >= 4 && left != 5 ? 4 : left == 5 ? 3 : left;
    if (group == 4) multiply_columns<4, Add, UnitInner, Pairs>(m, column);
    if (group == 3) multiply_columns<3, Add, UnitInner, Pairs>(m, column);
    if (group == 2) multiply_columns<2, Add, UnitInner, Pairs>(m, column);
    if (group == 1) multiply_columns<1, Add, UnitInner, Pairs>(m, column);
    left -= group;
    column += group * kLanes;
  }
}

/// out [pixels][columns] = a [pixels][inner] * b [inner][columns].
__attribute__((noinline)) inline void multiply(int pixels, int columns, int inner, const float* a,
                                               ptrdiff_t a_stride, const float* b,
                                               ptrdiff_t b_stride, float* out,
                                               ptrdiff_t out_stride) {
  multiply_strided<false, true>(
      {pixels, columns, inner, a, a_stride, 1, b, b_stride, out, out_stride});
}

/// out [rows][columns] += transpose of a [pixels][rows] * b [pixels][columns].
__attribute__((noinline)) inline void add_transposed(int pixels, int rows, int columns,
                                                     const float* a, ptrdiff_t a_stride,
                                                     const float* b, ptrdiff_t b_stride, float* out,
                                                     ptrdiff_t out_stride) {
  multiply_strided<true, false>(
      {rows, columns, pixels, a, 1, a_stride, b, b_stride, out, out_stride});
}

#if MVINR_OPS_BF16
/// The same of pairs along the inner dimension; strides count pairs.
__attribute__((noinline)) inline void multiply_pairs(int pixels, int columns, int inner,
                                                     const float* a, ptrdiff_t a_stride,
                                                     const float* b, ptrdiff_t b_stride, float* out,
                                                     ptrdiff_t out_stride) {
  multiply_strided<false, true, true>(
      {pixels, columns, (inner + 1) / 2, a, a_stride, 1, b, b_stride, out, out_stride});
}
__attribute__((noinline)) inline void add_transposed_pairs(int pixels, int rows, int columns,
                                                           const float* a, ptrdiff_t a_stride,
                                                           const float* b, ptrdiff_t b_stride,
                                                           float* out, ptrdiff_t out_stride) {
  multiply_strided<true, false, true>(
      {rows, columns, pixels / 2, a, 1, a_stride, b, b_stride, out, out_stride});
}
#endif

}  // namespace mvinr::ops::MVINR_OPS_ISA
