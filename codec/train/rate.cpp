#include "train/rate.h"

#include <cmath>

#include "entropy/grid_coder.h"
#include "train/quantize.h"

namespace mvinr {
namespace {

namespace F = at;
using at::indexing::Slice;

constexpr double kMinProbability = 1.0 / 65536;

/// Symbols of a parameter with gradient: w / step, rounded straight through or with noise.
at::Tensor symbols(const Network& net, const Parameter& p, bool hard) {
  const at::Tensor w = p.mask.defined() ? p.value * p.mask : p.value;
  const at::Tensor q = w / step_from_log(p.log_step);
  if (!hard) return q + uniform_noise(net, q);
  return round_to(q, 1.0).clamp(-p.limit, p.limit);
}

/// The sixteen neighbours of every symbol of a grid [V][T][C][h][w] (bitstream.md 6.4):
/// [16][V][T][C][h][w]. `below` is the coarser grid of the same kind, or undefined.
at::Tensor contexts(const at::Tensor& s, const at::Tensor& below) {
  const int64_t T = s.size(1), C = s.size(2), h = s.size(3), w = s.size(4);
  const at::Tensor pad = at::constant_pad_nd(s, {2, 1, 2, 1});
  auto at_offset = [&](const at::Tensor& padded, int64_t dy, int64_t dx) {
    return padded.narrow(3, 2 + dy, h).narrow(4, 2 + dx, w);
  };
  const at::Tensor zero = at::zeros_like(s);
  auto shift_dim = [&](const at::Tensor& v, int64_t dim, int64_t size) {  // value at index - 1
    if (size == 1) return zero;
    return at::cat({at::zeros_like(v.narrow(dim, 0, 1)), v.narrow(dim, 0, size - 1)}, dim);
  };
  // Reference view: view 0 for all others (trainer's choice, see export.cpp).
  auto reference = [&](const at::Tensor& v) {
    if (s.size(0) == 1) return zero;
    return at::cat({at::zeros_like(v.narrow(0, 0, 1)),
                    v.narrow(0, 0, 1).expand_as(v.narrow(0, 1, v.size(0) - 1))});
  };
  const at::Tensor east = at_offset(pad, 0, 1), south = at_offset(pad, 1, 0);
  at::Tensor parent = zero;
  if (below.defined()) {
    auto index = [&](int64_t size, int64_t from) {
      return (at::arange(size, s.options().dtype(at::kLong)) * from).floor_divide(size);
    };
    const int64_t cp = below.size(2);
    const at::Tensor channel = at::arange(C, s.options().dtype(at::kLong)).clamp_max(cp - 1);
    parent = below.index_select(1, index(T, below.size(1)))
                 .index_select(2, channel)
                 .index_select(3, index(h, below.size(3)))
                 .index_select(4, index(w, below.size(4)));
  }
  return at::stack({at_offset(pad, 0, -1), at_offset(pad, -1, 0), at_offset(pad, -1, -1),
                    at_offset(pad, -1, 1), at_offset(pad, 0, -2), at_offset(pad, -2, 0),
                    shift_dim(s, 1, T), shift_dim(east, 1, T), shift_dim(south, 1, T), parent,
                    reference(s), shift_dim(s, 2, C), reference(east),
                    reference(at_offset(pad, 0, -1)), reference(south), shift_dim(east, 2, C)})
      .clamp(-127, 127);
}

at::Tensor grid_bits(const ContextParameters& c, const at::Tensor& s, const at::Tensor& below) {
  const at::Tensor ctx = contexts(s, below).reshape({kContexts, -1});
  const at::Tensor hidden = at::addmm(c.hidden_bias.unsqueeze(1), c.hidden_weight, ctx).relu();
  const at::Tensor out =
      at::addmm(c.out_bias.unsqueeze(1), c.out_weight, hidden) + at::mm(c.skip_weight, ctx);
  return laplace_bits(s.reshape(-1), out[0], out[1].clamp(-4, 5.875)).sum();
}

/// Bits of a tensor without context: Laplace of its own mean magnitude, per `group` dimension.
at::Tensor plain_bits(const at::Tensor& s, at::IntArrayRef reduce) {
  const at::Tensor scale = s.abs().mean(reduce, true).clamp_min(0.07);
  return laplace_bits(s, at::zeros({}, s.options()), scale.log2()).sum();
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
      add(plain_bits(s, {0, 1}), rate.network);
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
                                ? grid_bits(net.contexts[size_t(g)], s, below)
                                : plain_bits(s, {0, 1, 3, 4});
    add(bits, grid.per_view ? rate.views : rate.shared);
  }
  rate.bits = at::stack(terms).sum();
  return rate;
}

}  // namespace mvinr
