// The device: whether there is one, its memory, its errors.
#include <string>

#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/launch.cuh"

namespace mvinr {

bool cuda_device_available() {
  static const bool available = [] {
    int count = 0, major = 0;
    const bool found =
        cudaGetDeviceCount(&count) == cudaSuccess && count > 0 &&
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) == cudaSuccess;
    cudaGetLastError();  // the failed query must not be reported by a later call
    return found && major >= 8;
  }();
  return available;
}

namespace cuda {

Status to_status(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return ok();
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorInitializationError:
    case cudaErrorStubLibrary:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorSystemNotReady:
    case cudaErrorDevicesUnavailable:
    case cudaErrorNoKernelImageForDevice:
      return Error{ErrorCode::no_device,
                   std::string("no usable CUDA device: ") + cudaGetErrorName(error)};
    case cudaErrorMemoryAllocation:
      return Error{ErrorCode::limit_exceeded, "not enough memory on the CUDA device"};
    default:
      return Error{ErrorCode::internal, std::string("CUDA: ") + cudaGetErrorName(error) + " (" +
                                            cudaGetErrorString(error) + ")"};
  }
}

void Release::operator()(std::byte* memory) const { cudaFree(memory); }

Result<DeviceMemory> allocate(size_t size) {
  void* memory = nullptr;
  const Status status = to_status(cudaMalloc(&memory, size > 0 ? size : 1));
  cudaGetLastError();  // reported here, not once more by the next launch
  if (!status) return status.error();
  return DeviceMemory(static_cast<std::byte*>(memory));
}

Status copy_to_device(void* device, const void* host, size_t size, Stream stream) {
  return to_status(cudaMemcpyAsync(device, host, size, cudaMemcpyHostToDevice, to_stream(stream)));
}

Status copy_to_host(void* host, const void* device, size_t size, Stream stream) {
  const Status status =
      to_status(cudaMemcpyAsync(host, device, size, cudaMemcpyDeviceToHost, to_stream(stream)));
  return status ? synchronise(stream) : status;
}

Status synchronise(Stream stream) { return to_status(cudaStreamSynchronize(to_stream(stream))); }

}  // namespace cuda
}  // namespace mvinr
