// Depthwise 3x3: one thread, one position of a channel. The nine reads of neighbours overlap in L1.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/scalar.h"

namespace mvinr::cuda {
namespace {

__global__ void depthwise_kernel(Plane16 in, const int16_t* weight, const Requant* requant,
                                 Plane16 out, int begin, int end) {
  const int p = begin + static_cast<int>(blockIdx.x * kBlock + threadIdx.x);
  if (p >= end) return;
  const int x = p % in.width, y = p / in.width;
  for (int c = static_cast<int>(blockIdx.y); c < in.channels; c += static_cast<int>(gridDim.y)) {
    plane_at(out, c, p) = requantise(depthwise_at(in, weight + c * 9, c, x, y), requant[c]);
  }
}

}  // namespace

Status depthwise(const Plane16& in, const int16_t* weight, const Requant* requant,
                 const Plane16& out, int y0, int y1, Stream stream) {
  const int begin = y0 * in.width, end = y1 * in.width;
  if (begin >= end) return ok();
  depthwise_kernel<<<grid_of(end - begin, in.channels), kBlock, 0, to_stream(stream)>>>(
      in, weight, requant, out, begin, end);
  return launched();
}

}  // namespace mvinr::cuda
