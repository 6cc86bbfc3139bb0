// convnext_block on the CPU: packing, threads, autograd. The work is in block_kernels.h.
#include "train/ops/support.h"

namespace mvinr::ops {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The packed weights of a Block. Quantised activations stay integers between the layers: fc1 reads
/// kInputScale times the Q5 value and fc2 kHiddenScale times the hidden one, and both sums come out
/// times 1024 (Q10), as do their rounding steps.
struct Packed {
  Tensor taps, dw_bias, w1t, b1, w2t, b2, dw_mantissa, mantissa1, mantissa2;
};

Packed pack(const Tensor& dw_weight, const Tensor& dw_bias, const Tensor& w1, const Tensor& b1,
            const Tensor& w2, const Tensor& b2, Quantise q, int64_t lanes) {
  const bool on = q.on();
  return {transpose_padded(dw_weight, lanes, 1.0f, q.depthwise),
          pad_bias(dw_bias, dw_weight.size(0), lanes, q),
          transpose_padded(w1, lanes, on ? 1024.0f / kInputScale : 1.0f, q.first),
          pad_bias(b1, w1.size(0), lanes, q, on ? 1024.0f : 1.0f),
          transpose_padded(w2, lanes, on ? 1024.0f / kHiddenScale : 1.0f, q.second),
          pad_bias(b2, w2.size(0), lanes, q),
          pad_mantissa(q.depthwise, dw_weight.size(0), lanes),
          pad_mantissa(q.first, w1.size(0), lanes),
          pad_mantissa(q.second, w2.size(0), lanes)};
}

Block describe(const Tensor& x, const Packed& packed, int64_t hidden, int64_t outputs, bool norm,
               bool residual, Quantise q) {
  Block b;
  b.images = x.size(0);
  b.height = int(x.size(1));
  b.width = int(x.size(2));
  b.channels = int(x.size(3));
  b.hidden = int(hidden);
  b.outputs = int(outputs);
  b.norm = norm;
  b.residual = residual;
  b.quantise = q.on();
  b.x = x.const_data_ptr<float>();
  b.taps = packed.taps.const_data_ptr<float>();
  b.dw_bias = packed.dw_bias.const_data_ptr<float>();
  b.w1t = packed.w1t.const_data_ptr<float>();
  b.b1 = packed.b1.const_data_ptr<float>();
  b.w2t = data_or_null(packed.w2t);
  b.b2 = data_or_null(packed.b2);
  b.dw_mantissa = packed.dw_mantissa.const_data_ptr<float>();
  b.mantissa1 = packed.mantissa1.const_data_ptr<float>();
  b.mantissa2 = data_or_null(packed.mantissa2);
  return b;
}

int64_t work_of(const Block& b) {
  return b.images * b.height * b.width * (b.channels * 9 + b.hidden * (b.channels + b.outputs));
}

struct BlockFunction : public torch::autograd::Function<BlockFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& dw_weight,
                        const MaybeTensor& maybe_dw_bias, const Tensor& w1,
                        const MaybeTensor& maybe_b1, const Tensor& w2, const MaybeTensor& maybe_b2,
                        bool norm, bool residual, bool quantise, double guard,
                        const MaybeTensor& depthwise_mantissa, const MaybeTensor& mantissa1,
                        const MaybeTensor& mantissa2) {
    const Tensor dw_bias = or_undefined(maybe_dw_bias), b1 = or_undefined(maybe_b1),
                 b2 = or_undefined(maybe_b2);
    const Kernels& kernels = *current_kernels();
    const Quantise q{.activations = quantise,
                     .depthwise = or_undefined(depthwise_mantissa),
                     .first = or_undefined(mantissa1),
                     .second = or_undefined(mantissa2)};
    const Packed packed = pack(dw_weight, dw_bias, w1, b1, w2, b2, q, kernels.lanes);
    const Block block = describe(x, packed, w1.size(0), w2.size(0), norm, residual, q);
    Tensor y = make_tensor({x.size(0), x.size(1), x.size(2), w2.size(0)});
    const int64_t rows = x.size(0) * x.size(1);
    float* out = y.data_ptr<float>();
    for_shares(share_count(rows, rows * x.size(2), work_of(block)), rows, [&](int64_t, int64_t begin, int64_t end) {
      kernels.block_forward(block, out, begin, end, thread_scratch(kernels.block_scratch(block)));
    });
    ctx->save_for_backward({x, w1, w2, packed.taps, packed.dw_bias, packed.w1t, packed.b1,
                            y, packed.dw_mantissa, packed.mantissa1});
    ctx->saved_data["has"] =
        int64_t{dw_bias.defined()} | int64_t{b1.defined()} << 1 | int64_t{b2.defined()} << 2;
    ctx->saved_data["norm"] = norm;
    ctx->saved_data["residual"] = residual;
    ctx->saved_data["quantise"] = quantise;
    ctx->saved_data["guard"] = guard / double(y.numel());
    ctx->saved_data["kernels"] = reinterpret_cast<int64_t>(&kernels);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &w1 = saved[1], &w2 = saved[2], &y = saved[7];
    const auto& kernels = *reinterpret_cast<const Kernels*>(ctx->saved_data["kernels"].toInt());
    const Quantise q{.activations = ctx->saved_data["quantise"].toBool()};
    const Packed packed{saved[3], saved[4], saved[5], saved[6], {}, {}, saved[8], saved[9], {}};
    const int64_t lanes = kernels.lanes, channels = x.size(3), hidden = w1.size(0),
                  outputs = w2.size(0);
    const int64_t cp = round_up_to(channels, lanes), hp = round_up_to(hidden, lanes),
                  op = round_up_to(outputs, lanes);
    Block block = describe(x, packed, hidden, outputs, ctx->saved_data["norm"].toBool(),
                           ctx->saved_data["residual"].toBool(), q);
    const Tensor dy = grads[0].contiguous();
    const Tensor w1_rows = pad_rows(w1, lanes), w2_rows = pad_rows(w2, lanes);
    const Tensor flipped = make_tensor({9, cp});
    const float *taps = packed.taps.const_data_ptr<float>(),
                *mantissas = packed.dw_mantissa.const_data_ptr<float>();
    for (int64_t k = 0; k < 9; ++k)
      for (int64_t c = 0; c < cp; ++c)
        flipped.data_ptr<float>()[k * cp + c] = taps[(8 - k) * cp + c] * mantissas[c];
    block.flipped = flipped.const_data_ptr<float>();
    block.w1 = w1_rows.const_data_ptr<float>();
    block.w2 = w2_rows.const_data_ptr<float>();
    block.y = y.const_data_ptr<float>();
    block.guard = float(ctx->saved_data["guard"].toDouble());
    block.dy = dy.const_data_ptr<float>();

    const int64_t rows = x.size(0) * x.size(1), shares = share_count(rows, rows * x.size(2), work_of(block));
    const int64_t at_bias = 9 * cp, at_w1 = at_bias + cp, at_b1 = at_w1 + channels * hp,
                  at_w2 = at_b1 + hp, at_b2 = at_w2 + outputs * hp;
    const ShareSums sums = make_sums(shares, at_b2 + op);
    Tensor dd = make_tensor({rows, x.size(2), cp});
    for_shares(shares, rows, [&](int64_t share, int64_t begin, int64_t end) {
      float* p = sums.share(share);
      const BlockGradients g{p, p + at_bias, p + at_w1, p + at_b1, p + at_w2, p + at_b2};
      kernels.block_backward(block, dd.data_ptr<float>(), g, begin, end,
                             thread_scratch(kernels.block_scratch(block)));
    });
    Tensor dx;
    if (ctx->needs_input_grad(0)) {
      dx = make_tensor(x.sizes());
      for_shares(shares, rows, [&](int64_t, int64_t begin, int64_t end) {
        kernels.block_input_gradient(block, dd.const_data_ptr<float>(), dx.data_ptr<float>(), begin,
                                     end, thread_scratch(kernels.block_scratch(block)));
      });
    }
    const int64_t has = ctx->saved_data["has"].toInt();
    const auto bias = [&](int bit, int64_t offset, int64_t count) {
      return has >> bit & 1 ? sums.gather(offset, 1, count, lanes, false).view({count}) : Tensor();
    };
    return {dx,
            sums.gather(0, 9, channels, lanes, true),
            bias(0, at_bias, channels),
            sums.gather(at_w1, channels, hidden, lanes, true, q.on() ? 1 / kInputScale : 1.0f),
            bias(1, at_b1, hidden),
            sums.gather(at_w2, outputs, hidden, lanes, false, q.on() ? 1 / kHiddenScale : 1.0f),
            bias(2, at_b2, outputs),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor()};
  }
};

}  // namespace

Tensor fused_block(const Tensor& x, const Tensor& dw_weight, const Tensor& dw_bias, bool norm,
                   const Tensor& w1, const Tensor& b1, const Tensor& w2, const Tensor& b2,
                   bool residual, Quantise q, double guard) {
  const bool on = q.on();
  auto mantissa = [&](const Tensor& m) { return on ? maybe(m) : std::nullopt; };
  return BlockFunction::apply(x, dw_weight, maybe(dw_bias), w1, maybe(b1), w2, maybe(b2), norm,
                              residual, on, guard, mantissa(q.depthwise), mantissa(q.first),
                              mantissa(q.second));
}

}  // namespace mvinr::ops
