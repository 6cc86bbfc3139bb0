// The feature grids of one instant, as the layers read them.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "train/network.h"

namespace mvinr {

/// The grids' values at frame t for the listed views (docs/bitstream.md 5.3), quantised as
/// `precision` says: only what this instant needs. [stage][0: plane grids, 1: local grids]: the
/// channels of all its grids, [N or 1][h][w][C] (1: local grids that all views share), or
/// undefined. Differentiable in the grids' values and steps.
using GridPlanes = std::vector<std::array<at::Tensor, 2>>;
GridPlanes grid_planes(const Network& network, const Precision& precision, int frame,
                       const std::vector<int64_t>& views);

}  // namespace mvinr
