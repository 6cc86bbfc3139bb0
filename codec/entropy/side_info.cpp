#include "entropy/side_info.h"

#include <algorithm>
#include <cmath>

namespace mvinr {

Histogram::Histogram(std::span<const int16_t> symbols) {
  for (const int s : symbols) max_ = std::max(max_, std::abs(s));
  count_.resize(2 * static_cast<size_t>(max_) + 1);
  for (const int s : symbols) {
    ++count_[static_cast<size_t>(s + max_)];
    magnitude_ += static_cast<uint64_t>(std::abs(s));
  }
  total_ = symbols.size();
}

double Histogram::cost(Shape shape, int max_symbol, int scale) const {
  const Distribution d(shape, max_symbol, 0, scale);
  double bits = 0;
  for (int k = -max_; k <= max_; ++k) {
    const uint32_t n = count_[static_cast<size_t>(k + max_)];
    if (n == 0) continue;
    const uint32_t frequency = d.cumulative(k + 1) - d.cumulative(k);
    bits += n * (kProbabilityBits - std::log2(static_cast<double>(frequency)));
  }
  return bits;
}

int Histogram::best_scale(Shape shape, int max_symbol) const {
  if (total_ == 0 || max_ == 0) return 0;
  // The cost is unimodal in the scale: descend from the maximum likelihood of the continuous law.
  int best = std::clamp(static_cast<int>(std::lround(8 * (std::log2(mean_magnitude()) + 4))), 0,
                        kScales - 1);
  double least = cost(shape, max_symbol, best);
  for (const int direction : {-1, 1}) {
    for (int s = best + direction; s >= 0 && s < kScales; s += direction) {
      const double bits = cost(shape, max_symbol, s);
      if (bits >= least) break;
      least = bits;
      best = s;
    }
  }
  return best;
}

double Histogram::entropy() const {
  double bits = 0;
  for (const uint32_t n : count_)
    if (n > 0) bits += n * std::log2(static_cast<double>(total_) / n);
  return bits;
}

int Histogram::distinct() const {
  return static_cast<int>(count_.size() -
                          static_cast<size_t>(std::count(count_.begin(), count_.end(), 0u)));
}

ListModel choose_list_model(std::span<const int> values) {
  ListModel model;
  if (values.empty()) return model;
  std::vector<int> sorted(values.begin(), values.end());
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  model.base = sorted[sorted.size() / 2];
  std::vector<int16_t> offsets;
  for (const int v : values) offsets.push_back(static_cast<int16_t>(v - model.base));
  const Histogram histogram(offsets);
  model.max_offset = histogram.max_symbol();
  if (model.max_offset <= kMaxSymbol)
    model.scale = histogram.best_scale(Shape::laplace, model.max_offset);
  return model;
}

}  // namespace mvinr
