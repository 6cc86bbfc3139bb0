// Two cameras made into integers: how a pixel with a depth of one view becomes one of the other.
// Normative: docs/bitstream.md 7.1 and 7.2.
#pragma once

#include <cstdint>

#include "mvinr/stream.h"
#include "mvinr/types.h"

namespace mvinr {

/// What warping needs of a view at one instant.
struct PlacedCamera {
  Camera camera;
  int width = 0, height = 0;
  SampleFormat texture = SampleFormat::none, depth = SampleFormat::none;
};

/// Inverse depths are integers: near / z in Q26, where near is that of the camera's depth range.
/// 0 means "nothing there"; surfaces nearer than near / 4 are moved there.
inline constexpr int kInverseBits = 26;
inline constexpr int32_t kMaxInverse = (1 << 28) - 1;
/// Positions in a picture: Q8, the upper left corner is (0, 0), the first pixel's centre (128,
/// 128).
inline constexpr int kPositionBits = 8;

/// Depth samples <-> inverse depths of one camera.
struct DepthScale {
  int64_t offset = 0, step = 0;  // inverse = (offset + sample * step) >> 16
  int32_t far = 0;               // inverse depth of sample 0
  int32_t factor = 0;            // Q16 sample = ((inverse - far) * factor + half) >> shift
  int shift = 0;
};

/// Source pixel (x, y) and inverse depth i -> target. With h = a[.][0] x + a[.][1] y + a[.][2] +
/// b[.] i, exact and below 2^45: position = floor(256 h[0] / h[2]), floor(256 h[1] / h[2]);
/// inverse depth = floor(i * g / (h[2] >> shift)), where g is at most 2^24.
struct Projection {
  int64_t a[3][3] = {};
  int64_t b[3] = {};
  int64_t g = 0;
  int shift = 0;
};

struct ViewMap {
  Projection forward;   // base -> target
  Projection backward;  // target -> base
  DepthScale base_depth, target_depth;
  // A step of inverse depth beyond which two pixels belong to different surfaces: about one pixel
  // of parallax between the two views.
  int32_t base_edge = 1, target_edge = 1;
  uint64_t distance = 0;  // of the camera centres in micrometres
  int base_width = 0, base_height = 0, target_width = 0, target_height = 0;
};

/// invalid_argument: a size out of 1..kMaxPictureSize, a number that is not finite, a focal length
/// or near that is not positive, near >= far, no depth format of the base; the message names it.
Result<ViewMap> make_view_map(const PlacedCamera& base, const PlacedCamera& target);

/// The scale of one camera's depth; `invalid_argument` as above.
Result<DepthScale> make_depth_scale(const PlacedCamera& camera);

}  // namespace mvinr
