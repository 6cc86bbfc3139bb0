// Every operation as a composition of LibTorch operations.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "kernels/scalar.h"
#include "train/ops/kernels.h"
#include "train/ops/ops.h"

namespace mvinr::ops::composite {
namespace {

using torch::Tensor;

constexpr double kPlaneMin = -32.0;  // int16 in Q10
constexpr double kPlaneMax = 32767.0 / 1024.0;

/// Value `quantised`, gradient of `value`, but where a clamp was at work (side 1: at its upper
/// limit, -1: at its lower; 0: not at all) only what leads back into the range. `side` broadcasts
/// (an undefined tensor cannot pass through a Function).
struct StraightThrough : public torch::autograd::Function<StraightThrough> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& value,
                        const Tensor& quantised, const Tensor& side) {
    ctx->save_for_backward({side});
    return quantised.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const Tensor side = ctx->get_saved_variables()[0];
    return {grads[0].masked_fill(grads[0] * side < 0, 0), Tensor(), Tensor()};
  }
};

/// Where `v` is clamped: see StraightThrough.
Tensor side_of(const Tensor& v, double low, double high) {
  return (v > high).to(v.scalar_type()) - (v < low).to(v.scalar_type());
}

/// (clamp(round(value * scale) + offset, low, high) - offset) / scale; the clamp's gradient is 1
/// where the rounded value lies in its range.
Tensor fake_quantise(const Tensor& value, double scale, double low, double high,
                     double offset = 0) {
  const Tensor v = value.detach();
  const Tensor rounded = at::floor(v * scale + 0.5) + offset;
  const Tensor quantised = (rounded.clamp(low, high) - offset) / scale;
  return StraightThrough::apply(value, quantised, side_of(rounded, low, high));
}

Tensor round10(const Tensor& value) {
  return StraightThrough::apply(value, at::floor(value.detach() * 1024.0 + 0.5) / 1024.0,
                                at::zeros({}, value.options()));
}

/// The sums of `layer` with weight `w`, as the decoder requantises them (docs/bitstream.md 5.2).
/// w / m is exact: a step is its mantissa m times a power of two.
template <class Layer>
Tensor requantised(const Tensor& w, const Tensor& mantissa, Quantise q, const Layer& layer) {
  if (!q.on()) return layer(w);
  if (!mantissa.defined()) return round10(layer(w));
  const Tensor m = mantissa.view(-1);
  const Tensor sum = layer(w / m.view({-1, 1}));
  const Tensor plane = at::floor(sum.detach() * 1024.0 + 0.5).clamp(-32768.0, 32767.0);
  return StraightThrough::apply(sum * m, at::floor(plane * m + 0.5) / 1024.0,
                                at::zeros({}, sum.options()));
}

Tensor clamp10(const Tensor& value) {
  const Tensor clamped = value.detach().clamp(kPlaneMin, kPlaneMax);
  return StraightThrough::apply(value, clamped, side_of(value.detach(), kPlaneMin, kPlaneMax));
}

/// value + bias; the decoder keeps biases in Q10.
Tensor plus(const Tensor& value, const Tensor& bias, Quantise q) {
  if (!bias.defined()) return value;
  return value + (q.on() ? round10(bias) : bias).view(-1);
}

/// The decoder's bilinear enlargement along one dimension (docs/bitstream.md 5.4).
Tensor enlarge(const Tensor& x, int64_t dim, int64_t scale) {
  const int64_t size = x.size(dim);
  const Tensor i = at::arange(size * scale, x.options().dtype(at::kLong));
  const Tensor near = i.floor_divide(scale);
  const Tensor d = 2 * i.remainder(scale) + (1 - scale);
  const Tensor far = (near + at::where(d < 0, -1, 1)).clamp(0, size - 1);
  std::vector<int64_t> shape(size_t(x.dim()), 1);
  shape[size_t(dim)] = size * scale;
  const Tensor weight =
      ((d.abs() * 256 + scale).floor_divide(2 * scale).to(x.scalar_type()) / 256.0).view(shape);
  return x.index_select(dim, near) * (1 - weight) + x.index_select(dim, far) * weight;
}

/// LayerNorm with the decoder's mean and factor (docs/bitstream.md 5.5), and the gradient of a
/// LayerNorm with that factor.
struct DecoderNorm : public torch::autograd::Function<DecoderNorm> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& d) {
    const int channels = int(d.size(-1));
    const NormConstants constants = norm_constants(channels);
    const Tensor centred = d - at::floor(d.mean(-1, true) * 1024.0 + 0.5) / 1024.0;
    const double scale = 1.0 / (1 << constants.shift);
    const double lost = (channels + 1) / 2 * 0.5 * (1.0 - scale);
    const Tensor squares = (centred * 1024.0).square().sum(-1, true).to(at::kDouble);
    const Tensor v = 1 + at::floor((squares * scale - lost).clamp(0, 4294967000.0));
    // v = m 2^e with 1/2 <= m < 1: clz32(v) = 32 - e.
    const Tensor exponent = std::get<1>(at::frexp(v)).to(at::kLong);
    const Tensor half = (32 - exponent).floor_divide(2);  // z / 2
    const Tensor index = at::floor(v * at::exp2(2 * half.to(at::kDouble) - 22)).to(at::kLong) - 256;
    static const Tensor table =
        at::tensor(std::vector<int64_t>(std::begin(kRsqrtTable), std::end(kRsqrtTable)));
    const Tensor root = table.to(d.device()).index({index});
    const Tensor factor = (root * int64_t{constants.factor}).bitwise_right_shift(12);
    const Tensor inverse =
        (factor.to(at::kDouble) * at::exp2(half.to(at::kDouble) - 19)).to(d.scalar_type());
    const Tensor y = centred * inverse;
    ctx->save_for_backward({y, inverse});
    return y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &g = grads[0], &y = saved[0];
    return {(g - g.mean(-1, true) - y * (g * y).mean(-1, true)) * saved[1]};
  }
};

Tensor normalise(const Tensor& d) {
  const Tensor centred = d - d.mean(-1, true);
  return centred * at::rsqrt(centred.square().mean(-1, true) + 1e-6);
}

}  // namespace

Tensor convnext_block(const Tensor& x, const Tensor& dw_weight, const Tensor& dw_bias, bool norm,
                      const Tensor& w1, const Tensor& b1, const Tensor& w2, const Tensor& b2,
                      bool residual, Quantise q, double guard) {
  const int64_t channels = x.size(3);
  const Tensor d =
      plus(requantised(dw_weight, q.depthwise, q,
                       [&](const Tensor& w) {
                         return at::conv2d(x.permute({0, 3, 1, 2}), w.view({channels, 1, 3, 3}),
                                           Tensor(), 1, 1, 1, channels)
                             .permute({0, 2, 3, 1});
                       }),
           dw_bias, q);
  Tensor a = !norm ? d : q.on() ? DecoderNorm::apply(d) : normalise(d);
  if (q.on()) a = fake_quantise(a, 32, -128, 127);
  Tensor hidden =
      plus(requantised(w1, q.first, q, [&](const Tensor& w) { return at::linear(a, w); }), b1, q);
  if (q.on()) hidden = fake_quantise(hidden, 32, -128, 127);
  hidden = at::gelu(hidden);
  if (q.on()) hidden = fake_quantise(hidden, 64, 0, 255, 11);
  Tensor y = plus(
      requantised(w2, q.second, q, [&](const Tensor& w) { return at::linear(hidden, w); }), b2, q);
  if (residual) y = x + y;
  if (q.on()) y = clamp10(y);
  if (guard > 0 && y.requires_grad())
    y.register_hook([guard, values = y.detach()](const Tensor& gradient) {
      return gradient + at::hardshrink(values, kGuardFrom) * (guard / double(values.numel()));
    });
  return y;
}

Tensor upsample_bilinear(const Tensor& x, int scale, const Tensor& tile, Quantise q) {
  Tensor y = enlarge(x, 1, scale);
  if (q.on()) y = round10(y);
  y = enlarge(y, 2, scale);
  if (q.on()) y = round10(y);
  if (tile.defined()) y = y + tile.repeat({1, x.size(1), x.size(2), 1});
  return (q.on() ? clamp10(y) : y).contiguous();
}

Tensor pointwise(const Tensor& x, const Tensor& w, const Tensor& b, Quantise q, const Tensor& add) {
  Tensor y =
      plus(requantised(w, q.first, q, [&](const Tensor& v) { return at::linear(x, v); }), b, q);
  if (add.defined()) y = y + add;
  return q.on() ? clamp10(y) : y;
}

Tensor layer_norm(const Tensor& x, Quantise q, int fraction_bits) {
  if (!q.on()) return normalise(x);
  const Tensor y = DecoderNorm::apply(x);
  return fraction_bits == 10 ? clamp10(round10(y)) : fake_quantise(y, 32, -128, 127);
}

}  // namespace mvinr::ops::composite
