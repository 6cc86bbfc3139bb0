#include <cmath>

#include "geometry/scene.h"
#include "tools/quality.h"

namespace mvinr {
namespace {

using testutil::make_camera;
using testutil::moved_right;
using testutil::View;
using testutil::Warped;

constexpr SampleFormat kTextures[] = {SampleFormat::yuv420_8, SampleFormat::yuv420_10};
constexpr SampleFormat kDepths[] = {SampleFormat::gray_8, SampleFormat::gray_10,
                                    SampleFormat::gray_16};

TEST(Warp, TheSameCameraGivesThePictureBackInAllSizesAndFormats) {
  for (int size = 1; size <= 40; ++size) {
    const SampleFormat texture = kTextures[size % 2], depth = kDepths[size % 3];
    const int width = size, height = size % 7 == 0 ? 1 : 41 - size;
    PlacedCamera camera = make_camera(width, height, 50, texture, depth);
    camera.camera.rotation = {float(size) * 17, float(size) * 5 - 90, float(size) * 9 - 180};
    camera.camera.position = {3, -2, float(size)};
    View view(camera);
    view.draw_noise(uint32_t(size));
    const int extra = size % 3;
    const Warped warped({&view}, camera, 1, extra);
    ASSERT_TRUE(warped.status) << warped.status.error().message;
    EXPECT_EQ(tools::md5_of(warped.texture.picture()), tools::md5_of(view.texture.picture()));
    EXPECT_EQ(tools::md5_of(warped.depth.picture()), tools::md5_of(view.depth.picture()));
    for (int y = 0; y < 2 * warped.height; ++y)
      for (int x = 0; x < 2 * warped.width; ++x) {
        const int from_x = std::min(x, width - 1), from_y = std::min(y, height - 1);
        const bool inside = x < width && y < height;
        ASSERT_EQ(warped.mask(x, y), inside ? 1024 : 0) << width << "x" << height;
        const int luma = tools::sample(view.texture.picture(), 0, from_x, from_y);
        ASSERT_EQ(warped.pixel(0, x, y), luma << (10 - bit_depth(texture)));
        const int sample = tools::sample(view.depth.picture(), 0, from_x, from_y);
        const int bits = bit_depth(depth);
        ASSERT_EQ(warped.pixel(6, x, y),
                  bits <= 10 ? sample << (10 - bits) : std::min((sample + 32) >> 6, 1023));
        for (int p = 1; p < 3; ++p) {
          const int chroma =
              tools::sample(view.texture.picture(), p, std::min(x / 2, (width - 1) / 2),
                            std::min(y / 2, (height - 1) / 2));
          ASSERT_EQ(warped.plane(3 + p, x / 2, y / 2), chroma << (10 - bit_depth(texture)));
        }
      }
  }
}

TEST(Warp, APlaneMovesByItsExactDisparity) {
  for (const SampleFormat depth : kDepths) {
    const PlacedCamera camera = make_camera(64, 24, 64, SampleFormat::yuv420_8, depth);
    View base(camera);
    base.draw_noise(3);
    const int two_metres = ((1 << bit_depth(depth)) - 1) / 3;
    base.draw([&](int p, int x, int y) { return tools::sample(base.texture.picture(), p, x, y); },
              [&](int, int) { return two_metres; });
    // 64 pixels x 0.25 m / 2 m = 8 pixels.
    const Warped warped({&base}, moved_right(camera, 0.25f));
    ASSERT_TRUE(warped.status) << warped.status.error().message;
    for (int y = 0; y < 24; ++y)
      for (int x = 0; x < 64; ++x) {
        ASSERT_EQ(warped.mask(x, y), x < 56 ? 1024 : 0) << x;
        ASSERT_EQ(warped.luma(x, y),
                  tools::sample(base.texture.picture(), 0, std::min(x + 8, 63), y));
        ASSERT_NEAR(warped.distance(x, y), two_metres, 1);
      }
  }
}

TEST(Warp, ADepthRangeOfItsOwnIsTheTargets) {
  View base(make_camera(32, 16));
  base.draw([](int, int, int) { return 77; }, [](int, int) { return 65535 / 3; });  // 2 m
  PlacedCamera target = base.placed;
  target.camera.depth_range = {0.5f, 10};
  target.camera.position[0] = 0.5f;  // forward: 1.5 m away
  target.depth = SampleFormat::gray_10;
  const Warped warped({&base}, target);
  ASSERT_TRUE(warped.status);
  const double expected = 1023 * (1 / 1.5 - 0.1) / (2 - 0.1);
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 32; ++x) {
      ASSERT_NEAR(warped.distance(x, y), expected, 0.51);
      ASSERT_EQ(warped.luma(x, y), 77);
      ASSERT_EQ(warped.mask(x, y), 1024) << "no cracks where the target is closer";
    }
}

// A texture that is a smooth function of the direction in the world.
double painted(double x, double y, double z) {
  return 128 + 50 * std::sin(9 * x + 3 * y) + 40 * std::cos(8 * y - 5 * z);
}

TEST(Warp, ARotationAgreesWithARendererInDoublePrecision) {
  const auto draw = [](View& view) {
    const Camera& c = view.placed.camera;
    const double deg = std::acos(-1.0) / 180, yaw = c.rotation[0] * deg,
                 pitch = c.rotation[1] * deg, roll = c.rotation[2] * deg;
    view.draw(
        [&](int p, int px, int py) {
          if (p > 0) return 128;
          const double left = -(px + 0.5 - c.principal_point[0]) / c.focal[0],
                       up = -(py + 0.5 - c.principal_point[1]) / c.focal[1];
          // Rx(roll), then Ry(pitch), then Rz(yaw).
          const double y1 = left * std::cos(roll) - up * std::sin(roll),
                       z1 = left * std::sin(roll) + up * std::cos(roll);
          const double x2 = std::cos(pitch) + z1 * std::sin(pitch),
                       z2 = -std::sin(pitch) + z1 * std::cos(pitch);
          const double x3 = x2 * std::cos(yaw) - y1 * std::sin(yaw),
                       y3 = x2 * std::sin(yaw) + y1 * std::cos(yaw);
          const double length = std::sqrt(x3 * x3 + y3 * y3 + z2 * z2);
          return int(std::lround(painted(x3 / length, y3 / length, z2 / length)));
        },
        [](int x, int y) { return 20000 + 90 * x + 50 * y; });
  };
  const std::array<float, 3> turns[] = {{0, 0, 0},  {5, 0, 0},    {0, -6, 0},
                                        {0, 0, 25}, {4, 3, -170}, {-3, 5, 90}};
  for (const auto& turn : turns) {
    View base(make_camera(96, 64, 80));
    base.placed.camera.rotation = {100, -20, 10};
    View target = base;
    for (size_t i = 0; i < 3; ++i) target.placed.camera.rotation[i] += turn[i];
    draw(base);
    draw(target);
    const Warped warped({&base}, target.placed);
    ASSERT_TRUE(warped.status);
    double error = 0;
    int seen = 0;
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 96; ++x) {
        if (warped.mask(x, y) < 1024) continue;
        const double d = warped.luma(x, y) - tools::sample(target.texture.picture(), 0, x, y);
        ASSERT_LE(std::abs(d), 6) << x << " " << y;
        error += d * d;
        ++seen;
      }
    EXPECT_GT(seen, 96 * 64 / 2) << turn[0] << " " << turn[1] << " " << turn[2];
    EXPECT_LT(error / seen, 0.6) << turn[0] << " " << turn[1] << " " << turn[2];
  }
}

// A square at 1 m (columns 40..59, rows 8..23) before a wall at 4 m; 64 x 0.25 = 16 and 4 pixels.
View two_planes(const PlacedCamera& camera, int square, int wall_shift) {
  View view(camera);
  const auto inside = [=](int x, int y) {
    return x >= square && x < square + 20 && y >= 8 && y < 24;
  };
  view.draw(
      [&](int p, int x, int y) {
        const int scale = p == 0 ? 1 : 2;
        if (inside(x * scale, y * scale)) return p == 0 ? 200 : 90;
        return p == 0 ? 60 + (x + wall_shift) / 4 % 2 : 140;
      },
      [&](int x, int y) { return inside(x, y) ? 65535 : 0; });
  return view;
}

TEST(Warp, WhatTheForegroundHidIsAHoleAndFilledFromTheBackground) {
  const PlacedCamera camera = make_camera(80, 32);
  const View base = two_planes(camera, 40, 0);
  const Warped warped({&base}, moved_right(camera, 0.25f));
  ASSERT_TRUE(warped.status);
  const Picture colour = warped.texture.picture();
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 76; ++x) {  // behind: not in the base's picture
      const bool rows = y >= 8 && y < 24;
      const bool square = rows && x >= 24 && x < 44, hole = rows && x >= 44 && x < 56;
      ASSERT_EQ(warped.mask(x, y), hole ? 0 : 1024) << x << " " << y;
      ASSERT_EQ(warped.distance(x, y), square ? 65535 : 0) << x << " " << y;
      if (square) {
        ASSERT_EQ(warped.luma(x, y), 200);
      } else if (hole) {
        ASSERT_TRUE(warped.luma(x, y) == 60 || warped.luma(x, y) == 61) << x << " " << y;
      } else if (std::abs(x - 24) > 2 && std::abs(x - 56) > 2) {
        ASSERT_LE(warped.luma(x, y), 61) << x << " " << y;
      }
      if (hole) {
        ASSERT_EQ(tools::sample(colour, 1, x / 2, y / 2), 140);
      }
    }
}

TEST(Warp, TwoBasesFillEachOthersHoles) {
  const PlacedCamera middle = make_camera(80, 32);
  const View left = two_planes(moved_right(middle, -0.25f), 46, -4);
  const View right = two_planes(moved_right(middle, 0.25f), 14, 4);
  const View truth = two_planes(middle, 30, 0);
  const Warped one({&left}, middle), other({&right}, middle), both({&left, &right}, middle);
  ASSERT_TRUE(both.status) << both.status.error().message;
  int holes = 0;
  for (int y = 0; y < 32; ++y)
    for (int x = 4; x < 76; ++x) {
      holes += (one.mask(x, y) == 0) + (other.mask(x, y) == 0);
      ASSERT_EQ(both.mask(x, y), 1024) << x << " " << y;
      ASSERT_EQ(both.distance(x, y), tools::sample(truth.depth.picture(), 0, x, y));
      ASSERT_NEAR(both.luma(x, y), tools::sample(truth.texture.picture(), 0, x, y), 1);
    }
  EXPECT_EQ(holes, 2 * 12 * 16);
}

TEST(Warp, TheNearerOfTwoBasesWeighsMore) {
  const PlacedCamera target = make_camera(32, 16);
  View close(moved_right(target, 0.01f)), distant(moved_right(target, 0.04f));
  close.draw([](int, int, int) { return 100; }, [](int, int) { return 0; });
  distant.draw([](int, int, int) { return 117; }, [](int, int) { return 0; });
  for (const auto& order : {std::vector<const View*>{&close, &distant}, {&distant, &close}}) {
    const Warped warped(order, target);
    EXPECT_EQ(warped.luma(10, 5), 101) << "weights 256 and 18";
  }
}

TEST(Warp, EverythingIsGreyAndFarIfNoBaseSeesTheTarget) {
  View base(make_camera(20, 12));
  base.draw_noise(1);
  PlacedCamera target = base.placed;
  target.camera.rotation[0] = 180;
  const Warped warped({&base}, target);
  ASSERT_TRUE(warped.status);
  for (int y = 0; y < 12; ++y)
    for (int x = 0; x < 20; ++x) {
      ASSERT_EQ(warped.luma(x, y), 128);
      ASSERT_EQ(warped.distance(x, y), 0);
      ASSERT_EQ(warped.mask(x, y), 0);
    }
}

TEST(Coverage, IsTheShareOfTargetPixelsThatTheBaseReaches) {
  const PlacedCamera camera = make_camera(64, 24);
  View base(camera);
  base.draw([](int, int, int) { return 0; }, [](int, int) { return 65535 / 3; });
  WarpMemory memory;
  const auto share = [&](const PlacedCamera& target) {
    const auto map = make_view_map(camera, target);
    return map ? coverage(*map, base.depth.picture(), memory).value() : -1.0;
  };
  EXPECT_EQ(share(camera), 1.0);
  EXPECT_EQ(share(moved_right(camera, 0.25f)), 56.0 / 64);
  EXPECT_EQ(share(moved_right(camera, -0.5f)), 48.0 / 64);
  EXPECT_EQ(share(moved_right(camera, 20)), 0.0);
}

}  // namespace
}  // namespace mvinr
