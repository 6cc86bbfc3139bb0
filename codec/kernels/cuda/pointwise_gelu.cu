// 1x1 layer from packed bytes, GELU, to packed bytes: a thread's outputs are two whole groups.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/dot.cuh"

namespace mvinr::cuda {
namespace {

static_assert(kOutputs % 4 == 0, "a word holds four outputs of one position");

__global__ void pointwise_gelu_kernel(Packed8 in, Pointwise8 layer, Packed8 out, int begin,
                                      int end) {
  const int p = first_position(begin);
  if (p >= end) return;
  for (int first = static_cast<int>(blockIdx.y) * kOutputs; first < layer.outputs;
       first += static_cast<int>(gridDim.y) * kOutputs) {
    const Sums sums = dot(in, layer, first, p);
#pragma unroll  // or the sums would not stay in registers
    for (int group = 0; group < kOutputs; group += 4) {
      if (first + group >= layer.outputs) break;
      uint32_t words[kPositions] = {};
      for (int k = 0; k < 4; ++k) {
        // The bytes of outputs that do not exist may be anything: here those of the last one.
        const Requant requant = layer.requant[row_of(first + group + k, layer.outputs)];
        for (int i = 0; i < kPositions; ++i) {
          words[i] |= static_cast<uint32_t>(gelu_byte(requantise(sums.at[group + k][i], requant)))
                      << 8 * k;
        }
      }
      auto* target = reinterpret_cast<uint32_t*>(out.data) + (first + group) / 4 * out.plane + p;
      *reinterpret_cast<uint4*>(target) = make_uint4(words[0], words[1], words[2], words[3]);
    }
  }
}

}  // namespace

Status pointwise_gelu(const Packed8& in, const Pointwise8& layer, const Packed8& out, int begin,
                      int end, Stream stream) {
  check_range(in.height, in.width, begin, end);
  if (begin >= end) return ok();
  pointwise_gelu_kernel<<<grid_of_dots(end - begin, layer.outputs), kBlock, 0, to_stream(stream)>>>(
      in, layer, out, begin, end);
  return launched();
}

}  // namespace mvinr::cuda
