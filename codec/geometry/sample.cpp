// Backward sampling: where the base shows what a target pixel sees, its colour there, and how that
// joins what other bases show.
#include <algorithm>

#include "base/clones.h"
#include "geometry/interpolate.h"
#include "geometry/warp_parts.h"

namespace mvinr {
namespace {

constexpr int32_t kLeastShare = 64;  // of 65536

inline __attribute__((always_inline)) int32_t magnitude(int32_t v) { return v < 0 ? -v : v; }

inline __attribute__((always_inline)) int32_t between(int32_t v, int32_t low, int32_t high) {
  v = v < low ? low : v;
  return v > high ? high : v;
}

// Weighs the four base pixels around each position by bilinear weights, but only those that lie on
// the surface which was projected there: their mean inverse depth, and their share of the weights
// (Q10). Both are 0 where there is no such pixel. No branches, so that the loop becomes vectors.
MVINR_CLONES void find_surface(const Area<int32_t>& base, int32_t edge, const Projected& at,
                               int count, int32_t* __restrict surface, int32_t* __restrict share) {
  const int32_t *plane = base.origin, *at_x = at.x, *at_y = at.y, *at_inverse = at.inverse;
  const int32_t width = base.width, height = base.height, stride = int32_t(base.stride);
  for (int x = 0; x < count; ++x) {
    const int32_t expected = at_inverse[x];
    const int32_t px = at_x[x] - 128, py = at_y[x] - 128;
    const int32_t ix = px >> 8, iy = py >> 8, fx = px & 255, fy = py & 255;
    const bool inside = (expected > 0) & (ix >= -1) & (iy >= -1) & (ix < width) & (iy < height);
    const int32_t offset = between(iy, -1, height - 1) * stride + between(ix, -1, width - 1);
    const int32_t a = plane[offset], b = plane[offset + 1];
    const int32_t c = plane[offset + stride], d = plane[offset + stride + 1];
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

// Samples the positions whose share is not 0; positions are Q8 of a picture of width x height, and
// are shifted right by `half` for its chroma planes.
MVINR_CLONES void sample_row(const Area<int16_t>& plane, int width, int height, int half,
                             const int32_t* at_x, const int32_t* at_y, const int32_t* share,
                             int count, int32_t* out) {
  const int16_t* origin = plane.origin;
  const ptrdiff_t stride = plane.stride;
  for (int x = 0; x < count; ++x)
    if (share[x] != 0)
      out[x] = interpolate(origin, stride, between(at_x[x], -256, (width + 1) * 256) >> half,
                           between(at_y[x], -256, (height + 1) * 256) >> half);
}

/// One row of what the bases so far have given.
template <int kPlanes>
struct Merged {
  int32_t *depth, *weight;
  int16_t* value[kPlanes];
};

// Joins what a base shows: a nearer surface replaces, the same surface is blended.
template <int kPlanes>
void merge_row(const Merged<kPlanes>& to, const int32_t* inverse, const int32_t* share,
               const int32_t* const (&value)[kPlanes], int base_weight, int32_t tolerance,
               int count, int16_t* mask) {
  for (int x = 0; x < count; ++x) {
    if (share[x] == 0) continue;
    const int32_t depth = to.depth[x], step = inverse[x] - depth;
    if (step < -tolerance) continue;
    const int32_t weight = std::max(base_weight * share[x] >> 6, 1);
    if (depth == 0 || step > tolerance) {
      to.depth[x] = inverse[x], to.weight[x] = weight;
      for (int p = 0; p < kPlanes; ++p) to.value[p][x] = int16_t(value[p][x]);
      if (mask != nullptr) mask[x] = int16_t(share[x]);
      continue;
    }
    const int32_t old = to.weight[x], both = old + weight;
    to.depth[x] = int32_t((int64_t{depth} * old + int64_t{inverse[x]} * weight) / both);
    to.weight[x] = both;
    for (int p = 0; p < kPlanes; ++p)
      to.value[p][x] = int16_t((to.value[p][x] * old + value[p][x] * weight + both / 2) / both);
    if (mask != nullptr) mask[x] = int16_t(std::max<int32_t>(mask[x], share[x]));
  }
}

/// What a base shows of a row of target pixels; `at` says where.
struct Seen {
  Projected at;
  int32_t *inverse, *share;
};

// The 2x2 pixels of a chroma sample are represented by the nearest of those that are seen; its
// position is moved to their common corner.
void choose_representatives(const Seen (&rows)[2], int row_count, int width, const Seen& to) {
  for (int b = 0; b < (width + 1) / 2; ++b) {
    int32_t best = 0;
    to.share[b] = 0;
    for (int r = 0; r < row_count; ++r)
      for (int x = 2 * b; x < std::min(2 * b + 2, width); ++x) {
        if (rows[r].share[x] == 0 || rows[r].inverse[x] <= best) continue;
        best = rows[r].inverse[x];
        to.share[b] = rows[r].share[x];
        to.at.x[b] = rows[r].at.x[x] + (x % 2 == 0 ? 128 : -128);
        to.at.y[b] = rows[r].at.y[x] + (r == 0 ? 128 : -128);
      }
    to.inverse[b] = best;
  }
}

}  // namespace

void sample_base(const Base& base, const Blend& blend, WarpMemory& memory, ThreadPool* pool) {
  const ViewMap& map = *base.map;
  const int width = map.target_width, height = map.target_height, half = (width + 1) / 2;
  const ptrdiff_t stride = scratch_stride(std::max(map.base_width, width));
  for_each(pool, (height + 1) / 2, [&](int pair, int worker) {
    const auto line = [&](int i) { return scratch_row(memory, worker, i, stride); };
    const auto seen = [&](int i) {
      return Seen{{line(i), line(i + 1), line(i + 2)}, line(i + 3), line(i + 4)};
    };
    const Seen rows[2] = {seen(0), seen(5)};
    const int row_count = std::min(2, height - 2 * pair);
    int32_t *surface = line(10), *value = line(11), *second = line(12);
    for (int r = 0; r < row_count; ++r) {
      const int y = 2 * pair + r;
      const ptrdiff_t start = ptrdiff_t{y} * width;
      const Seen& row = rows[r];
      const int32_t* nearest = memory.nearest.data() + start;
      const RowProjection along = project_along(map.backward, y);
      project_row(along, nearest, width, row.at);
      find_surface(base.inverse, map.base_edge, row.at, width, surface, row.share);
      unproject_row(along, nearest, surface, width, row.inverse);
      project_row(along, row.inverse, width, row.at);
      sample_row(base.texture[0], map.base_width, map.base_height, 0, row.at.x, row.at.y, row.share,
                 width, value);
      const Merged<1> to{
          memory.depth.data() + start, memory.weight.data() + start, {memory.luma.data() + start}};
      merge_row<1>(to, row.inverse, row.share, {value}, blend.weight, blend.tolerance, width,
                   memory.mask.data() + start);
    }
    const Seen chroma{{value, second, nullptr}, surface, line(13)};
    choose_representatives(rows, row_count, width, chroma);
    // The luma rows' memory is free now.
    for (int p = 0; p < 2; ++p)
      sample_row(base.texture[p + 1], map.base_width, map.base_height, 1, chroma.at.x, chroma.at.y,
                 chroma.share, half, line(p));
    const ptrdiff_t start = ptrdiff_t{pair} * half;
    const Merged<2> to{memory.chroma_depth.data() + start,
                       memory.chroma_weight.data() + start,
                       {memory.chroma[0].data() + start, memory.chroma[1].data() + start}};
    merge_row<2>(to, chroma.inverse, chroma.share, {line(0), line(1)}, blend.weight,
                 blend.tolerance, half, nullptr);
  });
}

}  // namespace mvinr
