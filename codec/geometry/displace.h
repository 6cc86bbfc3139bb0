// Displacements: pictures sampled where a field of vectors says (docs/bitstream.md 8). Integers;
// the same result on every machine and for every number of threads.
#pragma once

#include <span>

#include "base/memory.h"
#include "base/thread_pool.h"
#include "geometry/warp.h"
#include "mvinr/types.h"

namespace mvinr {

/// A picture to be sampled: Q10 planes with a border. Without depth or mask (no memory): 512 and
/// 1024 everywhere.
struct DisplacedPicture {
  enum Plane { luma, u, v, depth, mask };
  AlignedArray<int16_t> memory[5];
  int width = 0, height = 0;  // of luma
};

/// From a decoded picture; `depth` may be null. Error: limit_exceeded (memory).
Status prepare_displaced(const Picture& texture, const Picture* depth, DisplacedPicture& out,
                         ThreadPool* pool = nullptr);
/// From planes that warp() has made. The same error.
Status prepare_displaced(const WarpedPlanes& planes, DisplacedPicture& out,
                         ThreadPool* pool = nullptr);
inline constexpr int kFlowPlanes = 3;  // per base

struct DisplaceBase {
  const DisplacedPicture* picture = nullptr;
  int offset_x = 0, offset_y = 0;  // whole luma samples, at most 4096 either way
};

/// Q10 planes at the resolution of the result, three per base: x, y, confidence.
struct FlowPlanes {
  const int16_t* data = nullptr;
  ptrdiff_t plane = 0;
};

/// Rows [y0, y1) of the prediction: 4 luma, U, V, 4 depth if `depth`, 4 mask. At most
/// kMaxBaseViews bases.
void displace(std::span<const DisplaceBase> bases, const FlowPlanes& flow, int shift, bool depth,
              const WarpedPlanes& out, int y0, int y1);

/// What the training needs, for rows [y0, y1): with the gradient of the result, that of the flow,
/// in units of Q10 values. Planes as in displace(), but floats of one position next to each other:
/// `result_gradient` [height][width][planes] in, `flow_gradient` [height][width][3 * bases] out.
/// The derivative is the one of the filter before it is rounded; clamps pass what leads back into
/// their range.
void displace_gradient(std::span<const DisplaceBase> bases, const FlowPlanes& flow, int shift,
                       bool depth, int width, int y0, int y1, const float* result_gradient,
                       float* flow_gradient);

}  // namespace mvinr
