// Decoded pictures of base views for tests of hybrid mode: drawn from a seed, given to a decoder,
// warped to the other views.
#pragma once

#include <vector>

#include "base/owned_picture.h"
#include "mvinr/decoder.h"
#include "plain_synthesis.h"

namespace mvinr::testutil {

class BasePictures {
 public:
  /// Both components of all base views of the GOP. Even seeds: surfaces at several depths with
  /// structure; odd ones: noise.
  BasePictures(const GopInfo& gop, uint32_t seed);

  /// Ends the process if the decoder does not take them: a bug of the test or of the decoder.
  void give_to(Decoder& decoder) const;

  const OwnedPicture& at(const PictureId& id) const;

  /// The 14 planes of docs/bitstream.md 7 at half a canvas of this size, without padding; empty
  /// without base views and with learned
  /// motion.
  std::vector<int16_t> predict(int frame, int view, int canvas_width, int canvas_height) const;

  /// The pictures of all base views at an instant.
  std::vector<PlainBase> plain(int frame) const;

 private:
  GopInfo gop_;
  std::vector<OwnedPicture> pictures_;  // [base view][frame][component]
};

}  // namespace mvinr::testutil
