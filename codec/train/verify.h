// The encoder decodes: quality as the real decoder's output has it.
#pragma once

#include <stop_token>

#include "mvinr/encoder.h"
#include "train/base_store.h"
#include "train/deadline.h"
#include "train/picture_store.h"

namespace mvinr {

/// Renders every picture of the access unit, with a deadline those of as many frames as there is
/// time for, and fills the PSNR fields and the number of verified frames of `stats`.
Status verify(Bytes access_unit, const PictureStore& pictures, const BaseStore& base, int threads,
              const Deadline& deadline, std::stop_token stop, GopStats& stats);

}  // namespace mvinr
