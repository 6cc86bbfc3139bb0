// head_loss on the CPU: see head_kernels.h.
#include "train/ops/support.h"

namespace mvinr::ops {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Gradients are made with the loss: it is the last operation of a step.
struct HeadFunction : public torch::autograd::Function<HeadFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& feat, const Tensor& w,
                               const Tensor& b, const MaybeTensor& prediction,
                               const HeadTargets& targets, const std::array<float, 10>& weights,
                               bool gradients) {
    const Kernels& kernels = *current_kernels();
    const Floats wt = transpose_padded(w, kHeadLanes),
                 bias = pad_bias(b, w.size(0), kHeadLanes, {}), w_rows = pad_rows(w, kernels.lanes);
    Head h;
    h.images = feat.size(0);
    h.height = int(feat.size(1));
    h.width = int(feat.size(2));
    h.channels = int(feat.size(3));
    h.outputs = int(w.size(0));
    h.features = feat.const_data_ptr<float>();
    h.wt = wt.data();
    h.b = bias.data();
    h.w = w_rows.data();
    if (prediction) h.prediction = prediction->const_data_ptr<int16_t>();
    std::vector<const void*> texture, depth;
    for (const Tensor& t : targets.texture) texture.push_back(t.const_data_ptr());
    for (const Tensor& t : targets.depth) depth.push_back(t.const_data_ptr());
    h.texture = texture.data();
    h.depth = depth.empty() ? nullptr : depth.data();
    h.wide_texture = targets.texture[0].element_size() == 2;
    h.wide_depth = h.depth && targets.depth[0].element_size() == 2;
    h.texture_unit = 1.0f / float(1 << targets.texture_bits);
    h.depth_unit = 1.0f / float(1 << targets.depth_bits);
    h.picture_height = targets.height;
    h.picture_width = targets.width;
    std::copy(weights.begin(), weights.end(), h.weight);

    const int64_t rows = h.images * h.height;
    const int64_t shares = share_count(rows, rows * h.width, feat.numel() * kHeadLanes);
    const int64_t at_bias = h.channels * kHeadLanes;
    ShareSums sums(shares, at_bias + kHeadLanes);
    std::vector<std::array<double, kHeadLanes>> squares(size_t(shares), {{}});
    Tensor dfeat;
    if (gradients) dfeat = make_tensor(feat.sizes());
    for_shares(shares, rows, [&](int64_t share, int64_t begin, int64_t end) {
      float* p = sums.share(share);
      kernels.head_loss(h, squares[size_t(share)].data(),
                        gradients ? dfeat.data_ptr<float>() : nullptr, p, p + at_bias, begin, end,
                        thread_scratch(kernels.head_scratch(h)));
    });
    if (gradients)
      ctx->save_for_backward({dfeat,
                              sums.gather(0, h.channels, h.outputs, kHeadLanes, true, w.sizes()),
                              sums.gather(at_bias, 1, h.outputs, kHeadLanes, false, b.sizes())});
    const Tensor total = at::zeros({10}, torch::kFloat64);
    double loss = 0;
    for (size_t k = 0; k < 10; ++k) {
      double sum = 0;
      for (const auto& share : squares) sum += share[k];
      total.data_ptr<double>()[k] = sum;
      loss += sum * double(weights[k]);
    }
    ctx->mark_non_differentiable({total});
    return {at::full({}, loss, torch::kFloat32), total};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const float scale = grads[0].item<float>();
    auto scaled = [&](const Tensor& t) { return scale == 1.0f ? t : t * scale; };
    return {scaled(saved[0]), scaled(saved[1]), scaled(saved[2]), Tensor(),
            Tensor(),         Tensor(),         Tensor()};
  }
};

void check(const Tensor& feat, const Tensor& w, const Tensor& b, const Tensor& prediction,
           const HeadTargets& t) {
  TORCH_CHECK(feat.dim() == 4 && feat.numel() > 0 && w.dim() == 2 && w.size(1) == feat.size(3) &&
                  b.numel() == w.size(0),
              "the head's features, weight and bias do not fit");
  const bool depth = !t.depth.empty();
  TORCH_CHECK(w.size(0) == (prediction.defined() ? 15
                            : depth              ? 10
                                                 : 6) &&
                  (depth || !prediction.defined()),
              "the head has 6 outputs, 10 with depth, 15 with a prediction");
  TORCH_CHECK(
      !prediction.defined() || (prediction.sizes().slice(0, 3) == feat.sizes().slice(0, 3) &&
                                prediction.dim() == 4 && prediction.size(3) == 14),
      "the prediction must be [N, h, w, 14]");
  TORCH_CHECK(
      t.height > 0 && t.width > 0 && t.height <= 2 * feat.size(1) && t.width <= 2 * feat.size(2),
      "pictures of ", t.width, "x", t.height, " do not fit the features");
  const auto fits = [&](const std::vector<Tensor>& planes, int64_t channels) {
    for (const Tensor& p : planes)
      if (p.dim() != 3 || p.size(0) != (t.height + 1) / 2 || p.size(1) != (t.width + 1) / 2 ||
          p.size(2) != channels || !p.is_contiguous() || !p.is_cpu() ||
          p.scalar_type() != planes[0].scalar_type() ||
          (p.scalar_type() != torch::kUInt8 && p.scalar_type() != torch::kUInt16))
        return false;
    return int64_t(planes.size()) == feat.size(0);
  };
  TORCH_CHECK(fits(t.texture, 6) && (!depth || fits(t.depth, 4)),
              "targets must be uint8 or uint16 [rows, columns, 6] and [rows, columns, 4]");
}

}  // namespace

bool has_head_loss(const Tensor& feat, const Tensor& prediction) {
  return fusable({feat}) && (!prediction.defined() ||
                             (prediction.is_cpu() && prediction.scalar_type() == torch::kInt16));
}

HeadLoss head_loss(const Tensor& feat, const Tensor& w, const Tensor& b, const Tensor& prediction,
                   const HeadTargets& targets, const std::array<float, 10>& weights) {
  check(feat, w, b, prediction, targets);
  TORCH_CHECK(has_head_loss(feat, prediction) && fusable({w, b}), "not on this device");
  const Tensor planes = prediction.defined() ? prediction.contiguous() : prediction;
  const bool gradients = at::GradMode::is_enabled() &&
                         (feat.requires_grad() || w.requires_grad() || b.requires_grad());
  const variable_list out = HeadFunction::apply(feat.contiguous(), w.contiguous(), b.contiguous(),
                                                maybe(planes), targets, weights, gradients);
  return {out[0], out[1]};
}

}  // namespace mvinr::ops
