#include "train/law.h"

#include <algorithm>
#include <cmath>

#include "entropy/side_info.h"

namespace mvinr {
namespace {

constexpr Shape kShapes[] = {Shape::laplace, Shape::gaussian};

std::vector<Histogram> histograms(std::span<const int16_t> symbols, int groups) {
  const size_t size = symbols.size() / size_t(groups);
  std::vector<Histogram> all;
  for (size_t g = 0; g < size_t(groups); ++g) all.emplace_back(symbols.subspan(g * size, size));
  return all;
}

at::Tensor column(const std::vector<int>& values, const at::Tensor& like) {
  return at::tensor(values, at::kInt)
      .to(like.device(), like.scalar_type())
      .view({int64_t(values.size()), 1});
}

}  // namespace

double list_bits(std::vector<int> values, int low, int bits) {
  CostCounter cost;
  code_list(cost, values, low, bits);
  return cost.total();
}

Law weight_law(std::span<const int16_t> symbols, int rows, bool by_row) {
  const Histogram all(symbols);
  const int limit = all.max_symbol();
  Law best{.scales = {0}, .limits = {limit}};
  if (limit == 0) return best;
  double least = INFINITY;
  auto keep_if_better = [&](Shape shape, std::vector<int> scales, double bits) {
    bits += list_bits(scales, 0, kScaleBits);
    if (bits >= least) return;
    least = bits;
    best.shape = shape;
    best.scales = std::move(scales);
  };
  for (const Shape shape : kShapes) {
    const int scale = all.best_scale(shape, limit);
    keep_if_better(shape, {scale}, all.cost(shape, limit, scale));
  }
  if (!by_row || rows == 1) return best;
  const std::vector<Histogram> by_rows = histograms(symbols, rows);
  for (const Shape shape : kShapes) {
    std::vector<int> scales;
    double bits = 0;
    for (const Histogram& row : by_rows) {
      scales.push_back(row.best_scale(shape, limit));
      bits += row.cost(shape, limit, scales.back());
    }
    keep_if_better(shape, std::move(scales), bits);
  }
  return best;
}

Law grid_law(std::span<const int16_t> symbols, int channels) {
  const std::vector<Histogram> groups = histograms(symbols, channels);
  Law best;
  double least = INFINITY;
  for (const Shape shape : kShapes) {
    Law law{.shape = shape};
    double bits = 0;
    for (const Histogram& channel : groups) {
      law.limits.push_back(channel.max_symbol());
      law.scales.push_back(channel.best_scale(shape, channel.max_symbol()));
      if (channel.max_symbol() > 0)
        bits += channel.cost(shape, channel.max_symbol(), law.scales.back());
    }
    if (bits >= least) continue;
    least = bits;
    best = std::move(law);
  }
  return best;
}

at::Tensor law_bits(const at::Tensor& symbols, const Law& law) {
  constexpr double kUnit = 1.0 / (1 << kProbabilityBits);
  const at::Tensor a = symbols.abs();
  const at::Tensor limit = column(law.limits, a);
  const at::Tensor inverse = at::exp2(4 - column(law.scales, a) / 8);
  auto tail = [&](const at::Tensor& x) {  // P(value > x), x >= 0
    return law.shape == Shape::laplace ? 0.5 * at::exp(-x * inverse)
                                       : 0.5 * at::erfc(x * inverse * M_SQRT1_2);
  };
  // The largest symbol has all that lies beyond it, too.
  const at::Tensor beyond = at::where(a >= limit, 0.0, tail(a + 0.5));
  const at::Tensor centre = (1 - 2 * tail(at::full_like(limit, 0.5))).expand_as(a);
  const at::Tensor p = at::where(a < 0.5, centre, tail((a - 0.5).clamp_min(0)) - beyond);
  // As the coder's integers: no frequency below 1.
  const at::Tensor bits = -at::log2(p * (1 - (2 * limit + 1) * kUnit) + kUnit);
  return (bits * (limit > 0)).sum();
}

}  // namespace mvinr
