// CodedModel: all integers of one GOP, between export (trainer) and the units of an access unit,
// and between the units and the decoder's packed weights.
#pragma once

#include <cstdint>
#include <vector>

#include "entropy/grid_coder.h"
#include "model/config.h"

namespace mvinr {

struct CodedTensor {
  std::vector<int16_t> symbols;  // weights in [-127, 127]; grids and biases in [-2047, 2047]
  std::vector<int8_t> steps;     // step indices: 1, rows or channels of them
};

/// The view that a view's context models look at, and how far it is displaced, per grid.
struct ViewReference {
  int8_t view = -1;            // < the view's own index; -1: none
  std::vector<int8_t> dx, dy;  // per grid of ModelConfig::grids, in samples of that grid
};

struct CodedModel {
  ModelConfig config;
  std::vector<CodedTensor> tensors;          // in tensor_specs(config) order
  std::vector<ContextModel> context_models;  // one per grid; used where coding == context
  std::vector<ViewReference> references;     // one per view
};

}  // namespace mvinr
