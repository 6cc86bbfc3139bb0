// pointwise and layer_norm on the CPU: see linear_kernels.h.
#include "train/ops/support.h"

namespace mvinr::ops {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct LinearState {
  Linear linear;
  const Kernels* kernels = nullptr;
  bool add = false;
  std::vector<int64_t> bias_shape;  // empty: none
};

void set_input(Linear& l, const Tensor& x) {
  if (x.scalar_type() == torch::kInt16)
    l.planes = x.const_data_ptr<int16_t>();
  else
    l.x = x.const_data_ptr<float>();
}

struct LinearFunction : public torch::autograd::Function<LinearFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& w,
                        const MaybeTensor& maybe_b, const MaybeTensor& maybe_add,
                        const Quantise& q) {
    const Tensor b = or_undefined(maybe_b), add = or_undefined(maybe_add);
    LinearState& s = Kept<LinearState>::make(ctx);
    s.kernels = current_kernels();
    s.add = add.defined();
    if (b.defined()) s.bias_shape = b.sizes().vec();
    const Kernels& kernels = *s.kernels;
    const Tensor m = q.on() ? q.first : Tensor();
    const Floats wt = transpose_padded(w, kernels.lanes, q.on() ? 1024.0f : 1.0f, m),
                 mantissa = pad_mantissa(m, w.size(0), kernels.lanes),
                 bias = pad_bias(b, w.size(0), kernels.lanes, q);
    Linear& l = s.linear;
    l.inputs = int(w.size(1));
    l.outputs = int(w.size(0));
    l.quantise = q.on();
    set_input(l, x);
    l.add = data_or_null(add);
    l.wt = wt.data();
    l.b = bias.data();
    l.mantissa = mantissa.data();
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = w.size(0);
    Tensor y = make_tensor(shape);
    float* out = y.data_ptr<float>();
    const int64_t pixels = x.numel() / w.size(1);
    for_shares(share_count(pixels, pixels, pixels * w.numel()), pixels,
               [&](int64_t, int64_t begin, int64_t end) {
                 kernels.linear_forward(l, out, begin, end,
                                        thread_scratch(kernels.linear_scratch(l)));
               });
    ctx->save_for_backward({x, w, q.on() ? y : Tensor()});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &w = saved[1], &y = saved[2];
    const LinearState& s = Kept<LinearState>::of(ctx);
    const Kernels& kernels = *s.kernels;
    const Tensor dy = grads[0].contiguous();
    const Floats w_rows = pad_rows(w, kernels.lanes);
    Linear l = s.linear;
    set_input(l, x);
    l.w = w_rows.data();
    l.y = data_or_null(y);
    l.dy = dy.const_data_ptr<float>();
    const int64_t pixels = x.numel() / w.size(1);
    const int64_t shares = share_count(pixels, pixels, pixels * w.numel());
    const int64_t op = round_up_to(w.size(0), kernels.lanes), at_bias = w.size(1) * op;
    ShareSums sums(shares, at_bias + op);
    Tensor dx, dadd;
    if (ctx->needs_input_grad(0)) dx = make_tensor(x.sizes());
    if (s.add) dadd = l.quantise ? make_tensor(dy.sizes()) : dy;
    float* to_x = dx.defined() ? dx.data_ptr<float>() : nullptr;
    float* to_add = dadd.defined() && l.quantise ? dadd.data_ptr<float>() : nullptr;
    for_shares(shares, pixels, [&](int64_t share, int64_t begin, int64_t end) {
      float* p = sums.share(share);
      kernels.linear_backward(l, to_x, to_add, p, p + at_bias, begin, end,
                              thread_scratch(kernels.linear_scratch(l)));
    });
    Tensor db;
    if (!s.bias_shape.empty())
      db = sums.gather(at_bias, 1, w.size(0), kernels.lanes, false, s.bias_shape);
    return {dx, sums.gather(0, w.size(1), w.size(0), kernels.lanes, true, w.sizes()), db, dadd,
            Tensor()};
  }
};

struct NormState {
  Norm norm;
  const Kernels* kernels = nullptr;
};

struct NormFunction : public torch::autograd::Function<NormFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, int64_t fraction_bits) {
    NormState& s = Kept<NormState>::make(ctx);
    s.kernels = current_kernels();
    Norm& n = s.norm;
    n.channels = int(x.size(-1));
    n.fraction_bits = int(fraction_bits);
    n.x = x.const_data_ptr<float>();
    Tensor y = make_tensor(x.sizes());
    float* out = y.data_ptr<float>();
    const int64_t pixels = x.numel() / n.channels;
    for_shares(share_count(pixels, pixels, x.numel() * 8), pixels,
               [&](int64_t, int64_t begin, int64_t end) {
                 s.kernels->norm_forward(n, out, begin, end,
                                         thread_scratch(s.kernels->norm_scratch(n)));
               });
    ctx->save_for_backward({x});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor x = ctx->get_saved_variables()[0];
    const NormState& s = Kept<NormState>::of(ctx);
    const Tensor dy = grads[0].contiguous();
    Norm n = s.norm;
    n.x = x.const_data_ptr<float>();
    n.dy = dy.const_data_ptr<float>();
    Tensor dx = make_tensor(x.sizes());
    float* out = dx.data_ptr<float>();
    const int64_t pixels = x.numel() / n.channels;
    for_shares(share_count(pixels, pixels, x.numel() * 8), pixels,
               [&](int64_t, int64_t begin, int64_t end) {
                 s.kernels->norm_backward(n, out, begin, end,
                                          thread_scratch(s.kernels->norm_scratch(n)));
               });
    return {dx, Tensor()};
  }
};

}  // namespace

Tensor fused_pointwise(const Tensor& x, const Tensor& w, const Tensor& b, Quantise q,
                       const Tensor& add) {
  return LinearFunction::apply(x, w, maybe(b), maybe(add), q);
}

Tensor fused_layer_norm(const Tensor& x, int fraction_bits) {
  return NormFunction::apply(x, int64_t{fraction_bits});
}

}  // namespace mvinr::ops
