// Access units of hybrid mode: base views coded by x265enc or another encoder, a network of random
// content.
#pragma once

#include <functional>

#include "gst_testutil.h"

namespace mvinr::testutil {

/// Views with texture and depth of 48x40 at 25 frames per second.
struct HybridOptions {
  uint64_t first_frame = 0;
  int frames = 5;
  uint32_t seed = 1;
  int views = 3;
  std::vector<int> base_views = {1};
  bool moving = false;  // the cameras: poses_for()
  std::string encoder =
      "x265enc speed-preset=ultrafast tune=psnr log-level=none option-string=info=0";
};
Data make_hybrid_gop(const HybridOptions& options = {});
std::vector<Data> make_hybrid_gops(int count, const HybridOptions& options = {});

/// Changes a bit of a BASE unit's payload: its CRC is wrong.
Data with_damaged_base(Data access_unit, int view, Component component);
/// Another payload in a BASE unit, with the right CRC.
Data with_base_payload(const Data& access_unit, int view, Component component,
                       const std::function<Data(Bytes)>& change);
/// A payload whose packets are noise.
Data noise_for(Bytes payload);
/// The payload of some bytes in a format of this name.
Data payload_in(const std::string& caps);

}  // namespace mvinr::testutil
