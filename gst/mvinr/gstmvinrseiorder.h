// In which order the pictures of a closed GOP are shown.
#pragma once

#include <span>
#include <vector>

#include "gstmvinrseibits.h"

struct GstMvinrSeiOrder {
  std::vector<int> shown;  // of each packet: the number of its picture in output order
  std::vector<bool> sync;  // of each packet: decoding can start there
  int reorder = 0;         // pictures by which decoding is ahead of output, at least
};

/// `packets`: in decoding order, each one picture behind start codes, the first with the parameter
/// sets. `corrupt`: what cannot be read; `unsupported`: orders that no known encoder writes.
mvinr::Result<GstMvinrSeiOrder> gst_mvinr_sei_order(GstMvinrSeiCodec codec,
                                                    std::span<const mvinr::Bytes> packets);
