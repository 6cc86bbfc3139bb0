#include "picture.h"

#include "sequence.h"

namespace mvinr::gst {

MappedPicture::MappedPicture(GstBuffer* buffer, const GstVideoInfo& info,
                             std::vector<guint16>& scratch) {
  mapped_ = gst_video_frame_map(&frame_, &info, buffer, GST_MAP_READ);
  if (!mapped_) return;
  picture_.format = sample_format(GST_VIDEO_INFO_FORMAT(&info));
  picture_.width = info.width;
  picture_.height = info.height;
  if (picture_.format == SampleFormat::gray_10) {
    unpack_gray10(scratch);
    return;
  }
  for (int plane = 0; plane < plane_count(picture_.format); ++plane) {
    picture_.data[plane] =
        static_cast<const std::byte*>(GST_VIDEO_FRAME_PLANE_DATA(&frame_, plane));
    picture_.stride[plane] = GST_VIDEO_FRAME_PLANE_STRIDE(&frame_, plane);
  }
}

MappedPicture::~MappedPicture() {
  if (mapped_) gst_video_frame_unmap(&frame_);
}

void MappedPicture::unpack_gray10(std::vector<guint16>& scratch) {
  const size_t width = size_t(picture_.width), height = size_t(picture_.height);
  scratch.resize(width * height);
  const auto* rows = static_cast<const guint8*>(GST_VIDEO_FRAME_PLANE_DATA(&frame_, 0));
  for (size_t y = 0; y < height; ++y) {
    const guint8* row = rows + ptrdiff_t(y) * GST_VIDEO_FRAME_PLANE_STRIDE(&frame_, 0);
    for (size_t x = 0; x < width; ++x) {
      const guint32 word = GST_READ_UINT32_LE(row + x / 3 * 4);
      scratch[y * width + x] = GUINT16_TO_LE(guint16(word >> (x % 3 * 10) & 0x3ff));
    }
  }
  picture_.data[0] = reinterpret_cast<const std::byte*>(scratch.data());
  picture_.stride[0] = ptrdiff_t(width * sizeof(guint16));
}

}  // namespace mvinr::gst
