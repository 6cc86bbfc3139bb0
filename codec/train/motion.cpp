#include "train/motion.h"

#include <torch/csrc/autograd/custom_function.h>

#include "train/ops/support.h"

namespace mvinr {
namespace {

// Multiplications per position and base: ten to fourteen samples of 4x4 filters.
constexpr int64_t kWork = 256;

int64_t shares_of(int64_t rows, int64_t width, size_t bases) {
  return ops::share_count(rows, rows * width, rows * width * kWork * int64_t(bases));
}

struct Displace : torch::autograd::Function<Displace> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& flow,
                            const ModelConfig& config, const std::vector<DisplaceBase>& bases) {
    const int64_t n = flow.size(0), h = flow.size(1), w = flow.size(2);
    const int planes = config.prediction_planes(), shift = config.flow_shift;
    const size_t count = config.flow_bases;
    const bool depth = config.depth;
    TORCH_CHECK(int64_t(bases.size()) == n * int64_t(count), "the bases do not fit the batch");
    const at::Tensor rounded = at::floor(flow.cpu() * 1024 + 0.5)
                                   .clamp_(-32768, 32767)
                                   .to(at::kShort)
                                   .permute({0, 3, 1, 2})
                                   .contiguous();
    const at::Tensor out = at::empty({n, planes, h, w}, at::kShort);
    ops::for_shares(shares_of(n * h, w, count), n * h, [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t view = row / h, y = row % h;
        const WarpedPlanes to{out.mutable_data_ptr<int16_t>() + view * planes * h * w, h * w,
                              int(w), int(h)};
        const FlowPlanes from{rounded.const_data_ptr<int16_t>() + view * rounded.size(1) * h * w,
                              h * w};
        displace(std::span(bases).subspan(size_t(view) * count, count), from, shift, depth, to,
                 int(y), int(y) + 1);
      }
    });
    ctx->save_for_backward({rounded});
    ctx->saved_data["shift"] = shift;
    ctx->saved_data["depth"] = depth;
    ctx->saved_data["bases"] = int64_t(count);
    // The pictures stay where they are until the step is over.
    std::vector<int64_t> addresses;
    for (const DisplaceBase& b : bases) {
      addresses.push_back(reinterpret_cast<int64_t>(b.picture));
      addresses.push_back(b.offset_x);
      addresses.push_back(b.offset_y);
    }
    ctx->saved_data["pictures"] = addresses;
    return out.permute({0, 2, 3, 1}).contiguous().to(flow.device()).to(at::kFloat).mul_(1.0 / 1024);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const at::Tensor flow = ctx->get_saved_variables()[0];
    const at::Tensor gradient = grads[0].cpu().contiguous();
    const auto shift = int(ctx->saved_data["shift"].toInt());
    const bool depth = ctx->saved_data["depth"].toBool();
    const auto count = size_t(ctx->saved_data["bases"].toInt());
    const auto addresses = ctx->saved_data["pictures"].toIntVector();
    std::vector<DisplaceBase> bases;
    for (size_t i = 0; i < addresses.size(); i += 3)
      bases.push_back({reinterpret_cast<const DisplacedPicture*>(addresses[i]),
                       int(addresses[i + 1]), int(addresses[i + 2])});
    const int64_t n = flow.size(0), channels = flow.size(1), h = flow.size(2), w = flow.size(3);
    const int64_t planes = gradient.size(3);
    at::Tensor out = at::empty({n, h, w, channels}, at::kFloat);
    ops::for_shares(shares_of(n * h, w, count), n * h, [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end;) {
        const int64_t view = row / h, y = row % h;
        const int64_t last = std::min(end, (view + 1) * h) - view * h;
        displace_gradient(std::span<const DisplaceBase>(bases).subspan(size_t(view) * count, count),
                          {flow.const_data_ptr<int16_t>() + view * channels * h * w, h * w}, shift,
                          depth, int(w), int(y), int(last),
                          gradient.const_data_ptr<float>() + view * h * w * planes,
                          out.mutable_data_ptr<float>() + view * h * w * channels);
        row = view * h + last;
      }
    });
    return {out.to(grads[0].device()), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor displace_planes(const ModelConfig& config, const at::Tensor& flow,
                           const std::vector<DisplaceBase>& bases) {
  return Displace::apply(flow, config, bases);
}

}  // namespace mvinr
