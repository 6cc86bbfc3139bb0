// Adam (arXiv 1412.6980) over groups of tensors with their own learning rates, in one pass per
// tensor. Cautious (arXiv 2411.16085): a parameter whose gradient points against its momentum
// waits, the others move 1.5 times as far.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace mvinr {

class Adam {
 public:
  struct Options {
    double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-10;
  };
  explicit Adam(Options options) : options_(options) {}

  /// `rate` is the group's learning rate relative to the one given to step(). `decay`: every step
  /// takes learning rate x decay of the parameter away (AdamW, arXiv 1711.05101).
  void add(const at::Tensor& parameter, double rate, double decay = 0);
  /// Updates every parameter that has a gradient, then clears the gradients.
  void step(double learning_rate);

 private:
  struct Slot {
    at::Tensor parameter, m, v;
    double rate = 1, decay = 0;
  };
  Options options_;
  std::vector<Slot> slots_;
  int64_t steps_ = 0;
};

}  // namespace mvinr
