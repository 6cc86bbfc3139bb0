// Training operations with their own backward passes. On the CPU they are fused (one pass over the
// pixels, hidden activations never leave the cache; the same block in stock LibTorch operations is
// bound by memory traffic); on other devices, and for checks, the same maths as a composition of
// LibTorch operations (composite.cpp).
//
// Every activation is float32, NHWC: [N, H, W, C], contiguous (others are made contiguous), any
// N, H, W, C >= 1. (Other float types work on the composite path.) Weights are [rows =
// outputs][columns], as in docs/bitstream.md 5.7. An undefined tensor means "without". A wrong
// shape, dtype or device throws c10::Error, as LibTorch does. Results are the same on every run and
// for every number of threads.
#pragma once

#include <torch/types.h>

#include <array>
#include <string>
#include <vector>

namespace mvinr::ops {

/// Simulation of the decoder's integers (docs/bitstream.md 5.4, 5.5) inside an operation. Values
/// are in real units (Q10 plane value / 1024); round(v) = floor(v + 0.5). All gradients are
/// straight-through: 1 for rounding and inside a clamp's range; at its limits only what leads back
/// into the range.
struct Quantise {
  bool activations = false;  // round and clamp activations where the decoder does
  bool noise = false;  // the noise phase: activations stay plain floats, whatever the above says
  /// Mantissas M[s & 7] / 512 of the rows' steps (docs/bitstream.md 5.1), one per output of the
  /// depthwise layer, of fc1 or a pointwise layer, and of fc2; undefined: 1. The decoder rounds a
  /// sum before it multiplies by the mantissa, and again after (5.2). No gradient.
  torch::Tensor depthwise, first, second;
  bool on() const { return activations && !noise; }
};

/// ConvNeXt block: y = (residual ? x : 0) + fc2(gelu(fc1(norm(depthwise3x3(x))))).
///   x [N, H, W, C] -> [N, H, W, Co]; residual needs Co = C.
///   dw_weight [C, 9] (tap 0 = upper left, cross-correlation, zero padding 1), dw_bias [C];
///   w1 [Hd, C], b1 [Hd], w2 [Co, Hd], b2 [Co]; each bias may be undefined.
///   norm: LayerNorm over the channels, no affine part, (d - mean) / sqrt(var + 1e-6); else
///   identity.
/// GELU is the exact one (erf), to 1e-6.
/// With q.on():
///   d = round10(dw) + dw_bias; a = clamp(round(32 * norm(d)), -128, 127) / 32;
///   i = clamp(round(32 * (round10(fc1) + b1)), -128, 127) / 32;
///   h = (clamp(round(64 * gelu(i)) + 11, 0, 255) - 11) / 64;
///   y = clamp10(x + round10(fc2) + b2), where round10(v) = round(1024 v) / 1024 and clamp10 limits
///   to [-32, 32767/1024]; with a mantissa m: round(m round(1024 v / m)) / 1024.
/// Weights are used as given: the caller has fake-quantised them. With q.on() biases are rounded to
/// Q10, as the decoder does, here and in pointwise (straight-through).
/// Backward keeps x and y only and recomputes the rest. `guard`: the gradient of y has that of
/// guard / 2 times the mean square of the values of y beyond +-8 added to it.
torch::Tensor convnext_block(const torch::Tensor& x, const torch::Tensor& dw_weight,
                             const torch::Tensor& dw_bias, bool norm, const torch::Tensor& w1,
                             const torch::Tensor& b1, const torch::Tensor& w2,
                             const torch::Tensor& b2, bool residual, Quantise q, double guard = 0);

/// Bilinear enlargement (align_corners = false, borders repeated) of x [N, h, w, C] by `scale`
/// 1..5 -> [N, h*scale, w*scale, C], plus tile[n, y % s, x % s, :] if tile [N or 1, s, s, C] is
/// defined. The weights are the decoder's multiples of 1/256 (exact for 1, 2 and 4). With q.on():
/// clamp10(bilinear + tile), rounded to Q10 after the vertical and after the horizontal pass.
torch::Tensor upsample_bilinear(const torch::Tensor& x, int scale, const torch::Tensor& tile = {},
                                Quantise q = {});

/// x [..., Ci] * w^T [Co, Ci] + b [Co] (may be undefined) -> [..., Co].
/// x may be int16: Q10 planes, without gradient.
/// With `add` [..., Co] defined, that plus add. With q.on(): clamp10(add + round10(x * w^T) + b).
torch::Tensor pointwise(const torch::Tensor& x, const torch::Tensor& w, const torch::Tensor& b = {},
                        Quantise q = {}, const torch::Tensor& add = {});

/// LayerNorm over the last dimension without affine part, as in convnext_block.
/// With q.on() and fraction_bits 5 (packed): clamp(round(32 * .), -128, 127) / 32; with 10 (plane):
/// clamp10(round10(.)).
torch::Tensor layer_norm(const torch::Tensor& x, Quantise q = {}, int fraction_bits = 5);

/// Pictures that the shuffle420 head is compared with, samples as PictureStore keeps them: per
/// image [rows][columns][6] and [rows][columns][4] (none: no depth), uint8 or uint16.
struct HeadTargets {
  std::vector<torch::Tensor> texture, depth;
  int texture_bits = 8, depth_bits = 8;
  int height = 0, width = 0;  // in samples, at most twice the features'
};
struct HeadLoss {
  torch::Tensor loss;  // scalar with gradient
  torch::Tensor
      squares;  // double [10], without gradient: sums of the squared errors of the outputs
};
/// Head (1x1 convolution), prediction (int16 [N, h, w, 14] or undefined) and weighted squared error
/// in one: the sum over k of weights[k] times the squared errors of picture output k, which is
/// compared with sample / 2^bits. Equals add_prediction() of network.cpp and distortion() of
/// loss.cpp. On the CPU only: see has_head_loss.
HeadLoss head_loss(const torch::Tensor& feat, const torch::Tensor& w, const torch::Tensor& b,
                   const torch::Tensor& prediction, const HeadTargets& targets,
                   const std::array<float, 10>& weights);
bool has_head_loss(const torch::Tensor& feat, const torch::Tensor& prediction);

/// Bits of a context model for rows of symbols: see kernels.h. Never "composite".
const struct Kernels& row_kernels();

/// The same operations as compositions of LibTorch operations: any device, gradients by autograd.
/// The reference of the tests; CUDA tensors come here.
namespace composite {
torch::Tensor convnext_block(const torch::Tensor& x, const torch::Tensor& dw_weight,
                             const torch::Tensor& dw_bias, bool norm, const torch::Tensor& w1,
                             const torch::Tensor& b1, const torch::Tensor& w2,
                             const torch::Tensor& b2, bool residual, Quantise q, double guard = 0);
torch::Tensor upsample_bilinear(const torch::Tensor& x, int scale, const torch::Tensor& tile,
                                Quantise q);
torch::Tensor pointwise(const torch::Tensor& x, const torch::Tensor& w, const torch::Tensor& b,
                        Quantise q, const torch::Tensor& add);
torch::Tensor layer_norm(const torch::Tensor& x, Quantise q, int fraction_bits);
}  // namespace composite

/// Names of the kernel sets that this build and machine can run, best first ("avx512bf16",
/// "avx512", "avx2", "generic", "composite"), the one in use, and a switch for tests and benchmarks
/// (false: no such set). Not to be switched while operations run.
std::vector<std::string> kernel_sets();
std::string kernel_set();
bool use_kernel_set(const std::string& name);

/// Threads that the fused operations of this process work with, 1 at first. Not to be called while
/// operations run.
void set_threads(int count);

/// Gives the memory of earlier tensors back to the system.
void release_memory();

}  // namespace mvinr::ops
