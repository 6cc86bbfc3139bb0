// Pictures of base views between MV-INR and the raw video formats of GStreamer's 2D codecs.
//
// Textures are coded as 4:2:0, depth as the only plane or as the luma of 4:2:0 whose chroma is
// neutral. Right and bottom are padded by repetition to the size that the encoder takes; a decoder
// crops. The samples of a codec may have fewer bits (b) than those of the view (B):
//   texture  encoding: min((s + 2^(B-b-1)) >> (B-b), 2^b - 1)    decoding: s << (B-b)
//   depth    encoding: (s (2^b-1) + (2^B-1) / 2) / (2^B-1)       decoding: s << (B-b) | s >> (2b-B)
// so that depth keeps both ends of its range; 16-bit depth comes back from 10 bits as
// s << 6 | s >> 4. More bits than the view has are an error.
#pragma once

#include <gst/video/video.h>

#include <span>
#include <vector>

#include "gst_ptr.h"
#include "mvinr/stream.h"

namespace mvinr::gst {

/// Pictures of one component of a view: yuv420_8 or yuv420_10 (texture), gray_8, gray_10 or
/// gray_16 (depth).
struct BaseFormat {
  SampleFormat format = SampleFormat::none;
  int width = 0, height = 0;
  Fraction frame_rate{30, 1};
};

inline bool is_depth(SampleFormat format) { return plane_count(format) == 1; }

/// A picture with the memory that it points to. Not to be copied: a copy would point to the
/// original.
struct OwnedPicture {
  std::vector<std::byte> memory;
  Picture picture;
  OwnedPicture() = default;
  OwnedPicture(OwnedPicture&&) = default;
  OwnedPicture& operator=(OwnedPicture&&) = default;
};

/// The same samples in memory of its own, rows without padding.
OwnedPicture copy_of(const Picture& picture);

/// Bytes of a picture's memory: its planes one after the other, rows without padding.
uint64_t picture_bytes(const BaseFormat& format);

/// How much wider and higher than its view a coded picture may be.
inline constexpr int kMaxBasePadding = 256;

/// `invalid_argument` names what no base view can have.
Status validate(const BaseFormat& format);

/// The raw formats in which pictures can be coded, the best first.
std::span<const GstVideoFormat> coded_formats(SampleFormat format);

/// The picture as a frame of `coded`, which is one of coded_formats and not smaller.
Result<GstPtr<GstBuffer>> to_coded(const Picture& picture, const GstVideoInfo& coded);

/// The view's picture in a decoded frame. `corrupt`: it is of another size or kind.
Result<OwnedPicture> from_decoded(GstSample* sample, const BaseFormat& format);

/// Empty if pictures of this size can be those of the view, else what is wrong with them.
std::string size_error(const BaseFormat& format, int width, int height);

}  // namespace mvinr::gst
