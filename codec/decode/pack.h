// Coded integers -> the weights that kernels read (docs/bitstream.md 5.2-5.4 and 5.6).
#pragma once

#include <span>
#include <vector>

#include "base/memory.h"
#include "format/coded_model.h"
#include "kernels/kernels.h"
#include "model/plan.h"

namespace mvinr {

/// A 1x1 layer on Packed8 input, with its memory.
struct PackedPointwise8 {
  AlignedArray<int8_t> weight;
  std::vector<int32_t> acc_init;
  std::vector<Requant> requant;
  int inputs = 0;
  Pointwise8 layer() const {
    return {inputs, static_cast<int>(requant.size()), weight.data(), acc_init.data(),
            requant.data()};
  }
};

/// A layer on Plane16 input, with its memory. `requant` is not used by heads.
struct PackedPointwise16 {
  AlignedArray<int16_t> weight;
  std::vector<Requant> requant;
  int inputs = 0;
  Pointwise16 layer() const {
    return {inputs, static_cast<int>(requant.size()), weight.data(), requant.data()};
  }
};

struct PackedDepthwise {
  AlignedArray<int16_t> weight;  // [channels][9]
  std::vector<Requant> requant;
};

/// What one PlanStep needs.
struct PackedStep {
  PackedPointwise8 reduce;    // norm_reduce
  PackedPointwise16 wide;     // every other 1x1 layer, and the local grids of upsample
  PackedDepthwise depthwise;  // block
  PackedPointwise8 fc1, fc2;  // block
  std::vector<HeadRow> head;
};

/// One entry per step of the plan. `tensors` is in the order of plan.tensors; only those of the
/// network unit are read. Errors: corrupt (a symbol or a step is out of range), internal (a tensor
/// has the wrong size), limit_exceeded (no memory).
Result<std::vector<PackedStep>> pack_network(const Plan& plan,
                                             std::span<const CodedTensor> tensors);

/// Checks that the tensor fits its spec and that symbols are in [-limit, limit], limit = 127 for
/// weights and 2047 otherwise.
Status check_tensor(const TensorSpec& spec, const CodedTensor& tensor);

/// Q10 value of a bias or grid value u (Q8 symbol) with step index s (bitstream.md 5.3).
int16_t dequantise_q10(int32_t u, int step);
/// The same in Q16, for biases of the head.
int32_t dequantise_q16(int32_t u, int step);
/// The requantisation of a row with weight step s whose input has `fraction` fractional bits.
Requant make_requant(int step, int fraction, int16_t bias);

}  // namespace mvinr
