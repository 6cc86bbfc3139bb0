#include "testutil/clip.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace mvinr::testutil {
namespace {

constexpr float kNear = 1.0f, kFar = 8.0f;  // metres
constexpr float kBaseline = 0.1f;           // metres between neighbouring cameras

// A smooth texture in [0, 1]: four waves whose directions depend on the seed.
float texture_value(float x, float y, uint32_t seed) {
  float sum = 0;
  for (uint32_t i = 1; i <= 4; ++i) {
    const float angle = float((seed * 2654435761u * i >> 8) & 1023) / 1023.0f * 6.2832f;
    const float frequency = 0.7f * float(i * i) + 1.0f;
    sum += std::sin(frequency * (x * std::cos(angle) + y * std::sin(angle)) + float(seed + i)) /
           float(i);
  }
  return std::clamp(0.5f + 0.24f * sum, 0.0f, 1.0f);
}

struct Point {
  float luma, u, v, z;
};

// What the ray of one pixel meets: the nearest of two discs at 1.6 m and 3 m, or a wall at 6 m.
// (px, py): position in the picture plane at unit distance; camera_x in metres.
Point trace(float px, float py, float camera_x, float time, uint32_t seed) {
  struct Disc {
    float z, x, y, radius;
  };
  const std::array<Disc, 2> discs{{
      {1.6f, -0.2f + 0.35f * time, 0.1f * std::sin(5 * time), 0.3f},
      {3.0f, 0.6f - 0.5f * time, -0.2f + 0.3f * time, 0.6f},
  }};
  for (uint32_t i = 0; i < discs.size(); ++i) {
    const Disc& disc = discs[i];
    const float x = px * disc.z + camera_x - disc.x, y = py * disc.z - disc.y;
    if (x * x + y * y > disc.radius * disc.radius) continue;
    return {texture_value(9 * x, 9 * y, seed + 7 * (i + 1)), 0.3f + 0.4f * float(i),
            0.7f - 0.4f * float(i), disc.z};
  }
  const float x = px * 6 + camera_x, y = py * 6;
  return {texture_value(3 * x, 3 * y, seed), 0.5f + 0.1f * std::sin(x), 0.5f + 0.1f * std::cos(y),
          6.0f};
}

int scale_to_bits(float value, int bits) {
  return int(std::lround(std::clamp(value, 0.0f, 1.0f) * float((1 << bits) - 1)));
}

}  // namespace

Clip make_clip(const ClipOptions& options) {
  Clip clip;
  clip.frames = options.frames;
  const float focal = float(options.width);
  for (int v = 0; v < options.views; ++v) {
    ViewInfo view{.width = options.width,
                  .height = options.height,
                  .texture = options.texture,
                  .depth = options.depth,
                  .camera = std::nullopt};
    if (options.cameras)
      view.camera = Camera{.focal = {focal, focal},
                           .principal_point = {options.width / 2.0f, options.height / 2.0f},
                           .depth_range = {kNear, kFar},
                           .position = {0, -kBaseline * float(v), 0},  // OMAF: y points left
                           .rotation = {0, 0, 0}};
    clip.sequence.views.push_back(view);
  }

  for (int t = 0; t < options.frames; ++t) {
    for (int v = 0; v < options.views; ++v) {
      tools::PictureBuffer texture(options.texture, options.width, options.height);
      tools::PictureBuffer depth(options.depth, options.width, options.height);
      const MutablePicture colour = texture.mutable_picture(), distance = depth.mutable_picture();
      const int texture_bits = bit_depth(options.texture), depth_bits = bit_depth(options.depth);
      for (int y = 0; y < options.height; ++y) {
        for (int x = 0; x < options.width; ++x) {
          const Point point = trace((float(x) + 0.5f - float(options.width) / 2) / focal,
                                    (float(y) + 0.5f - float(options.height) / 2) / focal,
                                    kBaseline * float(v), float(t) / 16, options.seed);
          tools::set_sample(colour, 0, x, y, scale_to_bits(point.luma, texture_bits));
          if (x % 2 == 0 && y % 2 == 0) {
            tools::set_sample(colour, 1, x / 2, y / 2, scale_to_bits(point.u, texture_bits));
            tools::set_sample(colour, 2, x / 2, y / 2, scale_to_bits(point.v, texture_bits));
          }
          if (depth_bits > 0) {
            const float inverse = (1 / point.z - 1 / kFar) / (1 / kNear - 1 / kFar);
            tools::set_sample(distance, 0, x, y, scale_to_bits(inverse, depth_bits));
          }
        }
      }
      clip.pictures.push_back(std::move(texture));
      clip.pictures.push_back(std::move(depth));
    }
  }
  return clip;
}

}  // namespace mvinr::testutil
