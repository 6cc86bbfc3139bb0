#include "train/ierv.h"

#include "train/quantize.h"

namespace mvinr {

at::Tensor ierv_stem(const ModelConfig& config, const at::Tensor& grids) {
  std::vector<at::Tensor> shared, own;
  int64_t first = 0;
  for (const GridConfig& grid : config.grids) {
    if (grid.stage != 0) continue;
    (grid.per_view ? own : shared).push_back(grids.narrow(3, first, grid.channels));
    first += grid.channels;
  }
  const at::Tensor sum = at::cat(shared, 3);
  return own.empty() ? sum : sum + at::cat(own, 3);
}

at::Tensor ierv_shuffle(const at::Tensor& x, int64_t scale, const at::Tensor& local) {
  const int64_t n = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3) / (scale * scale);
  at::Tensor y = x.view({n, h, w, c, scale, scale}).permute({0, 1, 4, 2, 5, 3});
  if (local.defined()) y = y + local.view({local.size(0), 1, scale, 1, scale, c});
  return y.reshape({n, h * scale, w * scale, c});
}

at::Tensor ierv_activate(const at::Tensor& x, const ops::Quantise& quantise) {
  const at::Tensor y = at::gelu(ops::layer_norm(x, quantise, 5));
  return quantise.on() ? round_to(y, 64).clamp(-11.0 / 64, 244.0 / 64) : y;
}

}  // namespace mvinr
