// The steps of warping (docs/bitstream.md 7), each in a file of its own.
#pragma once

#include <algorithm>
#include <cstring>

#include "geometry/warp.h"

namespace mvinr {

inline constexpr int kWarpBorder = 8;

/// An area with a border: at(0, 0) is the first sample inside.
template <typename T>
struct Area {
  T* origin = nullptr;
  ptrdiff_t stride = 0;
  int width = 0, height = 0;
  T* row(int y) const { return origin + y * stride; }
};
template <typename T>
Area<T> bordered(AlignedArray<T>& memory, int width, int height) {
  const ptrdiff_t stride = width + 2 * kWarpBorder;
  return {memory.data() + kWarpBorder * stride + kWarpBorder, stride, width, height};
}
template <typename T>
Area<T> plain(AlignedArray<T>& memory, int width, int height) {
  return {memory.data(), width, width, height};
}

/// Repeats the samples of a row into its borders, then the first and last row.
template <typename T>
inline void add_side_borders(const Area<T>& area, int y) {
  T* row = area.row(y);
  std::fill(row - kWarpBorder, row, row[0]);
  std::fill(row + area.width, row + area.width + kWarpBorder, row[area.width - 1]);
}

template <typename T>
inline void add_top_and_bottom(const Area<T>& area) {
  const size_t bytes = size_t(area.stride) * sizeof(T);
  for (int i = 1; i <= kWarpBorder; ++i) {
    std::memcpy(area.row(-i) - kWarpBorder, area.row(0) - kWarpBorder, bytes);
    std::memcpy(area.row(area.height - 1 + i) - kWarpBorder,
                area.row(area.height - 1) - kWarpBorder, bytes);
  }
}

/// The base at work.
struct Base {
  const ViewMap* map;
  Area<int32_t> inverse;
  Area<int16_t> texture[3];
};

/// What one row of pixels becomes in the other picture; inverse 0: nothing.
struct Projected {
  int32_t *x, *y, *inverse;
};

/// A projection along one row of the source: exact integers in binary64 (all stay below 2^53).
struct RowProjection {
  double h[3], a[3], b[3], g, scale, one, most;
};
RowProjection project_along(const Projection& p, int y);

// Loops over `count` samples of a row (rows.cpp).
void inverse_of_row(const DepthScale& scale, int most, const void* samples, int bytes, int count,
                    int32_t* out);
void texture_of_row(const void* samples, int bytes, int shift, int count, int16_t* out);
void project_row(const RowProjection& row, const int32_t* inverse, int count, const Projected& out);
void project_row_positions(const RowProjection& row, const int32_t* inverse, int count, int32_t* x,
                           int32_t* y);
/// out = the source inverse depth (0..kMaxInverse) that becomes `wanted` where `inverse` was tried;
/// 0 where wanted is 0.
void unproject_row(const RowProjection& row, const int32_t* inverse, const int32_t* wanted,
                   int count, int32_t* out);
void depth_of_row(const DepthScale& scale, const int32_t* inverse, int count, int32_t* out_q16);

/// Base pictures -> memory.inverse and texture (prepare.cpp). texture may be empty.
Base prepare_base(const ViewMap& map, const Picture* texture, const Picture& depth,
                  WarpMemory& memory, ThreadPool* pool);

/// base.inverse -> memory.nearest (splat.cpp).
void splat(const Base& base, WarpMemory& memory, ThreadPool* pool);

/// How a base takes part: weight 256 for the nearest one; surfaces closer to each other than
/// `tolerance` are the same. The `first` base finds nothing there and reads nothing.
struct Blend {
  int weight = 256;
  int32_t tolerance = 0;
  bool first = false;
};

/// What a base shows of a row of pixels: where that is in the base, inverse depths, shares (0:
/// nothing, and then the other numbers are of no account), and values of one or two planes.
struct Shown {
  int32_t *x, *y, *inverse, *share;
  const int32_t* value[2];
};
/// A row of what the bases so far have given. Luma has one plane and a mask, chroma two planes.
struct MergedRow {
  int32_t *depth, *weight;
  int16_t* mask;
  int16_t* value[2];
};

/// Samples a plane at Q8 positions of a picture of width x height, shifted right by `half` for its
/// chroma planes (interpolate.cpp). Every position may be sampled: they are clamped.
struct SampleScratch {
  int32_t *offset, *weights;
};
void sample_row(const Area<int16_t>& plane, int width, int height, int half, const int32_t* at_x,
                const int32_t* at_y, int count, const SampleScratch& scratch, int32_t* out);

// merge.cpp
void merge_row(const MergedRow& to, const Shown& shown, const Blend& blend, int count);
/// The 2x2 pixels of a chroma sample are represented by the nearest of those that are seen; its
/// position is moved to their common corner. `count` chroma samples; rows have 2 count pixels.
void choose_representatives(const Shown (&rows)[2], int count, const Shown& to);

/// Samples the base where memory.nearest says and merges it with what is there (sample.cpp).
void sample_base(const Base& base, const Blend& blend, WarpMemory& memory, ThreadPool* pool);

/// Fills what no base sees (fill.cpp).
void fill_holes(int width, int height, int32_t edge, WarpMemory& memory);

/// The prediction in memory -> its destination (output.cpp). Null pictures are not written.
void write_planes(const PlacedCamera& target, const DepthScale& scale, const WarpedPlanes& out,
                  WarpMemory& memory, ThreadPool* pool);
void write_pictures(const PlacedCamera& target, const DepthScale& scale,
                    const MutablePicture* texture, const MutablePicture* depth, WarpMemory& memory,
                    ThreadPool* pool);

/// int32 of scratch memory that a worker needs for rows of `width`.
inline constexpr int kScratchRows = 16;
inline ptrdiff_t scratch_stride(int width) { return round_up(width + 2 * kWarpBorder, 16); }
/// Starts at column 0; there is room for kWarpBorder columns before it and behind `width`.
inline int32_t* scratch_row(WarpMemory& memory, int worker, int row, ptrdiff_t stride) {
  return memory.rows.data() + (ptrdiff_t{worker} * kScratchRows + row) * stride + kWarpBorder;
}

/// Calls fn(index, worker) for 0..count-1, on the pool if there is one.
template <typename F>
void for_each(ThreadPool* pool, int count, F&& fn) {
  if (pool != nullptr) {
    pool->parallel_for(count, fn);
  } else {
    for (int i = 0; i < count; ++i) fn(i, 0);
  }
}

}  // namespace mvinr
