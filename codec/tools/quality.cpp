#include "tools/quality.h"

#include <md5.h>

#include <cmath>
#include <utility>

#include "tools/picture_buffer.h"

namespace mvinr::tools {

void PsnrMeter::add(const Picture& a, const Picture& b) {
  peak_ = double((1 << bit_depth(a.format)) - 1);
  for (int p = 0; p < plane_count(a.format); ++p) {
    const int width = plane_size(a.width, p), height = plane_size(a.height, p);
    for (int y = 0; y < height; ++y) {
      uint64_t sum = 0;  // 8192 x 65535^2 < 2^64
      for (int x = 0; x < width; ++x) {
        const int64_t d = sample(a, p, x, y) - sample(b, p, x, y);
        sum += uint64_t(d * d);
      }
      squared_error_[p] += double(sum);
    }
    samples_[p] += double(width) * height;
  }
}

double PsnrMeter::psnr(int plane) const {
  if (squared_error_[plane] == 0) return 100;
  return 10 * std::log10(peak_ * peak_ * samples_[plane] / squared_error_[plane]);
}

struct Md5::State {
  MD5_CTX context;
};

Md5::Md5() : state_(new State) { MD5Init(&state_->context); }
Md5::~Md5() { delete state_; }
Md5::Md5(Md5&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
Md5& Md5::operator=(Md5&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

void Md5::add(const Picture& picture) {
  for (int p = 0; p < plane_count(picture.format); ++p) {
    const size_t row = size_t(plane_size(picture.width, p)) * bytes_per_sample(picture.format);
    for (int y = 0; y < plane_size(picture.height, p); ++y)
      MD5Update(&state_->context,
                reinterpret_cast<const uint8_t*>(picture.data[p]) + y * picture.stride[p], row);
  }
}

std::string Md5::hex() {
  char text[MD5_DIGEST_STRING_LENGTH];
  MD5End(&state_->context, text);
  return text;
}

std::string md5_of(const Picture& picture) {
  Md5 md5;
  md5.add(picture);
  return md5.hex();
}

}  // namespace mvinr::tools
