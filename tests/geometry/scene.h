// Cameras, pictures and calls that the tests of warping share.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "geometry/warp.h"
#include "tools/picture_buffer.h"

namespace mvinr::testutil {

using tools::PictureBuffer;

/// At the world's origin, looking forward; 1 m to 4 m, so that sample (2^b - 1) / 3 means 2 m.
inline PlacedCamera make_camera(int width, int height, float focal = 64,
                                SampleFormat texture = SampleFormat::yuv420_8,
                                SampleFormat depth = SampleFormat::gray_16) {
  return {.camera = {.focal = {focal, focal},
                     .principal_point = {float(width) / 2, float(height) / 2},
                     .depth_range = {1, 4}},
          .width = width,
          .height = height,
          .texture = texture,
          .depth = depth};
}

/// The camera moved to its right by `metres`.
inline PlacedCamera moved_right(PlacedCamera camera, float metres) {
  camera.camera.position[1] -= metres;
  return camera;
}

struct View {
  PlacedCamera placed;
  PictureBuffer texture, depth;

  explicit View(const PlacedCamera& camera)
      : placed(camera),
        texture(camera.texture, camera.width, camera.height),
        depth(camera.depth, camera.width, camera.height) {}

  /// texture(plane, x, y) and depth(x, y) give samples; x and y in samples of the plane.
  template <typename Texture, typename Depth>
  void draw(Texture&& colour, Depth&& distance) {
    const MutablePicture t = texture.mutable_picture(), d = depth.mutable_picture();
    for (int p = 0; p < 3; ++p)
      for (int y = 0; y < plane_size(placed.height, p); ++y)
        for (int x = 0; x < plane_size(placed.width, p); ++x)
          tools::set_sample(t, p, x, y, colour(p, x, y));
    for (int y = 0; y < placed.height; ++y)
      for (int x = 0; x < placed.width; ++x) tools::set_sample(d, 0, x, y, distance(x, y));
  }

  void draw_noise(uint32_t seed) {
    std::mt19937 random(seed);
    const int texture_most = (1 << bit_depth(placed.texture)) - 1;
    const int depth_most = (1 << bit_depth(placed.depth)) - 1;
    draw([&](int, int, int) { return int(random() & uint32_t(texture_most)); },
         [&](int, int) { return int(random() & uint32_t(depth_most)); });
  }
};

/// Warps `bases` to `target` as planes and as pictures.
struct Warped {
  PictureBuffer texture, depth;
  std::vector<int16_t> planes;
  int width, height;  // of a plane
  Status status = ok();

  Warped(const std::vector<const View*>& bases, const PlacedCamera& target, int threads = 1,
         int extra = 0)
      : texture(target.texture, target.width, target.height),
        depth(target.depth, target.width, target.height),
        width((target.width + 1) / 2 + extra),
        height((target.height + 1) / 2 + extra) {
    std::vector<ViewMap> maps;
    for (const View* base : bases) {
      auto map = make_view_map(base->placed, target);
      if (!map) {
        status = map.error();
        return;
      }
      maps.push_back(*map);
    }
    std::vector<BaseInput> inputs;
    for (size_t i = 0; i < bases.size(); ++i)
      inputs.push_back({&maps[i], bases[i]->texture.picture(), bases[i]->depth.picture()});
    planes.assign(size_t(kWarpPlanes) * size_t(width) * size_t(height), -1);
    WarpMemory memory;
    ThreadPool pool(threads);
    ThreadPool* shared = threads > 1 ? &pool : nullptr;
    status = warp(inputs, target, {planes.data(), ptrdiff_t{width} * height, width, height}, memory,
                  shared);
    if (!status) return;
    const MutablePicture t = texture.mutable_picture(), d = depth.mutable_picture();
    status = warp_to_picture(inputs, target, &t, &d, memory, shared);
  }

  int plane(int p, int x, int y) const {
    return planes[(size_t(p) * size_t(height) + size_t(y)) * size_t(width) + size_t(x)];
  }
  /// Of a full-resolution pixel: 0 luma, 6 depth, 10 mask.
  int pixel(int first, int x, int y) const {
    return plane(first + x % 2 + y % 2 * 2, x / 2, y / 2);
  }
  int mask(int x, int y) const { return pixel(10, x, y); }
  int luma(int x, int y) const { return tools::sample(texture.picture(), 0, x, y); }
  int distance(int x, int y) const { return tools::sample(depth.picture(), 0, x, y); }
};

}  // namespace mvinr::testutil
