// How much memory a GOP takes.
#pragma once

#include <cstdint>

#include "model/config.h"

namespace mvinr {

/// Pictures, parameters with gradients and optimiser state, and what one step keeps for its
/// backward pass (floats per canvas sample, measured over the profiles: docs/training.md).
uint64_t memory_needed(const SequenceInfo& sequence, const ModelConfig& config, int batch_samples);

}  // namespace mvinr
