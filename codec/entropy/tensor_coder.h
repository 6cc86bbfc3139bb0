// Entropy coding of weights and biases (docs/bitstream.md 6.4).
#pragma once

#include <span>

#include "entropy/range_coder.h"

namespace mvinr {

/// A tensor as a matrix; biases have one row. There is one step, or one per row.
struct TensorLayout {
  int rows = 1, columns = 1;  // >= 0
  int steps = 1;              // 1 or rows
  int limit = kMaxSymbol;     // largest magnitude of a symbol, <= kMaxSymbol
};

/// Writes one tensor. Steps of an all-zero tensor are not written: the decoder sets them to 0.
/// The coder fails if the sizes or a symbol do not fit the layout.
void write_tensor(RangeEncoder& coder, const TensorLayout& layout, std::span<const int16_t> symbols,
                  std::span<const int8_t> steps);
/// Bits that write_tensor adds.
double tensor_bits(const TensorLayout& layout, std::span<const int16_t> symbols,
                   std::span<const int8_t> steps);
/// Reads one tensor into spans of the layout's sizes. The coder fails if the bytes are corrupt.
void read_tensor(RangeDecoder& coder, const TensorLayout& layout, std::span<int16_t> symbols,
                 std::span<int8_t> steps);

/// For comparison: bits of per-tensor histogram coding as in HiNeRV, an ideal arithmetic coder with
/// the tensor's own histogram, which costs 16 bits per distinct symbol.
double histogram_bits(std::span<const int16_t> symbols);

}  // namespace mvinr
