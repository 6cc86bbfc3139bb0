#include "train/rate_target.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mvinr {
namespace {

/// A training whose bits follow lambda with some inertia and fall towards it, as real ones do, and
/// whose estimate is wrong by `ratio`.
double train(RateTarget& target, double exponent, double ratio) {
  constexpr int kSteps = 200;
  double bits = 0;
  for (int i = 0; i < kSteps; ++i) {
    const double progress = double(i) / kSteps;
    const double fresh = 1 + 2 * std::exp(-progress / 0.15);
    const double wanted = 1e5 * std::pow(target.lambda() / 0.01, exponent) * fresh;
    bits = i == 0 ? wanted : bits + 0.1 * (wanted - bits);
    if (target.wants_size(progress)) target.calibrate(bits / ratio, bits);
    target.follow(bits / ratio, progress);
  }
  return bits;
}

TEST(RateTarget, EndsAtTheTarget) {
  for (const double exponent : {-0.5, -0.7, -1.0})
    for (const double ratio : {0.8, 1.0, 1.3})
      for (const double size : {0.4e5, 1e5, 2.5e5}) {
        RateTarget target(0.01, size);
        EXPECT_NEAR(train(target, exponent, ratio) / size, 1, 0.05)
            << "exponent " << exponent << ", ratio " << ratio << ", size " << size;
      }
}

TEST(RateTarget, WithoutATargetLambdaStays) {
  RateTarget target(0.01, 0);
  train(target, -0.7, 1);
  EXPECT_EQ(target.lambda(), 0.01);
  EXPECT_FALSE(target.wants_size(1));
}

TEST(RateTarget, ImpossibleTargetsStopAtALimit) {
  for (const double size : {1.0, 1e12}) {
    RateTarget target(0.01, size);
    for (int i = 0; i < 1000; ++i) target.follow(1e5, i / 1000.0);
    EXPECT_GT(target.lambda(), 0.01 / 200);
    EXPECT_LT(target.lambda(), 0.01 * 200);
  }
}

}  // namespace
}  // namespace mvinr
