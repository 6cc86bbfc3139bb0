// Shares a bit rate out to GOPs.
#pragma once

namespace mvinr::gst {

/// Every GOP is led to its size while it is coded (Encoder::set_target_bytes); what it misses is
/// paid back by the GOPs that follow. Also knows where lambda should begin.
class RateControl {
 public:
  explicit RateControl(double first_lambda) : lambda_(first_lambda) {}

  /// Where lambda should begin: that of the GOP before.
  double lambda() const { return lambda_; }
  /// Bits for the next GOP, whose share of the bit rate is `share`.
  double aim(double share) const;
  /// The GOP whose share was `share` took `measured` bits and ended with `lambda`.
  void update(double share, double measured, double lambda);

 private:
  double lambda_;
  double debt_ = 0;  // bits spent too much so far
};

}  // namespace mvinr::gst
