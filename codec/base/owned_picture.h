// Pictures with their own samples, and names of pictures.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "mvinr/types.h"

namespace mvinr {

/// "texture of view 2, frame 7", for messages.
inline std::string picture_name(const PictureId& id) {
  return std::string(id.component == Component::texture ? "texture" : "depth") + " of view " +
         std::to_string(id.view) + ", frame " + std::to_string(id.frame);
}

/// A picture with its own samples. Rows follow each other without padding, planes too. Zeroed at first.
class OwnedPicture {
 public:
  OwnedPicture() = default;
  OwnedPicture(SampleFormat format, int width, int height) {
    picture_ = {.format = format, .width = width, .height = height};
    size_t total = 0;
    for (int p = 0; p < plane_count(format); ++p) {
      picture_.stride[p] = ptrdiff_t{plane_size(width, p)} * bytes_per_sample(format);
      offset_[p] = total;
      total += size_t(picture_.stride[p]) * size_t(plane_size(height, p));
    }
    samples_.resize(total);
  }

  bool empty() const { return samples_.empty(); }
  const std::vector<std::byte>& samples() const { return samples_; }

  MutablePicture writable() { return with_data<MutablePicture>(samples_.data()); }
  Picture picture() const { return with_data<Picture>(samples_.data()); }

  /// `from` has the same format and size.
  void copy_from(const Picture& from) { copy_picture(from, writable()); }
  void copy_to(const MutablePicture& to) const { copy_picture(picture(), to); }

 private:
  template <typename P, typename Byte>
  P with_data(Byte* data) const {
    P p{.format = picture_.format, .width = picture_.width, .height = picture_.height};
    for (int i = 0; i < plane_count(p.format); ++i) {
      p.stride[i] = picture_.stride[i];
      p.data[i] = data + offset_[i];
    }
    return p;
  }
  static void copy_picture(const Picture& from, const MutablePicture& to) {
    for (int p = 0; p < plane_count(from.format); ++p) {
      const size_t row = size_t(plane_size(from.width, p)) * size_t(bytes_per_sample(from.format));
      for (int y = 0; y < plane_size(from.height, p); ++y)
        std::memcpy(to.data[p] + y * to.stride[p], from.data[p] + y * from.stride[p], row);
    }
  }

  Picture picture_;  // format, size and strides
  size_t offset_[3] = {};
  std::vector<std::byte> samples_;
};

}  // namespace mvinr
