// Binary64 with + - * / and square root only, in the order written (no fused operations: the
// project compiles with -ffp-contract=off), so that every machine gets the same integers. frexp,
// ldexp, floor and fmod are exact.
#include "geometry/view_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "base/try.h"

namespace mvinr {
namespace {

using Vec = std::array<double, 3>;
using Matrix = std::array<Vec, 3>;  // rows

constexpr double kPi = 3.141592653589793;
constexpr int kProductBits = 44;  // h stays below 2^44 but for the coefficients' rounding
constexpr int kRatioBits = 24;

struct Angle {
  double sine = 0, cosine = 1;
};

// Taylor series of a remainder in [-45, 45] degrees, nested; error below 2^-53.
Angle angle(float degrees) {
  const double turn = std::fmod(static_cast<double>(degrees), 360.0);
  const double quarter = std::floor(turn / 90.0 + 0.5);
  const double x = (turn - quarter * 90.0) * kPi / 180.0;
  const double xx = x * x;
  double sine = 1, cosine = 1;
  for (int n = 18; n >= 2; n -= 2) {
    sine = 1.0 - xx * sine / (n * (n + 1.0));
    cosine = 1.0 - xx * cosine / (n * (n - 1.0));
  }
  sine = x * sine;
  switch (static_cast<int>(quarter) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

double dot(const Vec& a, const Vec& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Rows: the camera's right, down and forward in the world's axes (x forward, y left, z up), from
// the rotation Rz(yaw) Ry(pitch) Rx(roll).
Matrix axes_of(const Camera& camera) {
  const Angle y = angle(camera.rotation[0]), p = angle(camera.rotation[1]),
              r = angle(camera.rotation[2]);
  const Vec forward{y.cosine * p.cosine, y.sine * p.cosine, -p.sine};
  const Vec left{y.cosine * p.sine * r.sine - y.sine * r.cosine,
                 y.sine * p.sine * r.sine + y.cosine * r.cosine, p.cosine * r.sine};
  const Vec up{y.cosine * p.sine * r.cosine + y.sine * r.sine,
               y.sine * p.sine * r.cosine - y.cosine * r.sine, p.cosine * r.cosine};
  return {Vec{-left[0], -left[1], -left[2]}, Vec{-up[0], -up[1], -up[2]}, forward};
}

Vec difference(const Camera& a, const Camera& b) {
  Vec d;
  for (size_t i = 0; i < 3; ++i)
    d[i] = static_cast<double>(a.position[i]) - static_cast<double>(b.position[i]);
  return d;
}

/// The projection before it becomes integers.
struct RealProjection {
  double a[3][3], b[3], g;
};

RealProjection real_projection(const PlacedCamera& source, const PlacedCamera& target) {
  const Camera &s = source.camera, &t = target.camera;
  const Matrix from = axes_of(s), to = axes_of(t);
  const Vec shift = difference(s, t);
  // q = rotation (u, v, 1) + translation / z in the target's axes, u and v on the source's plane at
  // distance 1; each q becomes h = (focal q + principal point q_z, ..., q_z).
  const double fx = t.focal[0], fy = t.focal[1], cx = t.principal_point[0],
               cy = t.principal_point[1];
  const auto project = [&](const Vec& q) {
    const double px = fx * q[0] + cx * q[2], py = fy * q[1] + cy * q[2];
    return Vec{px + q[2] / 512.0, py + q[2] / 512.0, q[2]};  // half a unit of Q8: floor rounds
  };
  Vec column[3];
  for (size_t j = 0; j < 3; ++j)
    column[j] = project({dot(to[0], from[j]), dot(to[1], from[j]), dot(to[2], from[j])});
  const Vec moved = project({dot(to[0], shift), dot(to[1], shift), dot(to[2], shift)});
  const double u = (0.5 - static_cast<double>(s.principal_point[0])) / s.focal[0],
               v = (0.5 - static_cast<double>(s.principal_point[1])) / s.focal[1];
  const double near = s.depth_range[0], one = 1 << kInverseBits;
  RealProjection p;
  for (size_t i = 0; i < 3; ++i) {
    p.a[i][0] = column[0][i] / s.focal[0];
    p.a[i][1] = column[1][i] / s.focal[1];
    p.a[i][2] = column[0][i] * u + column[1][i] * v + column[2][i];
    p.b[i] = moved[i] / (near * one);
  }
  p.g = static_cast<double>(t.depth_range[0]) / near;
  return p;
}

int64_t rounded(double value) { return static_cast<int64_t>(std::floor(value + 0.5)); }

// A power of two (its exponent is returned) that brings `largest` into [2^(bits - 1), 2^bits).
int exponent_for(double largest, int bits) {
  int exponent = 0;
  std::frexp(largest, &exponent);
  return bits - exponent;
}

Result<Projection> integer_projection(const RealProjection& real, const PlacedCamera& source) {
  double bound[3], largest = 0;
  for (int i = 0; i < 3; ++i) {
    bound[i] = std::abs(real.a[i][0]) * source.width + std::abs(real.a[i][1]) * source.height +
               std::abs(real.a[i][2]) + std::abs(real.b[i]) * (kMaxInverse + 1.0);
    largest = std::max(largest, bound[i]);
  }
  if (!(largest > 0) || !std::isfinite(largest) || !std::isfinite(real.g))
    return Error{ErrorCode::invalid_argument, "cameras: their numbers are too far apart"};
  const int exponent = exponent_for(largest, kProductBits);
  Projection p;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) p.a[i][j] = rounded(std::ldexp(real.a[i][j], exponent));
    p.b[i] = rounded(std::ldexp(real.b[i], exponent));
  }
  const int ratio_exponent = exponent_for(std::max(bound[2], real.g), kRatioBits);
  p.shift = std::max(exponent - ratio_exponent, 0);
  // Beyond this shift nothing is left of h[2], and the pixel is seen from nowhere.
  p.shift = std::min(p.shift, 62);
  p.g = std::clamp<int64_t>(
      rounded(std::min(std::ldexp(real.g, std::min(exponent, ratio_exponent)), 2.0 * (1 << 24))), 1,
      1 << kRatioBits);
  return p;
}

// The step of the source's inverse depth that moves the point in the middle of the picture,
// half-way between near and far, by one target pixel; at least 3/2 steps of the depth samples.
int32_t edge_of(const RealProjection& p, const PlacedCamera& source) {
  const double near_far =
      static_cast<double>(source.camera.depth_range[0]) / source.camera.depth_range[1];
  const double one = 1 << kInverseBits;
  const double middle = one * (near_far + 1.0) / 2.0;
  double h[3];
  for (int i = 0; i < 3; ++i)
    h[i] = p.a[i][0] * (source.width / 2.0) + p.a[i][1] * (source.height / 2.0) + p.a[i][2] +
           p.b[i] * middle;
  const int levels = 1 << (source.depth == SampleFormat::none ? 16 : bit_depth(source.depth));
  const double least = one * (1.0 - near_far) * 1.5 / levels + 1.0;
  const double most = one * 4.0;
  double edge = most;
  if (h[2] > 0) {
    const double dx = (p.b[0] - h[0] / h[2] * p.b[2]) / h[2];
    const double dy = (p.b[1] - h[1] / h[2] * p.b[2]) / h[2];
    const double parallax = std::sqrt(dx * dx + dy * dy);
    if (parallax > 0) edge = 1.0 / parallax;
  }
  if (!(edge < most)) edge = most;
  if (!(edge > least)) edge = least;
  return static_cast<int32_t>(std::floor(edge + 0.5));
}

Status check(const PlacedCamera& c, const char* which) {
  const auto error = [&](const std::string& what) {
    return Error{ErrorCode::invalid_argument, std::string(which) + " camera: " + what};
  };
  if (c.width < 1 || c.height < 1 || c.width > kMaxPictureSize || c.height > kMaxPictureSize)
    return error("its picture is " + std::to_string(c.width) + "x" + std::to_string(c.height) +
                 ", must be 1.." + std::to_string(kMaxPictureSize));
  const auto finite = [](const auto& numbers) {
    return std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); });
  };
  if (!finite(c.camera.focal) || !finite(c.camera.principal_point) ||
      !finite(c.camera.depth_range) || !finite(c.camera.position) || !finite(c.camera.rotation))
    return error("a number is not finite");
  if (!(c.camera.focal[0] > 0) || !(c.camera.focal[1] > 0))
    return error("a focal length is not positive");
  if (!(c.camera.depth_range[0] > 0)) return error("near is not positive");
  if (!(c.camera.depth_range[0] < c.camera.depth_range[1])) return error("near is not before far");
  return ok();
}

DepthScale depth_scale(const PlacedCamera& c) {
  const double near_far = static_cast<double>(c.camera.depth_range[0]) / c.camera.depth_range[1];
  const double one = 1 << kInverseBits;
  const int bits = c.depth == SampleFormat::none ? 16 : bit_depth(c.depth);
  const double levels = (1 << bits) - 1;
  const double span = one * (1.0 - near_far);
  DepthScale scale;
  scale.offset = rounded(one * near_far * 65536.0) + 32768;
  scale.step = rounded(span / levels * 65536.0);
  scale.far = static_cast<int32_t>(scale.offset >> 16);
  const double factor = levels * (1 << (16 - bits)) / span;
  scale.shift = exponent_for(factor, 23);
  scale.factor = static_cast<int32_t>(rounded(std::ldexp(factor, scale.shift)));
  return scale;
}

}  // namespace

Result<DepthScale> make_depth_scale(const PlacedCamera& camera) {
  MVINR_TRY(check(camera, "target"));
  return depth_scale(camera);
}

Result<ViewMap> make_view_map(const PlacedCamera& base, const PlacedCamera& target) {
  MVINR_TRY(check(base, "base"));
  MVINR_TRY(check(target, "target"));
  if (plane_count(base.depth) != 1)
    return Error{ErrorCode::invalid_argument, "base camera: it has no depth format"};
  ViewMap map;
  const RealProjection forward = real_projection(base, target);
  const RealProjection backward = real_projection(target, base);
  MVINR_ASSIGN(map.forward, integer_projection(forward, base));
  MVINR_ASSIGN(map.backward, integer_projection(backward, target));
  map.base_depth = depth_scale(base);
  map.target_depth = depth_scale(target);
  map.base_edge = edge_of(forward, base);
  map.target_edge = edge_of(backward, target);
  const Vec d = difference(base.camera, target.camera);
  const double distance = std::sqrt(dot(d, d)) * 1e6;
  map.distance = distance < 1e12 ? static_cast<uint64_t>(rounded(distance)) : 1000000000000u;
  map.base_width = base.width, map.base_height = base.height;
  map.target_width = target.width, map.target_height = target.height;
  return map;
}

}  // namespace mvinr
