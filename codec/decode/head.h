// Head outputs (Q16) -> samples of a picture (docs/bitstream.md 5.6, "Head").
#pragma once

#include <array>
#include <span>

#include "kernels/kernels.h"
#include "model/config.h"
#include "mvinr/types.h"

namespace mvinr {

/// Which outputs of the head the wanted components need.
struct HeadOutputs {
  std::array<int, 15> index{};
  int count = 0;
  std::span<const int> span() const { return {index.data(), size_t(count)}; }
};
HeadOutputs head_outputs(const ModelConfig& config, bool texture, bool depth);

/// Joins the warped prediction, weighed by the gates (docs/bitstream.md 5.8), and the head outputs
/// of trunk rows [y0, y0 + rows), which lie as for write_head_rows. `prediction` holds the planes
/// of the whole trunk.
void add_prediction(const ModelConfig& config, const Plane16& prediction, int32_t* values,
                    ptrdiff_t plane, int y0, int rows, bool texture, bool depth);

/// Writes the samples of trunk rows [y0, y0 + rows). `values` holds output o at o * plane, rows of
/// `width` positions that follow each other; full444 overwrites it. Samples beyond the pictures'
/// sizes are left out. full444: y0 and rows are even. Null pictures are not written.
void write_head_rows(const ModelConfig& config, int32_t* values, ptrdiff_t plane, int width, int y0,
                     int rows, const MutablePicture* texture, const MutablePicture* depth);

}  // namespace mvinr
