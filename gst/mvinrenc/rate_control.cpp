#include "rate_control.h"

#include <algorithm>
#include <cmath>

namespace mvinr::gst {
namespace {

constexpr double kMinLambda = 1e-6, kMaxLambda = 10;
// R falls with lambda about as in 2D codecs until two GOPs have shown the clip's own slope.
constexpr double kFirstExponent = -0.7, kMinExponent = -2, kMaxExponent = -0.25;
constexpr double kMaxStep = 4;         // largest change of lambda from one GOP to the next
constexpr double kRecovery = 4;        // GOPs over which a debt is paid back
constexpr double kMaxRepayment = 0.5;  // of a GOP's target
constexpr double kMaxDebt = 8;         // GOPs: beyond, a scene cut would starve what follows

}  // namespace

RateControl::RateControl(double first_lambda)
    : lambda_(std::clamp(first_lambda, kMinLambda, kMaxLambda)), exponent_(kFirstExponent) {}

void RateControl::update(double target, double measured) {
  if (!(target > 0) || !(measured > 0)) return;
  const double rate = measured / target;
  // A change below 10 % says more about the content than about the slope.
  if (last_rate_ > 0 && std::abs(std::log(lambda_ / last_lambda_)) > 0.1) {
    const double slope = std::log(rate / last_rate_) / std::log(lambda_ / last_lambda_);
    if (std::isfinite(slope))
      exponent_ = 0.5 * (exponent_ + std::clamp(slope, kMinExponent, kMaxExponent));
  }
  last_lambda_ = lambda_;
  last_rate_ = rate;

  debt_ = std::clamp(debt_ + measured - target, -kMaxDebt * target, kMaxDebt * target);
  const double repayment =
      std::clamp(debt_ / kRecovery, -kMaxRepayment * target, kMaxRepayment * target);
  const double aim = target - repayment;
  const double step = std::pow(aim / measured, 1 / exponent_);
  lambda_ = std::clamp(lambda_ * std::clamp(step, 1 / kMaxStep, kMaxStep), kMinLambda, kMaxLambda);
}

}  // namespace mvinr::gst
