#include "geometry/poses.h"

#include <cmath>

#include "geometry/json_object.h"

namespace mvinr {
namespace {

constexpr size_t kMaxPoses = 1 << 16;  // frames

using Matrix = std::array<std::array<double, 4>, 4>;

Status read_matrix(const JsonObject& place, const Json& json, Matrix& m) {
  constexpr const char* kField = "frames";
  const auto wrong = [&] { return place.error(kField, "must be a matrix of 4 rows of 4 numbers"); };
  if (!json.is_array() || json.size() != 4) return wrong();
  for (size_t i = 0; i < 4; ++i) {
    if (!json[i].is_array() || json[i].size() != 4) return wrong();
    for (size_t j = 0; j < 4; ++j) MVINR_TRY(place.element(kField, json[i][j], m[i][j], -1e6, 1e6));
  }
  constexpr double kTolerance = 0.01;
  bool valid = true;
  for (size_t i = 0; i < 3; ++i) {
    valid = valid && std::abs(m[3][i]) < 1e-6;
    for (size_t j = 0; j < 3; ++j) {
      double product = 0;
      for (size_t k = 0; k < 3; ++k) product += m[k][i] * m[k][j];
      valid = valid && std::abs(product - (i == j ? 1 : 0)) < kTolerance;
    }
  }
  const double determinant = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                             m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                             m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
  if (!valid || std::abs(m[3][3] - 1) > 1e-6 || determinant < 0)
    return place.error(kField, "must be a rotation and a position, its last row 0 0 0 1");
  return ok();
}

// OpenCV axes (x right, y down, z forward) -> MIV axes (x forward, y left, z up), of the camera and
// of the world alike.
void set_pose(const Matrix& m, Camera& camera) {
  constexpr size_t kAxis[3] = {2, 0, 1};
  constexpr double kSign[3] = {1, -1, -1};
  double r[3][3];
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) r[i][j] = kSign[i] * kSign[j] * m[kAxis[i]][kAxis[j]];
    camera.position[i] = static_cast<float>(kSign[i] * m[kAxis[i]][3]);
  }
  // r = Rz(yaw) Ry(pitch) Rx(roll).
  const double level = std::hypot(r[0][0], r[1][0]);
  const double yaw = level > 1e-6 ? std::atan2(r[1][0], r[0][0]) : std::atan2(-r[0][1], r[1][1]);
  const double pitch = std::atan2(-r[2][0], level);
  const double roll = level > 1e-6 ? std::atan2(r[2][1], r[2][2]) : 0;
  const double degrees = 180 / std::acos(-1.0);
  camera.rotation = {static_cast<float>(yaw * degrees), static_cast<float>(pitch * degrees),
                     static_cast<float>(roll * degrees)};
}

}  // namespace

Status read_poses(const std::string& path, CameraFile& file) {
  const size_t slash = path.rfind('/');
  const std::string poses =
      (slash == std::string::npos ? "" : path.substr(0, slash + 1)) + "poses.json";
  MVINR_ASSIGN(const Json json, read_json_object(poses, "file of the moving cameras' poses"));
  const JsonObject object(json, poses);
  const Json* views = object.find("frames");
  if (views == nullptr) return object.error("frames", "is missing");
  if (!views->is_array() || views->size() != file.cameras.size())
    return object.error("frames", "must be an array of " + std::to_string(file.cameras.size()) +
                                      " views, as many as there are cameras");
  size_t frames = 0;
  for (size_t v = 0; v < views->size(); ++v) {
    const std::string view = "view " + std::to_string(v) + " (" + file.cameras[v].name + ")";
    const Json& of_view = (*views)[v];
    const JsonObject place(of_view, poses + ", " + view);
    if (!of_view.is_array() || of_view.empty() || of_view.size() > kMaxPoses)
      return place.error("frames",
                         "must be an array of 1.." + std::to_string(kMaxPoses) + " matrices");
    if (v == 0) frames = of_view.size();
    if (of_view.size() != frames)
      return place.error("frames", "has " + std::to_string(of_view.size()) +
                                       " matrices, but that of view 0 has " +
                                       std::to_string(frames));
    file.poses.resize(frames);
    for (size_t t = 0; t < frames; ++t) {
      Matrix matrix;
      MVINR_TRY(
          read_matrix(JsonObject(of_view[t], poses + ", frame " + std::to_string(t) + ", " + view),
                      of_view[t], matrix));
      file.poses[t].push_back(file.cameras[v].camera);
      set_pose(matrix, file.poses[t].back());
    }
  }
  return ok();
}

}  // namespace mvinr
