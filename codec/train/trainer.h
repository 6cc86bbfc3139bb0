// Trains one GOP's network: L = D + lambda R (docs/training.md).
#pragma once

#include <functional>
#include <stop_token>

#include "mvinr/encoder.h"
#include "train/base_store.h"
#include "train/motion_search.h"
#include "train/network.h"
#include "train/picture_store.h"

namespace mvinr {

struct TrainOptions {
  Loss loss = Loss::psnr;
  double lambda = 0.002;
  double depth_weight = 1;
  double prune = 0;
  int steps = 1000;
  double time_budget = 0;  // seconds; > 0: as many steps as fit, `steps` is ignored
  uint64_t seed = 1;
  int batch_samples = 1 << 16;  // canvas samples of a step: as many views as fit, at least one
  // IERV's loss (arXiv 2311.17350): 0.1 of the network's own picture's and of the warped picture's
  // distortion beside that of their fusion.
  bool parts_loss = false;
  const MotionSearch* search = nullptr;  // motion learned: what the displacements begin with
  std::function<void(const Progress&)> on_progress;
};

struct TrainResult {
  int steps = 0;
  double seconds = 0;
  double estimated_bits = 0;  // of all symbols, hard rounding
};

/// Error: cancelled.
Result<TrainResult> train(Network& network, const PictureStore& pictures, const BaseStore& base,
                          const TrainOptions& options, std::stop_token stop);

}  // namespace mvinr
