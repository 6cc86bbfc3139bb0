// pointwise and layer_norm on the CPU: see linear_kernels.h.
#include "train/ops/support.h"

namespace mvinr::ops {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void set_input(Linear& l, const Tensor& x) {
  if (x.scalar_type() == torch::kInt16)
    l.planes = x.const_data_ptr<int16_t>();
  else
    l.x = x.const_data_ptr<float>();
}

struct LinearFunction : public torch::autograd::Function<LinearFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& w,
                        const MaybeTensor& maybe_b, const MaybeTensor& maybe_add, bool quantise,
                        const MaybeTensor& maybe_mantissa) {
    const Tensor b = or_undefined(maybe_b), add = or_undefined(maybe_add);
    const Kernels& kernels = *current_kernels();
    const Quantise q{.activations = quantise};
    const Tensor m = or_undefined(maybe_mantissa);
    const Tensor wt = transpose_padded(w, kernels.lanes, quantise ? 1024.0f : 1.0f, m);
    const Tensor mantissa = pad_mantissa(m, w.size(0), kernels.lanes);
    const Tensor bias = pad_bias(b, w.size(0), kernels.lanes, q);
    Linear l;
    l.inputs = int(w.size(1));
    l.outputs = int(w.size(0));
    l.quantise = quantise;
    set_input(l, x);
    l.add = data_or_null(add);
    l.wt = wt.const_data_ptr<float>();
    l.b = bias.const_data_ptr<float>();
    l.mantissa = mantissa.const_data_ptr<float>();
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = w.size(0);
    Tensor y = make_tensor(shape);
    const int64_t pixels = x.numel() / w.size(1);
    for_shares(share_count(pixels, pixels, pixels * w.numel()), pixels,
               [&](int64_t, int64_t begin, int64_t end) {
                 kernels.linear_forward(l, y.data_ptr<float>(), begin, end,
                                        thread_scratch(kernels.linear_scratch(l)));
               });
    ctx->save_for_backward({x, w, quantise ? y : Tensor()});
    ctx->saved_data["bias"] = b.defined();
    ctx->saved_data["add"] = add.defined();
    ctx->saved_data["quantise"] = quantise;
    ctx->saved_data["kernels"] = reinterpret_cast<int64_t>(&kernels);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &w = saved[1], &y = saved[2];
    const auto& kernels = *reinterpret_cast<const Kernels*>(ctx->saved_data["kernels"].toInt());
    const Tensor dy = grads[0].contiguous();
    const Tensor w_rows = pad_rows(w, kernels.lanes);
    Linear l;
    l.inputs = int(w.size(1));
    l.outputs = int(w.size(0));
    l.quantise = ctx->saved_data["quantise"].toBool();
    set_input(l, x);
    l.w = w_rows.const_data_ptr<float>();
    l.y = data_or_null(y);
    l.dy = dy.const_data_ptr<float>();
    const int64_t pixels = x.numel() / w.size(1);
    const int64_t shares = share_count(pixels, pixels, pixels * w.numel());
    const int64_t op = round_up_to(w.size(0), kernels.lanes), at_bias = w.size(1) * op;
    const ShareSums sums = make_sums(shares, at_bias + op);
    Tensor dx, dadd;
    if (ctx->needs_input_grad(0)) dx = make_tensor(x.sizes());
    if (ctx->saved_data["add"].toBool()) dadd = l.quantise ? make_tensor(dy.sizes()) : dy;
    for_shares(shares, pixels, [&](int64_t share, int64_t begin, int64_t end) {
      float* p = sums.share(share);
      kernels.linear_backward(l, dx.defined() ? dx.data_ptr<float>() : nullptr,
                              dadd.defined() && l.quantise ? dadd.data_ptr<float>() : nullptr, p,
                              p + at_bias, begin, end, thread_scratch(kernels.linear_scratch(l)));
    });
    Tensor db;
    if (ctx->saved_data["bias"].toBool())
      db = sums.gather(at_bias, 1, w.size(0), kernels.lanes, false).view({-1});
    return {dx,      sums.gather(0, w.size(1), w.size(0), kernels.lanes, true), db, dadd, Tensor(),
            Tensor()};
  }
};

struct NormFunction : public torch::autograd::Function<NormFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, int64_t fraction_bits) {
    const Kernels& kernels = *current_kernels();
    Norm n;
    n.channels = int(x.size(-1));
    n.fraction_bits = int(fraction_bits);
    n.x = x.const_data_ptr<float>();
    Tensor y = make_tensor(x.sizes());
    const int64_t pixels = x.numel() / n.channels;
    for_shares(share_count(pixels, pixels, x.numel() * 8), pixels,
               [&](int64_t, int64_t begin, int64_t end) {
                 kernels.norm_forward(n, y.data_ptr<float>(), begin, end,
                                      thread_scratch(kernels.norm_scratch(n)));
               });
    ctx->save_for_backward({x});
    ctx->saved_data["fraction_bits"] = fraction_bits;
    ctx->saved_data["kernels"] = reinterpret_cast<int64_t>(&kernels);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor x = ctx->get_saved_variables()[0];
    const auto& kernels = *reinterpret_cast<const Kernels*>(ctx->saved_data["kernels"].toInt());
    const Tensor dy = grads[0].contiguous();
    Norm n;
    n.channels = int(x.size(-1));
    n.fraction_bits = int(ctx->saved_data["fraction_bits"].toInt());
    n.x = x.const_data_ptr<float>();
    n.dy = dy.const_data_ptr<float>();
    Tensor dx = make_tensor(x.sizes());
    const int64_t pixels = x.numel() / n.channels;
    for_shares(share_count(pixels, pixels, x.numel() * 8), pixels,
               [&](int64_t, int64_t begin, int64_t end) {
                 kernels.norm_backward(n, dx.data_ptr<float>(), begin, end,
                                       thread_scratch(kernels.norm_scratch(n)));
               });
    return {dx, Tensor()};
  }
};

}  // namespace

Tensor fused_pointwise(const Tensor& x, const Tensor& w, const Tensor& b, Quantise q,
                       const Tensor& add) {
  return LinearFunction::apply(x, w, maybe(b), maybe(add), q.on(),
                               q.on() ? maybe(q.first) : std::nullopt);
}

Tensor fused_layer_norm(const Tensor& x, int fraction_bits) {
  return NormFunction::apply(x, int64_t{fraction_bits});
}

}  // namespace mvinr::ops
