// Lambda while a GOP trains: fixed, or led so that what is written has a given size.
#pragma once

#include <optional>

namespace mvinr {

/// Proportional and integral control of log lambda by log(bits / expected bits). The expected bits
/// approach the target exponentially: those of a fresh network are far from it, and fall by
/// themselves.
class RateTarget {
 public:
  /// `bits`: of what the network's units will take, all in all; 0: lambda stays as it is.
  RateTarget(double lambda, double bits)
      : lambda_(lambda), bits_(bits), first_(lambda), settled_(lambda) {}

  double lambda() const { return lambda_; }

  /// Whether calibrate() should be called at this progress (0..1): a few times per training.
  bool wants_size(double progress);
  /// Units written now take `written` bits, of which the training believes `estimated`.
  void calibrate(double estimated, double written);
  /// The training's estimate at `progress`.
  void follow(double estimated, double progress);

 private:
  double lambda_;
  double bits_;
  double first_, settled_;  // lambda at the beginning; without the proportional part
  double ratio_ = 1;        // of written to estimated bits
  double last_progress_ = 0;
  std::optional<double> begin_;  // log(bits / target) when control began
  int looks_ = 0;
};

}  // namespace mvinr
