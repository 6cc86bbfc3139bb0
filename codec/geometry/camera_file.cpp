// cameras.json as the MPEG immersive video (MIV) test software writes it.
#include <cmath>

#include "geometry/json_object.h"
#include "geometry/poses.h"
#include "mvinr/stream.h"

namespace mvinr {
namespace {

constexpr size_t kMaxCameras = 1024;  // a file may describe more than are coded

Result<CameraFileEntry> read_camera(const JsonObject& object, std::string name) {
  CameraFileEntry entry{.name = std::move(name)};
  std::string text = "Perspective";
  MVINR_TRY(object.text("Projection", text, false));
  if (text != "Perspective")
    return object.error("Projection", "is \"" + text + "\"; only Perspective is supported");
  std::array<double, 2> resolution{};
  MVINR_TRY(object.numbers("Resolution", resolution, 1, kMaxPictureSize));
  if (resolution[0] != std::floor(resolution[0]) || resolution[1] != std::floor(resolution[1]))
    return object.error("Resolution", "must be two whole numbers");
  entry.width = static_cast<int>(resolution[0]);
  entry.height = static_cast<int>(resolution[1]);

  MVINR_TRY(object.integer("BitDepthColor", entry.texture_bits, 8, 10));
  if (entry.texture_bits == 9) return object.error("BitDepthColor", "is 9, must be 8 or 10");
  MVINR_TRY(object.integer("BitDepthDepth", entry.depth_bits, 8, 16));
  if (entry.depth_bits != 8 && entry.depth_bits != 10 && entry.depth_bits != 16)
    return object.error("BitDepthDepth",
                        "is " + std::to_string(entry.depth_bits) + ", must be 8, 10 or 16");

  constexpr double kFar = 1e6;  // metres and pixels that are surely wrong
  Camera& camera = entry.camera;
  MVINR_TRY(object.numbers("Focal", camera.focal, 1e-3, kFar));
  MVINR_TRY(object.numbers("Principle_point", camera.principal_point, -kFar, kFar));
  MVINR_TRY(object.numbers("Depth_range", camera.depth_range, 1e-6, kFar));
  if (!(camera.depth_range[0] < camera.depth_range[1]))
    return object.error("Depth_range", "must be near, then far, and near less than far");
  MVINR_TRY(object.numbers("Position", camera.position, -kFar, kFar));
  MVINR_TRY(object.numbers("Rotation", camera.rotation, -360, 360));
  return entry;
}

// The field "Moving_cameras" of the file or of its object "Informative".
Result<bool> has_moving_cameras(const JsonObject& file) {
  const Json* value = file.find("Moving_cameras");
  const Json* informative = file.find("Informative");
  if (value == nullptr && informative != nullptr && informative->is_object())
    value = JsonObject(*informative, "").find("Moving_cameras");
  if (value == nullptr) return false;
  if (!value->is_boolean()) return file.error("Moving_cameras", "must be true or false");
  return value->get<bool>();
}

}  // namespace

Result<CameraFile> read_camera_file(const std::string& path) {
  MVINR_ASSIGN(const Json json, read_json_object(path, "camera file"));
  const JsonObject file(json, path);

  CameraFile result;
  MVINR_TRY(file.text("Content_name", result.content_name, false));
  MVINR_TRY(file.number("Fps", result.fps, 0, 1e6));
  MVINR_TRY(file.integer("Frames_number", result.frames, 0, 1 << 30));
  const Json* cameras = file.find("cameras");
  if (cameras == nullptr) return file.error("cameras", "is missing");
  if (!cameras->is_array() || cameras->empty() || cameras->size() > kMaxCameras)
    return file.error("cameras",
                      "must be an array of 1.." + std::to_string(kMaxCameras) + " cameras");
  for (size_t i = 0; i < cameras->size(); ++i) {
    const Json& json_camera = (*cameras)[i];
    const std::string place = path + ", camera " + std::to_string(i);
    if (!json_camera.is_object()) return JsonObject(json_camera, place).error("must be an object");
    std::string name;
    MVINR_TRY(JsonObject(json_camera, place).text("Name", name, true));
    MVINR_ASSIGN(CameraFileEntry entry,
                 read_camera(JsonObject(json_camera, place + " (" + name + ")"), name));
    result.cameras.push_back(std::move(entry));
  }
  MVINR_ASSIGN(const bool moving, has_moving_cameras(file));
  if (moving) MVINR_TRY(read_poses(path, result));
  return result;
}

Result<Camera> camera_for_size(const CameraFileEntry& entry, int width, int height) {
  const auto error = [&](const std::string& what) {
    return Error{ErrorCode::invalid_argument, "camera " + entry.name + ": " + what};
  };
  const std::string wanted = std::to_string(width) + "x" + std::to_string(height);
  const std::string given = std::to_string(entry.width) + "x" + std::to_string(entry.height);
  if (width < 1 || height < 1 || entry.width < 1 || entry.height < 1)
    return error("pictures of " + wanted + ", field Resolution " + given);
  const double x = static_cast<double>(width) / entry.width;
  const double y = static_cast<double>(height) / entry.height;
  if (std::abs(x / y - 1) > 0.01)
    return error("the pictures are " + wanted + ", whose aspect ratio is not that of its field " +
                 "Resolution (" + given + ")");
  Camera camera = entry.camera;
  camera.focal[0] = static_cast<float>(camera.focal[0] * x);
  camera.focal[1] = static_cast<float>(camera.focal[1] * y);
  camera.principal_point[0] = static_cast<float>(camera.principal_point[0] * x);
  camera.principal_point[1] = static_cast<float>(camera.principal_point[1] * y);
  return camera;
}

}  // namespace mvinr
