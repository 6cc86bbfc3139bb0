// Compiled once per instruction set: see vec.h and meson.build.
#include "train/ops/adam_kernel.h"
#include "train/ops/block_dispatch.h"
#include "train/ops/context_kernels.h"
#include "train/ops/head_kernels.h"
#include "train/ops/linear_kernels.h"
#include "train/ops/upsample_kernels.h"

#define MVINR_OPS_STRING(x) #x
#define MVINR_OPS_NAME(x) MVINR_OPS_STRING(x)

namespace mvinr::ops::MVINR_OPS_ISA {

const Kernels& kernels() {
  static constexpr Kernels kKernels = {
      MVINR_OPS_NAME(MVINR_OPS_ISA),
      kLanes,
      MVINR_OPS_BF16 != 0,
      block_scratch,
      block_forward,
      block_backward,
      block_input_gradient,
      linear_scratch,
      linear_forward,
      linear_backward,
      upsample_scratch,
      upsample_forward,
      upsample_backward,
      norm_scratch,
      norm_forward,
      norm_backward,
      head_scratch,
      head_loss,
      context_row,
      laplace_row,
      adam,
  };
  return kKernels;
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
