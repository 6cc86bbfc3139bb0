// Aligned memory whose allocation can fail without an exception.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

namespace mvinr {

inline constexpr size_t kAlignment = 64;

/// An array of plain values on a 64-byte boundary, zeroed, with 64 readable bytes behind its end.
template <typename T>
class AlignedArray {
 public:
  AlignedArray() = default;
  ~AlignedArray() { std::free(data_); }
  AlignedArray(AlignedArray&& other) noexcept { swap(other); }
  AlignedArray& operator=(AlignedArray&& other) noexcept {
    swap(other);
    return *this;
  }

  /// Replaces the content by `count` zeros; false if there is not enough memory.
  bool allocate(size_t count) {
    std::free(data_);
    data_ = nullptr;
    count_ = 0;
    if (count > (SIZE_MAX - 2 * kAlignment) / sizeof(T)) return false;
    const size_t bytes = (count * sizeof(T) + 2 * kAlignment - 1) / kAlignment * kAlignment;
    data_ = static_cast<T*>(std::aligned_alloc(kAlignment, bytes));
    if (data_ == nullptr) return false;
    std::memset(data_, 0, bytes);
    count_ = count;
    return true;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  void swap(AlignedArray& other) {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
  }
  T* data_ = nullptr;
  size_t count_ = 0;
};

template <typename T>
constexpr T round_up(T value, T multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace mvinr
