// Which kernel sets this machine can run.
#include "kernels/kernels.h"

#ifdef MVINR_X86_KERNELS
#include <cpuid.h>
#endif
#ifdef MVINR_NEON_KERNELS
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace mvinr {

#ifdef MVINR_X86_KERNELS
extern const Kernels kAvx2Kernels, kAvxVnniKernels, kAvx512VnniKernels, kAvx512VbmiKernels;
#endif
#ifdef MVINR_NEON_KERNELS
extern const Kernels kNeonDotKernels;
#endif

namespace {

struct Sets {
  const Kernels* list[5] = {&kReferenceKernels};
  size_t count = 1;

  Sets() {
#ifdef MVINR_X86_KERNELS
    // __builtin_cpu_supports also asks whether the operating system saves the registers.
    if (!__builtin_cpu_supports("avx2")) return;
    list[count++] = &kAvx2Kernels;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) != 0) {
      list[count++] = &kAvxVnniKernels;
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni")) {
      list[count++] = &kAvx512VnniKernels;
      if (__builtin_cpu_supports("avx512vbmi")) list[count++] = &kAvx512VbmiKernels;
    }
#endif
#ifdef MVINR_NEON_KERNELS
    if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) list[count++] = &kNeonDotKernels;
#endif
  }
};

}  // namespace

std::span<const Kernels* const> available_kernel_sets() {
  static const Sets sets;
  return {sets.list, sets.count};
}

const Kernels* find_kernels(std::string_view name) {
  const auto sets = available_kernel_sets();
  if (name == "auto") return sets.back();
  for (const Kernels* set : sets) {
    if (name == set->name) return set;
  }
  return nullptr;
}

}  // namespace mvinr
