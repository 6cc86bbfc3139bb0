// Gathering of contexts row by row, and the arithmetic of the context model.
#pragma once

#include <vector>

#include "entropy/grid_coder.h"

namespace mvinr {

inline constexpr int kContextLimit = 127;
inline int clamp_context(int symbol) {
  return symbol < -kContextLimit ? -kContextLimit : symbol > kContextLimit ? kContextLimit : symbol;
}

/// The contexts of one row that do not depend on the row itself (all but W and WW, which stay 0).
class RowContexts {
 public:
  RowContexts(const GridView& grid, const GridNeighbours& neighbours);

  /// Row (t, c, y) of the grid: [width][kContexts]. Valid until the next call.
  int16_t* gather(int t, int c, int y);

 private:
  GridView grid_;
  GridNeighbours neighbours_;
  std::vector<int16_t> rows_;      // source rows, clamped and padded with zeros
  std::vector<int16_t> contexts_;  // [width][kContexts]
  std::vector<int> below_x_;
};

/// Evaluates a context model along a row: first everything that does not depend on the row itself,
/// for the whole row at once; then symbol after symbol.
class RowPredictor {
 public:
  RowPredictor(const ContextModel& model, int width);

  void start_row(const int16_t* contexts);  // [width][kContexts], W and WW 0
  Prediction at(int x, int west, int west_west, int max_symbol) const;

 private:
  static constexpr int kOutputs = kContextHidden + 2;
  int width_;
  int16_t weight_[kOutputs][kContexts];  // hidden units, then skip
  int32_t bias_[kOutputs];
  int32_t west_[kOutputs], west_west_[kOutputs];
  int32_t out_[2][kContextHidden];
  std::vector<int32_t> sums_;  // [width][kOutputs]
};

}  // namespace mvinr
