// Depthwise 3x3 on tiles of rows with a border: forward, and the sums of its weight gradients.
#pragma once

#include "train/ops/vec.h"

namespace mvinr::ops::MVINR_OPS_ISA {

/// Rows of one image: `rows` rows from row `y` on, of images with `width` columns.
struct Tile {
  int64_t image;
  int y, rows;
};

/// Rows a tile should have so that a few hundred pixels share the border's cost.
inline int tile_rows(int height, int width) {
  const int rows = (384 + width - 1) / width;
  return rows < height ? rows : height;
}

/// The tile that starts at row `begin` of [begin, end), rows counted over all images.
inline Tile next_tile(int64_t begin, int64_t end, int height, int width) {
  const int y = int(begin % height);
  const int64_t left = smaller<int64_t>(end - begin, height - y);
  return {begin / height, y, int(smaller<int64_t>(tile_rows(height, width), left))};
}

/// Floats of a bordered tile.
inline size_t bordered_size(int height, int width, int channels) {
  return size_t(tile_rows(height, width) + 2) * size_t(width + 2) * size_t(padded(channels));
}

/// Copies a tile of src [images][height][width][stride], its first `channels` of each pixel, to
/// dst [rows + 2][width + 2][padded channels] with a border of one pixel; zero outside the image.
inline void load_tile(const float* src, int stride, int channels, int height, int width,
                      const Tile& tile, float* dst) {
  const int cp = padded(channels);
  for (int r = -1; r <= tile.rows; ++r, dst += (width + 2) * cp) {
    const int y = tile.y + r;
    if (y < 0 || y >= height) {
      for (int i = 0; i < (width + 2) * cp; i += kLanes) store(dst + i, Vec{});
      continue;
    }
    for (int i = 0; i < cp; i += kLanes) {
      store(dst + i, Vec{});
      store(dst + (width + 1) * cp + i, Vec{});
    }
    const float* s = src + (tile.image * height + y) * int64_t(width) * stride;
    float* d = dst + cp;
    if (stride == cp) {
      for (int i = 0; i < width * cp; i += kLanes) store(d + i, load(s + i));
    } else {
      for (int x = 0; x < width; ++x)
        for (int i = 0; i < cp; i += kLanes)
          store(d + x * cp + i, load_row(s + x * stride, i, channels));
    }
  }
}

/// Calls run(pixel - first, column, row, count) for the runs of pixels of one row that make up
/// pixels [first, last) of a tile, counted along its rows.
template <class Run>
inline void for_row_runs(int first, int last, int width, const Run& run) {
  for (int p = first; p < last;) {
    const int row = p / width, column = p % width;
    const int count = smaller(width - column, last - p);
    run(p - first, column, row, count);
    p += count;
  }
}

/// `Count` neighbouring pixels, one vector of channels: in points at the upper left tap.
template <int Count>
inline void depthwise_run(const float* in, ptrdiff_t in_row, int cp, const Vec* taps, Vec* sum) {
  for (int ky = 0; ky < 3; ++ky)
    for (int j = 0; j < Count + 2; ++j) {
      const Vec v = load(in + ky * in_row + j * cp);
      for (int i = 0; i < Count; ++i)
        if (j - i >= 0 && j - i < 3) sum[i] += taps[ky * 3 + j - i] * v;
    }
}

/// out [last - first][cp] = depthwise of a bordered tile at its pixels [first, last); `mantissa` if
/// Q.
template <bool Q>
inline void depthwise(const float* in, int width, int cp, const float* taps, const float* bias,
                      const float* mantissa, int first, int last, float* out) {
  const ptrdiff_t in_row = ptrdiff_t(width + 2) * cp;
  for (int c = 0; c < cp; c += kLanes) {
    Vec w[9];
    for (int k = 0; k < 9; ++k) w[k] = load(taps + k * cp + c);
    const Vec b = bias ? load(bias + c) : Vec{};
    const Vec m = Q ? load(mantissa + c) : Vec{};
    for_row_runs(first, last, width, [&](int pixel, int column, int row, int count) {
      const float* s = in + row * in_row + ptrdiff_t(column) * cp + c;
      float* d = out + ptrdiff_t(pixel) * cp + c;
      int i = 0;
      for (; i + 4 <= count; i += 4) {
        Vec sum[4] = {};
        depthwise_run<4>(s + i * cp, in_row, cp, w, sum);
        for (int j = 0; j < 4; ++j)
          store(d + (i + j) * cp, (Q ? requantise(sum[j] * 1024.0f, m) : sum[j]) + b);
      }
      for (; i < count; ++i) {
        Vec sum[1] = {};
        depthwise_run<1>(s + i * cp, in_row, cp, w, sum);
        store(d + i * cp, (Q ? requantise(sum[0] * 1024.0f, m) : sum[0]) + b);
      }
    });
  }
}

template <int Count>
inline void depthwise_weights_run(const float* in, ptrdiff_t in_row, int cp, const Vec* grad,
                                  Vec* sum) {
  for (int ky = 0; ky < 3; ++ky)
    for (int j = 0; j < Count + 2; ++j) {
      const Vec v = load(in + ky * in_row + j * cp);
      for (int i = 0; i < Count; ++i)
        if (j - i >= 0 && j - i < 3) sum[ky * 3 + j - i] += grad[i] * v;
    }
}

/// Adds the gradients of taps [9][cp] and bias [cp] from grad [last - first][cp].
inline void depthwise_weights(const float* in, int width, int cp, const float* grad, int first,
                              int last, float* taps, float* bias) {
  const ptrdiff_t in_row = ptrdiff_t(width + 2) * cp;
  for (int c = 0; c < cp; c += kLanes) {
    Vec w[9], b = load(bias + c);
    for (int k = 0; k < 9; ++k) w[k] = load(taps + k * cp + c);
    for_row_runs(first, last, width, [&](int pixel, int column, int row, int count) {
      const float* s = in + row * in_row + ptrdiff_t(column) * cp + c;
      const float* g = grad + ptrdiff_t(pixel) * cp + c;
      int i = 0;
      for (; i + 4 <= count; i += 4) {
        Vec v[4];
        for (int j = 0; j < 4; ++j) {
          v[j] = load(g + (i + j) * cp);
          b += v[j];
        }
        depthwise_weights_run<4>(s + i * cp, in_row, cp, v, w);
      }
      for (; i < count; ++i) {
        const Vec v[1] = {load(g + i * cp)};
        b += v[0];
        depthwise_weights_run<1>(s + i * cp, in_row, cp, v, w);
      }
    });
    for (int k = 0; k < 9; ++k) store(taps + k * cp + c, w[k]);
    store(bias + c, b);
  }
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
