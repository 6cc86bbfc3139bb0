// Decodes BASE units with the decoders that GStreamer has.
#pragma once

#include <chrono>
#include <stop_token>
#include <vector>

#include "base_format.h"

namespace mvinr::gst {

struct BaseDecodeOptions {
  /// A decoder that puts out nothing for so long is given up.
  std::chrono::milliseconds stall_limit{10000};
  /// Of all pictures together. A few bytes of a stream can ask for a lot.
  uint64_t max_bytes = 4ull << 30;
};

class BaseDecoder {
 public:
  /// ok if a decoder is installed for one of the formats of these caps, or if they say none.
  /// `unsupported` names the first format and a package.
  static Status installed(const GstCaps* caps);

  /// The `frames` pictures of a BASE unit's payload, in output order. The decoder is the one with
  /// the highest rank among the installed; the next is tried where it fails to start. Any thread,
  /// no main loop. Errors: corrupt (the payload; what the decoder said; the number, size or kind of
  /// the pictures), unsupported (no decoder is installed: names the format and a package),
  /// cancelled (within 200 ms of a stop), limit_exceeded (max_bytes), invalid_argument (format or
  /// frames).
  static Result<std::vector<OwnedPicture>> decode(Bytes payload, const BaseFormat& format,
                                                  int frames, std::stop_token stop = {},
                                                  const BaseDecodeOptions& options = {});
};

}  // namespace mvinr::gst
