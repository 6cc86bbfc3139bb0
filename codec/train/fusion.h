// Hybrid mode's head: the network's picture joined with the prediction (docs/bitstream.md 5.8).
#pragma once

#include <ATen/ATen.h>

#include "train/network.h"

namespace mvinr {

/// What the head's layer yields, nothing added: [N][h][w][ModelConfig::head_outputs()].
at::Tensor head_outputs(const Trunk& trunk);

/// All [N][h][w][6 or 10].
struct Fused {
  at::Tensor picture;  // the result
  at::Tensor own;      // the network's alone
  at::Tensor warped;   // the prediction alone
};
/// `outputs`: head_outputs(); `prediction` [N][h][w][planes]: int16 in Q10, or floats.
Fused fuse(const ModelConfig& config, const at::Tensor& outputs, const at::Tensor& prediction);

}  // namespace mvinr
