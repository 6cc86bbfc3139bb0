// Kernels for AVX-512 with VNNI (Cascade Lake and later).
// clang-format off
#include "kernels/vec512.inc"
#include "kernels/simd_kernels.inc"
// clang-format on

namespace mvinr {

extern const Kernels kAvx512VnniKernels;
const Kernels kAvx512VnniKernels = kernel_set("avx512vnni");

}  // namespace mvinr
