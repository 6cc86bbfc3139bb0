// choose_base_views: from where the cameras stand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "mvinr/stream.h"

namespace mvinr {
namespace {

ViewInfo view_at(float left, float up, float yaw = 0) {
  return {.width = 64,
          .height = 48,
          .texture = SampleFormat::yuv420_8,
          .depth = SampleFormat::gray_16,
          .camera = Camera{.focal = {64, 64},
                           .principal_point = {32, 24},
                           .depth_range = {1, 8},
                           .position = {0, left, up},
                           .rotation = {yaw, 0, 0}}};
}

SequenceInfo line(int views) {
  SequenceInfo sequence;
  for (int v = 0; v < views; ++v) sequence.views.push_back(view_at(-0.1f * float(v), 0));
  return sequence;
}

using Views = std::vector<int>;

TEST(ChooseBaseViews, TakesTheMiddleOfALine) {
  EXPECT_EQ(choose_base_views(line(3), 1), Views{1});
  EXPECT_EQ(choose_base_views(line(7), 1), Views{3});
}

TEST(ChooseBaseViews, TwoOfAGridOfTwelveBringAllOthersNear) {
  SequenceInfo grid;
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 4; ++x) grid.views.push_back(view_at(-0.1f * float(x), -0.1f * float(y)));
  const Views chosen = choose_base_views(grid, 2);
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_LT(chosen[0], chosen[1]);
  EXPECT_NE(chosen[0] % 4, chosen[1] % 4);  // not above each other
  for (int v = 0; v < 12; ++v) {
    int nearest = 12;
    for (const int base : chosen)
      nearest = std::min(nearest, std::abs(v % 4 - base % 4) + std::abs(v / 4 - base / 4));
    EXPECT_LE(nearest, 3) << v;
  }
}

TEST(ChooseBaseViews, CountsWhereTheCamerasLookToo) {
  // All stand at one place; views 0 to 2 look one way, 3 to 5 the other.
  SequenceInfo sequence;
  for (const float yaw : {0.f, 5.f, 10.f, 170.f, 175.f, -180.f})
    sequence.views.push_back(view_at(0, 0, yaw));
  const Views chosen = choose_base_views(sequence, 2);
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_LT(chosen[0], 3);
  EXPECT_GE(chosen[1], 3);
}

TEST(ChooseBaseViews, GivesNoneWithoutCamerasOrDepth) {
  SequenceInfo sequence = line(4);
  sequence.views[2].camera.reset();
  EXPECT_EQ(choose_base_views(sequence, 1), Views{});
  sequence = line(4);
  for (ViewInfo& view : sequence.views) view.depth = SampleFormat::none;
  EXPECT_EQ(choose_base_views(sequence, 1), Views{});
  EXPECT_EQ(choose_base_views(line(4), 0), Views{});
  EXPECT_EQ(choose_base_views(line(1), 1), Views{});
  EXPECT_EQ(choose_base_views({}, 1), Views{});
}

TEST(ChooseBaseViews, PassesOverViewsWithoutDepth) {
  SequenceInfo sequence = line(3);
  sequence.views[1].depth = SampleFormat::none;
  const Views chosen = choose_base_views(sequence, 1);
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_NE(chosen[0], 1);
}

TEST(ChooseBaseViews, LeavesAViewToTheNetworkAndKeepsTheLimit) {
  EXPECT_EQ(choose_base_views(line(3), 9).size(), 2u);
  EXPECT_EQ(choose_base_views(line(20), 20).size(), size_t{kMaxBaseViews});
}

}  // namespace
}  // namespace mvinr
