// Codes base views with the 2D encoders that GStreamer has.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base_format.h"

namespace mvinr::gst {

struct CodedBase {
  std::vector<std::byte> payload;     // of a BASE unit
  std::vector<OwnedPicture> decoded;  // what every decoder of the stream sees
};

/// One component of one base view. Each GOP is coded by new elements, so that it stands alone
/// whatever the encoder.
class BaseEncoder {
 public:
  /// `fragment`: elements in the notation of gst-launch, from raw video to packets, for example
  /// "x265enc speed-preset=slow"; empty: the first of known_base_encoders() that is installed, with
  /// slow, PSNR-tuned settings and one intra picture per GOP.
  /// `quantiser`: 0 (best) to 51 on the scale of x265's crf; encoders with another scale get it
  /// scaled, see docs of the property base-quantiser. -1: what the fragment says; with an empty
  /// fragment, kDefaultQuantiser.
  /// Errors: unsupported (an element or every decoder is missing: names it and its Debian package),
  /// invalid_argument (the fragment does not parse, takes no pictures of this kind, or the
  /// quantiser of its encoder is not known).
  static Result<std::unique_ptr<BaseEncoder>> create(const std::string& fragment,
                                                     const BaseFormat& format, int quantiser);

  /// Codes one GOP, 1 to kMaxGopFrames pictures in output order, and decodes it with BaseDecoder.
  /// Errors: invalid_argument (a picture of another size or format; the encoder failed: its own
  /// text; what it made does not decode), unsupported (no decoder), cancelled within 200 ms.
  Result<CodedBase> encode(std::span<const Picture> frames, std::stop_token stop = {}) const;

  /// The raw format and size that the encoder gets.
  const GstVideoInfo& coded() const { return coded_; }
  /// The elements, with the settings of the automatic choice if it was that.
  const std::string& fragment() const { return fragment_; }

 private:
  BaseEncoder(std::string fragment, const BaseFormat& format, int quantiser)
      : fragment_(std::move(fragment)), format_(format), quantiser_(quantiser) {}
  Status look_at_elements();
  Result<std::vector<std::byte>> encode_payload(std::span<const Picture> frames,
                                                std::stop_token stop) const;

  std::string fragment_;
  BaseFormat format_;
  int quantiser_;
  GstVideoInfo coded_{};
};

}  // namespace mvinr::gst
