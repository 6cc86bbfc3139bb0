// The loops over rows against docs/bitstream.md 7.2 and 7.3 in integers.
#include "geometry/scene.h"
#include "geometry/warp_parts.h"

namespace mvinr {
namespace {

using Wide = __int128;

Wide floor_divide(Wide a, Wide b) {  // b > 0
  return a / b - (a % b < 0 ? 1 : 0);
}

struct Exact {
  int64_t x, y, inverse, divisor;
};
Exact project_exactly(const Projection& p, int x, int y, int64_t inverse) {
  int64_t h[3];
  for (int i = 0; i < 3; ++i) h[i] = p.a[i][0] * x + p.a[i][1] * y + p.a[i][2] + p.b[i] * inverse;
  const int64_t by = std::max<int64_t>(h[2], 1), divisor = h[2] >> p.shift;
  const auto position = [&](int64_t v) {
    return int64_t(std::clamp<Wide>(floor_divide(Wide{v} * 256, by), -(1 << 24), 1 << 24));
  };
  Exact result{position(h[0]), position(h[1]), 0, divisor};
  if (inverse > 0 && divisor > 0)
    result.inverse = int64_t(std::clamp<Wide>(Wide{inverse} * p.g / divisor, 1, kMaxInverse));
  return result;
}

// Cameras side by side, one behind the other, turned away, and of other depth ranges.
std::vector<ViewMap> some_maps() {
  std::mt19937 random(5);
  const auto number = [&](float low, float high) {
    return low + (high - low) * float(random() % 100001) / 100000;
  };
  std::vector<ViewMap> maps;
  while (maps.size() < 60) {
    PlacedCamera camera[2];
    for (PlacedCamera& c : camera) {
      c = testutil::make_camera(301, 40, number(20, 900));
      const float reach = maps.size() < 30 ? 0.3f : 3;
      c.camera.position = {number(-reach, reach), number(-reach, reach), number(-reach, reach)};
      c.camera.rotation = {number(-10, 10) * reach, number(-10, 10), number(-30, 30) * reach};
      const float near = number(0.1f, 2);
      c.camera.depth_range = {near, near * number(1.5f, 500)};
    }
    const auto map = make_view_map(camera[0], camera[1]);
    if (map) maps.push_back(*map);
  }
  return maps;
}

TEST(WarpRows, AreExact) {
  constexpr int kCount = 301;  // no multiple of a vector
  std::mt19937 random(6);
  int nothing = 0, seen = 0;
  for (const ViewMap& map : some_maps()) {
    const Projection& p = map.forward;
    std::vector<int32_t> depth(kCount), wanted(kCount), x(kCount), y(kCount), inverse(kCount),
        only_x(kCount), only_y(kCount), back(kCount);
    for (int row = 0; row < 40; row += 13) {
      for (int i = 0; i < kCount; ++i) {
        depth[i] = random() % 9 == 0 ? 0 : int32_t(random() % (1u << (random() % 28 + 1)));
        wanted[i] = random() % 9 == 0 ? 0 : int32_t(random() % (1u << (random() % 28 + 1)));
      }
      const RowProjection along = project_along(p, row);
      project_row(along, depth.data(), kCount, {x.data(), y.data(), inverse.data()});
      project_row_positions(along, depth.data(), kCount, only_x.data(), only_y.data());
      unproject_row(along, depth.data(), wanted.data(), kCount, back.data());
      for (int i = 0; i < kCount; ++i) {
        const Exact exact = project_exactly(p, i, row, depth[i]);
        ASSERT_EQ(x[i], exact.x) << i;
        ASSERT_EQ(y[i], exact.y) << i;
        ASSERT_EQ(inverse[i], exact.inverse) << i;
        ASSERT_EQ(only_x[i], exact.x) << i;
        ASSERT_EQ(only_y[i], exact.y) << i;
        const int64_t q = std::clamp<int64_t>(exact.divisor, 0, 1 << 24);
        ASSERT_EQ(back[i], wanted[i] == 0 ? 0
                                          : int64_t(std::clamp<Wide>(Wide{wanted[i]} * q / p.g, 1,
                                                                     kMaxInverse)))
            << i;
        (inverse[i] == 0 ? nothing : seen) += 1;
      }
    }
  }
  EXPECT_GT(nothing, 1000);
  EXPECT_GT(seen, 10000);
}

}  // namespace
}  // namespace mvinr
