// cameras.json as the MPEG immersive video (MIV) test software writes it.
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "mvinr/stream.h"

namespace mvinr {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxFileBytes = 16 << 20;
constexpr size_t kMaxCameras = 1024;  // a file may describe more than are coded

/// One object of the file, with its place for messages: "cameras.json, camera v0".
class Object {
 public:
  Object(const Json& json, std::string place) : json_(json), place_(std::move(place)) {}

  Error error(const std::string& rest) const {
    return {ErrorCode::invalid_argument, place_ + ": " + rest};
  }
  Error error(const char* field, const std::string& rest) const {
    return error("field " + (field + (" " + rest)));
  }

  /// nullptr if the field is absent.
  const Json* find(const char* field) const {
    const auto it = json_.find(field);
    return it != json_.end() ? &*it : nullptr;
  }

  Status text(const char* field, std::string& out, bool required) const {
    const Json* value = find(field);
    if (value == nullptr) return missing(field, required);
    if (!value->is_string()) return wrong_type(field, "a string", *value);
    out = *value->get_ptr<const std::string*>();
    return ok();
  }

  Status number(const char* field, double& out, double low, double high) const {
    const Json* value = find(field);
    return value == nullptr ? ok() : element(field, *value, out, low, high);
  }

  Status integer(const char* field, int& out, int low, int high) const {
    double value = out;
    MVINR_TRY(number(field, value, low, high));
    if (value != std::floor(value)) return error(field, "is not a whole number");
    out = static_cast<int>(value);
    return ok();
  }

  /// A required array of N numbers.
  template <typename T, size_t N>
  Status numbers(const char* field, std::array<T, N>& out, double low, double high) const {
    const Json* value = find(field);
    if (value == nullptr) return missing(field, true);
    if (!value->is_array() || value->size() != N)
      return wrong_type(field, "an array of " + std::to_string(N) + " numbers", *value);
    for (size_t i = 0; i < N; ++i) {
      double number = 0;
      MVINR_TRY(element(field, (*value)[i], number, low, high));
      out[i] = static_cast<T>(number);
    }
    return ok();
  }

 private:
  Status missing(const char* field, bool required) const {
    if (!required) return ok();
    return error(field, "is missing");
  }
  Status wrong_type(const char* field, const std::string& wanted, const Json& value) const {
    return error(field, "must be " + wanted + ", not " +
                            (value.is_array() ? "an array of " + std::to_string(value.size())
                                              : std::string(value.type_name())));
  }
  Status element(const char* field, const Json& value, double& out, double low, double high) const {
    if (!value.is_number()) return wrong_type(field, "a number", value);
    const double number = value.get<double>();
    if (!(number >= low && number <= high)) {
      char text[96];
      std::snprintf(text, sizeof text, "is %g, must be %g..%g", number, low, high);
      return error(field, text);
    }
    out = number;
    return ok();
  }

  const Json& json_;
  std::string place_;
};

Result<std::string> read_file(const std::string& path) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr)
    return Error{ErrorCode::invalid_argument, "cannot open the camera file " + path};
  std::string text;
  char block[1 << 14];
  while (const size_t got = std::fread(block, 1, sizeof block, file.get())) {
    text.append(block, got);
    if (text.size() > kMaxFileBytes)
      return Error{ErrorCode::invalid_argument, path + ": a camera file has at most " +
                                                    std::to_string(kMaxFileBytes) + " bytes"};
  }
  if (std::ferror(file.get()) != 0)
    return Error{ErrorCode::invalid_argument, "cannot read the camera file " + path};
  return text;
}

Result<CameraFileEntry> read_camera(const Object& object, std::string name) {
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

}  // namespace

Result<CameraFile> read_camera_file(const std::string& path) {
  MVINR_ASSIGN(const std::string text, read_file(path));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded())
    return Error{ErrorCode::invalid_argument, path + ": the file is not valid JSON"};
  const Object file(json, path);
  if (!json.is_object()) return file.error("the file must hold one JSON object");

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
    if (!json_camera.is_object()) return Object(json_camera, place).error("must be an object");
    std::string name;
    MVINR_TRY(Object(json_camera, place).text("Name", name, true));
    MVINR_ASSIGN(CameraFileEntry entry,
                 read_camera(Object(json_camera, place + " (" + name + ")"), name));
    result.cameras.push_back(std::move(entry));
  }
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
