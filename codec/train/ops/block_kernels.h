// The ConvNeXt block, a few dozen pixels at a time, so that hidden activations stay in the cache.
#pragma once

#include "train/ops/activation.h"
#include "train/ops/gemm.h"
#include "train/ops/kernels.h"
#include "train/ops/normalise.h"
#include "train/ops/stencil.h"

namespace mvinr::ops::MVINR_OPS_ISA {

// Multiples of 24 suit every register block of gemm.h; about 18 KB of hidden activations.
inline int block_pixels(const Block& b) { return padded(b.hidden) > 48 ? 48 : 96; }

struct BlockBuffers {
  float *tile, *input, *quantised, *inv, *hidden, *grad_hidden, *outputs, *grad_input;

  BlockBuffers(const Block& b, Arena arena) {
    const size_t pixels = size_t(block_pixels(b));
    const size_t cp = size_t(padded(b.channels)), hp = size_t(padded(b.hidden)),
                 op = size_t(padded(b.outputs));
    tile = arena.take(bordered_size(b.height, b.width, b.channels));
    input = arena.take(pixels * cp);
    quantised = arena.take(pixels * cp);
    inv = arena.take(pixels);
    hidden = arena.take(pixels * hp);
    grad_hidden = arena.take(pixels * hp);
    outputs = arena.take(pixels * op);
    grad_input = arena.take(pixels * cp);
    floats = arena.used;
  }
  size_t floats;
};

/// Whole groups of pixels are normalised: those past the end start from zeros.
inline void clear_input(const Block& b, const BlockBuffers& s) {
  for (int i = 0; i < block_pixels(b) * padded(b.channels); i += kLanes) store(s.input + i, Vec{});
}

/// Depthwise and norm of pixels [first, last) of the tile; returns what fc1 reads.
template <bool Q>
inline float* block_input(const Block& b, const BlockBuffers& s, int first, int last) {
  const int cp = padded(b.channels);
  const int count = round_up(last - first, kLanes);
  depthwise<Q>(s.tile, b.width, cp, b.taps, b.dw_bias, b.dw_mantissa, first, last, s.input);
  if (b.norm) normalise<Q>(s.input, count, b.channels, cp, s.inv);
  if (!Q) return s.input;
  quantise_input(s.input, s.quantised, count * cp);
  return s.quantised;
}

/// Loads the tiles of rows [begin, end) one after the other and calls run(pixel, first, last) for
/// pieces of up to block_pixels() pixels: [first, last) of the tile, `pixel` is the first of all.
template <class Run>
inline void for_chunks(const Block& b, const BlockBuffers& s, int64_t begin, int64_t end,
                       const Run& run) {
  while (begin < end) {
    const Tile tile = next_tile(begin, end, b.height, b.width);
    load_tile(b.x, b.channels, b.channels, b.height, b.width, tile, s.tile);
    const int pixels = tile.rows * b.width;
    for (int first = 0, last; first < pixels; first = last) {
      last = smaller(first + block_pixels(b), pixels);
      run(begin * b.width + first, first, last);
    }
    begin += tile.rows;
  }
}

/// Sums of fc2 of `count` pixels -> the block's outputs.
template <bool Q>
inline void block_outputs(const Block& b, const float* sums, int64_t pixel, int count, float* y) {
  const int op = padded(b.outputs);
  for (int c = 0; c < b.outputs; c += kLanes) {
    const Vec bias = load(b.b2 + c), mantissa = load(b.mantissa2 + c);
    for (int i = 0; i < count; ++i) {
      Vec v = load(sums + i * op + c);
      if (Q) v = requantise(v, mantissa);
      v += bias;
      if (b.residual) v += load_row(b.x + (pixel + i) * b.channels, c, b.channels);
      store_row(y + (pixel + i) * b.outputs, c, b.outputs, Q ? clamp10(v) : v);
    }
  }
}

template <bool Q>
inline void block_forward_as(const Block& b, float* y, int64_t begin, int64_t end, float* scratch) {
  const GeluTables& tables = gelu_tables();
  const int cp = padded(b.channels), hp = padded(b.hidden), op = padded(b.outputs);
  const BlockBuffers s(b, Arena{scratch});
  clear_input(b, s);
  for_chunks(b, s, begin, end, [&](int64_t pixel, int first, int last) {
    const int count = last - first;
    const float* a = block_input<Q>(b, s, first, last);
    multiply(count, hp, b.channels, a, cp, b.w1t, hp, s.hidden, hp);
    activate<Q>(s.hidden, count, hp, b.b1, b.mantissa1, tables);
    multiply(count, op, b.hidden, s.hidden, hp, b.w2t, op, s.outputs, op);
    block_outputs<Q>(b, s.outputs, pixel, count, y);
  });
}

/// The gradient of output vector `c` of the pixel at `at`: the guard's part, and nothing that leads
/// further out where the output was clamped.
template <bool Q>
inline Vec block_output_gradient(const Block& b, int64_t at, int c) {
  const Vec y = load_row(b.y + at, c, b.outputs);
  Vec g = load_row(b.dy + at, c, b.outputs);
  g += keep(absolute(y) > kGuardFrom, y) * b.guard;
  return Q ? pulled_back10(y, g) : g;
}

/// Those of `count` pixels, padded; their sum goes to db.
template <bool Q>
inline void block_output_gradients(const Block& b, int64_t pixel, int count, float* out,
                                   float* db) {
  const int op = padded(b.outputs);
  for (int c = 0; c < b.outputs; c += kLanes) {
    Vec sum = load(db + c);
    for (int i = 0; i < count; ++i) {
      const Vec g = block_output_gradient<Q>(b, (pixel + i) * b.outputs, c);
      sum += g;
      store(out + i * op + c, g);
    }
    store(db + c, sum);
  }
}

inline void add_rows(const float* rows, int count, int width, float* sums) {
  for (int c = 0; c < width; c += kLanes) {
    Vec sum = load(sums + c);
    for (int i = 0; i < count; ++i) sum += load(rows + i * width + c);
    store(sums + c, sum);
  }
}

/// From the gradient of fc1's input, in s.grad_input, to that of the depthwise layer's output, and
/// its sums.
template <bool Q>
inline void finish_block_backward(const Block& b, const BlockBuffers& s, const BlockGradients& sums,
                                  int first, int last, float* dd) {
  const int cp = padded(b.channels), count = last - first;
  if (Q) mask_clamped_input(s.input, s.grad_input, count * cp);
  if (b.norm)
    normalise_backward(s.input, s.inv, s.grad_input, round_up(count, kLanes), b.channels, cp);
  depthwise_weights(s.tile, b.width, cp, s.grad_input, first, last, sums.taps, sums.dw_bias);
  for (int i = 0; i < count * cp; i += kLanes) store(dd + i, load(s.grad_input + i));
}

template <bool Q>
inline void block_backward_as(const Block& b, float* dd, const BlockGradients& sums, int64_t begin,
                              int64_t end, float* scratch) {
  const GeluTables& tables = gelu_tables();
  const int cp = padded(b.channels), hp = padded(b.hidden), op = padded(b.outputs);
  const BlockBuffers s(b, Arena{scratch});
  clear_input(b, s);
  for_chunks(b, s, begin, end, [&](int64_t pixel, int first, int last) {
    const int count = last - first;
    const float* a = block_input<Q>(b, s, first, last);
    multiply(count, hp, b.channels, a, cp, b.w1t, hp, s.hidden, hp);
    block_output_gradients<Q>(b, pixel, count, s.outputs, sums.b2);
    multiply(count, hp, b.outputs, s.outputs, op, b.w2, hp, s.grad_hidden, hp);
    activate_with_slope<Q>(s.hidden, s.grad_hidden, count, hp, b.b1, b.mantissa1, tables);
    add_transposed(count, b.outputs, hp, s.outputs, op, s.hidden, hp, sums.w2, hp);
    add_transposed(count, b.channels, hp, a, cp, s.grad_hidden, hp, sums.w1t, hp);
    add_rows(s.grad_hidden, count, hp, sums.b1);
    multiply(count, cp, b.hidden, s.grad_hidden, hp, b.w1, cp, s.grad_input, cp);
    finish_block_backward<Q>(b, s, sums, first, last, dd + pixel * cp);
  });
}

inline void block_input_gradient(const Block& b, const float* dd, float* dx, int64_t begin,
                                 int64_t end, float* scratch) {
  const int cp = padded(b.channels);
  const BlockBuffers s(b, Arena{scratch});
  const int step = block_pixels(b);
  while (begin < end) {
    const Tile tile = next_tile(begin, end, b.height, b.width);
    load_tile(dd, cp, cp, b.height, b.width, tile, s.tile);
    const int pixels = tile.rows * b.width;
    for (int first = 0, last; first < pixels; first = last) {
      last = smaller(first + step, pixels);
      depthwise<false>(s.tile, b.width, cp, b.flipped, nullptr, nullptr, first, last, s.input);
      const int64_t pixel = begin * b.width + first;
      for (int i = 0; i < last - first; ++i) {
        const int64_t at = (pixel + i) * b.channels;
        for (int c = 0; c < b.channels; c += kLanes) {
          Vec v = load(s.input + i * cp + c);
          if (b.residual)
            v += b.quantise ? block_output_gradient<true>(b, at, c)
                            : block_output_gradient<false>(b, at, c);
          store_row(dx + at, c, b.channels, v);
        }
      }
    }
    begin += tile.rows;
  }
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
