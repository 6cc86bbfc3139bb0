// Sums of products of the 1x1 layers: one thread, kPositions neighbour positions of kOutputs
// outputs, so that every weight and every sample that is loaded serves several products. All
// threads of a warp read the same weights.
#pragma once

#include "kernels/cuda/launch.cuh"
#include "kernels/scalar.h"

namespace mvinr::cuda {

inline constexpr int kPositions = 4;  // 16 bytes of a Packed8; a range ends there or before padding
inline constexpr int kOutputs = 8;

struct Sums {
  uint32_t at[kOutputs][kPositions] = {};
};

/// Blocks for a range: kPositions positions a thread, kOutputs outputs a block in y.
inline dim3 grid_of_dots(int positions, int outputs) {
  return grid_of((positions + kPositions - 1) / kPositions, (outputs + kOutputs - 1) / kOutputs);
}

/// The thread's first position.
__device__ inline int first_position(int begin) {
  return begin + static_cast<int>(blockIdx.x * kBlock + threadIdx.x) * kPositions;
}

/// Outputs behind the last one repeat it; they are not stored.
__device__ inline int row_of(int output, int outputs) {
  return output < outputs ? output : outputs - 1;
}

/// acc + four products of an unsigned and a signed byte each, modulo 2^32. CUDA's __dp4a has no
/// form with mixed signs.
__device__ inline uint32_t dot4(uint32_t samples, uint32_t weights, uint32_t acc) {
  uint32_t sum;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(sum) : "r"(samples), "r"(weights), "r"(acc));
  return sum;
}

__device__ inline Sums dot(const Packed8& in, const Pointwise8& layer, int output, int position) {
  const int groups = (layer.inputs + 3) / 4;
  const auto* weight = reinterpret_cast<const uint32_t*>(layer.weight);
  const auto* samples = reinterpret_cast<const uint32_t*>(in.data) + position;
  Sums sums;
  ptrdiff_t row[kOutputs];
  for (int o = 0; o < kOutputs; ++o) {
    const int r = row_of(output + o, layer.outputs);
    row[o] = static_cast<ptrdiff_t>(r) * groups;
    for (uint32_t& sum : sums.at[o]) sum = static_cast<uint32_t>(layer.acc_init[r]);
  }
  for (int g = 0; g < groups; ++g) {
    const uint4 four = *reinterpret_cast<const uint4*>(samples + g * in.plane);
    for (int o = 0; o < kOutputs; ++o) {
      const uint32_t w = weight[row[o] + g];
      sums.at[o][0] = dot4(four.x, w, sums.at[o][0]);
      sums.at[o][1] = dot4(four.y, w, sums.at[o][1]);
      sums.at[o][2] = dot4(four.z, w, sums.at[o][2]);
      sums.at[o][3] = dot4(four.w, w, sums.at[o][3]);
    }
  }
  return sums;
}

/// Of the rows `row[o]` of the weights.
__device__ inline Sums dot(const Plane16& in, const Pointwise16& layer, const int (&row)[kOutputs],
                           int position) {
  const int columns = (layer.inputs + 1) / 2 * 2;
  Sums sums;
  for (int c = 0; c < layer.inputs; ++c) {
    const short4 four = *reinterpret_cast<const short4*>(in.data + c * in.plane + position);
    for (int o = 0; o < kOutputs; ++o) {
      const int w = layer.weight[static_cast<ptrdiff_t>(row[o]) * columns + c];
      sums.at[o][0] += static_cast<uint32_t>(four.x * w);
      sums.at[o][1] += static_cast<uint32_t>(four.y * w);
      sums.at[o][2] += static_cast<uint32_t>(four.z * w);
      sums.at[o][3] += static_cast<uint32_t>(four.w * w);
    }
  }
  return sums;
}

/// Requantises the kPositions sums of a row and stores them, or adds them to what is there.
__device__ inline void store(const Plane16& out, int output, int position, bool add,
                             const Requant& requant, const uint32_t (&sums)[kPositions]) {
  auto* target = reinterpret_cast<short4*>(&plane_at(out, output, position));
  short4 y = make_short4(requantise(sums[0], requant), requantise(sums[1], requant),
                         requantise(sums[2], requant), requantise(sums[3], requant));
  if (add) {
    const short4 x = *target;
    y = make_short4(sat16(x.x + y.x), sat16(x.y + y.y), sat16(x.z + y.z), sat16(x.w + y.w));
  }
  *target = y;
}

}  // namespace mvinr::cuda
