// Kernels for AVX-512 with VNNI and VBMI (Ice Lake, Zen 4 and later).
// clang-format off
#include "kernels/vec512.inc"
#include "kernels/simd_kernels.inc"
// clang-format on

namespace mvinr {

extern const Kernels kAvx512VbmiKernels;
const Kernels kAvx512VbmiKernels = kernel_set("avx512vbmi");

}  // namespace mvinr
