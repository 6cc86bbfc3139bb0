#include "train/loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "fixture.h"

namespace mvinr::train_test {
namespace {

ModelConfig head(HeadKind kind, bool depth) {
  ModelConfig config;
  config.head = kind;
  config.depth = depth;
  return config;
}

const ModelConfig kShuffle = head(HeadKind::shuffle420, true);

struct Example {
  at::Tensor output;
  Targets targets;
};

/// Targets 1/2 everywhere; the output is off by `error[plane]` (Y, U, V, depth).
Example with_errors(std::array<double, 4> error, bool depth = true) {
  Example e;
  e.output = at::full({2, 8, 12, depth ? 10 : 6}, 0.5);
  e.output.narrow(3, 0, 4) += error[0];
  e.output.select(3, 4) += error[1];
  e.output.select(3, 5) += error[2];
  if (depth) e.output.narrow(3, 6, 4) += error[3];
  e.targets.texture = at::full({2, 8, 12, 6}, 0.5);
  if (depth) e.targets.depth = at::full({2, 8, 12, 4}, 0.5);
  return e;
}

double loss_of(const Example& e, Loss kind, double depth_weight) {
  return distortion(kShuffle, e.output, e.targets, kind, depth_weight).loss.item<double>();
}

TEST(PsnrLoss, WeighsThePlanesSixOneOne) {
  EXPECT_NEAR(loss_of(with_errors({0.1, 0, 0, 0}), Loss::psnr, 1), 6 * 0.01 / 8, 1e-7);
  EXPECT_NEAR(loss_of(with_errors({0, 0.1, 0, 0}), Loss::psnr, 1), 0.01 / 8, 1e-7);
  EXPECT_NEAR(loss_of(with_errors({0, 0, 0.1, 0}), Loss::psnr, 1), 0.01 / 8, 1e-7);
  EXPECT_NEAR(loss_of(with_errors({0, 0, 0, 0.1}), Loss::psnr, 2.5), 2.5 * 0.01, 1e-7);
  EXPECT_EQ(loss_of(with_errors({0, 0, 0, 0.1}), Loss::psnr, 0), 0);
}

TEST(PsnrLoss, ReportsTheErrorsOfThePlanes) {
  const Example e = with_errors({0.1, 0.2, 0.3, 0.4});
  const Distortion d = distortion(kShuffle, e.output, e.targets, Loss::psnr, 1);
  const at::Tensor expected = at::tensor({0.01f, 0.04f, 0.09f, 0.16f});
  EXPECT_TRUE(at::allclose(d.mse, expected, 1e-4)) << d.mse;
}

TEST(PsnrLoss, HasTheGradientOfTheMean) {
  Example e = with_errors({0.1, 0, 0, 0}, false);
  e.output.set_requires_grad(true);
  distortion(kShuffle, e.output, e.targets, Loss::psnr, 1).loss.backward();
  // d/dy of 6/8 mean(y²) over 2·8·12·4 luma samples.
  const double expected = 6.0 / 8 * 2 * 0.1 / (2 * 8 * 12 * 4);
  EXPECT_NEAR(e.output.grad()[1][7][11][3].item<double>(), expected, 1e-9);
  EXPECT_EQ(e.output.grad()[0][0][0][4].item<double>(), 0);
}

TEST(Losses, IgnoreWhatLiesOutsideThePicture) {
  for (const Loss kind : {Loss::psnr, Loss::ssim}) {
    // 31 x 21 in a canvas of 48 x 32.
    const auto clip = testutil::make_clip({.views = 1, .frames = 1, .width = 31, .height = 21});
    const PictureStore store = store_of(clip);
    ModelConfig config = kShuffle;
    config.canvas_width = 48;
    config.canvas_height = 32;
    const Targets targets = store.targets(0, {0}, config, at::kCPU);
    ASSERT_TRUE(targets.mask.defined());
    auto output = [&](double outside) {
      at::Tensor y = at::full({1, 16, 24, 10}, outside);
      for (int row = 0; row < 11; ++row)
        for (int column = 0; column < 16; ++column)
          for (int i = 0; i < 10; ++i) {
            const int k = i < 6 ? i : i - 6;
            const bool luma = k < 4;
            if (luma && (2 * column + k % 2 >= 31 || 2 * row + k / 2 >= 21)) continue;
            y[0][row][column][i] = 0.3;
          }
      return y;
    };
    const double a = distortion(config, output(0.3), targets, kind, 1).loss.item<double>();
    const double b = distortion(config, output(7.0), targets, kind, 1).loss.item<double>();
    EXPECT_NEAR(a, b, 1e-6);
    EXPECT_GT(a, 0.001);
  }
}

TEST(Losses, AreZeroForAPerfectPictureOfOddSize) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 1, .width = 31, .height = 21});
  const PictureStore store = store_of(clip);
  ModelConfig config = kShuffle;
  config.canvas_width = 48;
  config.canvas_height = 32;
  const Targets targets = store.targets(0, {0}, config, at::kCPU);
  const at::Tensor output = at::cat({targets.texture, targets.depth}, 3);
  EXPECT_NEAR(distortion(config, output, targets, Loss::psnr, 1).loss.item<double>(), 0, 1e-9);
  EXPECT_NEAR(distortion(config, output, targets, Loss::ssim, 1).loss.item<double>(), 0, 1e-5);
}

TEST(MsSsim, IsOneForEqualPictures) {
  at::manual_seed(1);
  for (const int size : {5, 16, 100, 170}) {
    const at::Tensor a = at::rand({2, 1, size, size});
    EXPECT_NEAR(ms_ssim(a, a).item<double>(), 1, 1e-5) << size;
  }
}

TEST(MsSsim, FallsAsNoiseGrows) {
  at::manual_seed(1);
  const at::Tensor x = at::arange(96).to(at::kFloat);
  const at::Tensor a =
      (0.5 + 0.4 * (x * 0.2).sin().unsqueeze(1) * (x * 0.13).cos()).view({1, 1, 96, 96});
  const at::Tensor noise = at::randn_like(a);
  double last = 1.0;
  for (const double sigma : {0.01, 0.03, 0.1, 0.3}) {
    const double value = ms_ssim(a, a + sigma * noise).item<double>();
    EXPECT_LT(value, last - 0.0005) << sigma;
    EXPECT_GT(value, 0);
    last = value;
  }
}

TEST(SsimLoss, IsTheSumOfThePapers) {
  const Example e = with_errors({0.1, 0.1, 0.1, 0.2});
  const at::Tensor a = at::full({1, 1, 16, 24}, 0.6f), b = at::full({1, 1, 16, 24}, 0.5f);
  const double expected = 0.7 * 0.1 + 0.3 * (1 - ms_ssim(a, b).item<double>()) + 2 * 0.2;
  EXPECT_NEAR(loss_of(e, Loss::ssim, 2), expected, 1e-5);
}

TEST(PackOutput, OfFull444KeepsLumaAndAveragesChroma) {
  at::manual_seed(1);
  const at::Tensor y = at::rand({2, 4, 6, 4});
  const at::Tensor packed = pack_output(head(HeadKind::full444, true), y);
  ASSERT_EQ(packed.sizes(), (std::vector<int64_t>{2, 2, 3, 10}));
  for (int n = 0; n < 2; ++n)
    for (int r = 0; r < 4; ++r)
      for (int c = 0; c < 6; ++c) {
        const at::Tensor block = packed[n][r / 2][c / 2];
        EXPECT_EQ(block[r % 2 * 2 + c % 2].item<float>(), y[n][r][c][0].item<float>());
        EXPECT_EQ(block[6 + r % 2 * 2 + c % 2].item<float>(), y[n][r][c][3].item<float>());
      }
  const at::Tensor corner = y[1].narrow(0, 2, 2).narrow(1, 4, 2);  // the last block of image 1
  for (int p = 1; p <= 2; ++p)
    EXPECT_NEAR(packed[1][1][2][3 + p].item<double>(), corner.select(2, p).mean().item<double>(),
                1e-6);
}

TEST(PackOutput, OfShuffle420IsTheOutput) {
  const at::Tensor y = at::rand({1, 2, 3, 10});
  EXPECT_TRUE(at::equal(pack_output(kShuffle, y), y));
}

}  // namespace
}  // namespace mvinr::train_test
