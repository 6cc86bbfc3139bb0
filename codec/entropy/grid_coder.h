// Entropy coding of feature grids (docs/bitstream.md 6.5, 6.6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "entropy/range_coder.h"

namespace mvinr {

/// The context model of one grid: a small integer network that predicts the distribution of a
/// symbol from its neighbours. All weights have 8 fractional bits and lie in
/// [-kMaxContextWeight, kMaxContextWeight].
inline constexpr int kContexts = 16;
inline constexpr int kContextHidden = 8;
inline constexpr int kMaxContextWeight = 2047;
struct ContextModel {
  int16_t hidden_weight[kContextHidden][kContexts] = {};
  int16_t hidden_bias[kContextHidden] = {};
  int16_t out_weight[2][kContextHidden] = {};  // row 0: mean, row 1: log2 of the scale
  int16_t skip_weight[2][kContexts] = {};
  int16_t out_bias[2] = {};
  bool operator==(const ContextModel&) const = default;
};

/// A grid's symbols [time_steps][channels][height][width], owned by somebody else.
struct GridView {
  const int16_t* data = nullptr;
  int time_steps = 0, channels = 0, height = 0, width = 0;
  size_t count() const {
    return static_cast<size_t>(time_steps) * static_cast<size_t>(channels) *
           static_cast<size_t>(height) * static_cast<size_t>(width);
  }
  const int16_t* row(int t, int c, int y) const {
    return data + ((static_cast<ptrdiff_t>(t) * channels + c) * height + y) * width;
  }
};

/// What a context-coded grid may look at besides itself.
struct GridNeighbours {
  const GridView* below = nullptr;      // the grid before it of the same kind, any size
  const GridView* reference = nullptr;  // the same grid of another view, the same size
  int dx = 0, dy = 0;                   // where to look in the reference: (x + dx, y + dy)
};

/// The contexts of every symbol of the grid in coding order (t, c, y, x), each clamped to
/// [-127, 127]; out is [grid.count()][kContexts].
void gather_contexts(const GridView& grid, const GridNeighbours& neighbours, int16_t* out);

/// Mean (Q4, within [-16 M, 16 M]) and scale index that the model gives.
struct Prediction {
  int mean = 0, scale = 0;
};
Prediction predict(const ContextModel& model, const int16_t contexts[kContexts], int max_symbol);

/// Writes one grid: context coded if `model` is given, else factorised. There is one step per
/// channel; steps of all-zero channels are not written, the decoder sets them to 0. The coder fails
/// if the sizes, a symbol (|symbol| > kMaxSymbol) or a weight do not fit.
void write_grid(RangeEncoder& coder, const GridView& grid, std::span<const int8_t> steps,
                const ContextModel* model, const GridNeighbours& neighbours);
/// Bits that write_grid adds.
double grid_bits(const GridView& grid, std::span<const int8_t> steps, const ContextModel* model,
                 const GridNeighbours& neighbours);
/// Reads one grid; grid.data points to `symbols`, grid.count() of them. The coder fails if the
/// bytes are corrupt.
void read_grid(RangeDecoder& coder, const GridView& grid, std::span<int16_t> symbols,
               std::span<int8_t> steps, const ContextModel* model,
               const GridNeighbours& neighbours);

/// The parts of a context model that have a precision of their own.
inline constexpr int kContextParts = 5;  // hidden weights, hidden biases, out weights, skip, biases
inline constexpr int kMaxContextShift = 6;
/// Weights rounded to multiples of 2^shift[part]; parts of the model without effect become 0.
/// Multiples of larger powers of two cost fewer bits.
ContextModel coarsen(const ContextModel& model, const int (&shift)[kContextParts]);

/// Writes a model. Weights that have no effect (of a hidden unit whose out weights are 0) are not
/// written and read as 0. The coder fails if a weight is out of range.
void write_context_model(RangeEncoder& coder, const ContextModel& model);
double context_model_bits(const ContextModel& model);
ContextModel read_context_model(RangeDecoder& coder);

}  // namespace mvinr
