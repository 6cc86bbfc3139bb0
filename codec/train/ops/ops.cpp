// Entry points: argument checks and the choice of an implementation.
#include "train/ops/ops.h"

#include "train/ops/support.h"

namespace mvinr::ops {

using torch::Tensor;

#ifdef MVINR_OPS_X86
namespace avx512bf16 {
const Kernels& kernels();
}
namespace avx512 {
const Kernels& kernels();
}
namespace avx2 {
const Kernels& kernels();
}
#endif
namespace generic {
const Kernels& kernels();
}

namespace {

std::vector<const Kernels*> usable_kernels() {
  std::vector<const Kernels*> sets;
#ifdef MVINR_OPS_X86
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) sets.push_back(&avx512bf16::kernels());
  if (avx512) sets.push_back(&avx512::kernels());
  if (avx2) sets.push_back(&avx2::kernels());
#endif
  sets.push_back(&generic::kernels());
  return sets;
}

const Kernels*& selected() {
  static const Kernels* kernels = usable_kernels().front();
  return kernels;
}

Tensor dense(const Tensor& t) { return t.defined() ? t.contiguous() : t; }

void check_bias(const Tensor& bias, int64_t count, const char* name) {
  TORCH_CHECK(!bias.defined() || bias.numel() == count, name, " has ", bias.numel(),
              " elements, not ", count);
}

void check_nhwc(const Tensor& x) {
  TORCH_CHECK(x.dim() == 4 && x.numel() > 0, "activations must be [N, H, W, C], not ", x.sizes());
}

void check_weight(const Tensor& w, int64_t columns, const char* name) {
  TORCH_CHECK(w.dim() == 2 && w.size(0) > 0 && w.size(1) == columns, name, " must be [*, ", columns,
              "], not ", w.sizes());
}

}  // namespace

const Kernels* current_kernels() { return selected(); }

const Kernels& row_kernels() { return selected() ? *selected() : generic::kernels(); }

bool fusable(std::initializer_list<Tensor> tensors) {
  if (!current_kernels()) return false;
  for (const Tensor& t : tensors)
    if (t.defined() && (!t.is_cpu() || t.scalar_type() != torch::kFloat32)) return false;
  return true;
}

std::vector<std::string> kernel_sets() {
  std::vector<std::string> names;
  for (const Kernels* kernels : usable_kernels()) names.push_back(kernels->name);
  names.push_back("composite");
  return names;
}

std::string kernel_set() { return selected() ? selected()->name : "composite"; }

bool use_kernel_set(const std::string& name) {
  if (name == "composite") {
    selected() = nullptr;
    return true;
  }
  for (const Kernels* kernels : usable_kernels()) {
    if (name != kernels->name) continue;
    selected() = kernels;
    return true;
  }
  return false;
}

Tensor convnext_block(const Tensor& x, const Tensor& dw_weight, const Tensor& dw_bias, bool norm,
                      const Tensor& w1, const Tensor& b1, const Tensor& w2, const Tensor& b2,
                      bool residual, Quantise q, double guard) {
  check_nhwc(x);
  check_weight(dw_weight, 9, "the depthwise weight");
  TORCH_CHECK(dw_weight.size(0) == x.size(3), "one depthwise kernel per channel");
  check_weight(w1, x.size(3), "the weight of fc1");
  check_weight(w2, w1.size(0), "the weight of fc2");
  check_bias(dw_bias, x.size(3), "the depthwise bias");
  check_bias(b1, w1.size(0), "the bias of fc1");
  check_bias(b2, w2.size(0), "the bias of fc2");
  TORCH_CHECK(!residual || w2.size(0) == x.size(3), "a residual block keeps its channels");
  if (!fusable({x, dw_weight, dw_bias, w1, b1, w2, b2}))
    return composite::convnext_block(x, dw_weight, dw_bias, norm, w1, b1, w2, b2, residual, q,
                                     guard);
  return fused_block(x.contiguous(), dw_weight.contiguous(), dense(dw_bias), norm, w1.contiguous(),
                     dense(b1), w2.contiguous(), dense(b2), residual, q, guard);
}

Tensor upsample_bilinear(const Tensor& x, int scale, const Tensor& tile, Quantise q) {
  check_nhwc(x);
  TORCH_CHECK(scale >= 1 && scale <= 5, "the scale must be 1..5, not ", scale);
  TORCH_CHECK(!tile.defined() ||
                  (tile.dim() == 4 && (tile.size(0) == 1 || tile.size(0) == x.size(0)) &&
                   tile.size(1) == scale && tile.size(2) == scale && tile.size(3) == x.size(3)),
              "the tile must be [1 or N, scale, scale, C]");
  if (!fusable({x, tile})) return composite::upsample_bilinear(x, scale, tile, q);
  return fused_upsample(x.contiguous(), scale, dense(tile), q);
}

Tensor pointwise(const Tensor& x, const Tensor& w, const Tensor& b, Quantise q, const Tensor& add) {
  TORCH_CHECK(x.dim() >= 1 && x.numel() > 0, "no activations");
  check_weight(w, x.size(-1), "the weight");
  check_bias(b, w.size(0), "the bias");
  TORCH_CHECK(!add.defined() ||
                  (add.numel() == x.numel() / w.size(1) * w.size(0) && add.size(-1) == w.size(0)),
              "the addend must have the shape of the result");
  const bool planes = x.scalar_type() == torch::kInt16;
  if (!fusable({w, b, add}) || !(planes ? x.is_cpu() : fusable({x})))
    return composite::pointwise(planes ? x.to(torch::kFloat32) / 1024.0 : x, w, b, q, add);
  return fused_pointwise(x.contiguous(), w.contiguous(), dense(b), q, dense(add));
}

Tensor layer_norm(const Tensor& x, Quantise q, int fraction_bits) {
  TORCH_CHECK(x.dim() >= 1 && x.numel() > 0, "no activations");
  TORCH_CHECK(fraction_bits == 5 || fraction_bits == 10, "5 or 10 fractional bits");
  if (!fusable({x})) return composite::layer_norm(x, q, fraction_bits);
  return fused_layer_norm(x.contiguous(), q.on() ? fraction_bits : 0);
}

}  // namespace mvinr::ops
