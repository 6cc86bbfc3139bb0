// Pictures for the tests of base views, and what other programs make of the coded bytes.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base_decoder.h"
#include "base_encoder.h"
#include "testutil/clip.h"

namespace mvinr::gst_test {

/// One component of the first view of a synthetic clip.
struct BaseClip {
  gst::BaseFormat format;
  testutil::Clip clip;
  std::vector<Picture> pictures;

  BaseClip(SampleFormat samples, int width, int height, int frames);
};

/// Over all pictures and planes; 100 if they are equal.
double psnr(const std::vector<Picture>& a, const std::vector<gst::OwnedPicture>& b);
bool equal(const std::vector<gst::OwnedPicture>& a, const std::vector<gst::OwnedPicture>& b);

/// The payload's packets as the ffmpeg program decodes them: all planes of all frames.
std::vector<std::byte> decode_with_ffmpeg(Bytes payload, const std::string& pixel_format);

bool have_element(const char* name);

inline constexpr char kFastEncoder[] =
    "x265enc speed-preset=ultrafast tune=psnr log-level=none option-string=info=0";

}  // namespace mvinr::gst_test
