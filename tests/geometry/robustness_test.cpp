// Hostile cameras and pictures, and the same result however it is computed.
#include <bit>
#include <cmath>
#include <limits>

#include "geometry/scene.h"
#include "tools/quality.h"

namespace mvinr {
namespace {

using testutil::make_camera;
using testutil::moved_right;
using testutil::View;
using testutil::Warped;

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t operator()(uint32_t below) { return engine_() % below; }
  /// Any finite number, often an extreme one.
  float number() {
    static constexpr float kExtremes[] = {0,       -0.0f,    1,   -1,    0.5f,   1e-3f,  1e3f,
                                          1e9f,    -1e9f,    180, 1e38f, -1e38f, 1e-38f, 1e-45f,
                                          3.4e38f, -3.4e38f, 90,  -90,   1e20f,  1e-20f};
    if ((*this)(2) == 0) return kExtremes[(*this)(std::size(kExtremes))];
    for (;;) {
      const float x = std::bit_cast<float>(uint32_t(engine_()));
      if (std::isfinite(x)) return x;
    }
  }
  float positive() {
    const float x = std::abs(number());
    return x > 0 ? x : 1;
  }

 private:
  std::mt19937 engine_;
};

PlacedCamera hostile_camera(Random& random, int width, int height) {
  PlacedCamera c = make_camera(width, height);
  // A random subset of the fields, so that many cameras are hostile in one respect only.
  const uint32_t fields = random(64);
  if (fields & 1) c.camera.focal = {random.positive(), random.positive()};
  if (fields & 2) c.camera.principal_point = {random.number(), random.number()};
  if (fields & 4) {
    const float a = random.positive(), b = random.positive();
    c.camera.depth_range = {std::min(a, b), std::max(a, b)};
  }
  if (fields & 8) c.camera.position = {random.number(), random.number(), random.number()};
  if (fields & 16) c.camera.rotation = {random.number(), random.number(), random.number()};
  c.depth =
      std::array{SampleFormat::gray_8, SampleFormat::gray_10, SampleFormat::gray_16}[random(3)];
  c.texture = random(2) == 0 ? SampleFormat::yuv420_8 : SampleFormat::yuv420_10;
  return c;
}

TEST(WarpRobustness, AnyFiniteCamerasGiveAPictureOrAnError) {
  int refused = 0;
  constexpr int kRounds = 3000;
  for (uint32_t seed = 0; seed < kRounds; ++seed) {
    Random random(seed);
    const int width = 1 + int(random(24)), height = 1 + int(random(24));
    View base(hostile_camera(random, width, height));
    base.draw_noise(seed);
    if (seed % 4 == 0) {  // samples beyond 10 bits
      for (std::byte& b : base.depth.bytes()) b = std::byte(0xff);
      for (std::byte& b : base.texture.bytes()) b = std::byte(0xff);
    }
    View second(hostile_camera(random, 1 + int(random(24)), 1 + int(random(24))));
    second.draw_noise(seed + 1);
    const PlacedCamera target = hostile_camera(random, 1 + int(random(24)), 1 + int(random(24)));
    const Warped warped({&base, &second}, target, 1, int(random(3)));
    if (!warped.status) {
      EXPECT_EQ(warped.status.error().code, ErrorCode::invalid_argument);
      ++refused;
      continue;
    }
    for (size_t i = 0; i < warped.planes.size(); ++i)
      ASSERT_TRUE(warped.planes[i] >= 0 && warped.planes[i] <= 1024) << seed;
  }
  EXPECT_LT(refused, kRounds / 2);
}

TEST(WarpRobustness, CoefficientsStayInTheirRange) {
  for (uint32_t seed = 0; seed < 20000; ++seed) {
    Random random(seed);
    const PlacedCamera a = hostile_camera(random, 1 + int(random(8192)), 1 + int(random(8192)));
    const PlacedCamera b = hostile_camera(random, 1 + int(random(8192)), 1 + int(random(8192)));
    const auto map = make_view_map(a, b);
    if (!map) continue;
    for (const auto* p : {&map->forward, &map->backward}) {
      const PlacedCamera& source = p == &map->forward ? a : b;
      for (int i = 0; i < 3; ++i) {
        const double most = std::abs(double(p->a[i][0])) * source.width +
                            std::abs(double(p->a[i][1])) * source.height +
                            std::abs(double(p->a[i][2])) + std::abs(double(p->b[i])) * kMaxInverse;
        ASSERT_LT(most, 0x1p45) << seed;
        if (i == 2) {
          ASSERT_LE(std::ldexp(most, -p->shift), 0x1p28) << seed;
        }
      }
      ASSERT_GE(p->g, 1);
      ASSERT_LE(p->g, 1 << 24);
    }
    ASSERT_GE(map->base_edge, 1);
    ASSERT_GE(map->target_edge, 1);
    ASSERT_GE(map->base_depth.shift, 1);
    ASSERT_LE(map->base_depth.shift, 40);
  }
}

TEST(WarpRobustness, DegenerateCamerasAreRefusedByName) {
  const PlacedCamera good = make_camera(8, 8);
  struct Case {
    const char* words;
    void (*spoil)(PlacedCamera&);
  };
  const Case cases[] = {
      {"not finite",
       [](PlacedCamera& c) { c.camera.position[1] = std::numeric_limits<float>::quiet_NaN(); }},
      {"not finite",
       [](PlacedCamera& c) { c.camera.rotation[0] = std::numeric_limits<float>::infinity(); }},
      {"focal", [](PlacedCamera& c) { c.camera.focal[1] = 0; }},
      {"near is not positive",
       [](PlacedCamera& c) {
         c.camera.depth_range = {0, 1};
       }},
      {"near is not before far",
       [](PlacedCamera& c) {
         c.camera.depth_range = {2, 2};
       }},
      {"8193x8", [](PlacedCamera& c) { c.width = 8193; }},
      {"8x0", [](PlacedCamera& c) { c.height = 0; }},
  };
  for (const Case& c : cases) {
    PlacedCamera bad = good;
    c.spoil(bad);
    for (const auto& [map, which] : {std::pair{make_view_map(bad, good), "base camera"},
                                     std::pair{make_view_map(good, bad), "target camera"}}) {
      ASSERT_FALSE(map);
      EXPECT_EQ(map.error().code, ErrorCode::invalid_argument);
      EXPECT_NE(map.error().message.find(c.words), std::string::npos) << map.error().message;
      EXPECT_NE(map.error().message.find(which), std::string::npos) << map.error().message;
    }
  }
  PlacedCamera no_depth = good;
  no_depth.depth = SampleFormat::none;
  EXPECT_FALSE(make_view_map(no_depth, good));
  EXPECT_TRUE(make_view_map(good, no_depth));
}

TEST(WarpRobustness, PicturesThatDoNotSuitTheMapAreRefused) {
  const PlacedCamera camera = make_camera(16, 8);
  View base(camera), small(make_camera(8, 8));
  const auto map = make_view_map(camera, camera);
  ASSERT_TRUE(map);
  WarpMemory memory;
  std::vector<int16_t> planes(14 * 8 * 4);
  const WarpedPlanes out{planes.data(), 32, 8, 4};
  const BaseInput good{&*map, base.texture.picture(), base.depth.picture()};
  EXPECT_TRUE(warp({&good, 1}, camera, out, memory));
  EXPECT_FALSE(warp({}, camera, out, memory));
  EXPECT_FALSE(warp({&good, 1}, small.placed, out, memory)) << "another target";
  EXPECT_FALSE(warp({&good, 1}, camera, {planes.data(), 32, 7, 4}, memory));
  EXPECT_FALSE(warp({&good, 1}, camera, {nullptr, 32, 8, 4}, memory));
  for (const BaseInput& bad :
       {BaseInput{nullptr, good.texture, good.depth},
        BaseInput{&*map, small.texture.picture(), good.depth},
        BaseInput{&*map, good.texture, small.depth.picture()},
        BaseInput{&*map, good.texture, good.texture}, BaseInput{&*map, good.texture, {}}})
    EXPECT_FALSE(warp({&bad, 1}, camera, out, memory));
  const MutablePicture wrong = small.texture.mutable_picture();
  EXPECT_FALSE(warp_to_picture({&good, 1}, camera, &wrong, nullptr, memory));
}

std::string md5_of(const Warped& warped) {
  Picture planes{.format = SampleFormat::gray_16,
                 .width = warped.width,
                 .height = warped.height * kWarpPlanes};
  planes.data[0] = reinterpret_cast<const std::byte*>(warped.planes.data());
  planes.stride[0] = ptrdiff_t{warped.width} * 2;
  return tools::md5_of(planes);
}

// Two bases around a target that is turned, rolled, nearer and of another size.
Warped warp_of_everything(int threads) {
  View left(make_camera(150, 90, 130)), right(moved_right(make_camera(133, 101, 120), 0.5f));
  left.placed.camera.rotation = {-4, 2, 1};
  right.placed.camera.rotation = {3, -1, 4};
  uint32_t seed = 1;
  for (View* view : {&left, &right}) {
    std::mt19937 random(seed++);
    view->draw([&](int, int x, int y) { return int((x * 7 + y * 5 + random() % 40) % 256); },
               [&](int x, int y) {
                 const bool box = x > 50 && x < 90 && y > 30 && y < 70;
                 return int((box ? 50000 : 9000) + 40 * x + 20 * y + random() % 200);
               });
  }
  PlacedCamera target = moved_right(make_camera(141, 97, 140), 0.2f);
  target.camera.position[0] = 0.1f;
  target.camera.rotation = {1, 2, -12};
  target.depth = SampleFormat::gray_10;
  return Warped({&left, &right}, target, threads);
}

TEST(WarpDeterminism, EveryNumberOfThreadsGivesTheSame) {
  const Warped alone = warp_of_everything(1);
  ASSERT_TRUE(alone.status) << alone.status.error().message;
  for (const int threads : {2, 3, 7}) {
    const Warped shared = warp_of_everything(threads);
    EXPECT_EQ(md5_of(shared), md5_of(alone)) << threads;
    EXPECT_EQ(tools::md5_of(shared.texture.picture()), tools::md5_of(alone.texture.picture()));
    EXPECT_EQ(tools::md5_of(shared.depth.picture()), tools::md5_of(alone.depth.picture()));
  }
}

// Every machine, compiler and instruction set must arrive here; the suite also runs as a program
// whose loops are compiled without vectors and clones. A change of these is a change of the format.
TEST(WarpDeterminism, TheResultIsTheOneThatIsWrittenHere) {
  const Warped warped = warp_of_everything(1);
  ASSERT_TRUE(warped.status);
  EXPECT_EQ(md5_of(warped), "b480b27fec947cf3ef9af0910bc4f1bb");
  EXPECT_EQ(tools::md5_of(warped.texture.picture()), "d08d41f82d02dda87c9fe9f8e2a59df3");
  EXPECT_EQ(tools::md5_of(warped.depth.picture()), "ca6133191c74aed8b146dd9e4834d8f6");
}

}  // namespace
}  // namespace mvinr
