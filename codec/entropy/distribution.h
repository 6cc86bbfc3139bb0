// Distributions of symbols: discretised Laplace and Gaussian, by integer arithmetic from constant
// tables (docs/bitstream.md 6.3).
//
// The trainer's float counterparts, for a symbol k with mean m and scale b (Laplace) or s (Gauss):
//   P(k) = F(k + 1/2 - m) - F(k - 1/2 - m),
//   Laplace:  F(x) = x < 0 ? exp(x/b) / 2 : 1 - exp(-x/b) / 2
//   Gaussian: F(x) = erfc(-x / (s * sqrt(2))) / 2
// with m a multiple of 1/16, b and s = 2^(scale/8 - 4), and no symbol below P = 2^-20.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "entropy/tables.inc"

namespace mvinr {

inline constexpr int kProbabilityBits = 20;  // frequencies add up to 2^20
inline constexpr int kScales = 112;          // scale index s means 2^(s/8 - 4)
inline constexpr int kMaxSymbol = 2047;      // largest M: the alphabet is [-M, M]
inline constexpr int kMeanBits = 4;          // means have 4 fractional bits

enum class Shape : uint8_t { laplace = 0, gaussian = 1 };

/// The distribution of one symbol k in [-M, M].
class Distribution {
 public:
  /// M (`max_symbol`) in 0..kMaxSymbol, `mean` (Q4) in [-16 M, 16 M], `scale` in 0..kScales - 1.
  Distribution(Shape shape, int max_symbol, int mean, int scale)
      : tail_(shape == Shape::laplace ? kLaplaceTail : kGaussianTail),
        entries_(shape == Shape::laplace ? std::size(kLaplaceTail) - 1
                                         : std::size(kGaussianTail) - 1),
        rate_(shape == Shape::laplace ? kLaplaceRate[scale] : kGaussianRate[scale]),
        mean_(mean),
        max_(max_symbol),
        stride_(scale < 40 ? 1 : 1 << ((scale - 32) >> 3)),
        spread_((1u << kProbabilityBits) - (2 * static_cast<uint32_t>(max_symbol) + 1)) {}

  int max_symbol() const { return max_; }
  /// The likeliest symbol.
  int mode() const { return (mean_ + 8) >> kMeanBits; }

  /// A step of the search for symbols away from the mode, about the scale.
  int stride() const { return stride_; }

  /// Sum of the frequencies of the symbols below k; k in [-M, M + 1]. It rises by at least 1 from
  /// one k to the next, from 0 to 2^20.
  uint32_t cumulative(int k) const {
    if (k <= -max_) return 0;
    if (k > max_) return 1u << kProbabilityBits;
    const int d = 16 * k - 8 - mean_;
    const uint64_t e = static_cast<uint64_t>(std::abs(d)) * rate_;  // Q28 octaves or sigmas
    const uint64_t i = e >> 23;
    uint32_t tail = 0;  // Q24
    if (i < entries_) {
      const uint32_t f = static_cast<uint32_t>(e >> 13) & 1023;
      tail = tail_[i] - (((tail_[i] - tail_[i + 1]) * f) >> 10);
    }
    const uint32_t below = d < 0 ? tail : (1u << 24) - tail;
    return static_cast<uint32_t>((static_cast<uint64_t>(below) * spread_) >> 24) +
           static_cast<uint32_t>(k + max_);
  }

 private:
  const uint32_t* tail_;
  uint64_t entries_;
  uint32_t rate_;
  int mean_, max_, stride_;
  uint32_t spread_;
};

}  // namespace mvinr
