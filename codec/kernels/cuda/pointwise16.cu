// 1x1 layer from planes to planes.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/dot.cuh"

namespace mvinr::cuda {
namespace {

__global__ void pointwise16_kernel(Plane16 in, Pointwise16 layer, bool add, Plane16 out, int begin,
                                   int end) {
  const int p = first_position(begin);
  if (p >= end) return;
  for (int first = static_cast<int>(blockIdx.y) * kOutputs; first < layer.outputs;
       first += static_cast<int>(gridDim.y) * kOutputs) {
    int rows[kOutputs];
    for (int o = 0; o < kOutputs; ++o) rows[o] = row_of(first + o, layer.outputs);
    const Sums sums = dot(in, layer, rows, p);
#pragma unroll  // or the sums would not stay in registers
    for (int o = 0; o < kOutputs; ++o) {
      if (first + o >= layer.outputs) break;
      store(out, first + o, p, add, layer.requant[first + o], sums.at[o]);
    }
  }
}

}  // namespace

Status pointwise16(const Plane16& in, const Pointwise16& layer, bool add, const Plane16& out,
                   int begin, int end, Stream stream) {
  check_range(in.height, in.width, begin, end);
  if (begin >= end) return ok();
  pointwise16_kernel<<<grid_of_dots(end - begin, layer.outputs), kBlock, 0, to_stream(stream)>>>(
      in, layer, add, out, begin, end);
  return launched();
}

}  // namespace mvinr::cuda
