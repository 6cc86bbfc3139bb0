// The noise phase's symbols, w / step with noise, and their bits without a context model, each in
// one pass over all tensors: a GOP's network has some hundred small ones, and a dozen of LibTorch's
// operations on each take longer than its layers. On the CPU, float32, contiguous.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "train/noise.h"

namespace mvinr {

/// Steps broadcast as fake_quantise's. `keys`: of each tensor's noise (noise.h).
std::vector<at::Tensor> noisy_symbols(const std::vector<at::Tensor>& values,
                                      const std::vector<at::Tensor>& log_steps,
                                      const std::vector<uint32_t>& keys,
                                      const SoftRounding& soft = {});

/// Least scale of a Laplace distribution of noisy symbols.
inline constexpr double kLeastNoisyScale = 0.07;

/// Sum of the bits of all symbols under Laplace distributions of their own mean magnitude, one for
/// each tensor, or (by_step) for the values of each step.
at::Tensor noisy_bits(const std::vector<at::Tensor>& values,
                      const std::vector<at::Tensor>& log_steps, const std::vector<bool>& by_step,
                      const std::vector<uint32_t>& keys, const SoftRounding& soft = {});

}  // namespace mvinr
