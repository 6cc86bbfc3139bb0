// LayerNorm over the channels: one thread, one position. A warp reads 32 neighbours of a channel;
// the second and third pass over the channels mostly find them in the caches.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/scalar.h"

namespace mvinr::cuda {
namespace {

__global__ void packed_kernel(Plane16 in, Packed8 out, NormConstants constants, int begin,
                              int end) {
  const int p = begin + static_cast<int>(blockIdx.x * kBlock + threadIdx.x);
  if (p >= end) return;
  const PositionNorm norm = norm_of(in, p, 5, constants);
  for (int first = 0; first < in.channels; first += 4) {
    uint32_t word = 0;
    for (int k = 0; k < 4 && first + k < in.channels; ++k) {
      word |= static_cast<uint32_t>(norm.packed(plane_at(in, first + k, p))) << 8 * k;
    }
    reinterpret_cast<uint32_t*>(out.data)[first / 4 * out.plane + p] = word;
  }
}

__global__ void plane_kernel(Plane16 in, Plane16 out, NormConstants constants, int begin, int end) {
  const int p = begin + static_cast<int>(blockIdx.x * kBlock + threadIdx.x);
  if (p >= end) return;
  const PositionNorm norm = norm_of(in, p, 10, constants);
  for (int c = 0; c < in.channels; ++c) plane_at(out, c, p) = norm.plane(plane_at(in, c, p));
}

}  // namespace

Status norm_to_packed(const Plane16& in, const Packed8& out, int begin, int end, Stream stream) {
  check_range(in.height, in.width, begin, end);
  if (begin >= end) return ok();
  packed_kernel<<<grid_of(end - begin, 1), kBlock, 0, to_stream(stream)>>>(
      in, out, norm_constants(in.channels), begin, end);
  return launched();
}

Status norm_to_plane(const Plane16& in, const Plane16& out, int begin, int end, Stream stream) {
  check_range(in.height, in.width, begin, end);
  if (begin >= end) return ok();
  plane_kernel<<<grid_of(end - begin, 1), kBlock, 0, to_stream(stream)>>>(
      in, out, norm_constants(in.channels), begin, end);
  return launched();
}

}  // namespace mvinr::cuda
