#include "train/rate.h"

#include <cmath>

#include "entropy/side_info.h"
#include "train/context_bits.h"
#include "train/law.h"
#include "train/noise.h"
#include "train/noisy_rate.h"
#include "train/ops/support.h"
#include "train/quantize.h"

namespace mvinr {
namespace {

constexpr double kMinProbability = 1.0 / 65536;

/// Symbols of a parameter with gradient: w / step, rounded straight through or with noise.
at::Tensor symbols(const Network& net, const Parameter& p, bool hard, uint32_t key,
                   const SoftRounding& soft) {
  const at::Tensor w = p.mask.defined() ? p.value * p.mask : p.value;
  const at::Tensor q = w / step_from_log(p.log_step);
  if (!hard)
    return soft_symbols(q, uniform_noise(net, key, q),
                        p.spec.kind == TensorKind::grid ? soft : SoftRounding());
  return round_to(q, 1.0).clamp(-p.limit, p.limit);
}

/// Bits of noisy symbols without context: Laplace of their own mean magnitude, per group of the
/// dimensions `reduce`.
at::Tensor composed_bits(const at::Tensor& s, at::IntArrayRef reduce) {
  const at::Tensor scale = s.abs().mean(reduce, true).clamp_min(kLeastNoisyScale);
  return laplace_bits(s, at::zeros({}, s.options()), scale.log2()).sum();
}

/// The symbols of `s` for the entropy coder.
std::vector<int16_t> integers(const at::Tensor& s) {
  const at::Tensor k = s.detach().to(at::kCPU, at::kShort).contiguous();
  return {k.const_data_ptr<int16_t>(), k.const_data_ptr<int16_t>() + k.numel()};
}

/// Tensors with what noisy_rate.h needs of them.
struct NoisyInputs {
  std::vector<at::Tensor> values, log_steps;
  std::vector<bool> by_step;
  std::vector<uint32_t> keys;
  void add(const Parameter& p, uint32_t key) {
    values.push_back((p.mask.defined() ? p.value * p.mask : p.value).contiguous());
    log_steps.push_back(p.log_step.contiguous());
    by_step.push_back(p.spec.kind == TensorKind::grid);
    keys.push_back(key);
  }
  at::Tensor bits(const SoftRounding& soft) const {
    return noisy_bits(values, log_steps, by_step, keys, soft);
  }
};
struct NoisyTensors {
  NoisyInputs network, grids, plain_grids[2];  // all grids; those without context, [per view]

  NoisyTensors(const Network& net, uint32_t key) {
    for (size_t i = 0; i < net.parameters.size(); ++i) {
      const Parameter& p = net.parameters[i];
      const bool grid = p.spec.kind == TensorKind::grid;
      (grid ? grids : network).add(p, tensor_key(key, i));
      if (!grid) continue;
      const GridConfig& config = net.config.grids[size_t(p.spec.grid)];
      if (config.coding != GridCoding::context)
        plain_grids[config.per_view].add(p, tensor_key(key, i));
    }
  }
};

/// The symbols that grid `g` has as its parent's, if any.
at::Tensor below(const ModelConfig& config, int g, const std::vector<at::Tensor>& symbols) {
  const GridConfig& grid = config.grids[size_t(g)];
  for (int k = g - 1; k >= 0; --k) {
    const GridConfig& other = config.grids[size_t(k)];
    if (other.per_view == grid.per_view && other.local == grid.local) return symbols[size_t(k)];
  }
  return {};
}

at::Tensor weight_bits(const at::Tensor& s, bool by_row) {
  return law_bits(s, weight_law(integers(s), int(s.size(0)), by_row));
}

/// Of a grid [V][T][C][h][w] without context.
at::Tensor plain_grid_bits(const at::Tensor& s) {
  at::Tensor bits = at::zeros({}, s.options());
  for (int64_t v = 0; v < s.size(0); ++v) {
    const at::Tensor channels = s.select(0, v).transpose(0, 1).flatten(1);
    bits = bits + law_bits(channels, grid_law(integers(channels), int(channels.size(0))));
  }
  return bits;
}

double tensor_side_bits(const TensorSpec& spec, const CodedTensor& tensor) {
  const int rows = spec.kind == TensorKind::weight ? spec.rows() : 1;
  const Law law = weight_law(tensor.symbols, rows, true);
  CostCounter cost;
  cost.exp_golomb(law.limits[0], 2);
  if (law.limits[0] == 0) return cost.total();
  return cost.total() + list_bits({tensor.steps.begin(), tensor.steps.end()}, -128, 8) + 1 +
         (rows > 1) + list_bits(law.scales, 0, kScaleBits);
}

double grid_side_bits(const TensorSpec& spec, const CodedTensor& tensor, bool context) {
  std::vector<int16_t> channels;
  const size_t plane = size_t(spec.dims[2]) * size_t(spec.dims[3]), count = size_t(spec.dims[1]);
  for (size_t c = 0; c < count; ++c)
    for (size_t i = c * plane; i < tensor.symbols.size(); i += count * plane)
      channels.insert(channels.end(), tensor.symbols.begin() + ptrdiff_t(i),
                      tensor.symbols.begin() + ptrdiff_t(i + plane));
  const Law law = grid_law(channels, int(count));
  std::vector<int> steps, scales;  // of channels that are not all zero
  for (size_t c = 0; c < count; ++c) {
    if (law.limits[c] == 0) continue;
    steps.push_back(tensor.steps[c]);
    scales.push_back(law.scales[c]);
  }
  const double bits = list_bits(law.limits, 0, 11) + list_bits(steps, -128, 8);
  return context || steps.empty() ? bits : bits + 1 + list_bits(scales, 0, kScaleBits);
}

}  // namespace

at::Tensor laplace_bits(const at::Tensor& symbol, const at::Tensor& mean,
                        const at::Tensor& log_scale) {
  const at::Tensor x = (symbol - mean).abs();
  const at::Tensor inverse = at::exp2(-log_scale);
  // Outside the centre ln P = -x/b + ln sinh(1/2b); inside, 1 - e^(-1/2b) cosh(x/b).
  const at::Tensor half = (0.5 * inverse).clamp(1e-4, 30.0);
  const at::Tensor outside = x * inverse - (half + at::log1p(-at::exp(-2 * half)) - M_LN2);
  const at::Tensor y = at::minimum(x * inverse, half);
  const at::Tensor inside =
      -at::log((1 - 0.5 * (at::exp(y - half) + at::exp(-y - half))).clamp_min(1e-9));
  const at::Tensor nats = at::where(x > 0.5, outside, inside);
  return nats.clamp(0, -std::log(kMinProbability) * 4) * (1 / M_LN2);
}

RateEstimate estimate_rate(const Network& net, bool hard, bool parts, const SoftRounding& soft) {
  RateEstimate rate;
  std::vector<at::Tensor> terms;
  auto add = [&](const at::Tensor& bits, double& part) {
    terms.push_back(bits);
    if (parts) part += bits.item<double>();
  };
  std::vector<at::Tensor> grid_symbols;
  const bool fused = !hard && ops::fusable({net.parameters[0].value});
  const uint32_t key = hard ? 0 : noise_key(net);
  if (fused) {
    const NoisyTensors all(net, key);
    add(all.network.bits({}), rate.network);
    for (const bool per_view : {false, true})
      if (!all.plain_grids[per_view].values.empty())
        add(all.plain_grids[per_view].bits(soft), per_view ? rate.views : rate.shared);
    grid_symbols = noisy_symbols(all.grids.values, all.grids.log_steps, all.grids.keys, soft);
  }
  for (size_t i = 0; i < net.parameters.size(); ++i) {
    const Parameter& p = net.parameters[i];
    const bool is_grid = p.spec.kind == TensorKind::grid;
    if (fused && !is_grid) continue;
    const at::Tensor s =
        fused ? grid_symbols[size_t(p.spec.grid)] : symbols(net, p, hard, tensor_key(key, i), soft);
    if (!is_grid) {
      add(hard ? weight_bits(s, parts) : composed_bits(s, {0, 1}), rate.network);
      continue;
    }
    const int g = p.spec.grid;
    const GridConfig& grid = net.config.grids[size_t(g)];
    if (!fused) grid_symbols.push_back(s);
    double& part = grid.per_view ? rate.views : rate.shared;
    if (grid.coding == GridCoding::context)
      add(context_bits(s, below(net.config, g, grid_symbols), net.contexts[size_t(g)]), part);
    else if (!fused)
      add(hard ? plain_grid_bits(s) : composed_bits(s, {0, 1, 3, 4}), part);
  }
  rate.bits = at::stack(terms).sum();
  return rate;
}

double side_info_bits(const CodedModel& model) {
  constexpr double kCodewordEnd = 8;  // a codeword ends at a byte
  double bits = kCodewordEnd;
  int context_grids = 0, shared = 0, views = 0;
  for (size_t g = 0; g < model.config.grids.size(); ++g) {
    const GridConfig& grid = model.config.grids[g];
    (grid.per_view ? views : shared) += 1;
    if (grid.coding != GridCoding::context) continue;
    bits += context_model_bits(model.context_models[g]);
    context_grids += grid.per_view;
  }
  const std::vector<TensorSpec> specs = tensor_specs(model.config);
  for (size_t i = 0; i < specs.size(); ++i) {
    const TensorSpec& spec = specs[i];
    bits +=
        spec.kind == TensorKind::grid
            ? grid_side_bits(spec, model.tensors[i],
                             model.config.grids[size_t(spec.grid)].coding == GridCoding::context)
            : tensor_side_bits(spec, model.tensors[i]);
  }
  if (shared > 0) bits += kCodewordEnd;
  for (const ViewReference& r : model.references) {
    if (views == 0) break;
    bits += kCodewordEnd + 8;
    if (r.view >= 0) bits += context_grids * 2 * 2;  // displacements of zero
  }
  return bits;
}

}  // namespace mvinr
