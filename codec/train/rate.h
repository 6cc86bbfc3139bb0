// Differentiable estimate of the bits of every coded tensor, by the distributions of
// docs/bitstream.md chapter 6.
#pragma once

#include "format/coded_model.h"
#include "train/network.h"

namespace mvinr {

struct RateEstimate {
  at::Tensor bits;                            // scalar: all symbols of all tensors, with gradient
  double network = 0, shared = 0, views = 0;  // its parts, filled if asked for
};

/// -log2 P of a symbol (or a noisy stand-in for one) under a Laplace distribution of mean `mean`
/// and scale 2^log_scale, integrated over [symbol - 1/2, symbol + 1/2]; element-wise.
at::Tensor laplace_bits(const at::Tensor& symbol, const at::Tensor& mean,
                        const at::Tensor& log_scale);

/// `hard`: symbols are rounded (straight through), as they will be written, under the coder's own
/// choice of distributions; else with noise, grids by `soft`. `parts` fills the parts and looks for
/// scales per row, which takes longer.
RateEstimate estimate_rate(const Network& network, bool hard, bool parts = false,
                           const SoftRounding& soft = {});

/// Bits of a model's units besides the symbols: context models, steps, alphabets, scales,
/// references, the ends of the codewords.
double side_info_bits(const CodedModel& model);

}  // namespace mvinr
