// Fake quantisation: the trainer's differentiable copy of the decoder's integers.
// Rounding is floor(v + 0.5) as in docs/bitstream.md; gradients pass straight through.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace mvinr {

/// The exact step of index s (docs/bitstream.md 5.1).
double step_value(int s);

/// Step indices: round(8 log2 step), clamped to [low, 127].
at::Tensor step_index(const at::Tensor& log_step);
/// M / 512 of those indices (docs/bitstream.md 5.1), without gradient.
at::Tensor step_mantissa(const at::Tensor& log_step);
/// The exact steps of those indices; gradient as if 2^log_step.
at::Tensor step_from_log(const at::Tensor& log_step);

/// value = clamp(round(w / step), -limit, limit) * step, with the gradients of learned step size
/// quantisation (LSQ, arXiv 1902.08153): straight through for w, the rounding error for the step.
/// `log_step` broadcasts against w.
at::Tensor fake_quantise(const at::Tensor& w, const at::Tensor& log_step, int limit);

/// The same of several tensors at once, without the overhead of an operation for each. On the CPU.
std::vector<at::Tensor> fake_quantise_all(const std::vector<at::Tensor>& w,
                                          const std::vector<at::Tensor>& log_steps,
                                          const std::vector<int>& limits);

/// How a broadcast step lies in a contiguous w: element i has step (i / inner) % steps.
struct StepLayout {
  int64_t steps, inner, groups;  // groups = elements of w / inner
};
StepLayout step_layout(const at::Tensor& w, const at::Tensor& log_step);

/// `count` values of one step, the step of a log2, and the gradient: see fake_quantise. The last
/// writes that of w to `out` and returns that of the step divided by step * ln 2.
float step_of(float log_step);
void quantise_run(const float* w, int64_t count, float step, float limit, float* out);
float quantise_gradient_run(const float* w, const float* g, int64_t count, float step, float limit,
                            float* out);

/// floor(v * scale + 0.5) / scale, straight through.
at::Tensor round_to(const at::Tensor& v, double scale);

/// Symbols clamp(round(w / step), -limit, limit) as int16, contiguous on the CPU.
std::vector<int16_t> to_symbols(const at::Tensor& w, const at::Tensor& log_step, int limit);
std::vector<int8_t> to_step_indices(const at::Tensor& log_step);

}  // namespace mvinr
