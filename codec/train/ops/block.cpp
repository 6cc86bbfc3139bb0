// convnext_block on the CPU: packing, threads, autograd. The work is in block_kernels.h.
#include "train/ops/support.h"

namespace mvinr::ops {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A block and its packed weights. Quantised activations stay integers between the layers: fc1
/// reads kInputScale times the Q5 value and fc2 kHiddenScale times the hidden one, and both sums
/// come out times 1024 (Q10), as do their rounding steps.
struct BlockState {
  Block block;
  const Kernels* kernels = nullptr;
  Floats taps, dw_bias, w1t, b1, dw_mantissa, mantissa1;
  std::vector<int64_t> bias_shapes[3];  // of those that there are
};

int64_t block_shares(const Block& b) {
  const int64_t rows = b.images * b.height, pixels = rows * b.width;
  return share_count(rows, pixels, pixels * (b.channels * 9 + b.hidden * (b.channels + b.outputs)));
}

struct BlockFunction : public torch::autograd::Function<BlockFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& dw_weight,
                        const MaybeTensor& maybe_dw_bias, const Tensor& w1,
                        const MaybeTensor& maybe_b1, const Tensor& w2, const MaybeTensor& maybe_b2,
                        bool norm, bool residual, double guard, const Quantise& q) {
    BlockState& s = Kept<BlockState>::make(ctx);
    s.kernels = current_kernels();
    const MaybeTensor* biases[3] = {&maybe_dw_bias, &maybe_b1, &maybe_b2};
    for (int i = 0; i < 3; ++i)
      if (*biases[i]) s.bias_shapes[i] = (*biases[i])->sizes().vec();
    const int64_t lanes = s.kernels->lanes, channels = x.size(3), hidden = w1.size(0),
                  outputs = w2.size(0);
    const bool on = q.on();
    const auto mantissa = [&](const Tensor& m) { return on ? m : Tensor(); };
    s.taps = transpose_padded(dw_weight, lanes, 1.0f, mantissa(q.depthwise));
    s.dw_bias = pad_bias(or_undefined(maybe_dw_bias), channels, lanes, q);
    s.w1t = transpose_padded(w1, lanes, on ? 1024.0f / kInputScale : 1.0f, mantissa(q.first));
    s.b1 = pad_bias(or_undefined(maybe_b1), hidden, lanes, q, on ? 1024.0f : 1.0f);
    s.dw_mantissa = pad_mantissa(mantissa(q.depthwise), channels, lanes);
    s.mantissa1 = pad_mantissa(mantissa(q.first), hidden, lanes);
    Floats w2t =
        transpose_padded(w2, lanes, on ? 1024.0f / kHiddenScale : 1.0f, mantissa(q.second));
    bool pairs = on && s.kernels->bf16;
    if (pairs) {  // unless weights have more bits than the decoder's
      Floats w1_pairs = pack_pairs(s.w1t, round_up_to(hidden, lanes), pairs),
             w2_pairs = pack_pairs(w2t, round_up_to(outputs, lanes), pairs);
      if (pairs) {
        s.w1t = std::move(w1_pairs);
        w2t = std::move(w2_pairs);
      }
    }
    const Floats b2 = pad_bias(or_undefined(maybe_b2), outputs, lanes, q),
                 mantissa2 = pad_mantissa(mantissa(q.second), outputs, lanes);
    Tensor y = make_tensor({x.size(0), x.size(1), x.size(2), outputs});
    Block& b = s.block;
    b.images = x.size(0);
    b.height = int(x.size(1));
    b.width = int(x.size(2));
    b.channels = int(channels);
    b.hidden = int(hidden);
    b.outputs = int(outputs);
    b.norm = norm;
    b.residual = residual;
    b.quantise = on;
    b.bf16 = pairs;
    b.guard = float(guard / double(y.numel()));
    b.x = x.const_data_ptr<float>();
    b.taps = s.taps.data();
    b.dw_bias = s.dw_bias.data();
    b.w1t = s.w1t.data();
    b.b1 = s.b1.data();
    b.dw_mantissa = s.dw_mantissa.data();
    b.mantissa1 = s.mantissa1.data();
    b.w2t = w2t.data();
    b.b2 = b2.data();
    b.mantissa2 = mantissa2.data();
    float* out = y.data_ptr<float>();
    for_shares(block_shares(b), b.images * b.height, [&](int64_t, int64_t begin, int64_t end) {
      s.kernels->block_forward(b, out, begin, end, thread_scratch(s.kernels->block_scratch(b)));
    });
    ctx->save_for_backward({x, w1, w2, y});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &w1 = saved[1], &w2 = saved[2], &y = saved[3];
    const BlockState& s = Kept<BlockState>::of(ctx);
    const Kernels& kernels = *s.kernels;
    Block b = s.block;
    const int64_t lanes = kernels.lanes, channels = b.channels, hidden = b.hidden,
                  outputs = b.outputs;
    const int64_t cp = round_up_to(channels, lanes), hp = round_up_to(hidden, lanes),
                  op = round_up_to(outputs, lanes);
    const Tensor dy = grads[0].contiguous();
    Floats w1_rows = pad_rows(w1, lanes), w2_rows = pad_rows(w2, lanes);
    if (b.bf16) {
      bool exact = true;  // or rounded, as the gradients are
      w1_rows = pack_pairs(w1_rows, cp, exact);
      w2_rows = pack_pairs(w2_rows, hp, exact);
    }
    Floats flipped(9 * cp);
    for (int64_t k = 0; k < 9; ++k)
      for (int64_t c = 0; c < cp; ++c)
        flipped.data()[k * cp + c] = b.taps[(8 - k) * cp + c] * b.dw_mantissa[c];
    b.flipped = flipped.data();
    b.w1 = w1_rows.data();
    b.w2 = w2_rows.data();
    b.x = x.const_data_ptr<float>();
    b.y = y.const_data_ptr<float>();
    b.dy = dy.const_data_ptr<float>();

    const int64_t rows = b.images * b.height, shares = block_shares(b);
    const int64_t at_bias = 9 * cp, at_w1 = at_bias + cp, at_b1 = at_w1 + channels * hp,
                  at_w2 = at_b1 + hp, at_b2 = at_w2 + outputs * hp;
    ShareSums sums(shares, at_b2 + op);
    Floats dd(rows * b.width * cp);
    for_shares(shares, rows, [&](int64_t share, int64_t begin, int64_t end) {
      float* p = sums.share(share);
      const BlockGradients g{p, p + at_bias, p + at_w1, p + at_b1, p + at_w2, p + at_b2};
      kernels.block_backward(b, dd.data(), g, begin, end, thread_scratch(kernels.block_scratch(b)));
    });
    variable_list result(11);
    if (ctx->needs_input_grad(0)) {
      result[0] = make_tensor(x.sizes());
      float* out = result[0].data_ptr<float>();
      for_shares(shares, rows, [&](int64_t, int64_t begin, int64_t end) {
        kernels.block_input_gradient(b, dd.data(), out, begin, end,
                                     thread_scratch(kernels.block_scratch(b)));
      });
    }
    const auto bias = [&](int i, int64_t offset, int64_t count) {
      return s.bias_shapes[i].empty()
                 ? Tensor()
                 : sums.gather(offset, 1, count, lanes, false, s.bias_shapes[i]);
    };
    result[1] = sums.gather(0, 9, channels, lanes, true, {channels, 9});
    result[2] = bias(0, at_bias, channels);
    result[3] = sums.gather(at_w1, channels, hidden, lanes, true, {hidden, channels},
                            b.quantise ? 1 / kInputScale : 1.0f);
    result[4] = bias(1, at_b1, hidden);
    result[5] = sums.gather(at_w2, outputs, hidden, lanes, false, {outputs, hidden},
                            b.quantise ? 1 / kHiddenScale : 1.0f);
    result[6] = bias(2, at_b2, outputs);
    return result;
  }
};

}  // namespace

Tensor fused_block(const Tensor& x, const Tensor& dw_weight, const Tensor& dw_bias, bool norm,
                   const Tensor& w1, const Tensor& b1, const Tensor& w2, const Tensor& b2,
                   bool residual, Quantise q, double guard) {
  return BlockFunction::apply(x, dw_weight, maybe(dw_bias), w1, maybe(b1), w2, maybe(b2), norm,
                              residual, guard, q);
}

}  // namespace mvinr::ops
