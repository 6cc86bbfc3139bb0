// PSNR and MD5 of pictures.
#pragma once

#include <array>
#include <string>

#include "mvinr/types.h"

namespace mvinr::tools {

/// Sums squared differences per plane over pictures of one format.
class PsnrMeter {
 public:
  /// Both pictures must have the same format and size.
  void add(const Picture& a, const Picture& b);
  /// PSNR in dB of the mean squared error over everything added; 100 if there is no difference.
  double psnr(int plane) const;
  bool empty() const { return samples_[0] == 0; }

 private:
  std::array<double, 3> squared_error_{};
  std::array<double, 3> samples_{};
  double peak_ = 255;
};

/// MD5 over the rows of pictures, planes in order, padding left out: what md5sum says of the raw
/// video file.
class Md5 {
 public:
  Md5();
  ~Md5();
  Md5(Md5&&) noexcept;
  Md5& operator=(Md5&&) noexcept;
  void add(const Picture& picture);
  std::string hex();  // 32 digits; nothing may be added afterwards

 private:
  struct State;
  State* state_;
};

std::string md5_of(const Picture& picture);

}  // namespace mvinr::tools
