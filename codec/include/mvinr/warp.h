// View synthesis: what a camera sees, predicted from the texture and depth of other cameras
// (docs/bitstream.md 7). Integers: the same pictures on every machine.
#pragma once

#include <memory>
#include <span>

#include "mvinr/stream.h"
#include "mvinr/types.h"

namespace mvinr {

/// Renders one target view from base views whose cameras stand still. Use a Warper for each pose of
/// moving cameras (ViewInfo::moving is not looked at). Not to be called from two threads at once.
class MVINR_API Warper {
 public:
  /// Every base needs a camera, a texture and a depth format; the target a camera. Errors:
  /// invalid_argument (a base or the target is named).
  static Result<std::unique_ptr<Warper>> create(std::span<const ViewInfo> bases,
                                                const ViewInfo& target, int threads = 0);
  virtual ~Warper() = default;

  /// `textures` and `depths` of the bases, in create's order; a null output is not written. What no
  /// base sees is filled from the background. Errors: invalid_argument (a picture's size or
  /// format), limit_exceeded (memory).
  virtual Status render(std::span<const Picture> textures, std::span<const Picture> depths,
                        const MutablePicture* texture, const MutablePicture* depth) = 0;

  /// The share in [0, 1] of target pixels onto which base `index` projects, given its depth.
  virtual Result<double> coverage(size_t index, const Picture& depth) = 0;
};

/// What the cameras see at one instant.
struct Instant {
  std::vector<ViewInfo> views;    // moving cameras where they are then
  std::vector<Picture> depths;    // of each view, of its format and size; none: without samples
  std::vector<Picture> textures;  // likewise; for prediction_errors()
};

struct BaseChoice {
  std::vector<int> views;  // in rising order
  double coverage = 0;     // share in [0, 1] of the other views' pixels that they show
};

/// The base views of hybrid mode: greedily those whose pixels, projected by their depth, show most
/// of what the other views see. A pixel counts where the other view's own depth (if it has any)
/// agrees within two pixels of parallax. `count` of them (at most all but one, kMaxBaseViews); 0:
/// as many as pay. Looks at the pictures at about 96 pixels of width. Errors: invalid_argument
/// (fewer than two views, no depth, a view without a camera or with one that cannot be used,
/// named).
MVINR_API Result<BaseChoice> choose_base_views(std::span<const Instant> instants, int count = 0);

/// Per view the mean squared error, over the instants, of its luma (peak 1) warped from the
/// textures and depths of `bases`; 0 for these. Errors: invalid_argument (a picture that is
/// missing or does not fit, a camera that cannot be used), limit_exceeded (memory).
MVINR_API Result<std::vector<double>> prediction_errors(std::span<const Instant> instants,
                                                        std::span<const int> bases);

}  // namespace mvinr
