#include "train/rate_target.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace mvinr {
namespace {

constexpr double kBegin = 0.15;    // progress
constexpr double kGain = 25;       // of log lambda per log bits and unit of progress
constexpr double kMaxError = 0.5;  // log bits: a far target is approached, not jumped at
constexpr double kMaxChange = 5;   // log lambda: e^5 = 150
constexpr double kLooks[] = {0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.9, 0.95};

// Bits at this progress, relative to those at the end, of trainings with a fixed lambda: the fresh
// network is large and shrinks.
double usual_bits(double progress) { return 1 + 1.8 * std::exp(-(progress - 0.1) / 0.15); }

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
  const double error =
      std::clamp(std::log(estimated * ratio_ / (bits_ * usual_bits(progress))), -kMaxError, kMaxError);
  lambda_ = std::clamp(lambda_ * std::exp(kGain * part * error), first_ * std::exp(-kMaxChange),
                       first_ * std::exp(kMaxChange));
}

}  // namespace mvinr
