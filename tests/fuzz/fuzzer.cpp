// The entry points of libFuzzer; TARGET is one of the functions in targets.h.
#include "targets.h"

extern "C" {
size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mvinr::fuzz::TARGET(std::as_bytes(std::span(data, size)));
  return 0;
}

#ifdef REPAIR_CRCS
size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 == 0) return size;  // sometimes the CRCs stay wrong
  const auto bytes = std::as_bytes(std::span(data, size));
  std::vector<std::byte> repaired(bytes.begin(), bytes.end());
  mvinr::fuzz::repair_crcs(repaired);
  for (size_t i = 0; i < size; ++i) data[i] = uint8_t(repaired[i]);
  return size;
}
#endif
}
