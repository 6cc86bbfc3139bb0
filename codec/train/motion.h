// Hybrid mode with displacements (docs/bitstream.md 8) in the training: the decoder's own integers
// forward, the filter's derivative backward.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "geometry/displace.h"
#include "model/config.h"

namespace mvinr {

/// One forward pass: what it moves, and what the loss looks at besides the result.
struct MotionPass {
  std::vector<DisplaceBase> bases;  // BaseStore::displaced(): [view of the batch][base]
  at::Tensor flow;  // out: [N][h][w][3 * bases] at the flow stage, value x 4 << flow_shift = pixels
  at::Tensor warped;  // out: the prediction [N][h][w][6 or 10]
  at::Tensor own;     // out: the network's picture without it
};

/// `flow` [N][h][w][3 * bases] at the trunk's resolution -> prediction planes [N][h][w][10 or 14].
/// Flow is rounded to Q10; gradients pass to it alone.
at::Tensor displace_planes(const ModelConfig& config, const at::Tensor& flow,
                           const std::vector<DisplaceBase>& bases);

}  // namespace mvinr
