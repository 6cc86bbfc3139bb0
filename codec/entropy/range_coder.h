// Range coder with carry propagation: 64 bits of state, renormalised by 32 (docs/bitstream.md 6.1).
//
// RangeEncoder, RangeDecoder and CostCounter have the same interface, so that one template per
// model, code(coder, ...), writes, reads and estimates: each function takes the value, and the
// decoder assigns it.
#pragma once

#include <bit>
#include <cmath>
#include <vector>

#include "entropy/distribution.h"
#include "mvinr/types.h"

namespace mvinr {

inline constexpr int kMaxRawBits = 16;

/// What a coder offers on top of its primitives.
template <class Self>
class CoderBase {
 public:
  /// Exp-Golomb code of order k of value in 0..65535.
  template <class T>
  void exp_golomb(T&& value, int k) {
    uint32_t m = 0;
    int extra = 0;  // bits beyond k, in unary
    if constexpr (!Self::kReads) {
      m = static_cast<uint32_t>(value) + (1u << k);
      extra = static_cast<int>(std::bit_width(m)) - 1 - k;
    }
    for (int n = 0;; ++n) {
      if (n + k > kMaxRawBits) return self().fail();
      bool more = n < extra;
      self().bits(more, 1);
      if (more) continue;
      extra = n;
      break;
    }
    uint32_t low = m & ((1u << (extra + k)) - 1);
    self().bits(low, extra + k);
    if constexpr (Self::kReads)
      value = static_cast<std::decay_t<T>>(low + (1u << (extra + k)) - (1u << k));
  }

 private:
  Self& self() { return static_cast<Self&>(*this); }
};

class RangeEncoder : public CoderBase<RangeEncoder> {
 public:
  static constexpr bool kReads = false;

  void symbol(const Distribution& d, int value) {
    const uint32_t start = d.cumulative(value);
    put(start, d.cumulative(value + 1) - start, kProbabilityBits);
  }
  /// `count` (0..16) bits without model.
  template <class T>
  void bits(T value, int count) {
    put(static_cast<uint32_t>(value), 1, count);
  }

  /// The caller's symbols do not fit the format; status() tells.
  void fail() { failed_ = true; }
  bool failed() const { return failed_; }
  /// Bits written so far, with their fraction.
  double position() const {
    return 8.0 * static_cast<double>(bytes_.size()) + 64 - std::log2(static_cast<double>(range_));
  }

  /// Writes the few bytes (0..4) that the decoder still needs and hands everything over.
  std::vector<std::byte> finish() {
    for (int n = 0; n <= 8; ++n) {
      const uint64_t mask = n == 8 ? 0 : ~uint64_t{0} >> (8 * n);
      const uint64_t up = (0 - low_) & mask;
      if (up >= range_) continue;
      add(up);
      for (int i = 0; i < n; ++i) bytes_.push_back(static_cast<std::byte>(low_ >> (56 - 8 * i)));
      break;
    }
    return std::move(bytes_);
  }

 private:
  void put(uint32_t start, uint32_t frequency, int total_bits) {
    const uint64_t r = range_ >> total_bits;
    add(r * start);
    range_ = r * frequency;
    if (range_ >> 32) return;
    for (int shift = 56; shift >= 32; shift -= 8)
      bytes_.push_back(static_cast<std::byte>(low_ >> shift));
    low_ <<= 32;
    range_ <<= 32;
  }
  void add(uint64_t x) {
    low_ += x;
    if (low_ >= x) return;
    for (size_t i = bytes_.size(); i-- > 0;) {  // carry
      bytes_[i] = static_cast<std::byte>(std::to_integer<uint32_t>(bytes_[i]) + 1);
      if (bytes_[i] != std::byte{0}) break;
    }
  }

  uint64_t low_ = 0, range_ = ~uint64_t{0};
  std::vector<std::byte> bytes_;
  bool failed_ = false;
};

/// Reads what RangeEncoder wrote. Bytes past the end read as zero; from a damaged codeword it reads
/// nonsense symbols, all within their alphabets. failed() after the last symbol (or often enough to
/// stop early) tells that the codeword is not one.
class RangeDecoder : public CoderBase<RangeDecoder> {
 public:
  static constexpr bool kReads = true;

  explicit RangeDecoder(Bytes data) : data_(data) {
    code_ = next32();
    code_ = code_ << 32 | next32();
  }

  template <class T>
  void symbol(const Distribution& d, T&& value) {
    const uint64_t r = range_ >> kProbabilityBits;
    const int max = d.max_symbol();
    // Most symbols are within one of the mode: look at these boundaries without a branch.
    const int first = d.mode() - 1;
    uint32_t at[4];
    int n = 0;
    for (int i = 0; i < 4; ++i) {
      at[i] = d.cumulative(first + i);
      n += code_ >= r * at[i];
    }
    // Then search: the symbol is in [a, b); low and high are their cumulative frequencies.
    int a = first + n - 1, b = a + 1;
    uint32_t low, high;
    if (n == 0) {
      a = first;
      low = at[0];
      for (int step = d.stride();; step *= 2) {
        b = a;
        high = low;
        a = std::max(b - step, -max);
        low = d.cumulative(a);
        if (a == -max || code_ >= r * low) break;
      }
    } else if (n == 4 && b <= max) {
      low = at[3];
      for (int step = d.stride();; step *= 2) {
        b = std::min(a + step, max + 1);
        high = d.cumulative(b);
        if (b > max || code_ < r * high) break;
        a = b;
        low = high;
      }
    } else {
      // Beyond the alphabet's end the boundaries are all 2^20, which only a damaged codeword
      // reaches.
      if (a > max) {
        a = max;
        b = max + 1;
      }
      low = d.cumulative(a);
      high = d.cumulative(b);
    }
    while (b - a > 1) {
      const int middle = (a + b) >> 1;
      const uint32_t between = d.cumulative(middle);
      if (code_ >= r * between) {
        a = middle;
        low = between;
      } else {
        b = middle;
        high = between;
      }
    }
    take(r * low, r * (high - low));
    value = static_cast<std::decay_t<T>>(a);
  }

  template <class T>
  void bits(T&& value, int count) {
    const uint64_t r = range_ >> count;
    const uint64_t v = std::min(code_ / r, (uint64_t{1} << count) - 1);
    take(r * v, r);
    value = static_cast<std::decay_t<T>>(v);
  }

  /// A value that was read is impossible: the codeword is corrupt.
  void fail() { failed_ = true; }
  /// True as soon as more bytes were read than the encoder's look-ahead explains.
  bool failed() const { return failed_ || position_ > data_.size() + 8; }
  /// Bits read so far, with their fraction.
  double position() const {
    return 8.0 * static_cast<double>(position_) - std::log2(static_cast<double>(range_));
  }
  /// After the last symbol: the whole codeword was used, and nothing is missing.
  bool finished() const {
    return !failed() && position_ - 8 <= data_.size() && data_.size() - (position_ - 8) <= 4;
  }

 private:
  void take(uint64_t low, uint64_t range) {
    code_ -= low;
    range_ = range;
    if (range_ >> 32) return;
    range_ <<= 32;
    code_ = code_ << 32 | next32();
  }
  uint32_t next32() {
    uint32_t v = 0;
    for (size_t i = 0; i < 4; ++i, ++position_)
      v = v << 8 | (position_ < data_.size() ? std::to_integer<uint32_t>(data_[position_]) : 0);
    return v;
  }

  Bytes data_;
  size_t position_ = 0;
  uint64_t code_ = 0, range_ = ~uint64_t{0};
  bool failed_ = false;
};

/// Adds up the bits that RangeEncoder would write.
class CostCounter : public CoderBase<CostCounter> {
 public:
  static constexpr bool kReads = false;

  void symbol(const Distribution& d, int value) {
    const uint32_t frequency = d.cumulative(value + 1) - d.cumulative(value);
    bits_ += kProbabilityBits - std::log2(static_cast<double>(frequency));
  }
  template <class T>
  void bits(T, int count) {
    bits_ += count;
  }
  void fail() { failed_ = true; }
  bool failed() const { return failed_; }
  double total() const { return bits_; }

 private:
  double bits_ = 0;
  bool failed_ = false;
};

}  // namespace mvinr
