// Holes: what no base sees is filled from the background beside it.
#include <algorithm>
#include <cstring>

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

using Block [[gnu::vector_size(16)]] = int32_t;
Block zeros(const int32_t* from) {
  Block block;
  std::memcpy(&block, from, sizeof block);
  return block == Block{};
}

// The first hole at or behind column x; `width` if there is none.
int next_hole(const int32_t* row, int x, int width) {
  for (; x + 16 <= width; x += 16) {
    const Block holes =
        zeros(row + x) | zeros(row + x + 4) | zeros(row + x + 8) | zeros(row + x + 12);
    int64_t halves[2];
    std::memcpy(halves, &holes, sizeof holes);
    if ((halves[0] | halves[1]) != 0) break;
  }
  while (x < width && row[x] != 0) ++x;
  return x;
}

// Fills the holes between pixels; returns whether holes are left, which reach the picture's side.
bool fill_inner_holes(const Layer& layer, int32_t edge) {
  bool left_over = false;
  for (int y = 0; y < layer.height; ++y) {
    const int32_t* row = layer.depth + ptrdiff_t{y} * layer.width;
    for (int x = 0; (x = next_hole(row, x, layer.width)) < layer.width; ++x) {
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

// below[x] = the row of the nearest pixel at or below row y, for every pixel of the layer.
constexpr int32_t kNone = 1 << 20;
void find_below(const Layer& layer, int32_t* below) {
  std::fill_n(below + ptrdiff_t{layer.height} * layer.width, layer.width, kNone);
  for (int y = layer.height - 1; y >= 0; --y) {
    const int32_t* depth = layer.depth + ptrdiff_t{y} * layer.width;
    int32_t* row = below + ptrdiff_t{y} * layer.width;
    for (int x = 0; x < layer.width; ++x) row[x] = depth[x] != 0 ? y : row[x + layer.width];
  }
}

// Every pixel that is left takes the values of the nearest one in its row or column; of equals, the
// one in its row, then the one above. `below`: one number per pixel and a row more. `above`: one
// per column.
void fill_outer_holes(const Layer& layer, int32_t* below, int32_t* above) {
  const int width = layer.width, height = layer.height;
  find_below(layer, below);
  std::fill_n(above, width, -kNone);
  for (int y = 0; y < height; ++y) {
    const ptrdiff_t start = ptrdiff_t{y} * width;
    const int32_t* row = layer.depth + start;
    // Holes that are left touch a side, so the pixels of a row are one run [first, last] (what this
    // loop fills becomes negative).
    int first = 0, last = width - 1;
    while (first < width && row[first] == 0) ++first;
    while (last > first && row[last] == 0) --last;
    const auto fill = [&](int x) {
      const int beside = first == width ? kNone : x < first ? first : last;
      const int row_distance = first == width ? kNone : std::abs(beside - x);
      const int up = y - above[x], down = below[start + x] - y;
      const ptrdiff_t to = start + x;
      if (std::min({row_distance, up, down}) >= kNone - kMaxPictureSize) return;
      const ptrdiff_t from = row_distance <= std::min(up, down)
                                 ? start + beside
                                 : ptrdiff_t{up <= down ? above[x] : below[to]} * width + x;
      layer.copy(from, to, -layer.depth[from]);
    };
    for (int x = 0; x < first; ++x) fill(x);
    if (first == width) continue;
    std::fill(above + first, above + last + 1, y);
    for (int x = last + 1; x < width; ++x) fill(x);
  }
  for (int y = 0; y < height; ++y) {
    const ptrdiff_t start = ptrdiff_t{y} * width;
    int32_t* row = layer.depth + start;
    const auto finish = [&](int x) {
      if (row[x] == 0) {  // no base sees anything: the picture is grey and far away
        row[x] = -1;
        for (int v = 0; v < layer.values; ++v) layer.value[v][start + x] = 512;
      }
      row[x] = -row[x];
    };
    int x = 0;
    for (; x < width && row[x] <= 0; ++x) finish(x);
    for (int right = width - 1; right > x && row[right] <= 0; --right) finish(right);
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
