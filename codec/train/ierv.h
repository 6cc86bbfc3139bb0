// The layers that only the stage order ierv has (docs/bitstream.md 5.6), in the training.
#pragma once

#include <ATen/ATen.h>

#include "model/config.h"
#include "train/ops/ops.h"

namespace mvinr {

/// In place of a stem: the sum of the shared grids and the view's, each side by side. `grids`: the
/// plane grids of stage 0, [N][h][w][all channels] -> [N][h][w][C of the stem].
at::Tensor ierv_stem(const ModelConfig& config, const at::Tensor& grids);

/// [N][h][w][C * s * s], plus the local grids [N or 1][s][s][C], which may be undefined ->
/// [N][h * s][w * s][C].
at::Tensor ierv_shuffle(const at::Tensor& x, int64_t scale, const at::Tensor& local);

/// LayerNorm and GELU; with quantised activations by the decoder's table.
at::Tensor ierv_activate(const at::Tensor& x, const ops::Quantise& quantise);

}  // namespace mvinr
