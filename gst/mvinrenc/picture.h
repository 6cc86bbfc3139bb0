// Raw video frames as pictures.
#pragma once

#include <gst/video/video.h>

#include <vector>

#include "mvinr/types.h"

namespace mvinr::gst {

/// A buffer mapped for reading, seen as a picture. Samples that GStreamer packs differently
/// (GRAY10_LE32: three per 32-bit word) are copied into `scratch`, which must outlive the picture.
class MappedPicture {
 public:
  MappedPicture(GstBuffer* buffer, const GstVideoInfo& info, std::vector<guint16>& scratch);
  ~MappedPicture();
  MappedPicture(const MappedPicture&) = delete;
  MappedPicture& operator=(const MappedPicture&) = delete;

  /// False: the buffer does not hold a frame of that format.
  explicit operator bool() const { return mapped_; }
  const Picture& operator*() const { return picture_; }

 private:
  void unpack_gray10(std::vector<guint16>& scratch);

  GstVideoFrame frame_;
  bool mapped_ = false;
  Picture picture_;
};

}  // namespace mvinr::gst
