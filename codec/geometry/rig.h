// The cameras of a GOP at each of its instants, and the maps from its base views to the others:
// made here for the decoder and for the training alike.
#pragma once

#include <span>
#include <vector>

#include "geometry/view_map.h"

namespace mvinr {

/// Of moving cameras: [frame][view]. What belongs to views without a moving camera has no meaning.
using Poses = std::vector<std::vector<Pose>>;

inline bool is_moving(const ViewInfo& view) { return view.camera && view.moving; }
/// True if a view has a camera that moves.
bool has_moving_cameras(const SequenceInfo& sequence);

class Rig {
 public:
  Rig() = default;
  /// `poses` has an entry for each of `frames` frames and all views if a camera moves.
  Rig(SequenceInfo sequence, Poses poses)
      : sequence_(std::move(sequence)), poses_(std::move(poses)) {}

  /// The camera of a view at a frame; none if the view has none.
  std::optional<Camera> camera(int frame, int view) const;
  /// Of a view with a camera.
  PlacedCamera placed(int frame, int view) const;

  /// Makes the maps from each base view to each target, for all frames. invalid_argument names
  /// views and frame that make_view_map refuses.
  Status make_maps(std::span<const int> bases, std::span<const int> targets, int frames);
  /// From the bases, in their order, to a target.
  std::span<const ViewMap> maps(int frame, int view) const;

 private:
  bool moves() const { return !poses_.empty(); }

  SequenceInfo sequence_;
  Poses poses_;
  size_t bases_ = 0;
  std::vector<std::vector<ViewMap>> maps_;  // [view]: [frame, only 0 if nothing moves][base]
};

}  // namespace mvinr
