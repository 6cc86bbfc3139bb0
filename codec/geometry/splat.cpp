// Forward projection: every base pixel covers the target pixels whose centres lie in its footprint;
// the nearest surface wins.
#include <algorithm>
#include <cstdlib>

#include "base/clones.h"
#include "geometry/warp_parts.h"

namespace mvinr {
namespace {

constexpr int kHalf = 128;        // half a pixel, Q8
constexpr int kMostExtent = 512;  // a footprint reaches at most two pixels to each side

/// Of each base pixel the target pixels that it covers: the first one, how many columns and rows.
struct Boxes {
  int32_t *first, *columns, *rows;
};
/// The part of the target that is drawn: all columns, rows [begin, end).
struct Band {
  int width, begin, end;
};

inline __attribute__((always_inline)) int32_t clamp_extent(int32_t v) {
  v = v < -kMostExtent ? -kMostExtent : v;
  return v > kMostExtent ? kMostExtent : v;
}

/// A row of base pixels: their inverse depths there, and what they become.
struct Neighbour {
  const int32_t *source, *x, *y, *inverse;
};

// Whether pixel j of a row (or the row beside it) lies on the same surface as pixel i.
inline __attribute__((always_inline)) bool joined(const Neighbour& from, int i, const Neighbour& to,
                                                  int j, int32_t edge) {
  const int32_t step = to.source[j] - from.source[i];
  return ((step < 0 ? -step : step) <= edge) & (to.inverse[j] > 0);
}

// The target pixels whose centres are in the footprint: the box around the parallelogram of the
// half steps to the neighbours, cut to the band. No pixel: no rows.
MVINR_CLONES void footprints(const Neighbour* rows, int32_t edge, int count, const Band& band,
                             int32_t* __restrict first, int32_t* __restrict columns,
                             int32_t* __restrict row_counts) {
  const int32_t width = band.width, begin = band.begin, end = band.end;
  const Neighbour up = rows[0], here = rows[1], down = rows[2];
  for (int x = 0; x < count; ++x) {
    const bool to_left = joined(here, x, here, x - 1, edge),
               to_right = joined(here, x, here, x + 1, edge);
    const bool to_top = joined(here, x, up, x, edge), to_bottom = joined(here, x, down, x, edge);
    // Steps to the right and to the bottom; where there is no neighbour, the opposite step.
    const int32_t dx = here.x[x + 1] - here.x[x], dy = here.y[x + 1] - here.y[x];
    const int32_t ex = here.x[x] - here.x[x - 1], ey = here.y[x] - here.y[x - 1];
    const int32_t right_x = to_right  ? dx
                            : to_left ? ex
                                      : 2 * kHalf,
                  right_y = to_right  ? dy
                            : to_left ? ey
                                      : 0;
    const int32_t left_x = to_left    ? ex
                           : to_right ? dx
                                      : 2 * kHalf,
                  left_y = to_left    ? ey
                           : to_right ? dy
                                      : 0;
    const int32_t fx = down.x[x] - here.x[x], fy = down.y[x] - here.y[x];
    const int32_t gx = here.x[x] - up.x[x], gy = here.y[x] - up.y[x];
    const int32_t bottom_x = to_bottom ? fx
                             : to_top  ? gx
                                       : 0,
                  bottom_y = to_bottom ? fy
                             : to_top  ? gy
                                       : 2 * kHalf;
    const int32_t top_x = to_top      ? gx
                          : to_bottom ? fx
                                      : 0,
                  top_y = to_top      ? gy
                          : to_bottom ? fy
                                      : 2 * kHalf;
    const int32_t low_x = std::min(-left_x, right_x), high_x = std::max(-left_x, right_x),
                  low_x2 = std::min(-top_x, bottom_x), high_x2 = std::max(-top_x, bottom_x);
    const int32_t low_y = std::min(-left_y, right_y), high_y = std::max(-left_y, right_y),
                  low_y2 = std::min(-top_y, bottom_y), high_y2 = std::max(-top_y, bottom_y);
    const int32_t left = (here.x[x] + clamp_extent((low_x >> 1) + (low_x2 >> 1)) + kHalf - 1) >> 8;
    const int32_t right =
        (here.x[x] + clamp_extent((high_x >> 1) + (high_x2 >> 1)) + kHalf - 1) >> 8;
    const int32_t top = (here.y[x] + clamp_extent((low_y >> 1) + (low_y2 >> 1)) + kHalf - 1) >> 8;
    const int32_t bottom =
        (here.y[x] + clamp_extent((high_y >> 1) + (high_y2 >> 1)) + kHalf - 1) >> 8;
    const int32_t x0 = std::max(left, 0), y0 = std::max(top, begin);
    const int32_t box_columns = std::min(right, width) - x0;
    const int32_t box_rows = std::min(bottom, end) - y0;
    // All bits where the three are positive (written so that no branch comes of it).
    const int32_t any =
        ~(((here.inverse[x] - 1) >> 31) | ((box_columns - 1) >> 31) | ((box_rows - 1) >> 31));
    first[x] = (y0 * width + x0) & any;
    columns[x] = box_columns;
    row_counts[x] = box_rows & any;
  }
}

void draw(const int32_t* inverse, const Boxes& boxes, int count, int width, int32_t* nearest) {
  const auto put = [](int32_t& there, int32_t depth) { there = there < depth ? depth : there; };
  for (int x = 0; x < count; ++x) {
    const int32_t depth = inverse[x], columns = boxes.columns[x];
    int32_t* at = nearest + boxes.first[x];
    if (boxes.rows[x] == 1 && columns <= 2) {  // nearly always; the second may be the first again
      put(at[0], depth);
      put(at[columns - 1], depth);
      continue;
    }
    for (int rows = boxes.rows[x]; rows > 0; --rows, at += width)
      for (int column = 0; column < columns; ++column) put(at[column], depth);
  }
}

/// Target rows [begin, end) that base row y may reach. Where everything is before the target
/// camera, h[1] / h[2] has its extremes at the ends of the row and of the depth range.
struct Reach {
  int begin, end;
};
Reach reach_of_row(const ViewMap& map, int y, int32_t* scratch) {
  const RowProjection row = project_along(map.forward, y);
  constexpr int kMargin = (kMostExtent >> 8) + 2;
  const int32_t range[2] = {std::max(map.base_depth.far, 1), 1 << kInverseBits};
  Reach reach{INT32_MAX, INT32_MIN};
  for (const int32_t depth : range)
    for (const int column : {0, map.base_width - 1}) {
      RowProjection at = row;
      for (int i = 0; i < 3; ++i) at.h[i] += at.a[i] * column;
      int32_t *x = scratch, *to_y = scratch + 1, *inverse = scratch + 2;
      project_row(at, &depth, 1, {x, to_y, inverse});
      if (*inverse == 0) return {INT32_MIN, INT32_MAX};
      reach.begin = std::min(reach.begin, (*to_y >> 8) - kMargin);
      reach.end = std::max(reach.end, (*to_y >> 8) + kMargin);
    }
  return reach;
}

}  // namespace

void splat(const Base& base, WarpMemory& memory, ThreadPool* pool) {
  const ViewMap& map = *base.map;
  const int width = map.target_width, height = map.target_height;
  const int columns = map.base_width;
  const ptrdiff_t stride = scratch_stride(std::max(columns, width));
  // Workers own bands of target rows; each draws the base rows that may reach its band.
  const int bands = pool == nullptr ? 1 : std::min(pool->workers(), height);
  for_each(pool, bands, [&](int band, int worker) {
    const int begin = int(int64_t{height} * band / bands);
    const int end = int(int64_t{height} * (band + 1) / bands);
    std::fill_n(memory.nearest.data() + ptrdiff_t{begin} * width, ptrdiff_t{end - begin} * width,
                0);
    const auto line = [&](int i) { return scratch_row(memory, worker, i, stride); };
    const Boxes boxes{line(9), line(10), line(11)};
    // Projected rows y - 1, y and y + 1 at their numbers modulo 3.
    Projected projected[3];
    int held[3] = {-2, -2, -2};
    for (int i = 0; i < 3; ++i) {
      projected[i] = {line(3 * i), line(3 * i + 1), line(3 * i + 2)};
      for (const int side : {-1, columns})
        projected[i].x[side] = projected[i].y[side] = projected[i].inverse[side] = 0;
    }
    const auto neighbour = [&](int y) {
      const int slot = (y + 3) % 3;
      const Projected& to = projected[slot];
      if (held[slot] != y) {
        held[slot] = y;
        if (y >= 0 && y < base.inverse.height) {
          project_row(project_along(map.forward, y), base.inverse.row(y), columns, to);
        } else {
          for (int32_t* row : {to.x, to.y, to.inverse}) std::fill_n(row, columns, 0);
        }
      }
      return Neighbour{base.inverse.row(y), to.x, to.y, to.inverse};
    };
    for (int y = 0; y < base.inverse.height; ++y) {
      const Reach reach = reach_of_row(map, y, line(12));
      if (reach.begin >= end || reach.end <= begin) continue;
      const Neighbour around[3] = {neighbour(y - 1), neighbour(y), neighbour(y + 1)};
      footprints(around, map.base_edge, columns, {width, begin, end}, boxes.first, boxes.columns,
                 boxes.rows);
      draw(around[1].inverse, boxes, columns, width, memory.nearest.data());
    }
  });
}

}  // namespace mvinr
