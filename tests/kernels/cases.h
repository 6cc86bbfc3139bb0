// Cases for the kernels: one description serves the test (against the reference) and the benchmark.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace mvinr::test {

enum class Operation {
  norm_to_packed,
  norm_to_plane,
  quantise,
  depthwise,
  pointwise_gelu,
  pointwise,
  pointwise_add,
  pointwise16,
  pointwise16_add,
  upsample,
  upsample_tile,
  head,
};
const std::vector<Operation>& all_operations();
const char* to_string(Operation operation);

/// What the operands are filled with.
enum class Fill {
  typical,   // the ranges of a trained network
  random,    // every value of the type
  extremes,  // the ends of the type and values next to them: saturation and wrap-around
};

struct Case {
  Operation operation = Operation::pointwise;
  int inputs = 16, outputs = 16;  // equal where the operation keeps the number of channels
  int height = 72, width = 128;   // of the input
  int scale = 2;                  // upsample
  Fill fill = Fill::typical;
  bool part = false;  // works on an inner range of positions or rows only, if the plane has one
  uint32_t seed = 1;

  std::string name() const;
  int64_t multiply_adds() const;  // 0 for norm, quantise and upsample
  int64_t outputs_written() const;
};

/// What the cases of a test vary.
enum class Vary { width, channels, scale, part, extremes, real_sizes, largest_layers };
/// The cases on which every kernel set must equal the reference.
std::vector<Case> cases(Operation operation, Vary vary);

/// Operands of a case, and one output buffer with guard bytes on both sides.
class Operands {
 public:
  explicit Operands(const Case& c);
  ~Operands();
  Operands(const Operands&) = delete;

  /// Gives the output buffer its content before the call.
  void reset();
  void run(const Kernels& kernels);

  /// "" if `other`, the operands of the same case after another kernel set has run, has the same
  /// output here, and neither has written to what it must leave alone; else the first difference.
  std::string compare(const Operands& other) const;
  /// "" unless something outside the range of the call has changed.
  std::string check_untouched() const;

 private:
  struct Data;
  std::unique_ptr<Data> data_;
};

}  // namespace mvinr::test
