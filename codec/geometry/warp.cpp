#include "geometry/warp.h"

#include <algorithm>
#include <string>

#include "base/try.h"
#include "geometry/warp_parts.h"

namespace mvinr {
namespace {

Error invalid(const std::string& what) { return {ErrorCode::invalid_argument, "warp: " + what}; }

template <typename T>
bool grow(AlignedArray<T>& array, size_t count) {
  return array.size() >= count || array.allocate(count);
}

Status reserve(const ViewMap& map, bool whole, WarpMemory& m, ThreadPool* pool) {
  const auto area = [](int width, int height) { return size_t(width) * size_t(height); };
  const auto with_border = [&](int width, int height) {
    return area(width + 2 * kWarpBorder, height + 2 * kWarpBorder);
  };
  const int w = map.base_width, h = map.base_height;
  const size_t target = area(map.target_width, map.target_height);
  const size_t chroma = area((map.target_width + 1) / 2, (map.target_height + 1) / 2);
  const size_t workers = pool == nullptr ? 1 : size_t(pool->workers());
  bool fits =
      grow(m.inverse, with_border(w, h)) && grow(m.nearest, target + size_t(map.target_width)) &&
      grow(m.rows, workers * kScratchRows * size_t(scratch_stride(std::max(w, map.target_width))));
  if (whole) {
    for (int p = 0; p < 3; ++p)
      fits = fits && grow(m.texture[p], with_border(plane_size(w, p), plane_size(h, p)));
    fits = fits && grow(m.depth, target) && grow(m.weight, target) && grow(m.luma, target) &&
           grow(m.mask, target) && grow(m.chroma_depth, chroma) && grow(m.chroma_weight, chroma) &&
           grow(m.chroma[0], chroma) && grow(m.chroma[1], chroma);
  }
  if (fits) return ok();
  return Error{ErrorCode::limit_exceeded, "warp: not enough memory for pictures of " +
                                              std::to_string(map.target_width) + "x" +
                                              std::to_string(map.target_height)};
}

Status check_picture(const Picture& p, int planes, int width, int height, const char* what) {
  if (plane_count(p.format) != planes || p.width != width || p.height != height)
    return invalid(std::string(what) + " does not have the size and the planes of its view map");
  for (int i = 0; i < planes; ++i)
    if (p.data[i] == nullptr) return invalid(std::string(what) + " has no samples");
  return ok();
}

Status check_input(const BaseInput& base, const PlacedCamera& target) {
  if (base.map == nullptr) return invalid("a base has no view map");
  const ViewMap& map = *base.map;
  if (map.target_width != target.width || map.target_height != target.height)
    return invalid("the view map is for another target");
  MVINR_TRY(check_picture(base.texture, 3, map.base_width, map.base_height, "the base's texture"));
  return check_picture(base.depth, 1, map.base_width, map.base_height, "the base's depth");
}

/// 256 for the nearest base, less for the others: the square of the ratio of distances.
int weight_of(const ViewMap& map, std::span<const BaseInput> bases) {
  uint64_t least = UINT64_MAX;
  for (const BaseInput& b : bases) least = std::min(least, b.map->distance);
  const uint64_t ratio = (least + 1000) * 256 / (map.distance + 1000);  // 1 mm: no division by 0
  return static_cast<int>(std::max<uint64_t>(ratio * ratio / 256, 1));
}

/// Everything but the output: memory.luma, chroma, depth and mask of the target.
Status predict(std::span<const BaseInput> bases, const PlacedCamera& target, WarpMemory& memory,
               ThreadPool* pool) {
  if (bases.empty() || bases.size() > size_t{kMaxViews})
    return invalid(std::to_string(bases.size()) + " bases, must be 1.." +
                   std::to_string(kMaxViews));
  int32_t tolerance = INT32_MAX;
  for (const BaseInput& base : bases) {
    MVINR_TRY(check_input(base, target));
    MVINR_TRY(reserve(*base.map, true, memory, pool));
    tolerance = std::min(tolerance, base.map->target_edge);
  }
  for (size_t b = 0; b < bases.size(); ++b) {
    const BaseInput& input = bases[b];
    const Base base = prepare_base(*input.map, &input.texture, input.depth, memory, pool);
    splat(base, memory, pool);
    sample_base(base, {weight_of(*input.map, bases), tolerance, b == 0}, memory, pool);
  }
  fill_holes(target.width, target.height, tolerance, memory);
  return ok();
}

Status check_output(const MutablePicture* p, int planes, const PlacedCamera& target,
                    const char* what) {
  if (p == nullptr) return ok();
  if (plane_count(p->format) != planes || p->width != target.width || p->height != target.height)
    return invalid(std::string("the ") + what + " to write does not have the target's size");
  for (int i = 0; i < planes; ++i)
    if (p->data[i] == nullptr) return invalid(std::string("the ") + what + " has no memory");
  return ok();
}

}  // namespace

Status warp(std::span<const BaseInput> bases, const PlacedCamera& target, const WarpedPlanes& out,
            WarpMemory& memory, ThreadPool* pool) {
  MVINR_ASSIGN(const DepthScale scale, make_depth_scale(target));
  if (out.data == nullptr || 2 * out.width < target.width || 2 * out.height < target.height ||
      out.plane < ptrdiff_t{out.width} * out.height)
    return invalid("the planes to write are too small for the target");
  MVINR_TRY(predict(bases, target, memory, pool));
  write_planes(target, scale, out, memory, pool);
  return ok();
}

Status warp_to_picture(std::span<const BaseInput> bases, const PlacedCamera& target,
                       const MutablePicture* texture, const MutablePicture* depth,
                       WarpMemory& memory, ThreadPool* pool) {
  MVINR_ASSIGN(const DepthScale scale, make_depth_scale(target));
  MVINR_TRY(check_output(texture, 3, target, "texture"));
  MVINR_TRY(check_output(depth, 1, target, "depth"));
  if (depth != nullptr && depth->format != target.depth)
    return invalid("the depth to write does not have the target's format");
  MVINR_TRY(predict(bases, target, memory, pool));
  write_pictures(target, scale, texture, depth, memory, pool);
  return ok();
}

Status project_depth(const ViewMap& map, const Picture& depth, WarpMemory& memory,
                     ThreadPool* pool) {
  MVINR_TRY(check_picture(depth, 1, map.base_width, map.base_height, "the base's depth"));
  MVINR_TRY(reserve(map, false, memory, pool));
  splat(prepare_base(map, nullptr, depth, memory, pool), memory, pool);
  return ok();
}

Result<double> coverage(const ViewMap& map, const Picture& depth, WarpMemory& memory,
                        ThreadPool* pool) {
  MVINR_TRY(project_depth(map, depth, memory, pool));
  const size_t pixels = size_t(map.target_width) * size_t(map.target_height);
  size_t seen = 0;
  for (size_t i = 0; i < pixels; ++i) seen += memory.nearest[i] != 0;
  return static_cast<double>(seen) / static_cast<double>(pixels);
}

}  // namespace mvinr
