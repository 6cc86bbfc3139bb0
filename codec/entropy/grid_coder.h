// Entropy coding of feature grids (docs/bitstream.md 6).
#pragma once

#include <cstdint>

namespace mvinr {

/// The context model of one grid (docs/bitstream.md 6.4): a small integer network that predicts the
/// distribution of a symbol from its neighbours. All weights have 8 fractional bits.
inline constexpr int kContexts = 16;
inline constexpr int kContextHidden = 8;
struct ContextModel {
  int16_t hidden_weight[kContextHidden][kContexts] = {};
  int16_t hidden_bias[kContextHidden] = {};
  int16_t out_weight[2][kContextHidden] = {};  // row 0: mean, row 1: log2 of the scale
  int16_t skip_weight[2][kContexts] = {};
  int16_t out_bias[2] = {};
};

}  // namespace mvinr
