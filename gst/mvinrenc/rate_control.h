// Turns a bit rate into a lambda per GOP.
#pragma once

namespace mvinr::gst {

/// The rate of a GOP follows R = a * lambda^b with b < 0. After each GOP the measured size gives a,
/// two GOPs of different lambda give b, and the lambda of the next GOP is the one that should hit
/// the target, less a part of what was spent too much before. The first GOP is a guess.
class RateControl {
 public:
  explicit RateControl(double first_lambda);

  double lambda() const { return lambda_; }

  /// The GOP that was coded with lambda() should have had `target` bits and has `measured`.
  void update(double target, double measured);

 private:
  double lambda_;
  double exponent_;                         // b
  double debt_ = 0;                         // bits spent too much so far
  double last_lambda_ = 0, last_rate_ = 0;  // of the GOP before, rate relative to its target
};

}  // namespace mvinr::gst
