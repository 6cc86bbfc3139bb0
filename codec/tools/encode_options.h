// The options of mvinr-encode.
#pragma once

#include <optional>
#include <string>

#include "mvinr/encoder.h"
#include "tools/encode_input.h"

namespace mvinr::tools {

struct EncodeOptions {
  InputOptions input;
  EncoderOptions encoder;
  std::string output, stats;
  int64_t start_frame = 0, frames = 0;
  std::string share;  // folder through which several processes share the GOPs
  int workers = 1;    // processes that this one starts
  bool quiet = false;
};

/// Returns an exit code if the program is to end now (--help, --version, wrong options).
std::optional<int> parse_encode_options(int argc, char** argv, EncodeOptions& options);

}  // namespace mvinr::tools
