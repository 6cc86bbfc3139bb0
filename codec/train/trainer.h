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
  double target_bits = 0;  // of the units that the network makes; > 0: lambda is where to begin
  double depth_weight = 1;
  double prune = 0;
  int steps = 1000;
  double time_budget = 0;  // seconds; > 0: as many steps as fit, `steps` is ignored
  uint64_t seed = 1;
  int batch_samples = 1 << 16;  // canvas samples of a step: as many views as fit, at least one
  const MotionSearch* search = nullptr;  // motion learned: what the displacements begin with
  std::function<void(const Progress&)> on_progress;
};

/// Seconds of the calling thread's processor time, over all steps.
struct TrainTimes {
  double values = 0, forward = 0, loss = 0, rate = 0, backward = 0, update = 0;
};

struct TrainResult {
  int steps = 0;
  double seconds = 0;
  TrainTimes times;
  double estimated_bits = 0;  // of all symbols, hard rounding
  double lambda = 0;          // at the end
};

/// Error: cancelled.
Result<TrainResult> train(Network& network, const PictureStore& pictures, const BaseStore& base,
                          const TrainOptions& options, std::stop_token stop);

}  // namespace mvinr
