// Lists of small integers (steps, scales, alphabets) in front of the symbols that they describe
// (docs/bitstream.md 6.2), and the encoder's choice of scales.
#pragma once

#include <span>
#include <vector>

#include "entropy/range_coder.h"

namespace mvinr {

inline constexpr int kScaleBits = 7;

/// How often each symbol of [-max, max] occurs.
class Histogram {
 public:
  explicit Histogram(std::span<const int16_t> symbols);
  int max_symbol() const { return max_; }  // largest magnitude that occurs
  double mean_magnitude() const {
    return total_ == 0 ? 0 : static_cast<double>(magnitude_) / static_cast<double>(total_);
  }
  /// Bits of the symbols under a zero-mean distribution over [-max_symbol, max_symbol].
  double cost(Shape shape, int max_symbol, int scale) const;
  /// The scale with the least cost.
  int best_scale(Shape shape, int max_symbol) const;
  /// Empirical entropy of all symbols together, in bits.
  double entropy() const;
  int distinct() const;

 private:
  int max_ = 0;
  uint64_t total_ = 0, magnitude_ = 0;  // number of symbols, sum of their magnitudes
  std::vector<uint32_t> count_;         // [2 max + 1]
};

/// How a list is written: offsets from a base, under a Laplace distribution.
struct ListModel {
  int base = 0, max_offset = 0, scale = 0;
};
ListModel choose_list_model(std::span<const int> values);

/// A list of values in [low, low + 2^bits): base (raw bits), then, for more than one value, the
/// largest offset, the offsets' scale, and the offsets. `values` has the right size on both sides.
template <class Coder>
void code_list(Coder& coder, std::vector<int>& values, int low, int bits) {
  if (values.empty()) return;
  ListModel model;
  if constexpr (!Coder::kReads) model = choose_list_model(values);
  int base = model.base - low;
  coder.bits(base, bits);
  base += low;
  if (values.size() > 1) coder.exp_golomb(model.max_offset, 1);
  if (model.max_offset > kMaxSymbol) return coder.fail();
  if (model.max_offset == 0) {
    if constexpr (Coder::kReads) std::fill(values.begin(), values.end(), base);
    return;
  }
  coder.bits(model.scale, kScaleBits);
  if (model.scale >= kScales) return coder.fail();
  const Distribution distribution(Shape::laplace, model.max_offset, 0, model.scale);
  for (int& value : values) {
    int offset = value - base;
    coder.symbol(distribution, offset);
    if constexpr (Coder::kReads) {
      value = base + offset;
      if (value < low || value >= low + (1 << bits)) return coder.fail();
    }
  }
}

}  // namespace mvinr
