// Kernels for AVX2.
// clang-format off
#include "kernels/vec256.inc"
#include "kernels/simd_kernels.inc"
// clang-format on

namespace mvinr {

extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels = kernel_set("avx2");

}  // namespace mvinr
