// What a process holds, for tests that run for an hour of stream.
#pragma once

#include <malloc.h>
#include <unistd.h>

#include <cstdio>

namespace mvinr::testutil {

/// Resident memory in megabytes, after giving back what malloc keeps for later.
inline double resident_megabytes() {
  malloc_trim(0);
  size_t pages = 0, resident = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return double(resident) * double(sysconf(_SC_PAGESIZE)) / 1e6;
}

}  // namespace mvinr::testutil
