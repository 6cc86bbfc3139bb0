// Which views should be base views.
#include <algorithm>
#include <cmath>
#include <limits>

#include "mvinr/stream.h"

namespace mvinr {
namespace {

/// How hard it is to predict one view from another: the distance of the cameras, and 1 m for every
/// 60 degrees between where they look.
double effort(const Camera& a, const Camera& b) {
  double squares = 0;
  for (size_t i = 0; i < 3; ++i) {
    const double moved = double{a.position[i]} - b.position[i];
    double turned = std::fabs(double{a.rotation[i]} - b.rotation[i]);
    if (turned > 180) turned = std::fabs(360 - turned);
    squares += moved * moved + turned * turned / 3600;
  }
  return std::sqrt(squares);
}

}  // namespace

std::vector<int> choose_base_views(const SequenceInfo& sequence, int count) {
  const int views = static_cast<int>(sequence.views.size());
  for (const ViewInfo& view : sequence.views)
    if (!view.camera) return {};
  std::vector<int> chosen;
  // Greedy: each time the view that brings the others nearest to a base view.
  std::vector<double> nearest(sequence.views.size(), std::numeric_limits<double>::max());
  while (static_cast<int>(chosen.size()) < std::min({count, views - 1, kMaxBaseViews})) {
    int best = -1;
    double least = std::numeric_limits<double>::max();
    for (int v = 0; v < views; ++v) {
      const ViewInfo& view = sequence.views[static_cast<size_t>(v)];
      if (view.depth == SampleFormat::none) continue;
      double sum = 0;
      for (size_t other = 0; other < sequence.views.size(); ++other)
        sum += std::min(nearest[other], effort(*view.camera, *sequence.views[other].camera));
      if (nearest[static_cast<size_t>(v)] == 0 || sum >= least) continue;
      least = sum;
      best = v;
    }
    if (best < 0) break;
    chosen.push_back(best);
    for (size_t other = 0; other < sequence.views.size(); ++other)
      nearest[other] = std::min(
          nearest[other],
          effort(*sequence.views[static_cast<size_t>(best)].camera, *sequence.views[other].camera));
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
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
