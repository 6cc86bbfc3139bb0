// The quantised ConvNeXt block with products of bfloat16 numbers, two to a lane, summed in float32:
// twice as many as of float32. Activations and weights of the forward pass are small integers times
// powers of two, exact in bfloat16, and so are their sums: the results are those of block_kernels.h
// bit by bit. Gradients are rounded to bfloat16, weights and activations that they meet mostly not.
//
// Matrices of pairs: [inner / 2][columns][2]. A tensor of activations is needed with pairs of
// channels, where the product sums over channels ([pixels][channels], "rows" below), and with pairs
// of pixels ([pixels / 2][channels][2], "pairs"), where it sums over pixels.
#pragma once

#include "train/ops/activation.h"
#include "train/ops/block_kernels.h"

namespace mvinr::ops::MVINR_OPS_ISA {

struct Bf16Buffers {
  BlockBuffers plain;
  // Two numbers to a float.
  float *input_rows, *input_pairs, *hidden_rows, *hidden_pairs, *grad_rows, *grad_pairs,
      *output_rows, *output_pairs;

  Bf16Buffers(const Block& b, Arena arena) : plain(b, arena) {
    arena.used += plain.floats;
    const size_t pixels = size_t(block_pixels(b)) / 2;
    const size_t cp = size_t(padded(b.channels)), hp = size_t(padded(b.hidden)),
                 op = size_t(padded(b.outputs));
    input_rows = arena.take(pixels * cp);
    input_pairs = arena.take(pixels * cp);
    hidden_rows = arena.take(pixels * hp);
    hidden_pairs = arena.take(pixels * hp);
    grad_rows = arena.take(pixels * hp);
    grad_pairs = arena.take(pixels * hp);
    output_rows = arena.take(pixels * op);
    output_pairs = arena.take(pixels * op);
    floats = arena.used;
  }
  size_t floats;
};

inline __m512i alternate_words() {  // of the lower and the upper half
  return _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                          6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
}
/// Writes channels c... of pixels p and p + 1 of `stride` channels; pairs may be null.
inline void store_two(Vec v0, Vec v1, int p, int stride, int c, float* rows, float* pairs) {
  const __m512i v = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(v1, v0));
  float* to = rows + (p * stride + c) / 2;
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(v));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + stride / 2), _mm512_extracti64x4_epi64(v, 1));
  if (pairs)
    _mm512_storeu_si512(pairs + p / 2 * stride + c, _mm512_permutexvar_epi16(alternate_words(), v));
}

inline void quantise_input_bf16(const float* from, int pixels, int cp, float* rows, float* pairs) {
  for (int p = 0; p < pixels; p += 2)
    for (int c = 0; c < cp; c += kLanes) {
      const float* v = from + p * cp + c;
      store_two(clamp(scaled_round(load(v), kInputScale), -128.0f, 127.0f),
                clamp(scaled_round(load(v + cp), kInputScale), -128.0f, 127.0f), p, cp, c, rows,
                pairs);
    }
}

/// Sums of fc1 -> activations.
inline void activate_bf16(const float* hidden, int pixels, int hp, const float* bias,
                          const float* mantissa, const GeluTables& tables, float* rows) {
  const Lookup values(tables.bf16_value);
  const __m512i by_pixel = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);  // from packs_epi32's order
  for (int j = 0; j < hp; j += kLanes) {
    const __m512i b = pack_bias(bias + j);
    const Vec m = load(mantissa + j);
    for (int p = 0; p < pixels; p += 2) {
      const float* h = hidden + p * hp + j;
      const __m512i v = _mm512_permutexvar_epi64(
          by_pixel, values.at(hidden_index(load(h), load(h + hp), m, b).clamped));
      float* to = rows + (p * hp + j) / 2;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(v));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + hp / 2), _mm512_extracti64x4_epi64(v, 1));
    }
  }
}

/// Sums of fc1 -> activations (pairs), and the gradients of the activations -> of the sums, which
/// are added to db, too.
inline void activate_back_bf16(const Block& b, const Bf16Buffers& s, int pixels,
                               const GeluTables& tables, float* db) {
  const Lookup values(tables.bf16_value), slopes(tables.slope);
  const float unit = 1.0f / (65536.0f * kSlopeScale);
  const __m512i alternate =
      _mm512_broadcast_i32x4(_mm_set_epi8(15, 14, 7, 6, 13, 12, 5, 4, 11, 10, 3, 2, 9, 8, 1, 0));
  const int hp = padded(b.hidden);
  for (int j = 0; j < hp; j += kLanes) {
    const __m512i bias = pack_bias(b.b1 + j);
    const Vec m = load(b.mantissa1 + j);
    Vec sum = load(db + j);
    for (int p = 0; p < pixels; p += 2) {
      const float* h = s.plain.hidden + p * hp + j;
      const float* g = s.plain.grad_hidden + p * hp + j;
      const Index index = hidden_index(load(h), load(h + hp), m, bias);
      _mm512_storeu_si512(s.hidden_pairs + p / 2 * hp + j,
                          _mm512_shuffle_epi8(values.at(index.clamped), alternate));
      const __m512i slope = slopes.at(index.clamped);
      const __m512i inside = _mm512_movm_epi16(index.outside);  // -1: no
      const Vec g0 = back_inside(load(g), low_to_float(inside)) * (low_to_float(slope) * unit);
      const Vec g1 =
          back_inside(load(g + hp), high_to_float(inside)) * (high_to_float(slope) * unit);
      sum += g0 + g1;
      store_two(g0, g1, p, hp, j, s.grad_rows, s.grad_pairs);
    }
    store(db + j, sum);
  }
}

/// block_input: returns what mask_clamped_input and normalise_backward need in s.plain.input.
inline void block_input_bf16(const Block& b, const Bf16Buffers& s, int first, int last,
                             float* pairs) {
  const int cp = padded(b.channels), count = round_up(last - first, kLanes);
  depthwise<true>(s.plain.tile, b.width, cp, b.taps, b.dw_bias, b.dw_mantissa, first, last,
                  s.plain.input);
  if (b.norm) normalise<true>(s.plain.input, count, b.channels, cp, s.plain.inv);
  quantise_input_bf16(s.plain.input, round_up(last - first, 2), cp, s.input_rows, pairs);
}

inline void block_forward_bf16(const Block& b, float* y, int64_t begin, int64_t end,
                               float* scratch) {
  const GeluTables& tables = gelu_tables();
  const int cp = padded(b.channels), hp = padded(b.hidden), op = padded(b.outputs);
  const Bf16Buffers s(b, Arena{scratch});
  clear_input(b, s.plain);
  for_chunks(b, s.plain, begin, end, [&](int64_t pixel, int first, int last) {
    const int count = last - first;
    block_input_bf16(b, s, first, last, nullptr);
    multiply_pairs(count, hp, b.channels, s.input_rows, cp / 2, b.w1t, hp, s.plain.hidden, hp);
    activate_bf16(s.plain.hidden, count, hp, b.b1, b.mantissa1, tables, s.hidden_rows);
    multiply_pairs(count, op, b.hidden, s.hidden_rows, hp / 2, b.w2t, op, s.plain.outputs, op);
    block_outputs<true>(b, s.plain.outputs, pixel, count, y);
  });
}

inline void block_backward_bf16(const Block& b, float* dd, const BlockGradients& sums,
                                int64_t begin, int64_t end, float* scratch) {
  const GeluTables& tables = gelu_tables();
  const int cp = padded(b.channels), hp = padded(b.hidden), op = padded(b.outputs);
  const Bf16Buffers s(b, Arena{scratch});
  const BlockBuffers& plain = s.plain;
  clear_input(b, plain);
  for_chunks(b, plain, begin, end, [&](int64_t pixel, int first, int last) {
    const int count = last - first, even = round_up(count, 2);
    block_input_bf16(b, s, first, last, s.input_pairs);
    multiply_pairs(even, hp, b.channels, s.input_rows, cp / 2, b.w1t, hp, plain.hidden, hp);
    block_output_gradients<true>(b, pixel, count, plain.outputs, sums.b2);
    if (even > count)
      for (int c = 0; c < op; c += kLanes) store(plain.outputs + count * op + c, Vec{});
    for (int p = 0; p < even; p += 2)
      for (int c = 0; c < op; c += kLanes) {
        const float* g = plain.outputs + p * op + c;
        store_two(load(g), load(g + op), p, op, c, s.output_rows, s.output_pairs);
      }
    multiply_pairs(even, hp, b.outputs, s.output_rows, op / 2, b.w2, hp, plain.grad_hidden, hp);
    activate_back_bf16(b, s, even, tables, sums.b1);
    add_transposed_pairs(even, b.outputs, hp, s.output_pairs, op, s.hidden_pairs, hp, sums.w2, hp);
    add_transposed_pairs(even, b.channels, hp, s.input_pairs, cp, s.grad_pairs, hp, sums.w1t, hp);
    multiply_pairs(count, cp, b.hidden, s.grad_rows, hp / 2, b.w1, cp, plain.grad_input, cp);
    finish_block_backward<true>(b, plain, sums, first, last, dd + pixel * cp);
  });
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
