// Where training runs.
#pragma once

#include <ATen/ATen.h>

#include <string>

#include "mvinr/types.h"

namespace mvinr {

/// "auto" (a CUDA device if there is one, else the CPU), "cpu" or "cuda:N". Errors:
/// invalid_argument (another word), no_device (names what is missing: driver, device N or
/// LibTorch's CUDA part).
Result<at::Device> find_device(const std::string& name);

/// A random generator of its own on that device.
at::Generator make_device_generator(at::Device device, uint64_t seed);

/// Bytes that the machine (CPU) or the device has free.
uint64_t free_memory(at::Device device);

}  // namespace mvinr
