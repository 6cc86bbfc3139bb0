// Entry points: argument checks and the choice of an implementation.
#include "train/ops/ops.h"

#include <torch/torch.h>

namespace mvinr::ops {

using torch::Tensor;

std::vector<std::string> kernel_sets() { return {"composite"}; }
std::string kernel_set() { return "composite"; }
bool use_kernel_set(const std::string& name) { return name == "composite"; }

Tensor convnext_block(const Tensor& x, const Tensor& dw_weight, const Tensor& dw_bias, bool norm,
                      const Tensor& w1, const Tensor& b1, const Tensor& w2, const Tensor& b2,
                      bool residual, Quantise q) {
  return composite::convnext_block(x, dw_weight, dw_bias, norm, w1, b1, w2, b2, residual, q);
}

Tensor upsample_bilinear(const Tensor& x, int scale, const Tensor& tile, Quantise q) {
  return composite::upsample_bilinear(x, scale, tile, q);
}

Tensor pointwise(const Tensor& x, const Tensor& w, const Tensor& b, Quantise q) {
  return composite::pointwise(x, w, b, q);
}

Tensor layer_norm(const Tensor& x, Quantise q) { return composite::layer_norm(x, q); }

Tensor head_shuffle420_loss(const Tensor& feat, const Tensor& w, const Tensor& b,
                            const HeadTargets& targets) {
  return composite::head_shuffle420_loss(feat, w, b, targets);
}

}  // namespace mvinr::ops
