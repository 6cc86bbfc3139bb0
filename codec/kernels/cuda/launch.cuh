// What the launchers share: the shape of a grid, and CUDA's errors as Status.
#pragma once

#include <cuda_runtime_api.h>

#include "mvinr/types.h"

namespace mvinr::cuda {

inline constexpr int kBlock = 128;  // threads of a block; neighbours have neighbour positions
inline constexpr int kMaxGridRows = 65535;  // blocks in y; kernels loop over the rest

/// The Status of a CUDA call.
Status to_status(cudaError_t error);

/// Threads in x for `positions` positions, blocks in y for `rows` channels (or groups of them).
inline dim3 grid_of(int positions, int rows) {
  return dim3((static_cast<unsigned>(positions) + kBlock - 1) / kBlock,
              static_cast<unsigned>(rows < kMaxGridRows ? rows : kMaxGridRows));
}

/// After a launch: whether it was accepted.
inline Status launched() { return to_status(cudaGetLastError()); }

inline cudaStream_t to_stream(void* stream) { return static_cast<cudaStream_t>(stream); }

}  // namespace mvinr::cuda
