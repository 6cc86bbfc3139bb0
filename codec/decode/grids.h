// Grid symbols -> planes of one frame (docs/bitstream.md 5.3).
#pragma once

#include "format/coded_model.h"
#include "kernels/kernels.h"

namespace mvinr {

/// Where frame `frame` of `frames` lies between the time steps of a grid: at `first` with weight
/// 256 - weight, at `second` with weight `weight` (0..256).
struct TimePosition {
  int first = 0, second = 0, weight = 0;
};
TimePosition time_position(int frame, int frames, int time_steps, bool nearest = false);

/// The Q10 values of a grid at one frame. `nearest`: GridConfig's. `spec.dims` are
/// [time_steps][channels][h][w]; `out` has these channels, height and width.
void grid_to_planes(const TensorSpec& spec, const CodedTensor& grid, int frame, int frames,
                    bool nearest, const Plane16& out);

/// Nine shifted copies of each channel, zero outside: the columns of a 3x3 convolution in the order
/// [channel][tap]. `out` has 9 times the channels of `in` and its size.
void shift_taps(const Plane16& in, const Plane16& out);

}  // namespace mvinr
