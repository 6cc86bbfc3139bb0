// The distribution under which the entropy coder writes the symbols of a tensor without context
// (docs/bitstream.md 6.3, 6.4), for the trainer's estimate of its bits.
#pragma once

#include <ATen/ATen.h>

#include <span>
#include <vector>

#include "entropy/distribution.h"

namespace mvinr {

/// Symbols come in groups: the rows of a weight tensor, the channels of a grid.
struct Law {
  Shape shape = Shape::laplace;
  std::vector<int> scales;  // index of entropy/distribution.h, per group or one for all
  std::vector<int> limits;  // largest magnitude of the alphabet, per group or one for all
};

/// The coder's choice for weights [rows][columns]: one alphabet, one scale; if `by_row`, one scale
/// per row where that takes fewer bits.
Law weight_law(std::span<const int16_t> symbols, int rows, bool by_row);

/// Its choice for a grid [channels][symbols of all times]: an alphabet and a scale per channel.
Law grid_law(std::span<const int16_t> symbols, int channels);

/// Bits of rounded symbols [groups][n], with gradient. The law itself has none: at the best scale
/// the bits do not change with it.
at::Tensor law_bits(const at::Tensor& symbols, const Law& law);

/// Bits of a list of integers in front of the symbols (docs/bitstream.md 6.2).
double list_bits(std::vector<int> values, int low, int bits);

}  // namespace mvinr
