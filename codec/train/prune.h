// Magnitude pruning of weights (HiNeRV: 15 %, IERV: 60 %).
#pragma once

#include "train/network.h"

namespace mvinr {

/// Sets the share `ratio` of all weights to zero for good (Parameter::mask): those with the
/// smallest |w| / sqrt(number of weights of their tensor), over all tensors at once (HiNeRV's
/// rule). Grids, grid injections, biases and the head stay.
void prune(Network& network, double ratio);

}  // namespace mvinr
