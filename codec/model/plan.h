// The plan: which layers a network runs, in which order, on which tensors and shapes. It holds no
// arithmetic, so that every backend runs the same loop over the same steps (docs/bitstream.md 5.6).
#pragma once

#include <vector>

#include "model/config.h"

namespace mvinr {

enum class StepKind : uint8_t {
  stem,         // 3x3 convolution of the stage-0 grids
  norm_reduce,  // LayerNorm to packed, then 1x1 (reduce_first)
  norm,         // LayerNorm to planes (hinerv)
  sum_grids,    // ierv: the sum of the shared and the view's grids, in place of the stem
  convolve,     // ierv: LayerNorm to planes, 3x3 convolution, pixel shuffle, plus the local grids
  activate,     // ierv: LayerNorm, GELU
  upsample,     // bilinear, plus the tile of the stage's local grids
  inject,       // adds the 1x1 of the stage's plane grids
  flow,         // 1x1 to displacements, which move the base views' pictures (motion not geometry)
  predict,      // adds the 1x1 of the warped prediction's planes (hybrid mode)
  block,        // depthwise, norm or quantise, fc1 + GELU, fc2 (+ input)
  head,
};

/// One layer call. Tensors are indices into Plan::tensors, -1 where there is none.
struct PlanStep {
  StepKind kind = StepKind::stem;
  int stage = 0;               // the stage that it belongs to; 0: the stem
  int inputs = 0;              // channels of the feature map that it reads (stem: of all its grids)
  int outputs = 0;             // channels that it writes (head: of the head)
  int height = 0, width = 0;   // resolution of what it writes
  int scale = 1;               // upsample, convolve
  int hidden = 0;              // block
  bool norm = false;           // block: LayerNorm after the depthwise convolution, else quantise
  bool residual = false;       // block: fc2 is added to the block's input
  int weight = -1, bias = -1;  // stem, norm_reduce, convolve, inject, flow, predict, head;
                               // upsample: of the local grids
  int depthwise_weight = -1, depthwise_bias = -1;  // block
  int fc1_weight = -1, fc1_bias = -1;
  int fc2_weight = -1, fc2_bias = -1;
  std::vector<int>
      grids;  // stem, sum_grids, inject: plane grids; upsample, convolve: local; in order
  int grid_channels = 0;  // sum over `grids`
};

struct Plan {
  ModelConfig config;
  std::vector<TensorSpec> tensors;            // tensor_specs(config)
  std::vector<PlanStep> steps;                // stem first, head last
  std::vector<std::vector<int>> grid_tensor;  // [grid][view]; shared grids: the same for all views

  const PlanStep& head() const { return steps.back(); }
};

/// For a valid config (see validate()). Returns `internal` if tensor_specs() lacks a tensor.
Result<Plan> make_plan(const ModelConfig& config);

/// Rows of each step's output that the upper `picture_height` rows of the picture depend on; the
/// head's rows are trunk rows (two picture rows each for shuffle420).
std::vector<int> rows_needed(const Plan& plan, int picture_height);

/// Multiply-additions of one synthesis of the whole canvas.
int64_t multiply_adds(const Plan& plan);

}  // namespace mvinr
