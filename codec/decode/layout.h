// Sizes of the buffers of a synthesis, and the pieces in which layers are computed.
#pragma once

#include <algorithm>
#include <numeric>

#include "base/memory.h"
#include "decode/pack.h"
#include "kernels/buffers.h"
#include "model/plan.h"

namespace mvinr {

/// Positions of a plane are shared and chunked at multiples of this, so that no kernel writes into
/// another one's positions and every piece is aligned.
inline constexpr int kGranule = kPositionStep;

/// The plane from position `begin` (a multiple of 64) on, as one row.
inline Plane16 shift(const Plane16& p, int begin) {
  return {p.data + begin, p.channels, 1, p.height * p.width - begin, p.plane};
}

/// Positions of a chunk of a norm_reduce or block step: its temporary values stay in the cache.
inline int chunk_positions(const PlanStep& step) {
  constexpr int kCacheBytes = 64 << 10;
  const int bytes = round_up(step.inputs, 4) + round_up(step.hidden, 4) + 2 * step.outputs;
  return std::clamp(kCacheBytes / bytes / kGranule * kGranule, kGranule, 1024);
}
inline ptrdiff_t chunk_plane(int chunk) { return chunk + kGranule; }

/// The least number of rows whose positions are a multiple of 64.
inline int row_group(int width) { return kGranule / std::gcd(width, kGranule); }

/// Rows of a strip that is filtered or upsampled at a time, a multiple of `group`.
inline int strip_rows(const PlanStep& step, int group) {
  constexpr int kCacheBytes = 128 << 10;
  const int row_bytes = 2 * std::max(step.inputs, step.outputs) * step.width;
  return round_up(std::max(kCacheBytes / row_bytes, 4), group);
}

/// The same for the head. full444: pairs of rows, for the chroma samples.
inline int head_row_group(HeadKind head, int width) {
  return std::max(row_group(width), head == HeadKind::full444 ? 2 : 1);
}
inline int head_strip_rows(const PlanStep& step, int group) {
  constexpr int kCacheBytes = 64 << 10;
  return round_up(std::max(kCacheBytes / (4 * step.outputs * step.width), 1), group);
}
inline ptrdiff_t head_plane(const PlanStep& step, int rows) {
  return round_up(ptrdiff_t{rows} * step.width + kGranule, ptrdiff_t{kGranule});
}

/// The planes of all grids of a step at one frame, one grid after the other.
void fill_grid_planes(const Plan& plan, const PlanStep& step, std::span<const CodedTensor> tensors,
                      int view, int frame, const Plane16& out);

}  // namespace mvinr
