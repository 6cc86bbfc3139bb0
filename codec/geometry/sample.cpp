// Backward sampling: where the base shows what a target pixel sees, and its colour there.
#include <algorithm>
#include <cstring>

#include "base/clones.h"
#include "geometry/warp_parts.h"

namespace mvinr {
namespace {

constexpr int32_t kLeastShare = 64;  // of 65536

inline __attribute__((always_inline)) int32_t magnitude(int32_t v) { return v < 0 ? -v : v; }

inline __attribute__((always_inline)) int32_t between(int32_t v, int32_t low, int32_t high) {
  v = v < low ? low : v;
  return v > high ? high : v;
}

/// The four base pixels around each position: pairs of neighbours above and below.
struct Around {
  int32_t *offset, *above, *below;  // of the upper left one; [2 count]
};

MVINR_CLONES void locate(const Area<int32_t>& base, const Projected& at, int count,
                         int32_t* __restrict offset) {
  const int32_t *at_x = at.x, *at_y = at.y;
  const int32_t width = base.width, height = base.height, stride = int32_t(base.stride);
  for (int x = 0; x < count; ++x)
    offset[x] = between((at_y[x] - 128) >> 8, -1, height - 1) * stride +
                between((at_x[x] - 128) >> 8, -1, width - 1);
}

// A loop of its own: copying pairs is quicker than the gather instructions.
void fetch(const Area<int32_t>& base, int count, const Around& around) {
  for (int x = 0; x < count; ++x) {
    const int32_t* from = base.origin + around.offset[x];
    std::memcpy(around.above + 2 * x, from, 2 * sizeof *from);
    std::memcpy(around.below + 2 * x, from + base.stride, 2 * sizeof *from);
  }
}

// Weighs the four base pixels around each position by bilinear weights, but only those that lie on
// the surface which was projected there: their mean inverse depth, and their share of the weights
// (Q10). Both are 0 where there is no such pixel. No branches, so that the loop becomes vectors.
MVINR_CLONES void find_surface(const Area<int32_t>& base, int32_t edge, const Projected& at,
                               const int32_t* above, const int32_t* below, int count,
                               int32_t* __restrict surface, int32_t* __restrict share) {
  const int32_t *at_x = at.x, *at_y = at.y, *at_inverse = at.inverse;
  const int32_t width = base.width, height = base.height;
  for (int x = 0; x < count; ++x) {
    const int32_t expected = at_inverse[x];
    const int32_t px = at_x[x] - 128, py = at_y[x] - 128;
    const int32_t ix = px >> 8, iy = py >> 8, fx = px & 255, fy = py & 255;
    const bool inside = (expected > 0) & (ix >= -1) & (iy >= -1) & (ix < width) & (iy < height);
    const int32_t a = above[2 * x], b = above[2 * x + 1], c = below[2 * x], d = below[2 * x + 1];
    const int32_t wa = magnitude(a - expected) <= edge ? (256 - fx) * (256 - fy) : 0;
    const int32_t wb = magnitude(b - expected) <= edge ? fx * (256 - fy) : 0;
    const int32_t wc = magnitude(c - expected) <= edge ? (256 - fx) * fy : 0;
    const int32_t wd = magnitude(d - expected) <= edge ? fx * fy : 0;
    const int32_t total = wa + wb + wc + wd;
    const bool found = inside & (total >= kLeastShare);
    const double sum = double(a) * wa + double(b) * wb + double(c) * wc + double(d) * wd;
    // Not found: by the most that the weights can sum up to, so that the quotient fits.
    const double by = found ? total : 65536.0;
    const int32_t mean = static_cast<int32_t>((sum + (total >> 1)) / by);
    surface[x] = found ? mean : 0;
    share[x] = found ? total >> 6 : 0;
  }
}

}  // namespace

void sample_base(const Base& base, const Blend& blend, WarpMemory& memory, ThreadPool* pool) {
  const ViewMap& map = *base.map;
  const int width = map.target_width, height = map.target_height, half = (width + 1) / 2;
  const ptrdiff_t stride = scratch_stride(std::max(map.base_width, width));
  for_each(pool, (height + 1) / 2, [&](int pair, int worker) {
    const auto line = [&](int i) { return scratch_row(memory, worker, i, stride); };
    int32_t *surface = line(8), *value = line(9);
    const SampleScratch scratch{line(10), line(11)};
    const Around around{line(10), line(12), line(14)};  // two lines each: free until chroma
    const Shown rows[2] = {{line(0), line(1), line(2), line(3), {value}},
                           {line(4), line(5), line(6), line(7), {value}}};
    for (int r = 0; r < 2; ++r) {
      const int y = 2 * pair + r;
      const Shown& row = rows[r];
      if (y >= height) {  // beyond the picture: nothing
        std::fill_n(row.share, 2 * half, 0);
        continue;
      }
      const ptrdiff_t start = ptrdiff_t{y} * width;
      const int32_t* nearest = memory.nearest.data() + start;
      const RowProjection along = project_along(map.backward, y);
      const Projected projected{row.x, row.y, row.inverse};
      project_row(along, nearest, width, projected);
      locate(base.inverse, projected, width, around.offset);
      fetch(base.inverse, width, around);
      find_surface(base.inverse, map.base_edge, projected, around.above, around.below, width,
                   surface, row.share);
      unproject_row(along, nearest, surface, width, row.inverse);
      project_row_positions(along, row.inverse, width, row.x, row.y);
      row.share[width] = 0;  // beyond the picture, if its width is odd
      sample_row(base.texture[0], map.base_width, map.base_height, 0, row.x, row.y, width, scratch,
                 value);
      merge_row({memory.depth.data() + start,
                 memory.weight.data() + start,
                 memory.mask.data() + start,
                 {memory.luma.data() + start}},
                row, blend, width);
    }
    const Shown chroma{line(12), line(13), line(14), line(15), {surface, value}};
    choose_representatives(rows, half, chroma);
    for (int p = 0; p < 2; ++p)
      sample_row(base.texture[p + 1], map.base_width, map.base_height, 1, chroma.x, chroma.y, half,
                 scratch, p == 0 ? surface : value);
    const ptrdiff_t start = ptrdiff_t{pair} * half;
    merge_row({memory.chroma_depth.data() + start,
               memory.chroma_weight.data() + start,
               nullptr,
               {memory.chroma[0].data() + start, memory.chroma[1].data() + start}},
              chroma, blend, half);
  });
}

}  // namespace mvinr
