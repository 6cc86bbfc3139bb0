// A small multi-view clip made in memory, for tests: a textured background and two moving textured
// objects in front of it, seen by cameras side by side. Depth is exact and fits the parallax.
#pragma once

#include <vector>

#include "mvinr/stream.h"
#include "mvinr/types.h"
#include "tools/picture_buffer.h"

namespace mvinr::testutil {

struct ClipOptions {
  int views = 3;
  int frames = 4;
  int width = 64;
  int height = 48;
  SampleFormat texture = SampleFormat::yuv420_8;
  SampleFormat depth = SampleFormat::gray_16;  // none: no depth
  bool cameras = true;                         // the sequence tells the cameras
  uint32_t seed = 1;                           // another seed, another texture
};

struct Clip {
  SequenceInfo sequence;
  int frames = 0;
  /// Index: (frame * views + view) * 2 + component; an absent depth has format none.
  std::vector<tools::PictureBuffer> pictures;

  const tools::PictureBuffer& at(int frame, int view, Component component) const {
    const size_t views = sequence.views.size();
    return pictures[(size_t(frame) * views + size_t(view)) * 2 + size_t(component)];
  }
};

Clip make_clip(const ClipOptions& options = {});

}  // namespace mvinr::testutil
