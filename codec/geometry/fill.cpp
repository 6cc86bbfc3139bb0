// Holes: what no base sees is filled from the background beside it.
#include <algorithm>

#include "geometry/warp_parts.h"

namespace mvinr {
namespace {

/// Inverse depth (0: hole) and the values that go with it.
struct Layer {
  int32_t* depth;
  int16_t* value[2];
  int values, width, height;

  void copy(ptrdiff_t from, ptrdiff_t to, int32_t new_depth) const {
    depth[to] = new_depth;
    for (int v = 0; v < values; ++v) value[v][to] = value[v][from];
  }
};

// Fills a hole [begin, end) that has pixels on both sides, in row `y`, from the side that is
// farther away; the pixel next to the hole counts only if the one behind it is not farther still
// (it may have a share of the foreground). Half of each value comes from the pixel above, if that
// lies on the same surface: streaks become softer.
void fill_hole(const Layer& layer, int y, int begin, int end, int32_t edge) {
  const ptrdiff_t start = ptrdiff_t{y} * layer.width;
  const int32_t* row = layer.depth + start;
  int left = begin - 1, right = end;
  if (left > 0 && row[left - 1] != 0 && row[left - 1] < row[left]) --left;
  if (right + 1 < layer.width && row[right + 1] != 0 && row[right + 1] < row[right]) ++right;
  const ptrdiff_t source = start + (row[right] < row[left] ? right : left);
  const int32_t depth = layer.depth[source];
  for (int x = begin; x < end; ++x) {
    const ptrdiff_t to = start + x, above = to - layer.width;
    layer.copy(source, to, depth);
    if (y == 0 || layer.depth[above] == 0 || std::abs(layer.depth[above] - depth) > edge) continue;
    for (int v = 0; v < layer.values; ++v)
      layer.value[v][to] = int16_t((layer.value[v][to] + layer.value[v][above] + 1) >> 1);
  }
}

// Fills the holes between pixels; returns whether holes are left, which reach the picture's side.
bool fill_inner_holes(const Layer& layer, int32_t edge) {
  bool left_over = false;
  for (int y = 0; y < layer.height; ++y) {
    const int32_t* row = layer.depth + ptrdiff_t{y} * layer.width;
    for (int x = 0; x < layer.width; ++x) {
      if (row[x] != 0) continue;
      const int begin = x;
      while (x < layer.width && row[x] == 0) ++x;
      if (begin > 0 && x < layer.width) {
        fill_hole(layer, y, begin, x, edge);
      } else {
        left_over = true;
      }
    }
  }
  return left_over;
}

// Every pixel that is left takes the values of the nearest one in its row or column; of equals, the
// one in its row, then the one above. `below`: one number per pixel. `above`: one per column.
void fill_outer_holes(const Layer& layer, int32_t* below, int32_t* above) {
  const int width = layer.width, height = layer.height;
  constexpr int32_t kNone = 1 << 20;
  for (int y = height - 1; y >= 0; --y)
    for (ptrdiff_t x = 0, i = ptrdiff_t{y} * width; x < width; ++x, ++i)
      below[i] = layer.depth[i] != 0 ? y : y + 1 < height ? below[i + width] : kNone;
  std::fill_n(above, width, -kNone);
  for (int y = 0; y < height; ++y) {
    const ptrdiff_t start = ptrdiff_t{y} * width;
    const int32_t* row = layer.depth + start;
    // Holes that are left touch a side, so the pixels of a row are one run (what this loop fills
    // becomes negative).
    int first = 0, last = width - 1;
    while (first < width && row[first] == 0) ++first;
    while (last > first && row[last] == 0) --last;
    for (int x = 0; x < width; ++x) {
      if (x >= first && x <= last && first < width) {
        above[x] = y;
        continue;
      }
      const int beside = first == width ? kNone : x < first ? first : last;
      const int row_distance = first == width ? kNone : std::abs(beside - x);
      const int up = y - above[x], down = below[start + x] - y;
      const ptrdiff_t to = start + x;
      if (std::min({row_distance, up, down}) >= kNone - kMaxPictureSize) continue;
      const ptrdiff_t from = row_distance <= std::min(up, down)
                                 ? start + beside
                                 : ptrdiff_t{up <= down ? above[x] : below[to]} * width + x;
      layer.copy(from, to, -layer.depth[from]);
    }
  }
  // If no base sees anything, the picture is grey and far away.
  for (ptrdiff_t i = 0; i < ptrdiff_t{width} * height; ++i) {
    if (layer.depth[i] == 0) {
      layer.depth[i] = -1;
      for (int v = 0; v < layer.values; ++v) layer.value[v][i] = 512;
    }
    layer.depth[i] = std::abs(layer.depth[i]);
  }
}

}  // namespace

void fill_holes(int width, int height, int32_t edge, WarpMemory& memory) {
  const Layer layers[2] = {{memory.depth.data(), {memory.luma.data(), nullptr}, 1, width, height},
                           {memory.chroma_depth.data(),
                            {memory.chroma[0].data(), memory.chroma[1].data()},
                            2,
                            (width + 1) / 2,
                            (height + 1) / 2}};
  for (const Layer& layer : layers)
    if (fill_inner_holes(layer, edge))
      fill_outer_holes(layer, memory.nearest.data(), memory.rows.data());
}

}  // namespace mvinr
