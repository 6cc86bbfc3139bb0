// Gathering of contexts row by row, and the arithmetic of the context model.
#pragma once

#include <vector>

#include "entropy/grid_coder.h"

namespace mvinr {

inline constexpr int kContextLimit = 127;
inline int clamp_context(int symbol) {
  return symbol < -kContextLimit ? -kContextLimit : symbol > kContextLimit ? kContextLimit : symbol;
}

/// Context i stands in slot kContextSlot[i] of a row: W and WW, the two that depend on the row
/// itself, come first, and pairs of slots are multiplied and added at once.
inline constexpr int kContextSlot[kContexts] = {0, 2, 3,  4,  1,  5,  6,  7,
                                                8, 9, 10, 11, 12, 13, 14, 15};

/// The contexts of one row that do not depend on the row itself; W and WW stay 0.
class RowContexts {
 public:
  RowContexts(const GridView& grid, const GridNeighbours& neighbours);

  /// Row (t, c, y) of the grid: [width][kContexts] in slots. Valid until the next call.
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

  void start_row(const int16_t* contexts);  // [width][kContexts] in slots, W and WW 0
  Prediction at(int x, int west, int west_west, int max_symbol) const;

 private:
  static constexpr int kLanes = 12;  // hidden units, the two skip sums, two unused
  static constexpr int kPairs = kContexts / 2;
  int width_;
  alignas(16) int16_t weight_[kPairs][kLanes][2] = {};
  alignas(16) int32_t bias_[kLanes] = {};
  alignas(16) int16_t out_[2][kContextHidden];
  std::vector<int> pairs_;     // pairs but the first that have weights
  std::vector<int32_t> sums_;  // [width][kLanes]
};

}  // namespace mvinr
