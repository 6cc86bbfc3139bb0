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

/// Three rows of projected base pixels around the one that is drawn, and its footprints.
struct Rows {
  Projected projected[3];
  int32_t *left, *right, *top, *bottom;
};

inline __attribute__((always_inline)) int32_t clamp_extent(int32_t v) {
  v = v < -kMostExtent ? -kMostExtent : v;
  return v > kMostExtent ? kMostExtent : v;
}

struct Neighbour {
  const int32_t *source, *x, *y, *inverse;  // inverse depths in the base and projected pixels
};

// Half the way to a neighbour on the same surface, else `otherwise`.
inline __attribute__((always_inline)) bool joined(const Neighbour& from, int i, const Neighbour& to,
                                                  int j, int32_t edge) {
  const int32_t step = to.source[j] - from.source[i];
  return (step < 0 ? -step : step) <= edge && to.inverse[j] > 0;
}

// Target columns [left, right) and rows [top, bottom) whose centres are in the footprint: the box
// around the parallelogram of the half steps to the neighbours.
MVINR_CLONES void footprints(const Neighbour* rows, int32_t edge, int count, int32_t* left,
                             int32_t* right, int32_t* top, int32_t* bottom) {
  const Neighbour up = rows[0], here = rows[1], down = rows[2];
  for (int x = 0; x < count; ++x) {
    const bool to_left = joined(here, x, here, x - 1, edge),
               to_right = joined(here, x, here, x + 1, edge);
    const bool to_top = joined(here, x, up, x, edge), to_bottom = joined(here, x, down, x, edge);
    // Steps to the right and to the bottom; where there is no neighbour, the opposite step.
    const int32_t dx = here.x[x + 1] - here.x[x], dy = here.y[x + 1] - here.y[x];
    const int32_t ex = here.x[x] - here.x[x - 1], ey = here.y[x] - here.y[x - 1];
    const int32_t right_x = to_right ? dx : to_left ? ex : 2 * kHalf,
                  right_y = to_right ? dy : to_left ? ey : 0;
    const int32_t left_x = to_left ? ex : to_right ? dx : 2 * kHalf,
                  left_y = to_left ? ey : to_right ? dy : 0;
    const int32_t fx = down.x[x] - here.x[x], fy = down.y[x] - here.y[x];
    const int32_t gx = here.x[x] - up.x[x], gy = here.y[x] - up.y[x];
    const int32_t bottom_x = to_bottom ? fx : to_top ? gx : 0,
                  bottom_y = to_bottom ? fy : to_top ? gy : 2 * kHalf;
    const int32_t top_x = to_top ? gx : to_bottom ? fx : 0,
                  top_y = to_top ? gy : to_bottom ? fy : 2 * kHalf;
    const int32_t low_x = std::min(-left_x, right_x), high_x = std::max(-left_x, right_x),
                  low_x2 = std::min(-top_x, bottom_x), high_x2 = std::max(-top_x, bottom_x);
    const int32_t low_y = std::min(-left_y, right_y), high_y = std::max(-left_y, right_y),
                  low_y2 = std::min(-top_y, bottom_y), high_y2 = std::max(-top_y, bottom_y);
    left[x] = (here.x[x] + clamp_extent((low_x >> 1) + (low_x2 >> 1)) + kHalf - 1) >> 8;
    right[x] = (here.x[x] + clamp_extent((high_x >> 1) + (high_x2 >> 1)) + kHalf - 1) >> 8;
    top[x] = (here.y[x] + clamp_extent((low_y >> 1) + (low_y2 >> 1)) + kHalf - 1) >> 8;
    bottom[x] = (here.y[x] + clamp_extent((high_y >> 1) + (high_y2 >> 1)) + kHalf - 1) >> 8;
  }
}

void draw(const int32_t* inverse, const Rows& rows, int count, int width, int begin, int end,
          int32_t* nearest) {
  for (int x = 0; x < count; ++x) {
    const int32_t depth = inverse[x];
    if (depth == 0) continue;
    const int x0 = std::max(rows.left[x], 0), x1 = std::min(rows.right[x], width);
    const int y0 = std::max(rows.top[x], begin), y1 = std::min(rows.bottom[x], end);
    for (int y = y0; y < y1; ++y)
      for (int column = x0; column < x1; ++column) {
        int32_t& there = nearest[ptrdiff_t{y} * width + column];
        there = std::max(there, depth);
      }
  }
}

}  // namespace

void splat(const Base& base, WarpMemory& memory, ThreadPool* pool) {
  const ViewMap& map = *base.map;
  const int width = map.target_width, height = map.target_height;
  const int columns = map.base_width;
  const ptrdiff_t stride = scratch_stride(std::max(columns, width));
  // Workers own bands of target rows; each looks at all base rows, and projects those that may
  // reach its band.
  const int bands = pool == nullptr ? 1 : std::min(pool->workers(), height);
  for_each(pool, bands, [&](int band, int worker) {
    const int begin = int(int64_t{height} * band / bands);
    const int end = int(int64_t{height} * (band + 1) / bands);
    std::fill_n(memory.nearest.data() + ptrdiff_t{begin} * width, ptrdiff_t{end - begin} * width,
                0);
    const auto line = [&](int i) { return scratch_row(memory, worker, i, stride); };
    Rows rows;
    for (int i = 0; i < 3; ++i) {
      rows.projected[i] = {line(3 * i), line(3 * i + 1), line(3 * i + 2)};
      for (int side : {-1, columns}) rows.projected[i].inverse[side] = 0;
      for (int side : {-1, columns}) rows.projected[i].x[side] = rows.projected[i].y[side] = 0;
    }
    rows.left = line(9), rows.right = line(10), rows.top = line(11), rows.bottom = line(12);

    const auto project = [&](int y, const Projected& to) {
      if (y < 0 || y >= base.inverse.height) {
        std::fill_n(to.inverse, columns, 0);
        std::fill_n(to.x, columns, 0);
        std::fill_n(to.y, columns, 0);
      } else {
        project_row(project_along(map.forward, y), base.inverse.row(y), columns, to);
      }
    };
    project(-1, rows.projected[0]);
    project(0, rows.projected[1]);
    for (int y = 0; y < base.inverse.height; ++y) {
      project(y + 1, rows.projected[2]);
      Neighbour around[3];
      for (int i = 0; i < 3; ++i)
        around[i] = {base.inverse.row(y - 1 + i), rows.projected[i].x, rows.projected[i].y,
                     rows.projected[i].inverse};
      footprints(around, map.base_edge, columns, rows.left, rows.right, rows.top, rows.bottom);
      draw(rows.projected[1].inverse, rows, columns, width, begin, end, memory.nearest.data());
      std::rotate(rows.projected, rows.projected + 1, rows.projected + 3);
    }
  });
}

}  // namespace mvinr
