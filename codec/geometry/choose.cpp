// Which views should be base views: those that show most of what the other views see.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/owned_picture.h"
#include "base/try.h"
#include "geometry/warp.h"
#include "mvinr/warp.h"

namespace mvinr {
namespace {

constexpr int kLowWidth = 96;  // of the pictures that are looked at
// Another base view pays if it shows at least that much, in pictures, that no base view shows yet
// (docs/training.md, "Hybrid mode").
constexpr double kLeastGain = 0.55;
// Depths that differ by more parallax, in pixels of the view, are not the same surface.
constexpr double kTolerance = 2;

/// A view at a fraction of its size.
struct LowView {
  PlacedCamera camera;
  OwnedPicture depth;  // empty: the view has none
  int divisor = 1;
};

LowView low_view(const ViewInfo& view, const Picture& depth) {
  LowView low;
  const int k = low.divisor = std::max(1, (view.width + kLowWidth / 2) / kLowWidth);
  const int width = (view.width + k - 1) / k, height = (view.height + k - 1) / k;
  low.camera = {*view.camera, width, height, SampleFormat::none, view.depth};
  // Sample x is pixel k x + k / 2; its centre is there for odd k, half a pixel further for even k.
  const float offset = static_cast<float>(k / 2) + 0.5f - 0.5f * static_cast<float>(k);
  for (size_t i = 0; i < 2; ++i) {
    low.camera.camera.focal[i] /= static_cast<float>(k);
    low.camera.camera.principal_point[i] =
        (low.camera.camera.principal_point[i] - offset) / static_cast<float>(k);
  }
  if (depth.format == SampleFormat::none) return low;
  low.depth = OwnedPicture(depth.format, width, height);
  const MutablePicture to = low.depth.writable();
  const int bytes = bytes_per_sample(depth.format);
  for (int y = 0; y < height; ++y) {
    const std::byte* row =
        depth.data[0] + std::min(k * y + k / 2, view.height - 1) * depth.stride[0];
    for (int x = 0; x < width; ++x)
      std::memcpy(to.data[0] + y * to.stride[0] + x * bytes,
                  row + std::min(k * x + k / 2, view.width - 1) * bytes, size_t(bytes));
  }
  return low;
}

int sample_at(const Picture& picture, int x, int y) {
  const std::byte* row = picture.data[0] + y * picture.stride[0];
  if (bytes_per_sample(picture.format) == 1) return std::to_integer<int>(row[x]);
  uint16_t sample = 0;
  std::memcpy(&sample, row + 2 * x, 2);
  return sample;
}

/// Appends to `mask` for each pixel of the target: the base shows it, where the target sees it too.
Status append_mask(const LowView& base, const LowView& target, WarpMemory& memory,
                   std::vector<bool>& mask) {
  MVINR_ASSIGN(const ViewMap map, make_view_map(base.camera, target.camera));
  MVINR_TRY(project_depth(map, base.depth.picture(), memory));
  const double tolerance = map.target_edge * kTolerance / target.divisor;
  const DepthScale& scale = map.target_depth;
  for (int y = 0; y < map.target_height; ++y)
    for (int x = 0; x < map.target_width; ++x) {
      const int32_t projected = memory.nearest[size_t(y) * size_t(map.target_width) + size_t(x)];
      bool same = projected != 0;
      if (same && !target.depth.empty()) {
        const int64_t own =
            (scale.offset + sample_at(target.depth.picture(), x, y) * scale.step) >> 16;
        same = std::abs(static_cast<double>(projected - own)) <= tolerance;
      }
      mask.push_back(same);
    }
  return ok();
}

Status check(const Instant& instant) {
  const auto error = [](const std::string& what) {
    return Error{ErrorCode::invalid_argument, "base views: " + what};
  };
  if (instant.views.size() < 2) return error("there are fewer than two views");
  if (instant.depths.size() != instant.views.size())
    return error("there is not one depth per view");
  bool any = false;
  for (size_t v = 0; v < instant.views.size(); ++v) {
    const ViewInfo& view = instant.views[v];
    const Picture& depth = instant.depths[v];
    const std::string name = "view " + std::to_string(v);
    if (!view.camera) return error(name + " has no camera");
    if (depth.format != view.depth) return error("the depth of " + name + " is of another format");
    if (view.depth == SampleFormat::none) continue;
    any = true;
    if (depth.width != view.width || depth.height != view.height || depth.data[0] == nullptr)
      return error("the depth of " + name + " is not of its size");
  }
  return any ? ok() : error("no view has depth");
}

double share(const std::vector<bool>& mask) {
  return static_cast<double>(std::count(mask.begin(), mask.end(), true)) /
         static_cast<double>(std::max<size_t>(mask.size(), 1));
}

}  // namespace

Result<BaseChoice> choose_base_views(std::span<const Instant> instants, int count) {
  if (instants.empty())
    return Error{ErrorCode::invalid_argument, "base views: there is no instant to look at"};
  const size_t views = instants[0].views.size();
  // [base][target]
  std::vector<std::vector<std::vector<bool>>> shown(views, std::vector<std::vector<bool>>(views));
  WarpMemory memory;
  for (const Instant& instant : instants) {
    MVINR_TRY(check(instant));
    if (instant.views.size() != views)
      return Error{ErrorCode::invalid_argument, "base views: the number of views changes"};
    std::vector<LowView> low;
    for (size_t v = 0; v < views; ++v) low.push_back(low_view(instant.views[v], instant.depths[v]));
    for (size_t base = 0; base < views; ++base)
      for (size_t target = 0; target < views && !low[base].depth.empty(); ++target)
        if (target != base)
          MVINR_TRY(append_mask(low[base], low[target], memory, shown[base][target]));
  }

  // Greedy: each time the view that adds most; a base view is shown as a whole.
  std::vector<std::vector<bool>> seen(views);
  BaseChoice choice;
  const auto is_base = [&](size_t v) {
    return std::find(choice.views.begin(), choice.views.end(), int(v)) != choice.views.end();
  };
  const auto joined = [&](size_t base, size_t target) {
    std::vector<bool> mask = shown[base][target];
    for (size_t i = 0; i < seen[target].size(); ++i) mask[i] = mask[i] || seen[target][i];
    return mask;
  };
  const int most = std::min({count > 0 ? count : kMaxBaseViews, int(views) - 1, kMaxBaseViews});
  while (int(choice.views.size()) < most) {
    int best = -1;
    double largest = 0;
    for (size_t base = 0; base < views; ++base) {
      if (is_base(base) || instants[0].views[base].depth == SampleFormat::none) continue;
      double gain = 1 - share(seen[base]);
      for (size_t target = 0; target < views; ++target)
        if (target != base && !is_base(target))
          gain += share(joined(base, target)) - share(seen[target]);
      if (gain <= largest) continue;
      largest = gain;
      best = int(base);
    }
    if (best < 0 || (count <= 0 && !choice.views.empty() && largest < kLeastGain)) break;
    choice.views.push_back(best);
    for (size_t target = 0; target < views; ++target)
      if (!is_base(target)) seen[target] = joined(size_t(best), target);
  }
  double sum = 0;
  for (size_t v = 0; v < views; ++v)
    if (!is_base(v)) sum += share(seen[v]);
  choice.coverage = sum / static_cast<double>(views - choice.views.size());
  std::sort(choice.views.begin(), choice.views.end());
  return choice;
}

Motion automatic_motion(const SequenceInfo& sequence, std::span<const int> base_views) {
  bool geometry = true;
  for (const ViewInfo& view : sequence.views) geometry = geometry && view.camera.has_value();
  for (const int v : base_views)
    if (v >= 0 && size_t(v) < sequence.views.size())
      geometry = geometry && sequence.views[size_t(v)].depth != SampleFormat::none;
  return geometry ? Motion::geometry : Motion::learned;
}

}  // namespace mvinr
