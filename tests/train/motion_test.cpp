// Displacements in the training: gradients, where they begin, and a stream without cameras or
// depth.
#include "train/motion.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "fixture.h"
#include "mvinr/encoder.h"
#include "tools/quality.h"
#include "train/motion_search.h"

namespace mvinr::train_test {
namespace {

using at::Tensor;
constexpr int kWidth = 48, kHeight = 40;  // of luma

/// Smooth waves, another one per seed.
DisplacedPicture waves(int seed, bool depth) {
  tools::PictureBuffer texture(SampleFormat::yuv420_10, kWidth, kHeight);
  tools::PictureBuffer disparity(SampleFormat::gray_10, kWidth, kHeight);
  const auto draw = [&](tools::PictureBuffer& out, double period) {
    for (int p = 0; p < plane_count(out.picture().format); ++p)
      for (int y = 0; y < plane_size(kHeight, p); ++y)
        for (int x = 0; x < plane_size(kWidth, p); ++x)
          tools::set_sample(out.mutable_picture(), p, x, y,
                            int(512 + 240 * std::sin((x + seed) * 6.2832 / period) +
                                240 * std::cos((y + p) * 6.2832 / (period + 2))));
  };
  draw(texture, 17);
  draw(disparity, 21);
  DisplacedPicture picture;
  const Picture d = disparity.picture();
  EXPECT_TRUE(prepare_displaced(texture.picture(), depth ? &d : nullptr, picture));
  return picture;
}

ModelConfig config_for(int bases, bool depth) {
  ModelConfig m;
  m.canvas_width = kWidth;
  m.canvas_height = kHeight;
  m.depth = depth;
  m.prediction = true;
  m.motion = Motion::learned;
  m.flow_bases = uint8_t(bases);
  return m;
}

TEST(Displacement, OfWholeSamplesMovesThePicture) {
  const DisplacedPicture picture = waves(1, true);
  const ModelConfig config = config_for(1, true);
  Tensor flow = at::zeros({1, kHeight / 2, kWidth / 2, 3});
  const auto at_rest = displace_planes(config, flow, {{&picture}});
  flow.select(3, 0).fill_(2.0 / 4);  // two samples to the right: one position, of chroma one sample
  const auto moved = displace_planes(config, flow, {{&picture, 0, 4}});  // and two positions down
  const int64_t h = kHeight / 2 - 2, w = kWidth / 2 - 1;
  EXPECT_TRUE(
      at::equal(moved.narrow(1, 0, h).narrow(2, 0, w), at_rest.narrow(1, 2, h).narrow(2, 1, w)));
  EXPECT_TRUE((at_rest.narrow(3, 10, 4) == 1).all().item<bool>());
}

TEST(Displacement, GradientsAreThoseOfSmallDifferences) {
  at::manual_seed(5);
  for (const int bases : {1, 2}) {
    const DisplacedPicture first = waves(3, true), second = waves(9, true);
    std::vector<DisplaceBase> pictures = {{&first, 2, -1}};
    if (bases == 2) pictures.push_back({&second, -3, 0});
    const ModelConfig config = config_for(bases, true);
    Tensor flow = at::rand({1, kHeight / 2, kWidth / 2, 3 * bases}).mul_(0.8).sub_(0.4);
    // Confidences inside of their range.
    for (int b = 0; b < bases; ++b) flow.select(3, 3 * b + 2).mul_(0.4).sub_(0.3 + 0.45 * b);
    const Tensor weights = at::rand({1, 1, 1, 14});
    const auto loss_per_position = [&](const Tensor& f) {
      return (displace_planes(config, f, pictures) * weights).sum(3);
    };
    flow.set_requires_grad(true);
    const Tensor gradient = torch::autograd::grad({loss_per_position(flow).sum()}, {flow})[0];
    c10::NoGradGuard guard;
    for (int k = 0; k < 3 * bases; ++k) {
      // Half a sample, an eighth of the confidence.
      const double d = 0.125;
      Tensor up = flow.clone(), down = flow.clone();
      up.select(3, k).add_(d);
      down.select(3, k).sub_(d);
      const Tensor numeric = (loss_per_position(up) - loss_per_position(down)) / (2 * d);
      const Tensor analytic = gradient.select(3, k);
      // Borders are repeated: there the differences are one-sided. The mask is the larger one.
      const auto inner = [](const Tensor& t) { return t.narrow(1, 4, 12).narrow(2, 4, 16); };
      const double scale = inner(numeric).abs().max().item<double>();
      const Tensor off = (inner(analytic) - inner(numeric)).abs();
      const double limit = k % 3 == 2 && bases == 2 ? 0.35 : 0.12;
      EXPECT_GT(scale, 0.01) << k;
      EXPECT_LT(off.mean().item<double>(), 0.04 * scale) << bases << " bases, output " << k;
      EXPECT_LT(off.max().item<double>(), limit * scale) << bases << " bases, output " << k;
    }
  }
}

TEST(Displacement, ConfidencesDoNotLeaveTheirRangeFurther) {
  const DisplacedPicture picture = waves(1, false);
  const ModelConfig config = config_for(1, false);
  for (const double confidence : {-1.5, 0.5}) {
    Tensor flow = at::zeros({1, kHeight / 2, kWidth / 2, 3});
    flow.select(3, 2).fill_(confidence);
    flow.set_requires_grad(true);
    const auto gradient = [&](double sign) {
      const Tensor mask = displace_planes(config, flow, {{&picture}}).narrow(3, 6, 4);
      return torch::autograd::grad({mask.sum() * sign}, {flow})[0]
          .select(3, 2)
          .abs()
          .max()
          .item<double>();
    };
    // A descent with gradient -1 would raise the mask, with +1 lower it.
    EXPECT_EQ(gradient(confidence < 0 ? 1 : -1), 0);
    EXPECT_GT(gradient(confidence < 0 ? -1 : 1), 0);
  }
}

TEST(MotionSearch, FindsWhatTheViewsAreShiftedBy) {
  const auto clip =
      testutil::make_clip({.views = 3, .frames = 3, .width = 96, .height = 64, .cameras = false});
  // The base view is the view itself, moved by five samples and two rows.
  auto moved = clip;
  for (int t = 0; t < 3; ++t) {
    const Picture from = clip.at(t, 1, Component::texture).picture();
    const MutablePicture to = moved.pictures[size_t(t * 3 + 1) * 2].mutable_picture();
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 96; ++x)
        tools::set_sample(
            to, 0, x, y,
            tools::sample(from, 0, std::clamp(x - 5, 0, 95), std::clamp(y + 2, 0, 63)));
  }
  BaseStore base(moved.sequence, {1});
  for (int t = 0; t < 3; ++t)
    ASSERT_TRUE(base.add({t, 1, Component::texture}, moved.at(t, 1, Component::texture).picture()));
  PictureStore pictures(clip.sequence, {1});
  for (int t = 0; t < 3; ++t)
    ASSERT_TRUE(
        pictures.add({t, 1, Component::texture}, clip.at(t, 1, Component::texture).picture()));
  ModelConfig config = profile_for(clip, "xxs", {0, 2}, Motion::learned);
  config.flow_bases = 1;
  const auto found = search_motion(config, clip.sequence, pictures, base, {1}, 2, {});
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->offsets.size(), 1u);
  EXPECT_EQ(found->offsets[0], (Offset{5, -2}));
  EXPECT_EQ(found->shift, 0);
  ASSERT_EQ(found->targets.size(), 3u);
  const Tensor inner = found->targets[1].narrow(1, 2, 4).narrow(2, 2, 8).abs();
  EXPECT_LT(inner.mean().item<double>(), 0.05);
}

TEST(LearnedMotion, BeatsTheBasePictureWithoutCamerasAndDepth) {
  const auto clip = testutil::make_clip({.views = 3,
                                         .frames = 2,
                                         .width = 64,
                                         .height = 48,
                                         .depth = SampleFormat::none,
                                         .cameras = false});
  EncoderOptions options;
  options.mode = Mode::hybrid;
  options.base_views = {1};
  options.gop_frames = 2;
  options.effort = 2;
  options.lambda = 0.001;
  options.profile = "xxs";
  options.device = "cpu";
  options.threads = 1;
  auto encoder = Encoder::create(clip.sequence, options);
  ASSERT_TRUE(encoder) << encoder.error().message;
  tools::PsnrMeter unmoved[3];
  for (int t = 0; t < 2; ++t) {
    const auto base = base_picture(clip, {t, 1, Component::texture});
    ASSERT_TRUE((*encoder)->add_base({t, 1, Component::texture}, base.picture()));
    for (int v = 0; v < 3; ++v) {
      const Picture source = clip.at(t, v, Component::texture).picture();
      ASSERT_TRUE((*encoder)->add({t, v, Component::texture}, source));
      unmoved[v].add(base.picture(), source);
    }
  }
  ASSERT_TRUE((*encoder)->add_base_unit(1, Component::texture, std::vector<std::byte>(100)));
  const auto gop = (*encoder)->encode_gop(2);
  ASSERT_TRUE(gop) << gop.error().message;
  const auto info = read_gop_info(gop->bytes);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->motion, Motion::learned);
  EXPECT_NEAR(gop->stats.estimated_bits, 8.0 * double(gop->bytes.size()),
              0.02 * 8.0 * double(gop->bytes.size()));
  for (const int v : {0, 2}) {
    const double coded = gop->stats.texture[size_t(v)].psnr_y;
    std::printf("view %d: base picture %.2f dB, coded %.2f dB\n", v, unmoved[v].psnr(0), coded);
    EXPECT_GT(coded, unmoved[v].psnr(0) + 2) << v;
  }
}

}  // namespace
}  // namespace mvinr::train_test
