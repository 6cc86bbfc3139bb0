// Q10 planes -> packed bytes: one thread, four channels of one position.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/scalar.h"

namespace mvinr::cuda {
namespace {

__global__ void quantise_kernel(Plane16 in, Packed8 out, int begin, int end) {
  const int p = begin + static_cast<int>(blockIdx.x * kBlock + threadIdx.x);
  if (p >= end) return;
  for (int first = static_cast<int>(blockIdx.y) * 4; first < in.channels;
       first += static_cast<int>(gridDim.y) * 4) {
    uint32_t word = 0;
    for (int k = 0; k < 4 && first + k < in.channels; ++k) {
      word |= static_cast<uint32_t>(quantise_byte(plane_at(in, first + k, p))) << 8 * k;
    }
    reinterpret_cast<uint32_t*>(out.data)[first / 4 * out.plane + p] = word;
  }
}

}  // namespace

Status quantise(const Plane16& in, const Packed8& out, int begin, int end, Stream stream) {
  check_range(in.height, in.width, begin, end);
  if (begin >= end) return ok();
  quantise_kernel<<<grid_of(end - begin, (in.channels + 3) / 4), kBlock, 0, to_stream(stream)>>>(
      in, out, begin, end);
  return launched();
}

}  // namespace mvinr::cuda
