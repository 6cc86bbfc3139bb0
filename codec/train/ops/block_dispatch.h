// Which of its forms a block takes.
#pragma once

#include "train/ops/block_kernels.h"
#if MVINR_OPS_BF16
#include "train/ops/block_bf16.h"
#endif

namespace mvinr::ops::MVINR_OPS_ISA {

inline size_t block_scratch(const Block& b) {
#if MVINR_OPS_BF16
  return Bf16Buffers(b, Arena{}).floats;
#else
  return BlockBuffers(b, Arena{}).floats;
#endif
}

inline void block_forward(const Block& b, float* y, int64_t begin, int64_t end, float* scratch) {
#if MVINR_OPS_BF16
  if (b.bf16) return block_forward_bf16(b, y, begin, end, scratch);
#endif
  (b.quantise ? block_forward_as<true> : block_forward_as<false>)(b, y, begin, end, scratch);
}

inline void block_backward(const Block& b, float* dd, const BlockGradients& sums, int64_t begin,
                           int64_t end, float* scratch) {
#if MVINR_OPS_BF16
  if (b.bf16) return block_backward_bf16(b, dd, sums, begin, end, scratch);
#endif
  (b.quantise ? block_backward_as<true> : block_backward_as<false>)(b, dd, sums, begin, end,
                                                                    scratch);
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
