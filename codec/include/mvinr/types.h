// Basic vocabulary of MV-INR: bytes, errors, samples and pictures.
//
// Nothing here depends on GStreamer, LibTorch or CUDA. Errors are values; the library below
// `train/` is compiled without exceptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>

#define MVINR_API __attribute__((visibility("default")))

namespace mvinr {

using Bytes = std::span<const std::byte>;

enum class ErrorCode {
  invalid_argument,  // the caller's parameters or pictures are wrong
  truncated,         // more bytes are needed; not an error of the data seen so far
  corrupt,           // the bytes are not a valid MV-INR stream
  unsupported,       // valid, but of a newer version or a feature that this build lacks
  limit_exceeded,    // valid, but larger than the limits that the caller set
  no_device,         // the compute device that was asked for is not there
  cancelled,         // the caller asked to stop
  internal,          // our own bug: never caused by input
};

/// The enumerator's name, for example "corrupt".
MVINR_API const char* to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  // one sentence that names what is wrong and with which value
};

/// A value or an Error, with the interface of std::expected (C++23).
/// Reading the side that is not there ends the process: it is a bug of the caller.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit
  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & {
    check(has_value());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    check(has_value());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    check(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    check(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  static void check(bool ok) {
    if (!ok) {
      std::fputs("mvinr: wrong side of a Result was read\n", stderr);
      std::abort();
    }
  }
  std::variant<T, Error> state_;
};

struct Unit {};  // the value of a Result that has none
using Status = Result<Unit>;
inline Status ok() { return Unit{}; }

enum class Component : uint8_t { texture = 0, depth = 1 };

/// Layout of the samples of a picture. 10- and 16-bit samples are little-endian uint16.
enum class SampleFormat : uint8_t {
  none = 0,  // the component is absent
  yuv420_8,  // three planes Y, U, V; U and V are ceil(W/2) x ceil(H/2)
  yuv420_10,
  gray_8,  // one plane
  gray_10,
  gray_16,
};

/// Bits of one sample: 8, 10 or 16 (0 for none).
constexpr int bit_depth(SampleFormat f) {
  switch (f) {
    case SampleFormat::yuv420_8:
    case SampleFormat::gray_8:
      return 8;
    case SampleFormat::yuv420_10:
    case SampleFormat::gray_10:
      return 10;
    case SampleFormat::gray_16:
      return 16;
    case SampleFormat::none:
      break;
  }
  return 0;
}
constexpr int bytes_per_sample(SampleFormat f) { return bit_depth(f) > 8 ? 2 : 1; }
constexpr int plane_count(SampleFormat f) {
  return f == SampleFormat::none                                       ? 0
         : f == SampleFormat::yuv420_8 || f == SampleFormat::yuv420_10 ? 3
                                                                       : 1;
}
/// Width (or height) in samples of plane `plane` of a picture that is `size` wide (or high).
constexpr int plane_size(int size, int plane) { return plane == 0 ? size : (size + 1) / 2; }

/// A picture that somebody else owns. `data[p]` points to plane p, rows are `stride[p]` bytes
/// apart.
template <typename Byte>
struct BasicPicture {
  SampleFormat format = SampleFormat::none;
  int width = 0;   // luma samples
  int height = 0;  // luma samples
  Byte* data[3] = {nullptr, nullptr, nullptr};
  ptrdiff_t stride[3] = {0, 0, 0};  // bytes
};
using Picture = BasicPicture<const std::byte>;
using MutablePicture = BasicPicture<std::byte>;

/// Which picture of a GOP: `frame` counts from 0 at the GOP's first frame.
struct PictureId {
  int frame = 0;
  int view = 0;
  Component component = Component::texture;
};

}  // namespace mvinr
