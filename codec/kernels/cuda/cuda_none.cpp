// A build without CUDA: no machine has a device.
#include "kernels/cuda/cuda_kernels.h"

namespace mvinr {
namespace {

Error none() { return {ErrorCode::no_device, "this build of MV-INR has no CUDA kernels"}; }

}  // namespace

bool cuda_device_available() { return false; }

namespace cuda {

void Release::operator()(std::byte*) const {}  // there is never any memory
Result<DeviceMemory> allocate(size_t) { return none(); }
Status copy_to_device(void*, const void*, size_t, Stream) { return none(); }
Status copy_to_host(void*, const void*, size_t, Stream) { return none(); }
Status synchronise(Stream) { return none(); }

Status norm_to_packed(const Plane16&, const Packed8&, int, int, Stream) { return none(); }
Status norm_to_plane(const Plane16&, const Plane16&, int, int, Stream) { return none(); }
Status quantise(const Plane16&, const Packed8&, int, int, Stream) { return none(); }
Status depthwise(const Plane16&, const int16_t*, const Requant*, const Plane16&, int, int, Stream) {
  return none();
}
Status pointwise_gelu(const Packed8&, const Pointwise8&, const Packed8&, int, int, Stream) {
  return none();
}
Status pointwise(const Packed8&, const Pointwise8&, bool, const Plane16&, int, int, Stream) {
  return none();
}
Status pointwise16(const Plane16&, const Pointwise16&, bool, const Plane16&, int, int, Stream) {
  return none();
}
Status upsample(const Plane16&, int, const int16_t*, const Plane16&, int, int, Stream) {
  return none();
}
Status head(const Plane16&, const Pointwise16&, const HeadRow*, const int*, int, int32_t*,
            ptrdiff_t, int, int, Stream) {
  return none();
}

}  // namespace cuda
}  // namespace mvinr
