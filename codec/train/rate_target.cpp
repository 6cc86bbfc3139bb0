#include "train/rate_target.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace mvinr {
namespace {

constexpr double kBegin = 0.2;    // progress
constexpr double kGain = 2;       // of log lambda per log bits
constexpr double kIntegral = 20;  // the same, per unit of progress
constexpr double kTime = 0.15;    // progress in which the bits approach the target to 1/e
constexpr double kMaxChange = 5;  // log lambda: e^5 = 150
constexpr double kLooks[] = {0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.9, 0.95};

}  // namespace

bool RateTarget::wants_size(double progress) {
  if (bits_ <= 0 || looks_ == std::ssize(kLooks) || progress < kLooks[looks_]) return false;
  while (looks_ < std::ssize(kLooks) && progress >= kLooks[looks_]) ++looks_;
  return true;
}

void RateTarget::calibrate(double estimated, double written) {
  if (estimated > 0 && written > 0) ratio_ = written / estimated;
}

void RateTarget::follow(double estimated, double progress) {
  const double part = progress - std::exchange(last_progress_, progress);
  if (bits_ <= 0 || progress < kBegin || !(estimated > 0)) return;
  const double distance = std::log(estimated * ratio_ / bits_);
  if (!begin_) begin_ = distance;
  const double error = distance - *begin_ * std::exp(-(progress - kBegin) / kTime);
  const auto limited = [this](double lambda) {
    return std::clamp(lambda, first_ * std::exp(-kMaxChange), first_ * std::exp(kMaxChange));
  };
  settled_ = limited(settled_ * std::exp(kIntegral * part * error));
  lambda_ = limited(settled_ * std::exp(kGain * error));
}

}  // namespace mvinr
