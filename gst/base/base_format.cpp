#include "base_format.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace mvinr::gst {
namespace {

constexpr GstVideoFormat kYuv8[] = {GST_VIDEO_FORMAT_I420, GST_VIDEO_FORMAT_NV12};
constexpr GstVideoFormat kYuv10[] = {GST_VIDEO_FORMAT_I420_10LE, GST_VIDEO_FORMAT_P010_10LE,
                                     GST_VIDEO_FORMAT_I420, GST_VIDEO_FORMAT_NV12};
constexpr GstVideoFormat kGray8[] = {GST_VIDEO_FORMAT_GRAY8, GST_VIDEO_FORMAT_I420,
                                     GST_VIDEO_FORMAT_NV12};
constexpr GstVideoFormat kGray10[] = {GST_VIDEO_FORMAT_I420_10LE, GST_VIDEO_FORMAT_P010_10LE,
                                      GST_VIDEO_FORMAT_GRAY8, GST_VIDEO_FORMAT_I420,
                                      GST_VIDEO_FORMAT_NV12};
constexpr GstVideoFormat kGray16[] = {GST_VIDEO_FORMAT_GRAY16_LE, GST_VIDEO_FORMAT_I420_10LE,
                                      GST_VIDEO_FORMAT_P010_10LE, GST_VIDEO_FORMAT_GRAY8,
                                      GST_VIDEO_FORMAT_I420,      GST_VIDEO_FORMAT_NV12};

// The layouts whose samples from_decoded can find: 4:2:0 or gray, whole bytes per sample.
bool is_readable(GstVideoFormat format) {
  switch (format) {
    case GST_VIDEO_FORMAT_I420:
    case GST_VIDEO_FORMAT_YV12:
    case GST_VIDEO_FORMAT_NV12:
    case GST_VIDEO_FORMAT_NV21:
    case GST_VIDEO_FORMAT_I420_10LE:
    case GST_VIDEO_FORMAT_P010_10LE:
    case GST_VIDEO_FORMAT_GRAY8:
    case GST_VIDEO_FORMAT_GRAY16_LE:
      return true;
    default:
      return false;
  }
}

// Turns samples of `from` bits into samples of `to` bits; the rules of the header.
struct BitChange {
  int from, to;
  bool depth;

  bool none() const { return from == to; }
  uint32_t operator()(uint32_t s) const {
    if (from == to) return s;
    if (from < to) return s << (to - from) | (depth ? s >> (2 * from - to) : 0);
    const uint32_t in = (1u << from) - 1, out = (1u << to) - 1;
    return depth ? uint32_t((uint64_t(s) * out + in / 2) / in)
                 : std::min((s + (1u << (from - to - 1))) >> (from - to), out);
  }
};

// One component of a mapped frame. Samples are `step` bytes apart and `shift` bits up.
struct Plane {
  guint8* data;
  ptrdiff_t stride;
  int step, shift, width, height;
  bool wide;  // two bytes per sample

  Plane(GstVideoFrame& frame, int component)
      : data(static_cast<guint8*>(GST_VIDEO_FRAME_COMP_DATA(&frame, component))),
        stride(GST_VIDEO_FRAME_COMP_STRIDE(&frame, component)),
        step(GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, component)),
        shift(int(GST_VIDEO_FORMAT_INFO_SHIFT(frame.info.finfo, component))),
        width(GST_VIDEO_FRAME_COMP_WIDTH(&frame, component)),
        height(GST_VIDEO_FRAME_COMP_HEIGHT(&frame, component)),
        wide(GST_VIDEO_FORMAT_INFO_DEPTH(frame.info.finfo, component) > 8) {}

  /// Rows are as in a Picture.
  bool packed() const { return step == (wide ? 2 : 1) && shift == 0; }
  uint32_t get(const guint8* at) const {
    return wide ? uint32_t(GST_READ_UINT16_LE(at)) >> shift : *at;
  }
  void set(guint8* at, uint32_t s) const {
    if (wide)
      GST_WRITE_UINT16_LE(at, guint16(s << shift));
    else
      *at = guint8(s);
  }
};

void write_plane(const Plane& out, const Picture& in, int p, const BitChange& change) {
  const int width = plane_size(in.width, p), height = plane_size(in.height, p);
  const bool wide = bytes_per_sample(in.format) == 2;
  for (int y = 0; y < out.height; ++y) {
    const auto* from =
        reinterpret_cast<const guint8*>(in.data[p]) + std::min(y, height - 1) * in.stride[p];
    guint8* to = out.data + y * out.stride;
    int x = 0;
    if (change.none() && out.packed()) {
      x = std::min(width, out.width);
      std::memcpy(to, from, size_t(x * out.step));
      to += x * out.step;
    }
    for (; x < out.width; ++x, to += out.step) {
      const int i = std::min(x, width - 1);
      out.set(to, change(wide ? GST_READ_UINT16_LE(from + 2 * i) : from[i]));
    }
  }
}

void fill_plane(const Plane& out, uint32_t value) {
  for (int y = 0; y < out.height; ++y) {
    guint8* to = out.data + y * out.stride;
    for (int x = 0; x < out.width; ++x, to += out.step) out.set(to, value);
  }
}

void read_plane(const Plane& in, OwnedPicture& picture, int p, const BitChange& change) {
  const Picture& out = picture.picture;
  const int width = plane_size(out.width, p), height = plane_size(out.height, p);
  const bool wide = bytes_per_sample(out.format) == 2;
  auto* to =
      reinterpret_cast<guint8*>(picture.memory.data()) + (out.data[p] - picture.memory.data());
  for (int y = 0; y < height; ++y) {
    const guint8* from = in.data + y * in.stride;
    if (change.none() && in.packed()) {
      std::memcpy(to, from, size_t(out.stride[p]));
      to += out.stride[p];
      continue;
    }
    for (int x = 0; x < width; ++x, from += in.step) {
      const uint32_t s = change(in.get(from));
      *to++ = guint8(s);
      if (wide) *to++ = guint8(s >> 8);
    }
  }
}

OwnedPicture make_picture(const BaseFormat& format) {
  OwnedPicture made;
  Picture& picture = made.picture;
  picture.format = format.format;
  picture.width = format.width;
  picture.height = format.height;
  made.memory.resize(picture_bytes(format));
  // Moving the vector keeps its memory where it is, so the pointers stay right.
  const std::byte* data = made.memory.data();
  for (int p = 0; p < plane_count(format.format); ++p) {
    picture.data[p] = data;
    picture.stride[p] = plane_size(format.width, p) * bytes_per_sample(format.format);
    data += picture.stride[p] * plane_size(format.height, p);
  }
  return made;
}

std::string size_text(int width, int height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

}  // namespace

Status validate(const BaseFormat& format) {
  if (format.format == SampleFormat::none)
    return Error{ErrorCode::invalid_argument, "a base view needs a sample format"};
  if (format.width < 1 || format.width > kMaxPictureSize || format.height < 1 ||
      format.height > kMaxPictureSize)
    return Error{ErrorCode::invalid_argument,
                 "a base view of " + size_text(format.width, format.height) + " samples"};
  return ok();
}

uint64_t picture_bytes(const BaseFormat& format) {
  uint64_t samples = 0;
  for (int p = 0; p < plane_count(format.format); ++p)
    samples += uint64_t(plane_size(format.width, p)) * uint64_t(plane_size(format.height, p));
  return samples * uint64_t(bytes_per_sample(format.format));
}

std::span<const GstVideoFormat> coded_formats(SampleFormat format) {
  switch (format) {
    case SampleFormat::yuv420_8:
      return kYuv8;
    case SampleFormat::yuv420_10:
      return kYuv10;
    case SampleFormat::gray_8:
      return kGray8;
    case SampleFormat::gray_10:
      return kGray10;
    case SampleFormat::gray_16:
      return kGray16;
    case SampleFormat::none:
      break;
  }
  return {};
}

std::string size_error(const BaseFormat& format, int width, int height) {
  const auto fits = [](int coded, int size) {
    return coded >= size && coded <= size + kMaxBasePadding;
  };
  if (fits(width, format.width) && fits(height, format.height)) return "";
  return "pictures of " + size_text(width, height) + " for a view of " +
         size_text(format.width, format.height);
}

OwnedPicture copy_of(const Picture& from) {
  OwnedPicture copy = make_picture({from.format, from.width, from.height});
  std::byte* to = copy.memory.data();
  for (int p = 0; p < plane_count(from.format); ++p)
    for (int y = 0; y < plane_size(from.height, p); ++y, to += copy.picture.stride[p])
      std::memcpy(to, from.data[p] + y * from.stride[p], size_t(copy.picture.stride[p]));
  return copy;
}

Result<GstPtr<GstBuffer>> to_coded(const Picture& picture, const GstVideoInfo& coded) {
  GstPtr<GstBuffer> buffer(gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&coded), nullptr));
  GstVideoFrame frame;
  if (!buffer || !gst_video_frame_map(&frame, &coded, buffer.get(), GST_MAP_WRITE))
    return Error{ErrorCode::limit_exceeded, "no memory for a base view's frame"};
  const int bits = GST_VIDEO_INFO_COMP_DEPTH(&coded, 0);
  const BitChange change{bit_depth(picture.format), bits, is_depth(picture.format)};
  for (int c = 0; c < int(GST_VIDEO_INFO_N_COMPONENTS(&coded)); ++c) {
    const Plane plane(frame, c);
    if (c < plane_count(picture.format))
      write_plane(plane, picture, c, change);
    else
      fill_plane(plane, 1u << (bits - 1));
  }
  gst_video_frame_unmap(&frame);
  return buffer;
}

Result<OwnedPicture> from_decoded(GstSample* sample, const BaseFormat& format) {
  const auto corrupt = [](const std::string& what) {
    return Error{ErrorCode::corrupt, "base view: decodes to " + what};
  };
  GstVideoInfo info;
  GstCaps* caps = gst_sample_get_caps(sample);
  GstBuffer* buffer = gst_sample_get_buffer(sample);
  if (!caps || !buffer || !gst_video_info_from_caps(&info, caps))
    return corrupt("something that is no picture");
  const char* name = gst_video_format_to_string(GST_VIDEO_INFO_FORMAT(&info));
  const int planes = plane_count(format.format), bits = GST_VIDEO_INFO_COMP_DEPTH(&info, 0);
  if (!is_readable(GST_VIDEO_INFO_FORMAT(&info)) ||
      int(GST_VIDEO_INFO_N_COMPONENTS(&info)) < planes || bits > bit_depth(format.format))
    return corrupt(std::string(name) + " for " + (is_depth(format.format) ? "depth" : "texture") +
                   " of " + std::to_string(bit_depth(format.format)) + " bits");
  if (const std::string wrong =
          size_error(format, GST_VIDEO_INFO_WIDTH(&info), GST_VIDEO_INFO_HEIGHT(&info));
      !wrong.empty())
    return corrupt(wrong);

  GstVideoFrame frame;
  if (!gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ))
    return corrupt("frames that cannot be read");
  OwnedPicture picture = make_picture(format);
  const BitChange change{bits, bit_depth(format.format), is_depth(format.format)};
  for (int p = 0; p < planes; ++p) read_plane(Plane(frame, p), picture, p, change);
  gst_video_frame_unmap(&frame);
  return picture;
}

}  // namespace mvinr::gst
