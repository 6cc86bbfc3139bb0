// Head: planes to Q16, for the outputs of a list.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/dot.cuh"

namespace mvinr::cuda {
namespace {

__global__ void head_kernel(Plane16 in, Pointwise16 layer, const HeadRow* head_rows,
                            const int* outputs, int count, int32_t* out, ptrdiff_t plane, int begin,
                            int end) {
  const int p = first_position(begin);
  if (p >= end) return;
  for (int first = static_cast<int>(blockIdx.y) * kOutputs; first < count;
       first += static_cast<int>(gridDim.y) * kOutputs) {
    int rows[kOutputs];
    for (int o = 0; o < kOutputs; ++o) rows[o] = outputs[row_of(first + o, count)];
    const Sums sums = dot(in, layer, rows, p);
#pragma unroll  // or the sums would not stay in registers
    for (int o = 0; o < kOutputs; ++o) {
      if (first + o >= count) break;
      const HeadRow row = head_rows[rows[o]];
      int32_t* target = out + rows[o] * plane;
      // The caller's planes need not have padding: nothing behind the end is written.
#pragma unroll
      for (int i = 0; i < kPositions; ++i) {
        if (p + i < end) target[p + i] = head_value(sums.at[o][i], row);
      }
    }
  }
}

}  // namespace

Status head(const Plane16& in, const Pointwise16& layer, const HeadRow* rows, const int* outputs,
            int count, int32_t* out, ptrdiff_t plane, int begin, int end, Stream stream) {
  check_range(in.height, in.width, begin, end);
  if (begin >= end || count <= 0) return ok();
  head_kernel<<<grid_of_dots(end - begin, count), kBlock, 0, to_stream(stream)>>>(
      in, layer, rows, outputs, count, out, plane, begin, end);
  return launched();
}

}  // namespace mvinr::cuda
