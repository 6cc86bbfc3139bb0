// Bits of a grid under its context model, with all gradients, in one pass over the symbols: the
// differentiable twin of entropy/contexts.h and entropy/context_model.cpp.
#pragma once

#include <ATen/ATen.h>

#include "train/network.h"

namespace mvinr {

/// Sum over all symbols of -log2 P(symbol | neighbours), docs/bitstream.md 6.4, without the
/// rounding of means and scales.
///   symbols [V][T][C][h][w] (integers, or noisy stand-ins); view v > 0 refers to view 0.
///   below   the coarser grid of the same kind [V][T'][C'][h'][w'], or undefined.
/// Differentiable in symbols, below and every tensor of `model`. Runs on the CPU; tensors of other
/// devices are moved there and back (grids are small).
at::Tensor context_bits(const at::Tensor& symbols, const at::Tensor& below,
                        const ContextParameters& model);

}  // namespace mvinr
