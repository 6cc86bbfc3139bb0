#include "train/loss.h"

#include <algorithm>

#include "train/fusion.h"

namespace mvinr {
namespace {

/// Per-channel mean over the picture's valid samples of v [N][h][w][C]; mask channels start at
/// `first`.
at::Tensor channel_means(const at::Tensor& v, const at::Tensor& mask, int64_t first) {
  if (!mask.defined()) return v.mean({0, 1, 2});
  const at::Tensor m = mask.narrow(2, first, v.size(3));
  return (v * m).sum(at::IntArrayRef{0, 1, 2}) / (m.sum(at::IntArrayRef{0, 1}) * double(v.size(0)));
}

/// The luma plane [N][1][H][W] of packed channels 0..3.
at::Tensor luma_plane(const at::Tensor& packed) {
  return at::pixel_shuffle(packed.narrow(3, 0, 4).permute({0, 3, 1, 2}), 2);
}

// IERV (arXiv 2311.17350): the fused picture counts 1, its two sources this much.
constexpr double kPartWeight = 0.1;
Distortion parts_distortion(const ModelConfig& config, const Trunk& trunk, const Targets& targets,
                            Loss loss, double depth_weight) {
  const Fused fused = fuse(config, head_outputs(trunk), trunk.prediction);
  Distortion d = distortion(config, fused.picture, targets, loss, depth_weight);
  for (const at::Tensor& part : {fused.own, fused.warped})
    d.loss = d.loss + kPartWeight * distortion(config, part, targets, loss, depth_weight).loss;
  return d;
}

}  // namespace

at::Tensor pack_output(const ModelConfig& config, const at::Tensor& y) {
  if (config.head == HeadKind::shuffle420) return y;
  const int64_t n = y.size(0), h = y.size(1) / 2, w = y.size(2) / 2, c = y.size(3);
  const at::Tensor blocks =
      y.view({n, h, 2, w, 2, c}).permute({0, 1, 3, 5, 2, 4}).reshape({n, h, w, c, 4});
  std::vector<at::Tensor> parts = {blocks.select(3, 0), blocks.narrow(3, 1, 2).mean(4)};
  if (c > 3) parts.push_back(blocks.select(3, 3));
  return at::cat(parts, 3);
}

at::Tensor ms_ssim(const at::Tensor& a_in, const at::Tensor& b_in) {
  static constexpr double kWeights[] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
  constexpr double kC1 = 0.01 * 0.01, kC2 = 0.03 * 0.03;
  constexpr int kWindow = 5;
  at::Tensor a = a_in, b = b_in;
  // HiNeRV needs sides above 64 for five scales; smaller pictures use the scales that fit.
  int scales = 1;
  while (scales < 5 && std::min(a.size(2), a.size(3)) >> scales >= kWindow) ++scales;
  double total = 0;
  for (int s = 0; s < scales; ++s) total += kWeights[s];
  auto mean = [](const at::Tensor& v) { return at::avg_pool2d(v, kWindow, 1); };
  at::Tensor product;
  for (int s = 0; s < scales; ++s) {
    const at::Tensor ma = mean(a), mb = mean(b);
    const at::Tensor va = mean(a * a) - ma * ma, vb = mean(b * b) - mb * mb;
    const at::Tensor cov = mean(a * b) - ma * mb;
    at::Tensor value = (2 * cov + kC2) / (va + vb + kC2);
    if (s == scales - 1) value = value * (2 * ma * mb + kC1) / (ma * ma + mb * mb + kC1);
    const at::Tensor term = value.mean({1, 2, 3}).clamp_min(1e-4).pow(kWeights[s] / total);
    product = product.defined() ? product * term : term;
    if (s + 1 < scales) {
      a = at::avg_pool2d(a, 2);
      b = at::avg_pool2d(b, 2);
    }
  }
  return product.mean();
}

Distortion distortion(const ModelConfig& config, const at::Tensor& output, const Targets& targets,
                      Loss loss, double depth_weight) {
  const at::Tensor packed = pack_output(config, output);
  const at::Tensor texture = packed.narrow(3, 0, 6) - targets.texture;
  at::Tensor depth;
  if (targets.depth.defined()) depth = packed.narrow(3, 6, 4) - targets.depth;

  const at::Tensor mse = channel_means(texture * texture, targets.mask, 0);
  at::Tensor depth_mse = at::zeros({1}, packed.options());
  if (depth.defined()) depth_mse = channel_means(depth * depth, targets.mask, 6).mean(0, true);
  Distortion d;
  d.mse = at::cat({mse.narrow(0, 0, 4).mean(0, true), mse.narrow(0, 4, 2), depth_mse}).detach();

  auto weigh = [](const at::Tensor& m) {  // 6:1:1 over the six channels
    return (m.narrow(0, 0, 4).mean() * 6 + m[4] + m[5]) / 8;
  };
  if (loss == Loss::psnr) {
    d.loss = weigh(mse);
    if (depth.defined()) d.loss = d.loss + depth_weight * depth_mse[0];
    return d;
  }
  const at::Tensor l1 = weigh(channel_means(texture.abs(), targets.mask, 0));
  at::Tensor shown = packed.narrow(3, 0, 4), wanted = targets.texture.narrow(3, 0, 4);
  if (targets.mask.defined()) {
    const at::Tensor mask = targets.mask.narrow(2, 0, 4);
    shown = shown * mask;
    wanted = wanted * mask;  // odd sizes: its repeated samples
  }
  d.loss = 0.7 * l1 + 0.3 * (1 - ms_ssim(luma_plane(shown), luma_plane(wanted)));
  if (depth.defined())
    d.loss = d.loss + depth_weight * channel_means(depth.abs(), targets.mask, 6).mean();
  return d;
}

Distortion distortion(const ModelConfig& config, const Trunk& trunk, const PictureStore& pictures,
                      int frame, const std::vector<int64_t>& views, Loss loss,
                      double depth_weight) {
  const at::Tensor& prediction = trunk.prediction;
  const auto unfused = [&] {
    const Targets targets = pictures.targets(frame, views, config, trunk.features.device());
    if (config.prediction && config.fusion == Fusion::softmax)
      return parts_distortion(config, trunk, targets, loss, depth_weight);
    return distortion(config, head(config, trunk), targets, loss, depth_weight);
  };
  if (loss != Loss::psnr || config.head != HeadKind::shuffle420 || config.has_flow() ||
      (config.prediction && (config.fusion == Fusion::softmax || !config.depth)) ||
      !ops::has_head_loss(trunk.features, prediction))
    return unfused();
  ops::HeadTargets targets = pictures.packed(frame, views);
  if (config.depth && targets.depth.empty()) return unfused();  // the head has it for other views
  std::array<float, 10> weights{};
  std::array<double, 10> counts{};
  const int64_t height = targets.height, width = targets.width;
  for (size_t k = 0; k < 10; ++k) {
    const bool chroma = k == 4 || k == 5;
    const int64_t corner = int64_t(k < 6 ? k : k - 6);
    const int64_t rows = chroma || corner < 2 ? (height + 1) / 2 : height / 2;
    const int64_t columns = chroma || corner % 2 == 0 ? (width + 1) / 2 : width / 2;
    counts[k] = double(int64_t(views.size()) * rows * columns);
    const double weight = k < 4 ? 6.0 / 32 : chroma ? 1.0 / 8 : depth_weight / 4;
    if (counts[k] > 0 && (k < 6 || config.depth)) weights[k] = float(weight / counts[k]);
  }
  const ops::HeadLoss fused = ops::head_loss(trunk.features, trunk.head_weight, trunk.head_bias,
                                             prediction, targets, weights);
  Distortion d{fused.loss, at::zeros({4})};
  const double* squares = fused.squares.const_data_ptr<double>();
  float* mse = d.mse.data_ptr<float>();
  for (size_t k = 0; k < 10; ++k)
    if (counts[k] > 0)
      mse[k < 4    ? 0
          : k == 4 ? 1
          : k == 5 ? 2
                   : 3] += float(squares[k] / counts[k]) * (k == 4 || k == 5 ? 1.0f : 0.25f);
  return d;
}

}  // namespace mvinr
