#include "train/device.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <limits>

namespace mvinr {
namespace {

/// LibTorch's CUDA part is a library of its own that registers itself when it is loaded. It is
/// asked for only here, so that CPU builds and machines without a GPU never pay for it.
bool cuda_loaded() {
  static const bool loaded = at::hasCUDA() || dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  return loaded && at::hasCUDA();
}

int cuda_devices() { return cuda_loaded() ? int(at::detail::getCUDAHooks().deviceCount()) : 0; }

}  // namespace

Result<at::Device> find_device(const std::string& name) {
  if (name == "cpu") return at::Device(at::kCPU);
  if (name == "auto") {
    if (access("/dev/nvidiactl", F_OK) != 0 || cuda_devices() == 0) return at::Device(at::kCPU);
    return at::Device(at::kCUDA, 0);
  }
  int index = 0;
  if (!name.starts_with("cuda"))
    return Error{ErrorCode::invalid_argument,
                 "device '" + name + "' is none of auto, cpu, cuda, cuda:N"};
  if (name != "cuda") {
    const char* end = name.data() + name.size();
    if (name.size() < 6 || name[4] != ':' ||
        std::from_chars(name.data() + 5, end, index).ptr != end || index < 0)
      return Error{ErrorCode::invalid_argument,
                   "device '" + name + "' is none of auto, cpu, cuda, cuda:N"};
  }
  if (!cuda_loaded())
    return Error{ErrorCode::no_device, "device '" + name +
                                           "': no CUDA driver or no CUDA part of LibTorch "
                                           "(libtorch_cuda.so) on this machine"};
  const int count = cuda_devices();
  if (index >= count)
    return Error{ErrorCode::no_device, "device '" + name + "' is not there: this machine has " +
                                           std::to_string(count) + " CUDA devices"};
  return at::Device(at::kCUDA, c10::DeviceIndex(index));
}

at::Generator make_device_generator(at::Device device, uint64_t seed) {
  if (device.is_cpu()) return at::make_generator<at::CPUGeneratorImpl>(seed);
  at::Generator generator = at::detail::getCUDAHooks().getNewGenerator(device.index());
  generator.set_current_seed(seed);
  return generator;
}

uint64_t free_memory(at::Device device) {
  // A device's own memory is managed by LibTorch, whose error names the shortage.
  if (!device.is_cpu()) return std::numeric_limits<uint64_t>::max();
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  uint64_t kilobytes = 0;
  while (file >> key >> kilobytes) {
    std::getline(file, unit);
    if (key == "MemAvailable:") return kilobytes * 1024;
  }
  return std::numeric_limits<uint64_t>::max();
}

}  // namespace mvinr
