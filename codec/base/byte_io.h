// Bounded little-endian reading and writing of bytes.
#pragma once

#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "mvinr/types.h"

namespace mvinr {

/// Reads from a span that somebody else owns. Nothing is read past its end: `truncated` instead,
/// and the position stays where it was.
class ByteReader {
 public:
  explicit ByteReader(Bytes data) : data_(data) {}

  size_t offset() const { return offset_; }
  size_t remaining() const { return data_.size() - offset_; }

  /// The next `bytes` (0..8) bytes as an unsigned little-endian integer.
  Result<uint64_t> unsigned_integer(int bytes) {
    if (remaining() < static_cast<size_t>(bytes)) return end_of_data(bytes);
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i)
      value |= std::to_integer<uint64_t>(data_[offset_ + i]) << (8 * i);
    offset_ += bytes;
    return value;
  }

  /// The next `count` bytes, not copied.
  Result<Bytes> take(size_t count) {
    if (remaining() < count) return end_of_data(count);
    const Bytes taken = data_.subspan(offset_, count);
    offset_ += count;
    return taken;
  }

 private:
  Error end_of_data(size_t wanted) const {
    return {ErrorCode::truncated, "needs " + std::to_string(wanted) + " bytes at offset " +
                                      std::to_string(offset_) + " of " +
                                      std::to_string(data_.size())};
  }

  Bytes data_;
  size_t offset_ = 0;
};

/// Appends to a vector of its own.
class ByteWriter {
 public:
  size_t size() const { return bytes_.size(); }
  const std::vector<std::byte>& bytes() const { return bytes_; }
  std::vector<std::byte> release() { return std::move(bytes_); }

  /// The low `bytes` (0..8) bytes of `value`, little-endian.
  void unsigned_integer(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bytes_.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
  void append(Bytes data) { bytes_.insert(bytes_.end(), data.begin(), data.end()); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace mvinr
