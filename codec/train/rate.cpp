#include "train/rate.h"

#include <algorithm>
#include <cmath>

#include "entropy/side_info.h"
#include "train/context_bits.h"
#include "train/quantize.h"

namespace mvinr {
namespace {

constexpr double kMinProbability = 1.0 / 65536;

/// Symbols of a parameter with gradient: w / step, rounded straight through or with noise.
at::Tensor symbols(const Network& net, const Parameter& p, bool hard) {
  const at::Tensor w = p.mask.defined() ? p.value * p.mask : p.value;
  const at::Tensor q = w / step_from_log(p.log_step);
  if (!hard) return q + uniform_noise(net, q);
  return round_to(q, 1.0).clamp(-p.limit, p.limit);
}

/// log2 of the Laplace scale b under which rounded symbols take the fewest bits, per group of the
/// dimensions `reduce`. With q = e^(-1/2b), n symbols of which m are not zero, and S the sum of
/// their magnitudes, the bits are least where (n + 2S) q^2 + (n - m) q = 2S - m.
at::Tensor best_log_scale(const at::Tensor& symbols, at::IntArrayRef reduce) {
  const at::Tensor k = symbols.detach().abs().to(at::kDouble);
  const at::Tensor sum = k.sum(reduce, true), nonzero = (k > 0).to(at::kDouble).sum(reduce, true);
  const double n = double(k.numel()) / double(sum.numel());
  const at::Tensor a = n + 2 * sum, zero = n - nonzero;
  const at::Tensor q = (at::sqrt(zero * zero + 4 * a * (2 * sum - nonzero)) - zero) / (2 * a);
  const at::Tensor b = -0.5 / q.clamp(1e-4, 0.9999).log();
  return b.log2().clamp(-4, 9.875).to(symbols.scalar_type());
}

/// Bits of a tensor without context: Laplace, one scale per group. The best scale needs no
/// gradient: there the bits do not change with it.
at::Tensor plain_bits(const at::Tensor& s, at::IntArrayRef reduce, bool hard) {
  const at::Tensor log_scale =
      hard ? best_log_scale(s, reduce) : s.abs().mean(reduce, true).clamp_min(0.07).log2();
  return laplace_bits(s, at::zeros({}, s.options()), log_scale).sum();
}

/// Bits of a list of small integers in front of symbols (docs/bitstream.md 6.2).
double list_bits(std::vector<int> values, int low, int bits) {
  CostCounter cost;
  code_list(cost, values, low, bits);
  return cost.total();
}

int laplace_scale(const Histogram& h) { return h.best_scale(Shape::laplace, h.max_symbol()); }

double tensor_side_bits(const TensorSpec& spec, const CodedTensor& tensor) {
  const Histogram histogram(tensor.symbols);
  CostCounter cost;
  cost.exp_golomb(histogram.max_symbol(), 2);
  if (histogram.max_symbol() == 0) return cost.total();
  const bool rows = spec.kind == TensorKind::weight && spec.rows() > 1;
  return cost.total() + list_bits({tensor.steps.begin(), tensor.steps.end()}, -128, 8) + 1 + rows +
         list_bits({laplace_scale(histogram)}, 0, kScaleBits);
}

double grid_side_bits(const TensorSpec& spec, const CodedTensor& tensor, bool context) {
  const size_t plane = size_t(spec.dims[2]) * size_t(spec.dims[3]), channels = size_t(spec.dims[1]);
  std::vector<int> alphabets, steps, scales;
  for (size_t c = 0; c < channels; ++c) {
    std::vector<int16_t> symbols;
    for (size_t i = c * plane; i < tensor.symbols.size(); i += channels * plane)
      symbols.insert(symbols.end(), tensor.symbols.begin() + ptrdiff_t(i),
                     tensor.symbols.begin() + ptrdiff_t(i + plane));
    const Histogram histogram(symbols);
    alphabets.push_back(histogram.max_symbol());
    if (histogram.max_symbol() == 0) continue;
    steps.push_back(tensor.steps[c]);
    scales.push_back(laplace_scale(histogram));
  }
  double bits = list_bits(alphabets, 0, 11) + list_bits(steps, -128, 8);
  if (!context && !scales.empty()) bits += 1 + list_bits(scales, 0, kScaleBits);
  return bits;
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

RateEstimate estimate_rate(const Network& net, bool hard, bool parts) {
  RateEstimate rate;
  std::vector<at::Tensor> terms;
  auto add = [&](const at::Tensor& bits, double& part) {
    terms.push_back(bits);
    if (parts) part += bits.item<double>();
  };
  std::vector<at::Tensor> grid_symbols;
  for (size_t i = 0; i < net.parameters.size(); ++i) {
    const Parameter& p = net.parameters[i];
    const at::Tensor s = symbols(net, p, hard);
    if (p.spec.kind != TensorKind::grid) {
      add(plain_bits(s, {0, 1}, hard), rate.network);
      continue;
    }
    const int g = p.spec.grid;
    const GridConfig& grid = net.config.grids[size_t(g)];
    grid_symbols.push_back(s);
    at::Tensor below;
    for (int k = g - 1; k >= 0 && !below.defined(); --k) {
      const GridConfig& other = net.config.grids[size_t(k)];
      if (other.per_view == grid.per_view && other.local == grid.local)
        below = grid_symbols[size_t(k)];
    }
    const at::Tensor bits = grid.coding == GridCoding::context
                                ? context_bits(s, below, net.contexts[size_t(g)])
                                : plain_bits(s, {1, 3, 4}, hard);
    add(bits, grid.per_view ? rate.views : rate.shared);
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
