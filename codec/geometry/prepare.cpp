// Base pictures in the form that warping reads: bordered by repetition, and depth as inverse depth.
#include "geometry/warp_parts.h"

namespace mvinr {
Base prepare_base(const ViewMap& map, const Picture* texture, const Picture& depth,
                  WarpMemory& memory, ThreadPool* pool) {
  const int width = map.base_width, height = map.base_height;
  Base base{.map = &map, .inverse = bordered(memory.inverse, width, height)};
  const int bytes = bytes_per_sample(depth.format);
  for_each(pool, height, [&](int y, int) {
    inverse_of_row(map.base_depth, (1 << bit_depth(depth.format)) - 1,
                   depth.data[0] + y * depth.stride[0], bytes, width, base.inverse.row(y));
    add_side_borders(base.inverse, y);
  });
  add_top_and_bottom(base.inverse);

  if (texture == nullptr) return base;

  const int shift = 10 - bit_depth(texture->format);
  for (int p = 0; p < 3; ++p) {
    base.texture[p] = bordered(memory.texture[p], plane_size(width, p), plane_size(height, p));
    const Area<int16_t>& area = base.texture[p];
    for_each(pool, area.height, [&](int y, int) {
      texture_of_row(texture->data[p] + y * texture->stride[p], bytes_per_sample(texture->format),
                     shift, area.width, area.row(y));
      add_side_borders(area, y);
    });
    add_top_and_bottom(area);
  }
  return base;
}

}  // namespace mvinr
