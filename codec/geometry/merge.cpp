// How what one base shows joins what the others have shown. Loops without branches, so that they
// become vectors.
#include <algorithm>

#include "base/clones.h"
#include "geometry/warp_parts.h"

namespace mvinr {
namespace {

inline __attribute__((always_inline)) int32_t weight_of(int base_weight, int32_t share) {
  const int32_t weight = base_weight * share >> 6;
  return weight < 1 ? 1 : weight;
}

// The first base: nothing is there yet.
template <int kPlanes>
inline __attribute__((always_inline)) void begin(const MergedRow& to, const Shown& shown,
                                                 int base_weight, int count) {
  int32_t* __restrict depth = to.depth;
  int32_t* __restrict weight = to.weight;
  int16_t* __restrict mask = to.mask;
  const int32_t *share = shown.share, *inverse = shown.inverse;
  for (int x = 0; x < count; ++x) {
    depth[x] = share[x] != 0 ? inverse[x] : 0;
    weight[x] = share[x] != 0 ? weight_of(base_weight, share[x]) : 0;
  }
  for (int p = 0; p < kPlanes; ++p) {
    int16_t* __restrict value = to.value[p];
    const int32_t* from = shown.value[p];
    for (int x = 0; x < count; ++x) value[x] = int16_t(from[x]);
  }
  if (mask == nullptr) return;
  for (int x = 0; x < count; ++x) mask[x] = int16_t(share[x]);
}

// A further base: a nearer surface replaces, the same surface is blended. Quotients in binary64 are
// exact: see rows.cpp.
template <int kPlanes>
inline __attribute__((always_inline)) void join(const MergedRow& to, const Shown& shown,
                                                int base_weight, int32_t tolerance, int count) {
  int32_t* __restrict depths = to.depth;
  int32_t* __restrict weights = to.weight;
  int16_t* __restrict mask = to.mask;
  int16_t* __restrict value0 = to.value[0];
  int16_t* __restrict value1 = to.value[kPlanes - 1];
  const int32_t *share = shown.share, *inverse = shown.inverse;
  const int32_t *new0 = shown.value[0], *new1 = shown.value[kPlanes - 1];
  for (int x = 0; x < count; ++x) {
    const int32_t depth = depths[x], step = inverse[x] - depth, old = weights[x];
    const bool keep = (share[x] == 0) | (step < -tolerance);
    const bool replace = (depth == 0) | (step > tolerance);
    const int32_t weight = weight_of(base_weight, share[x]), both = old + weight;
    const double by = both;
    const int32_t depth_of_both = int32_t((double(depth) * old + double(inverse[x]) * weight) / by);
    const auto blend = [&](int32_t there, int32_t shown_here) {
      const int32_t of_both = int32_t(double(there * old + shown_here * weight + (both >> 1)) / by);
      return keep ? there : replace ? shown_here : of_both;
    };
    value0[x] = int16_t(blend(value0[x], new0[x]));
    if constexpr (kPlanes == 2) value1[x] = int16_t(blend(value1[x], new1[x]));
    if constexpr (kPlanes == 1) {
      const int32_t there = mask[x];
      mask[x] = int16_t(keep ? there : replace || share[x] > there ? share[x] : there);
    }
    depths[x] = keep ? depth : replace ? inverse[x] : depth_of_both;
    weights[x] = keep ? old : replace ? weight : both;
  }
}

MVINR_CLONES void begin_luma(const MergedRow& to, const Shown& shown, int weight, int count) {
  begin<1>(to, shown, weight, count);
}
MVINR_CLONES void begin_chroma(const MergedRow& to, const Shown& shown, int weight, int count) {
  begin<2>(to, shown, weight, count);
}
MVINR_CLONES void join_luma(const MergedRow& to, const Shown& shown, int weight, int32_t tolerance,
                            int count) {
  join<1>(to, shown, weight, tolerance, count);
}
MVINR_CLONES void join_chroma(const MergedRow& to, const Shown& shown, int weight,
                              int32_t tolerance, int count) {
  join<2>(to, shown, weight, tolerance, count);
}

MVINR_CLONES void choose(const Shown* rows, int count, int32_t* __restrict to_x,
                         int32_t* __restrict to_y, int32_t* __restrict to_inverse,
                         int32_t* __restrict to_share) {
  const Shown above = rows[0], below = rows[1];
  for (int b = 0; b < count; ++b) {
    int32_t inverse = 0, share = 0, x = 0, y = 0;
    const auto offer = [&](const Shown& row, int column, int32_t right, int32_t down) {
      const bool nearer = (row.share[column] != 0) & (row.inverse[column] > inverse);
      inverse = nearer ? row.inverse[column] : inverse;
      share = nearer ? row.share[column] : share;
      x = nearer ? row.x[column] + right : x;
      y = nearer ? row.y[column] + down : y;
    };
    offer(above, 2 * b, 128, 128);
    offer(above, 2 * b + 1, -128, 128);
    offer(below, 2 * b, 128, -128);
    offer(below, 2 * b + 1, -128, -128);
    to_inverse[b] = inverse, to_share[b] = share, to_x[b] = x, to_y[b] = y;
  }
}

}  // namespace

void merge_row(const MergedRow& to, const Shown& shown, const Blend& blend, int count) {
  const bool luma = to.mask != nullptr;
  if (blend.first) {
    (luma ? begin_luma : begin_chroma)(to, shown, blend.weight, count);
  } else {
    (luma ? join_luma : join_chroma)(to, shown, blend.weight, blend.tolerance, count);
  }
}

void choose_representatives(const Shown (&rows)[2], int count, const Shown& to) {
  choose(rows, count, to.x, to.y, to.inverse, to.share);
}

}  // namespace mvinr
