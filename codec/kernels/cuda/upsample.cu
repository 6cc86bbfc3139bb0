// Bilinear enlargement plus tile: one thread, one position of the output of a channel.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/scalar.h"

namespace mvinr::cuda {
namespace {

__global__ void upsample_kernel(Plane16 in, int scale, const int16_t* tile, Plane16 out, int begin,
                                int end) {
  const int p = begin + static_cast<int>(blockIdx.x * kBlock + threadIdx.x);
  if (p >= end) return;
  const int x = p % out.width, y = p / out.width;
  for (int c = static_cast<int>(blockIdx.y); c < in.channels; c += static_cast<int>(gridDim.y)) {
    plane_at(out, c, p) = upsample_at(in, scale, tile, c, x, y);
  }
}

}  // namespace

Status upsample(const Plane16& in, int scale, const int16_t* tile, const Plane16& out, int y0,
                int y1, Stream stream) {
  const int begin = y0 * out.width, end = y1 * out.width;
  if (begin >= end) return ok();
  upsample_kernel<<<grid_of(end - begin, in.channels), kBlock, 0, to_stream(stream)>>>(
      in, scale, tile, out, begin, end);
  return launched();
}

}  // namespace mvinr::cuda
