#include "sequence.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace mvinr::gst {
namespace {

Error error(const std::string& message) { return {ErrorCode::invalid_argument, message}; }

std::string size_text(int width, int height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

std::string rate_text(const GstVideoInfo& info) {
  return std::to_string(info.fps_n) + "/" + std::to_string(info.fps_d);
}

/// The library reads camera files only: the text becomes a file that exists in memory alone.
Result<CameraFile> read_camera_text(const std::string& json, const std::string& owner) {
  const std::string file = "{\"cameras\":[" + json + "]}";
  const int fd = memfd_create("camera", MFD_CLOEXEC);
  if (fd < 0) return Error{ErrorCode::internal, owner + ": no memory file could be made"};
  const bool written = write(fd, file.data(), file.size()) == ssize_t(file.size());
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  Result<CameraFile> result =
      written ? read_camera_file(path) : Error{ErrorCode::internal, path + " could not be written"};
  close(fd);
  if (result) return result;
  Error failure = result.error();
  if (const size_t at = failure.message.find(path); at != std::string::npos)
    failure.message.replace(at, path.size(), owner);
  return failure;
}

/// The number of views, if they are numbered 0, 1, … and each has a texture.
Result<int> count_views(std::span<const InputPad> pads) {
  if (pads.empty()) return error("there are no pads: request texture_0, depth_0, texture_1, …");
  const int views = pads.back().id.view + 1;
  auto has = [&](PadId id) {
    return std::any_of(pads.begin(), pads.end(), [=](const InputPad& p) { return p.id == id; });
  };
  for (int view = 0; view < views; ++view) {
    const PadId texture{view, Component::texture}, depth{view, Component::depth};
    if (has(texture)) continue;
    if (has(depth))
      return error("pad " + pad_name(depth) + " is there, but pad " + pad_name(texture) +
                   " is missing: a view needs a texture");
    return error("pad " + pad_name(texture) + " is missing: pad " + pad_name(pads.back().id) +
                 " is there, and views are numbered from 0 without holes");
  }
  return views;
}

/// Per view: the property of the texture's pad, else of the depth's pad, else the file's entry.
Status find_cameras(std::span<const InputPad> pads, const std::optional<CameraFile>& cameras,
                    SequenceInfo& sequence) {
  std::vector<std::string> owners(sequence.views.size());
  for (const InputPad& pad : pads) {
    if (pad.camera.empty() || !owners[size_t(pad.id.view)].empty()) continue;
    const std::string owner = "property camera of pad " + pad_name(pad.id);
    Result<CameraFileEntry> entry = parse_camera(pad.camera, owner);
    if (!entry) return entry.error();
    ViewInfo& view = sequence.views[size_t(pad.id.view)];
    Result<Camera> camera = camera_for_size(*entry, view.width, view.height);
    if (!camera) return error(owner + ": " + camera.error().message);
    view.camera = *camera;  // stands still
    owners[size_t(pad.id.view)] = owner;
  }
  for (size_t v = 0; cameras && v < owners.size(); ++v) {
    if (!owners[v].empty()) continue;
    const std::string owner = "property cameras: view " + std::to_string(v);
    if (v >= cameras->cameras.size())
      return error(owner + " has no entry, the file has " +
                   std::to_string(cameras->cameras.size()) + " cameras");
    ViewInfo& view = sequence.views[v];
    Result<Camera> camera = camera_for_size(cameras->cameras[v], view.width, view.height);
    if (!camera) return error(owner + ": " + camera.error().message);
    view.camera = *camera;
    view.moving = !cameras->poses.empty();
    if (view.moving) view.camera->position = view.camera->rotation = {};
  }
  return ok();
}

}  // namespace

SampleFormat sample_format(GstVideoFormat format) {
  switch (format) {
    case GST_VIDEO_FORMAT_I420:
      return SampleFormat::yuv420_8;
    case GST_VIDEO_FORMAT_I420_10LE:
      return SampleFormat::yuv420_10;
    case GST_VIDEO_FORMAT_GRAY8:
      return SampleFormat::gray_8;
    case GST_VIDEO_FORMAT_GRAY10_LE32:
      return SampleFormat::gray_10;
    case GST_VIDEO_FORMAT_GRAY16_LE:
      return SampleFormat::gray_16;
    default:
      return SampleFormat::none;
  }
}

Result<CameraFileEntry> parse_camera(const std::string& text, const std::string& owner) {
  const bool json =
      text.find_first_not_of(" \t\r\n") == text.find('{') && text.find('{') != text.npos;
  const size_t hash = json ? text.npos : text.rfind('#');
  const std::string path = text.substr(0, hash);
  Result<CameraFile> file = json ? read_camera_text(text, owner) : read_camera_file(path);
  if (!file) {
    Error failure = file.error();
    if (!json) failure.message = owner + ": " + failure.message;
    return failure;
  }
  if (!file->poses.empty())
    return error(owner + ": the cameras of " + path +
                 " move; the property cameras of the element takes such a file");
  if (hash == text.npos) {
    if (file->cameras.size() == 1) return file->cameras[0];
    return error(owner + ": " + path + " has " + std::to_string(file->cameras.size()) +
                 " cameras; name one of them as " + path + "#NAME");
  }
  const std::string name = text.substr(hash + 1);
  for (const CameraFileEntry& entry : file->cameras)
    if (entry.name == name) return entry;
  return error(owner + ": " + path + " has no camera named \"" + name + "\"");
}

Result<SequenceInfo> describe_sequence(std::span<const InputPad> pads,
                                       const std::optional<CameraFile>& cameras) {
  const Result<int> views = count_views(pads);
  if (!views) return views.error();
  const InputPad& first = pads[0];
  SequenceInfo sequence;
  sequence.views.resize(size_t(*views));
  for (const InputPad& pad : pads) {
    const std::string name = pad_name(pad.id);
    const GstVideoInfo& info = pad.info;
    if (!info.finfo || GST_VIDEO_INFO_FORMAT(&info) == GST_VIDEO_FORMAT_UNKNOWN)
      return error("pad " + name + " has no caps");
    if (info.fps_n <= 0 || info.fps_d <= 0)
      return error("pad " + name + " has a variable frame rate (" + rate_text(info) +
                   "); put videorate before it");
    if (gint64(info.fps_n) * first.info.fps_d != gint64(first.info.fps_n) * info.fps_d)
      return error("pads have different frame rates: " + pad_name(first.id) + " " +
                   rate_text(first.info) + ", " + name + " " + rate_text(info));
    ViewInfo& view = sequence.views[size_t(pad.id.view)];
    const SampleFormat format = sample_format(GST_VIDEO_INFO_FORMAT(&info));
    if (pad.id.component == Component::texture) {
      view.width = info.width;
      view.height = info.height;
      view.texture = format;
      continue;
    }
    view.depth = format;
    if (info.width != view.width || info.height != view.height)
      return error(
          "pads of one view have different sizes: " + pad_name({pad.id.view, Component::texture}) +
          " " + size_text(view.width, view.height) + ", " + name + " " +
          size_text(info.width, info.height));
  }
  sequence.frame_rate = {guint32(first.info.fps_n), guint32(first.info.fps_d)};
  if (Status done = find_cameras(pads, cameras, sequence); !done) return done.error();
  if (Status valid = validate(sequence); !valid) return valid.error();
  return sequence;
}

}  // namespace mvinr::gst
