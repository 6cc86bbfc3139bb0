// upsample_bilinear and head_shuffle420_loss on the CPU: see upsample_kernels.h, head_kernels.h.
#include "train/ops/support.h"

namespace mvinr::ops {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct UpsampleFunction : public torch::autograd::Function<UpsampleFunction> {
  static Upsample describe(const Tensor& x, int64_t scale, bool quantise) {
    Upsample u;
    u.images = x.size(0);
    u.height = int(x.size(1));
    u.width = int(x.size(2));
    u.channels = int(x.size(3));
    u.scale = int(scale);
    u.quantise = quantise;
    u.x = x.const_data_ptr<float>();
    return u;
  }

  static Tensor forward(AutogradContext* ctx, const Tensor& x, const MaybeTensor& maybe_tile,
                        int64_t scale, bool quantise) {
    const Tensor tile = or_undefined(maybe_tile);
    const Kernels& kernels = *current_kernels();
    Upsample u = describe(x, scale, quantise);
    u.tile = data_or_null(tile);
    u.tile_per_image = tile.defined() && tile.size(0) > 1;
    Tensor y = at::empty({x.size(0), x.size(1) * scale, x.size(2) * scale, x.size(3)}, x.options());
    const int64_t rows = x.size(0) * x.size(1);
    for_shares(share_count(rows, y.numel() * 4), rows, [&](int64_t, int64_t begin, int64_t end) {
      kernels.upsample_forward(u, y.data_ptr<float>(), begin, end,
                               thread_scratch(kernels.upsample_scratch(u)));
    });
    // The backward pass needs the shape of x, and y to know what was clamped.
    ctx->save_for_backward({x, quantise ? y : Tensor()});
    ctx->saved_data["tiles"] = tile.defined() ? tile.size(0) : int64_t{0};
    ctx->saved_data["scale"] = scale;
    ctx->saved_data["quantise"] = quantise;
    ctx->saved_data["kernels"] = reinterpret_cast<int64_t>(&kernels);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const auto& kernels = *reinterpret_cast<const Kernels*>(ctx->saved_data["kernels"].toInt());
    const int64_t tiles = ctx->saved_data["tiles"].toInt();
    const int64_t s = ctx->saved_data["scale"].toInt();
    Upsample u = describe(x, s, ctx->saved_data["quantise"].toBool());
    const Tensor dy = grads[0].contiguous();
    u.y = data_or_null(saved[1]);
    u.dy = dy.const_data_ptr<float>();
    u.tile_per_image = tiles > 1;
    const int64_t rows = x.size(0) * x.size(1), shares = share_count(rows, dy.numel() * 4);
    const int64_t channels = x.size(3), cp = round_up_to(channels, kernels.lanes);
    const ShareSums sums = make_sums(shares, tiles * s * s * cp);
    Tensor dx = at::empty_like(x);
    for_shares(shares, rows, [&](int64_t share, int64_t begin, int64_t end) {
      kernels.upsample_backward(u, dx.data_ptr<float>(), tiles ? sums.share(share) : nullptr, begin,
                                end, thread_scratch(kernels.upsample_scratch(u)));
    });
    Tensor dtile;
    if (tiles) {
      dtile = sums.gather(0, tiles * s * s, channels, kernels.lanes, false)
                  .view({tiles, s, s, channels});
    }
    return {dx, dtile, Tensor(), Tensor()};
  }
};

struct HeadFunction : public torch::autograd::Function<HeadFunction> {
  static Head describe(const Tensor& feat, int64_t outputs, const variable_list& planes,
                       int64_t texture_bits, int64_t depth_bits) {
    Head h;
    h.images = feat.size(0);
    h.height = int(feat.size(1));
    h.width = int(feat.size(2));
    h.channels = int(feat.size(3));
    h.outputs = int(outputs);
    h.crop_height = int(planes[0].size(1));
    h.crop_width = int(planes[0].size(2));
    h.features = feat.const_data_ptr<float>();
    for (int i = 0; i < 4; ++i) {
      if (!planes[size_t(i)].defined()) continue;
      h.targets[i] = planes[size_t(i)].const_data_ptr();
      h.wide[i] = planes[size_t(i)].element_size() == 2;
      h.bits[i] = int(i == 3 ? depth_bits : texture_bits);
    }
    return h;
  }

  static Tensor forward(AutogradContext* ctx, const Tensor& feat, const Tensor& w, const Tensor& b,
                        const Tensor& y, const Tensor& u, const Tensor& v,
                        const MaybeTensor& maybe_d, int64_t texture_bits, int64_t depth_bits) {
    const Tensor d = or_undefined(maybe_d);
    const Kernels& kernels = *current_kernels();
    const Tensor wt = transpose_padded(w, kernels.lanes);
    const Tensor bias = pad_bias(b, w.size(0), kernels.lanes, {});
    Head h = describe(feat, w.size(0), {y, u, v, d}, texture_bits, depth_bits);
    h.wt = wt.const_data_ptr<float>();
    h.b = bias.const_data_ptr<float>();
    const int64_t rows = feat.size(0) * feat.size(1);
    const int64_t shares = share_count(rows, feat.numel() * 10);
    const Tensor sums = at::zeros({shares, feat.size(0), 4}, torch::kFloat64);
    for_shares(shares, rows, [&](int64_t share, int64_t begin, int64_t end) {
      kernels.head_forward(h, sums.data_ptr<double>() + share * feat.size(0) * 4, begin, end,
                           thread_scratch(kernels.head_scratch(h)));
    });
    ctx->save_for_backward({feat, w, y, u, v, d, wt, bias});
    ctx->saved_data["texture_bits"] = texture_bits;
    ctx->saved_data["depth_bits"] = depth_bits;
    ctx->saved_data["kernels"] = reinterpret_cast<int64_t>(&kernels);
    return sums.sum(0).to(torch::kFloat32);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &feat = saved[0], &w = saved[1];
    const auto& kernels = *reinterpret_cast<const Kernels*>(ctx->saved_data["kernels"].toInt());
    Head h =
        describe(feat, w.size(0), {saved[2], saved[3], saved[4], saved[5]},
                 ctx->saved_data["texture_bits"].toInt(), ctx->saved_data["depth_bits"].toInt());
    const Tensor scale = grads[0].contiguous();
    const Tensor w_rows = pad_rows(w, kernels.lanes);
    h.wt = saved[6].const_data_ptr<float>();
    h.b = saved[7].const_data_ptr<float>();
    h.w = w_rows.const_data_ptr<float>();
    h.scale = scale.const_data_ptr<float>();
    const int64_t rows = feat.size(0) * feat.size(1);
    const int64_t shares = share_count(rows, feat.numel() * 10);
    const int64_t op = round_up_to(w.size(0), kernels.lanes), at_bias = w.size(1) * op;
    const ShareSums sums = make_sums(shares, at_bias + op);
    Tensor dfeat = at::empty_like(feat);
    for_shares(shares, rows, [&](int64_t share, int64_t begin, int64_t end) {
      float* p = sums.share(share);
      kernels.head_backward(h, dfeat.data_ptr<float>(), p, p + at_bias, begin, end,
                            thread_scratch(kernels.head_scratch(h)));
    });
    return {dfeat,
            sums.gather(0, w.size(1), w.size(0), kernels.lanes, true),
            sums.gather(at_bias, 1, w.size(0), kernels.lanes, false).view({-1}),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor()};
  }
};

}  // namespace

Tensor fused_upsample(const Tensor& x, int scale, const Tensor& tile, Quantise q) {
  return UpsampleFunction::apply(x, maybe(tile), int64_t{scale}, q.on());
}

Tensor fused_head_loss(const Tensor& feat, const Tensor& w, const Tensor& b,
                       const HeadTargets& targets) {
  return HeadFunction::apply(feat, w, b, targets.y, targets.u, targets.v, maybe(targets.d),
                             int64_t{targets.texture_bits}, int64_t{targets.depth_bits});
}

}  // namespace mvinr::ops
