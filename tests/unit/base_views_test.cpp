// choose_base_views: by what the views show of each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/owned_picture.h"
#include "mvinr/warp.h"
#include "tools/picture_buffer.h"

namespace mvinr {
namespace {

using Views = std::vector<int>;

constexpr double kNear = 1, kFar = 8;

ViewInfo view_at(float left, float up = 0, float yaw = 0, int width = 64, int height = 48) {
  return {.width = width,
          .height = height,
          .texture = SampleFormat::yuv420_8,
          .depth = SampleFormat::gray_16,
          .camera = Camera{.focal = {float(width), float(width)},
                           .principal_point = {float(width) / 2, float(height) / 2},
                           .depth_range = {kNear, kFar},
                           .position = {0, left, up},
                           .rotation = {yaw, 0, 0}}};
}

std::vector<ViewInfo> line(int views, float step) {
  std::vector<ViewInfo> all;
  for (int v = 0; v < views; ++v) all.push_back(view_at(-step * float(v)));
  return all;
}

/// How far forward (in the world) the surface is, for a place `left` of the origin in metres.
using Surface = std::function<double(double left)>;

double wall(double) { return 4; }

/// What the views see of a surface: their depths by marching along each column's ray.
struct Scene {
  std::vector<ViewInfo> views;
  std::vector<tools::PictureBuffer> depths;

  explicit Scene(std::vector<ViewInfo> all, const Surface& surface = wall) : views(std::move(all)) {
    for (const ViewInfo& view : views) {
      tools::PictureBuffer depth(view.depth, view.width, view.height);
      for (int x = 0; x < view.width && view.depth != SampleFormat::none; ++x) {
        const int sample = sample_of(view, x, surface);
        for (int y = 0; y < view.height; ++y)
          tools::set_sample(depth.mutable_picture(), 0, x, y, sample);
      }
      depths.push_back(std::move(depth));
    }
  }

  static int sample_of(const ViewInfo& view, int x, const Surface& surface) {
    const Camera& c = *view.camera;
    const double yaw = double{c.rotation[0]} * 3.14159265358979 / 180;
    const double u = (x + 0.5 - double{c.principal_point[0]}) / double{c.focal[0]};
    const double forward = std::cos(yaw) + u * std::sin(yaw),
                 left = std::sin(yaw) - u * std::cos(yaw);
    double z = kNear;
    while (z < kFar && z * forward < surface(double{c.position[1]} + z * left)) z += 0.005;
    const double inverse = (1 / std::min(z, kFar) - 1 / kFar) / (1 / kNear - 1 / kFar);
    return int(inverse * ((1 << bit_depth(view.depth)) - 1) + 0.5);
  }

  Instant instant() const {
    Instant instant{.views = views, .depths = {}};
    for (size_t v = 0; v < views.size(); ++v)
      instant.depths.push_back(views[v].depth == SampleFormat::none ? Picture{}
                                                                    : depths[v].picture());
    return instant;
  }
  BaseChoice choose(int count = 0) const {
    const Instant one = instant();
    const auto choice = choose_base_views({&one, 1}, count);
    EXPECT_TRUE(choice) << choice.error().message;
    return choice ? *choice : BaseChoice{};
  }
};

TEST(ChooseBaseViews, TakesTheMiddleOfALine) {
  EXPECT_EQ(Scene(line(3, 0.4f)).choose(1).views, Views{1});
  const BaseChoice seven = Scene(line(7, 0.4f)).choose(1);
  EXPECT_EQ(seven.views, Views{3});
  EXPECT_GT(seven.coverage, 0.7);
  EXPECT_LT(seven.coverage, 0.9);
}

TEST(ChooseBaseViews, OneIsEnoughForNeighboursAndNotForARoom) {
  const BaseChoice near = Scene(line(4, 0.1f)).choose();
  EXPECT_EQ(near.views.size(), 1u);
  EXPECT_GT(near.coverage, 0.95);
  const BaseChoice wide = Scene(line(8, 1)).choose();
  EXPECT_GE(wide.views.size(), 2u);
  EXPECT_LE(wide.views.size(), 4u);
  EXPECT_GT(wide.coverage, 0.6);
}

TEST(ChooseBaseViews, LooksAtDepthAndNotOnlyAtWhereTheCamerasStand) {
  // A post stands before the view in the middle and hides the wall from it.
  const auto post = [](double left) { return std::abs(left + 0.4) < 0.6 ? 1.2 : 4.0; };
  std::vector<ViewInfo> views = line(3, 0.4f);
  const BaseChoice plain = Scene(views).choose(1);
  EXPECT_EQ(plain.views, Views{1});
  views[0] = view_at(1.2f);
  views[2] = view_at(-2.0f);
  EXPECT_NE(Scene(views, post).choose(1).views, Views{1});
}

TEST(ChooseBaseViews, CountsWhereTheCamerasLookToo) {
  // All stand at one place; views 0 to 2 look one way, 3 to 5 the other.
  std::vector<ViewInfo> views;
  for (const float yaw : {0.f, 5.f, 10.f, 170.f, 175.f, -180.f})
    views.push_back(view_at(0, 0, yaw));
  const auto room = [](double) { return 4.0; };
  const BaseChoice chosen = Scene(views, room).choose();
  ASSERT_EQ(chosen.views.size(), 2u);
  EXPECT_LT(chosen.views[0], 3);
  EXPECT_GE(chosen.views[1], 3);
}

TEST(ChooseBaseViews, SeesThatCamerasDoNotFitTheDepth) {
  Scene scene(line(3, 0.3f), [](double left) { return 3 + std::sin(9 * left); });
  EXPECT_GT(scene.choose(1).coverage, 0.7);
  // The same pictures, but the cameras are told to be elsewhere.
  scene.views[0].camera->position = {0.9f, 0.5f, 0};
  scene.views[2].camera->position = {-0.8f, -1.2f, 0};
  scene.views[2].camera->rotation = {15, 0, 0};
  EXPECT_LT(scene.choose(1).coverage, 0.25);
  // They look at different things.
  EXPECT_LT(Scene({view_at(0), view_at(0, 0, 180)}).choose(1).coverage, 0.01);
}

TEST(ChooseBaseViews, SeveralInstantsCountAlike) {
  // At the first instant the views 0 and 1 see the same, later 1 and 2 do.
  const auto at = [](float a, float b, float c) {
    return Scene({view_at(0, 0, a), view_at(0, 0, b), view_at(0, 0, c)});
  };
  const Scene first = at(0, 2, 60), later = at(-60, 2, 0);
  const Instant instants[] = {first.instant(), later.instant()};
  const auto choice = choose_base_views(instants, 1);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->views, Views{1});
  EXPECT_NEAR(choice->coverage, 0.5, 0.1);
}

TEST(ChooseBaseViews, TakesSizesAndFormatsAsTheyCome) {
  std::vector<ViewInfo> views = {view_at(0.3f, 0, 0, 401, 301), view_at(0),
                                 view_at(-0.3f, 0, 0, 7, 5)};
  views[1].depth = SampleFormat::gray_8;
  views[2].depth = SampleFormat::gray_10;
  EXPECT_GT(Scene(views).choose(1).coverage, 0.8);
  // A view without depth is predicted, and never a base view.
  views[1].depth = SampleFormat::none;
  const BaseChoice chosen = Scene(views).choose(1);
  EXPECT_NE(chosen.views, Views{1});
  EXPECT_GT(chosen.coverage, 0.7);
}

TEST(ChooseBaseViews, LeavesAViewToTheNetworkAndKeepsTheLimit) {
  EXPECT_EQ(Scene(line(3, 2)).choose(9).views.size(), 2u);
  EXPECT_EQ(Scene(line(2, 8)).choose().views.size(), 1u);
  EXPECT_EQ(Scene(line(18, 3)).choose(20).views.size(), size_t{kMaxBaseViews});
}

TEST(PredictionErrors, AreThoseOfWhatTheWarpShows) {
  const Scene scene(line(3, 0.02f));
  Instant instant = scene.instant();
  // The same grey everywhere is predicted without error, a brighter view with that of the offset.
  std::vector<OwnedPicture> greys;
  for (size_t v = 0; v < 3; ++v) {
    const ViewInfo& view = instant.views[v];
    OwnedPicture& grey = greys.emplace_back(view.texture, view.width, view.height);
    const MutablePicture out = grey.writable();
    for (int plane = 0; plane < 3; ++plane)
      for (int y = 0; y < (plane == 0 ? view.height : (view.height + 1) / 2); ++y)
        std::fill_n(out.data[plane] + y * out.stride[plane],
                    plane == 0 ? view.width : (view.width + 1) / 2, std::byte(v == 2 ? 151 : 100));
    instant.textures.push_back(grey.picture());
  }
  const auto errors = prediction_errors({&instant, 1}, std::vector{1});
  ASSERT_TRUE(errors) << errors.error().message;
  ASSERT_EQ(errors->size(), 3u);
  EXPECT_LT((*errors)[0], 1e-4);
  EXPECT_EQ((*errors)[1], 0);
  EXPECT_NEAR((*errors)[2], 0.2 * 0.2, 0.002);

  EXPECT_FALSE(prediction_errors({}, std::vector{1}));
  EXPECT_FALSE(prediction_errors({&instant, 1}, {}));
  EXPECT_FALSE(prediction_errors({&instant, 1}, std::vector{3}));
  instant.textures[0] = {};
  EXPECT_FALSE(prediction_errors({&instant, 1}, std::vector{1}));
}

TEST(ChooseBaseViews, NamesWhatIsWrong) {
  const auto refused = [](const Instant& instant, const char* words) {
    const auto choice = choose_base_views({&instant, 1});
    ASSERT_FALSE(choice) << words;
    EXPECT_EQ(choice.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(choice.error().message.find(words), std::string::npos) << choice.error().message;
  };
  const Scene scene(line(3, 0.2f));
  Instant instant = scene.instant();
  instant.views[2].camera.reset();
  refused(instant, "view 2 has no camera");
  instant = scene.instant();
  for (size_t v = 0; v < 3; ++v)
    instant.views[v].depth = SampleFormat::none, instant.depths[v] = {};
  refused(instant, "no view has depth");
  instant = scene.instant();
  instant.depths[1].width = 32;
  refused(instant, "depth of view 1");
  instant = scene.instant();
  instant.views[1].camera->focal[0] = 0;
  refused(instant, "focal");
  instant.views.resize(1);
  instant.depths.resize(1);
  refused(instant, "fewer than two");
  EXPECT_FALSE(choose_base_views({}));
}

}  // namespace
}  // namespace mvinr
