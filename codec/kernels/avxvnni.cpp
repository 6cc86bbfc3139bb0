// Kernels for AVX2 with AVX-VNNI.
// clang-format off
#include "kernels/vec256.inc"
#include "kernels/simd_kernels.inc"
// clang-format on

namespace mvinr {

extern const Kernels kAvxVnniKernels;
const Kernels kAvxVnniKernels = kernel_set("avxvnni");

}  // namespace mvinr
