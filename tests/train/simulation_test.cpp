// The trainer's integers are the decoder's: what the forward pass shows with hard precision is what
// Decoder renders from the written bytes.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "fixture.h"
#include "tools/quality.h"
#include "train/loss.h"

namespace mvinr::train_test {
namespace {

/// The samples of a packed head output, rounded and clamped as in docs/bitstream.md 5.6.
tools::PictureBuffer shown(const at::Tensor& packed, SampleFormat format, int width, int height) {
  tools::PictureBuffer buffer(format, width, height);
  const int bits = bit_depth(format);
  const bool texture = plane_count(format) == 3;
  const at::Tensor rounded = at::floor(packed.to(at::kDouble) * double(1 << bits) + 0.5)
                                 .clamp(0, double((1 << bits) - 1))
                                 .to(at::kInt)
                                 .contiguous();
  const auto values = rounded.accessor<int, 3>();
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      tools::set_sample(buffer.mutable_picture(), 0, x, y,
                        values[y / 2][x / 2][(texture ? 0 : 6) + y % 2 * 2 + x % 2]);
  for (int p = 1; texture && p < 3; ++p)
    for (int y = 0; y < plane_size(height, p); ++y)
      for (int x = 0; x < plane_size(width, p); ++x)
        tools::set_sample(buffer.mutable_picture(), p, x, y, values[y][x][3 + p]);
  return buffer;
}

struct Comparison {
  double samples = 0, near = 0, equal = 0;
  int largest = 0;
  tools::PsnrMeter simulated, decoded;

  /// `unit`: the difference in samples that counts as one.
  void add(const Picture& a, const Picture& b, const Picture& source, int unit) {
    simulated.add(a, source);
    decoded.add(b, source);
    for (int p = 0; p < plane_count(a.format); ++p)
      for (int y = 0; y < plane_size(a.height, p); ++y)
        for (int x = 0; x < plane_size(a.width, p); ++x) {
          const int d = std::abs(tools::sample(a, p, x, y) - tools::sample(b, p, x, y));
          samples += 1;
          near += d <= unit;
          equal += d == 0;
          largest = std::max(largest, d);
        }
  }
  void check(const char* what) const {
    const double gap = simulated.psnr(0) - decoded.psnr(0);
    std::printf("%s: simulated %.3f dB, decoded %.3f dB; equal %.3f %%, near %.4f %%, largest %d\n",
                what, simulated.psnr(0), decoded.psnr(0), 100 * equal / samples,
                100 * near / samples, largest);
    EXPECT_LT(std::abs(gap), 0.02) << what;
    // Float sums that lie on a rounding boundary of the normalisation fall on either side; every
    // such flip spreads over the receptive field, which must be a small part of the picture: at
    // 141x95, 99.5 to 100 % are near in six trainings.
    EXPECT_GT(near / samples, 0.99) << what;
  }
};

void compare(const testutil::Clip& clip, const Network& net,
             const std::vector<int>& base_views = {}) {
  const auto bytes = access_unit_of(clip, net, base_views);
  const auto decoded = decode(bytes, &clip);
  ASSERT_EQ(decoded.size(), clip.pictures.size());
  c10::NoGradGuard guard;
  const Values values = prepare_values(net, kHard);
  Comparison texture, depth;
  const BaseStore base = base_store_of(clip, base_views, net.config.motion);
  const std::vector<int> views = network_views(clip, base_views);
  for (int t = 0; t < clip.frames; ++t)
    for (int64_t k = 0; k < int64_t(views.size()); ++k) {
      const int v = views[size_t(k)];
      const ViewInfo& view = clip.sequence.views[size_t(v)];
      const size_t i = (size_t(t) * clip.sequence.views.size() + size_t(v)) * 2;
      const at::Tensor packed = pack_output(
          net.config, forward(net, values, kHard, t, {k}, base.prediction(t, {k}, at::kCPU), {},
                              base.displaced(net.config, t, {k})))[0];
      texture.add(shown(packed, view.texture, view.width, view.height).picture(),
                  decoded[i].picture(), clip.at(t, v, Component::texture).picture(),
                  1 << (bit_depth(view.texture) - 8));
      if (view.depth != SampleFormat::none)
        depth.add(shown(packed, view.depth, view.width, view.height).picture(),
                  decoded[i + 1].picture(), clip.at(t, v, Component::depth).picture(),
                  1 << (bit_depth(view.depth) - 8));
    }
  texture.check("texture");
  if (!depth.simulated.empty()) depth.check("depth");
}

TEST(Simulation, OfATrainedModelShowsTheDecodersPictures) {
  compare(trained_example().clip, trained_example().trained.network);
}

TEST(Simulation, HoldsForTenBitTextureAndEightBitDepthOfOddSize) {
  const auto clip = testutil::make_clip({.views = 1,
                                         .frames = 3,
                                         .width = 141,
                                         .height = 95,
                                         .texture = SampleFormat::yuv420_10,
                                         .depth = SampleFormat::gray_8});
  compare(clip, train_on(clip, "xs", {.lambda = 0.001, .steps = 80}).network);
}

TEST(Simulation, HoldsForHinervsOrderOfLayers) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 48, .height = 32});
  compare(clip, train_on(clip, "mv-hinerv-xxs", {.lambda = 0.001, .steps = 60}).network);
}

TEST(Simulation, HoldsForHybridModels) {
  const auto clip = testutil::make_clip({.views = 4, .frames = 3, .width = 62, .height = 46});
  const std::vector<int> base_views = {0, 2};
  compare(clip, train_on(clip, "xxs", {.lambda = 0.001, .steps = 100}, base_views).network,
          base_views);
}

TEST(Simulation, HoldsForLearnedMotionWithoutCamerasAndForRefinedGeometry) {
  const std::vector<int> base_views = {0, 2};
  const auto without = testutil::make_clip({.views = 4,
                                            .frames = 2,
                                            .width = 62,
                                            .height = 46,
                                            .depth = SampleFormat::none,
                                            .cameras = false});
  compare(
      without,
      train_on(without, "xxs", {.lambda = 0.001, .steps = 60}, base_views, Motion::learned).network,
      base_views);
  const auto clip = testutil::make_clip({.views = 3, .frames = 2, .width = 64, .height = 48});
  compare(
      clip,
      train_on(clip, "xxs", {.lambda = 0.001, .steps = 60}, base_views, Motion::refined).network,
      base_views);
}

// Large scales have rounded bilinear weights, and HiNeRV's own ones are among them.
TEST(Simulation, HoldsForTheProfilesIerv) {
  const auto clip = testutil::make_clip({.views = 3, .frames = 2, .width = 60, .height = 44});
  compare(clip,
          train_on(clip, "ierv-s", {.lambda = 0.001, .steps = 30}, {1}, Motion::learned).network,
          {1});
}

TEST(Simulation, HoldsForScalesOfThreeFourAndFive) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 2, .width = 60, .height = 60});
  ModelConfig config = profile_for(clip, "mv-hinerv-xxs");
  config.stages.erase(config.stages.begin() + 3, config.stages.end());
  config.stages[0].scale = 5;
  config.stages[1].scale = 3;
  config.stages[2].scale = 4;
  std::erase_if(config.grids, [](const GridConfig& g) { return g.stage > 3; });
  config.canvas_width = config.canvas_height = 60;
  ASSERT_TRUE(validate(config));
  Network net = make_network(config, 1, at::kCPU);
  ASSERT_TRUE(train(net, store_of(clip), base_store_of(clip), {.lambda = 0.001, .steps = 60}, {}));
  compare(clip, net);
}

}  // namespace
}  // namespace mvinr::train_test
