// A picture that owns its samples, rows without padding: what raw video files hold.
#pragma once

#include <algorithm>
#include <vector>

#include "mvinr/types.h"

namespace mvinr::tools {

class PictureBuffer {
 public:
  PictureBuffer() = default;
  PictureBuffer(SampleFormat format, int width, int height)
      : format_(format),
        width_(width),
        height_(height),
        bytes_(byte_count(format, width, height)) {}

  /// Bytes of a picture whose planes follow each other and whose rows have no padding.
  static size_t byte_count(SampleFormat format, int width, int height) {
    size_t samples = 0;
    for (int p = 0; p < plane_count(format); ++p)
      samples += size_t(plane_size(width, p)) * size_t(plane_size(height, p));
    return samples * size_t(bytes_per_sample(format));
  }

  SampleFormat format() const { return format_; }
  int width() const { return width_; }
  int height() const { return height_; }
  std::span<std::byte> bytes() { return bytes_; }
  std::span<const std::byte> bytes() const { return bytes_; }

  Picture picture() const { return make<const std::byte>(bytes_.data()); }
  MutablePicture mutable_picture() { return make<std::byte>(bytes_.data()); }

 private:
  template <typename Byte>
  BasicPicture<Byte> make(Byte* data) const {
    BasicPicture<Byte> picture{.format = format_, .width = width_, .height = height_};
    for (int p = 0; p < plane_count(format_); ++p) {
      picture.data[p] = data;
      picture.stride[p] = ptrdiff_t(plane_size(width_, p)) * bytes_per_sample(format_);
      data += picture.stride[p] * plane_size(height_, p);
    }
    return picture;
  }

  SampleFormat format_ = SampleFormat::none;
  int width_ = 0, height_ = 0;
  std::vector<std::byte> bytes_;
};

/// One sample of plane `plane`; x and y in samples of that plane.
template <typename Byte>
int sample(const BasicPicture<Byte>& picture, int plane, int x, int y) {
  const auto* row =
      reinterpret_cast<const uint8_t*>(picture.data[plane]) + y * picture.stride[plane];
  if (bytes_per_sample(picture.format) == 1) return row[x];
  return row[2 * x] | row[2 * x + 1] << 8;
}

inline void set_sample(const MutablePicture& picture, int plane, int x, int y, int value) {
  auto* row = reinterpret_cast<uint8_t*>(picture.data[plane]) + y * picture.stride[plane];
  if (bytes_per_sample(picture.format) == 1) {
    row[x] = uint8_t(value);
  } else {
    row[2 * x] = uint8_t(value);
    row[2 * x + 1] = uint8_t(value >> 8);
  }
}

}  // namespace mvinr::tools
