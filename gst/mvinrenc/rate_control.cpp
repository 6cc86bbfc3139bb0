#include "rate_control.h"

#include <algorithm>

namespace mvinr::gst {
namespace {

constexpr double kRecovery = 4;        // GOPs over which a debt is paid back
constexpr double kMaxRepayment = 0.5;  // of a GOP's share
constexpr double kMaxDebt = 8;         // GOPs: beyond, a scene cut would starve what follows

}  // namespace

double RateControl::aim(double share) const {
  return share - std::clamp(debt_ / kRecovery, -kMaxRepayment * share, kMaxRepayment * share);
}

void RateControl::update(double share, double measured, double lambda) {
  debt_ = std::clamp(debt_ + measured - share, -kMaxDebt * share, kMaxDebt * share);
  if (lambda > 0) lambda_ = lambda;
}

}  // namespace mvinr::gst
