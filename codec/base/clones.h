// One copy of a function per instruction set, chosen when the library is loaded: for plain loops
// that the compiler makes vectors of. All copies give the same integers.
#pragma once

// Clang's fuzzing builds and ThreadSanitizer, whose runtime is not up yet when the loader chooses,
// go without; so do tests that compare with the plain loops.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__) && !defined(MVINR_NO_CLONES)
#define MVINR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#define MVINR_HAVE_CLONES 1  // functions for one instruction set may stand beside them
#else
#define MVINR_CLONES
#endif
