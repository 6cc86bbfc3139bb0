// Kernels for 64-bit ARM with Advanced SIMD and its dot product (ARMv8.2 and later).
// clang-format off
#include "kernels/vecneon.inc"
#include "kernels/simd_kernels.inc"
// clang-format on

namespace mvinr {

extern const Kernels kNeonDotKernels;
const Kernels kNeonDotKernels = kernel_set("neondot");

}  // namespace mvinr
