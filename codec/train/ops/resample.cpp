// upsample_bilinear on the CPU: see upsample_kernels.h.
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
    Tensor y = make_tensor({x.size(0), x.size(1) * scale, x.size(2) * scale, x.size(3)});
    const int64_t rows = x.size(0) * x.size(1);
    for_shares(share_count(rows, rows * u.width, y.numel() * 4), rows, [&](int64_t, int64_t begin, int64_t end) {
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
    const int64_t rows = x.size(0) * x.size(1), shares = share_count(rows, rows * u.width, dy.numel() * 4);
    const int64_t channels = x.size(3), cp = round_up_to(channels, kernels.lanes);
    const ShareSums sums = make_sums(shares, tiles * s * s * cp);
    Tensor dx = make_tensor(x.sizes());
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

}  // namespace

Tensor fused_upsample(const Tensor& x, int scale, const Tensor& tile, Quantise q) {
  return UpsampleFunction::apply(x, maybe(tile), int64_t{scale}, q.on());
}

}  // namespace mvinr::ops
