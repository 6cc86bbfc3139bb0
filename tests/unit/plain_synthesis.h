// docs/bitstream.md chapter 5 written down a second time, without plans, packing or kernels: 64-bit
// integers, one sample after the other. The decoder must give the same samples.
#pragma once

#include <cstdint>
#include <vector>

#include "format/coded_model.h"
#include "mvinr/stream.h"

namespace mvinr::testutil {

struct PlainPicture {
  std::vector<std::vector<int>> texture;  // Y, U, V: rows without padding
  std::vector<int> depth;                 // empty if the view has none
};

/// The decoded pictures of a base view; a depth of format none: there is none.
struct PlainBase {
  Picture texture, depth;
};

/// `view` counts the views that the network renders. `prediction`: motion geometry and refined, the
/// 14 planes of chapter 7 at half the canvas. `bases`: learned motion.
PlainPicture plain_render(const CodedModel& model, const ViewInfo& info, int frame, int view,
                          const std::vector<int16_t>& prediction = {},
                          const std::vector<PlainBase>& bases = {});

}  // namespace mvinr::testutil
