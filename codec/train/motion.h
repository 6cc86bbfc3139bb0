// Hybrid mode with displacements (docs/bitstream.md 8) in the training: the decoder's own integers
// forward, the filter's derivative backward.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "geometry/displace.h"
#include "model/config.h"

namespace mvinr {

/// `flow` [N][h][w][3 * bases] at the trunk's resolution (values x 4 << flow_shift are luma
/// samples; `bases`: BaseStore::displaced(), [view of the batch][base]) -> prediction planes
/// [N][h][w][10 or 14]. Flow is rounded to Q10; gradients pass to it alone.
at::Tensor displace_planes(const ModelConfig& config, const at::Tensor& flow,
                           const std::vector<DisplaceBase>& bases);

}  // namespace mvinr
