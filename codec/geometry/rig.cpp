#include "geometry/rig.h"

#include <algorithm>
#include <string>

namespace mvinr {

bool has_moving_cameras(const SequenceInfo& sequence) {
  return std::any_of(sequence.views.begin(), sequence.views.end(), is_moving);
}

std::optional<Camera> Rig::camera(int frame, int view) const {
  const ViewInfo& info = sequence_.views[static_cast<size_t>(view)];
  std::optional<Camera> camera = info.camera;
  if (camera && info.moving) {
    const Pose& pose = poses_[static_cast<size_t>(frame)][static_cast<size_t>(view)];
    camera->position = pose.position;
    camera->rotation = pose.rotation;
  }
  return camera;
}

PlacedCamera Rig::placed(int frame, int view) const {
  const ViewInfo& info = sequence_.views[static_cast<size_t>(view)];
  return {*camera(frame, view), info.width, info.height, info.texture, info.depth};
}

Status Rig::make_maps(std::span<const int> bases, std::span<const int> targets, int frames) {
  bases_ = bases.size();
  maps_.assign(sequence_.views.size(), {});
  for (const int view : targets) {
    std::vector<ViewMap>& of_view = maps_[static_cast<size_t>(view)];
    for (int frame = 0; frame < (moves() ? frames : 1); ++frame) {
      for (const int base : bases) {
        auto map = make_view_map(placed(frame, base), placed(frame, view));
        if (!map)
          return Error{
              ErrorCode::invalid_argument,
              "no warp from view " + std::to_string(base) + " to view " + std::to_string(view) +
                  (moves() ? ", frame " + std::to_string(frame) : "") + ": " + map.error().message};
        of_view.push_back(std::move(*map));
      }
    }
  }
  return ok();
}

std::span<const ViewMap> Rig::maps(int frame, int view) const {
  return std::span(maps_[static_cast<size_t>(view)])
      .subspan(moves() ? bases_ * static_cast<size_t>(frame) : 0, bases_);
}

}  // namespace mvinr
