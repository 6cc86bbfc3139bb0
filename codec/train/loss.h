// Distortion of a batch.
#pragma once

#include "mvinr/encoder.h"
#include "train/network.h"
#include "train/picture_store.h"

namespace mvinr {

struct Distortion {
  at::Tensor loss;  // scalar D with gradient
  at::Tensor mse;   // detached [4]: Y, U, V, depth mean squared errors, samples in [0, 1]
};

/// The network's output in the layout of Targets: [N][h][w][6 or 10] at half the canvas.
at::Tensor pack_output(const ModelConfig& config, const at::Tensor& output);

/// Loss::psnr: D = (6 MSE_Y + MSE_U + MSE_V) / 8 + depth_weight * MSE_depth.
/// Loss::ssim: D = 0.7 L1 + 0.3 (1 - MS-SSIM_Y) over the texture (HiNeRV and IERV; window 5, as
/// many of the five scales as the picture has room for, colour planes weighted 6:1:1), +
/// depth_weight * L1.
Distortion distortion(const ModelConfig& config, const at::Tensor& output, const Targets& targets,
                      Loss loss, double depth_weight);

/// The distortion of a batch of pictures, fused with the head where there is an operation for that
/// (the CPU, Loss::psnr, shuffle420, a prediction that nothing is learned about). Softmax fusion
/// has IERV's loss: 0.1 times the distortion of the network's own picture and of the warped one
/// besides.
Distortion distortion(const ModelConfig& config, const Trunk& trunk, const PictureStore& pictures,
                      int frame, const std::vector<int64_t>& views, Loss loss, double depth_weight);

/// Multi-scale SSIM of planes [N][1][H][W] in [0, 1] with a uniform 5x5 window; mean over N.
at::Tensor ms_ssim(const at::Tensor& a, const at::Tensor& b);

}  // namespace mvinr
