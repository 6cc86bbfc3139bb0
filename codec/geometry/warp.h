// Depth-image-based warping: what a target camera sees of base views, predicted from their decoded
// texture and depth. Integers; the same result on every machine and for every number of threads.
// Normative: docs/bitstream.md 7.
#pragma once

#include <span>

#include "base/memory.h"
#include "base/thread_pool.h"
#include "geometry/view_map.h"
#include "mvinr/types.h"

namespace mvinr {

/// Decoded pictures of a base view, of the size and formats that `map` was made for.
struct BaseInput {
  const ViewMap* map = nullptr;
  Picture texture;
  Picture depth;
};

inline constexpr int kWarpPlanes = 14;

/// The prediction at half resolution, as the network's head has it: planes of int16 in Q10 (sample
/// / 2^bits: 0..1023), plane p at data + p * plane, rows of `width`. 0-3: luma at (0,0) (1,0) (0,1)
/// (1,1) of the 2x2 pixels, 4 U, 5 V, 6-9 depth, 10-13 mask like luma. Mask 1024: a base sees the
/// pixel; 0: none does (filled from the background); between: near an edge of depth. Positions
/// beyond the target picture repeat its last column and row, with mask 0.
struct WarpedPlanes {
  int16_t* data = nullptr;
  ptrdiff_t plane = 0;
  int width = 0, height = 0;  // at least half of the target's, rounded up
};

/// Scratch memory that calls reuse; grows as needed.
struct WarpMemory {
  // Of the base at work, with a border of kWarpBorder on every side.
  AlignedArray<int32_t> inverse;
  AlignedArray<int16_t> texture[3];  // Q10
  // Of the target.
  AlignedArray<int32_t> nearest;                // of the base at work: largest inverse depth
  AlignedArray<int32_t> depth, chroma_depth;    // of what is in the planes; 0: nothing
  AlignedArray<int32_t> weight, chroma_weight;  // of the bases that were blended
  AlignedArray<int16_t> luma, mask, chroma[2];  // Q10
  AlignedArray<int32_t> rows;                   // per worker
};

/// Predicts `target` from one or more bases. Errors: invalid_argument (no base, a picture or plane
/// that does not suit its map), limit_exceeded (not enough memory). `pool` may be null.
Status warp(std::span<const BaseInput> bases, const PlacedCamera& target, const WarpedPlanes& out,
            WarpMemory& memory, ThreadPool* pool = nullptr);

/// The same as pictures of the target's formats and size; a null picture is not written.
Status warp_to_picture(std::span<const BaseInput> bases, const PlacedCamera& target,
                       const MutablePicture* texture, const MutablePicture* depth,
                       WarpMemory& memory, ThreadPool* pool = nullptr);

/// memory.nearest becomes, per target pixel, the inverse depth of the nearest surface that the
/// base's depth picture shows there, as the target has it; 0: none. Errors as warp().
Status project_depth(const ViewMap& map, const Picture& depth, WarpMemory& memory,
                     ThreadPool* pool = nullptr);

/// The share in [0, 1] of target pixels onto which the base's depth picture projects.
Result<double> coverage(const ViewMap& map, const Picture& depth, WarpMemory& memory,
                        ThreadPool* pool = nullptr);

}  // namespace mvinr
