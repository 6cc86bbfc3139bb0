// upsample_bilinear on the CPU: see upsample_kernels.h.
#include "train/ops/support.h"

namespace mvinr::ops {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct UpsampleState {
  Upsample upsample;
  const Kernels* kernels = nullptr;
  int64_t tiles = 0;
  int64_t shares() const {
    const Upsample& u = upsample;
    const int64_t rows = u.images * u.height, pixels = rows * u.width;
    return share_count(rows, pixels, pixels * u.scale * u.scale * u.channels * 4);
  }
};

struct UpsampleFunction : public torch::autograd::Function<UpsampleFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const MaybeTensor& maybe_tile,
                        int64_t scale, bool quantise) {
    const Tensor tile = or_undefined(maybe_tile);
    UpsampleState& s = Kept<UpsampleState>::make(ctx);
    s.kernels = current_kernels();
    s.tiles = tile.defined() ? tile.size(0) : 0;
    Upsample& u = s.upsample;
    u.images = x.size(0);
    u.height = int(x.size(1));
    u.width = int(x.size(2));
    u.channels = int(x.size(3));
    u.scale = int(scale);
    u.quantise = quantise;
    u.x = x.const_data_ptr<float>();
    u.tile = data_or_null(tile);
    u.tile_per_image = s.tiles > 1;
    Tensor y = make_tensor({x.size(0), x.size(1) * scale, x.size(2) * scale, x.size(3)});
    float* out = y.data_ptr<float>();
    for_shares(s.shares(), u.images * u.height, [&](int64_t, int64_t begin, int64_t end) {
      s.kernels->upsample_forward(u, out, begin, end,
                                  thread_scratch(s.kernels->upsample_scratch(u)));
    });
    // The backward pass needs the shape of x, and y to know what was clamped.
    ctx->save_for_backward({x, quantise ? y : Tensor()});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const UpsampleState& state = Kept<UpsampleState>::of(ctx);
    const Kernels& kernels = *state.kernels;
    Upsample u = state.upsample;
    const Tensor dy = grads[0].contiguous();
    u.x = x.const_data_ptr<float>();
    u.y = data_or_null(saved[1]);
    u.dy = dy.const_data_ptr<float>();
    const int64_t tiles = state.tiles, s = u.scale, channels = u.channels;
    const int64_t shares = state.shares(), cp = round_up_to(channels, kernels.lanes);
    ShareSums sums(shares, tiles * s * s * cp);
    Tensor dx = make_tensor(x.sizes());
    float* out = dx.data_ptr<float>();
    for_shares(shares, u.images * u.height, [&](int64_t share, int64_t begin, int64_t end) {
      kernels.upsample_backward(u, out, tiles ? sums.share(share) : nullptr, begin, end,
                                thread_scratch(kernels.upsample_scratch(u)));
    });
    Tensor dtile;
    if (tiles)
      dtile =
          sums.gather(0, tiles * s * s, channels, kernels.lanes, false, {tiles, s, s, channels});
    return {dx, dtile, Tensor(), Tensor()};
  }
};

}  // namespace

Tensor fused_upsample(const Tensor& x, int scale, const Tensor& tile, Quantise q) {
  return UpsampleFunction::apply(x, maybe(tile), int64_t{scale}, q.on());
}

}  // namespace mvinr::ops
