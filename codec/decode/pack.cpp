#include "decode/pack.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/try.h"

namespace mvinr {
namespace {

constexpr int kNormFraction = 5;    // fractional bits of a Packed8 from norm or quantise
constexpr int kGeluFraction = 6;    // of the GELU's output
constexpr int kPlaneFraction = 10;  // of a Plane16

Error no_memory() { return {ErrorCode::limit_exceeded, "not enough memory for the network"}; }

// value * M[step & 7] * 2^-n with n = base - (step >> 3), rounded, not yet saturated beyond 64
// bits.
int64_t scale_by_step(int64_t value, int step, int base) {
  const int n = base - (step >> 3);
  const int64_t product = value * kStepMantissa[step & 7];
  if (n < 0) return product * (int64_t{1} << -n);
  return (product + ((int64_t{1} << n) >> 1)) >> n;
}

template <typename T>
T saturate(int64_t value) {
  return static_cast<T>(
      std::clamp<int64_t>(value, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

int step_of(const CodedTensor& tensor, int row) {
  return tensor.steps.size() == 1 ? tensor.steps[0] : tensor.steps[row];
}

class Packer {
 public:
  Packer(const Plan& plan, std::span<const CodedTensor> tensors) : plan_(plan), tensors_(tensors) {}

  Result<std::vector<PackedStep>> pack() const {
    if (tensors_.size() != plan_.tensors.size())
      return Error{ErrorCode::internal, "the number of tensors does not fit the plan"};
    for (size_t i = 0; i < tensors_.size(); ++i)
      if (plan_.tensors[i].unit == UnitType::network)
        MVINR_TRY(check_tensor(plan_.tensors[i], tensors_[i]));
    std::vector<PackedStep> packed(plan_.steps.size());
    for (size_t i = 0; i < packed.size(); ++i)
      if (!pack_step(plan_.steps[i], packed[i])) return no_memory();
    return packed;
  }

 private:
  bool pack_step(const PlanStep& step, PackedStep& out) const {
    switch (step.kind) {
      case StepKind::stem:
      case StepKind::convolve:
      case StepKind::inject:
      case StepKind::flow:
      case StepKind::predict:
        return wide(step.weight, step.bias, out.wide);
      case StepKind::norm_reduce:
        return bytes(step.weight, step.bias, kNormFraction, kNormZero, out.reduce);
      case StepKind::norm:
      case StepKind::sum_grids:
      case StepKind::activate:
        return true;
      case StepKind::upsample:
        return step.weight < 0 || wide(step.weight, step.bias, out.wide);
      case StepKind::block:
        return depthwise(step, out.depthwise) &&
               bytes(step.fc1_weight, step.fc1_bias, kNormFraction, kNormZero, out.fc1) &&
               bytes(step.fc2_weight, step.fc2_bias, kGeluFraction, kGeluZero, out.fc2);
      case StepKind::head:
        head(step, out.head);
        return wide(step.weight, -1, out.wide);
    }
    return true;
  }

  std::vector<Requant> requants(int weight, int bias, int fraction) const {
    std::vector<Requant> result(plan_.tensors[weight].rows());
    for (int row = 0; row < static_cast<int>(result.size()); ++row) {
      int16_t offset = 0;
      if (bias >= 0) {
        const CodedTensor& b = tensors_[bias];
        offset = dequantise_q10(b.symbols[row] * 256, step_of(b, row));
      }
      result[row] = make_requant(step_of(tensors_[weight], row), fraction, offset);
    }
    return result;
  }

  int columns(int weight) const {
    const TensorSpec& spec = plan_.tensors[weight];
    return static_cast<int>(spec.count() / spec.rows());
  }

  // Weights widened to T, columns padded with zeros to a multiple of `group`.
  template <typename T>
  bool copy_weights(int weight, int group, AlignedArray<T>& out) const {
    const int rows = plan_.tensors[weight].rows();
    const int from = columns(weight), to = round_up(from, group);
    if (!out.allocate(size_t(rows) * to)) return false;
    for (int row = 0; row < rows; ++row)
      std::copy_n(tensors_[weight].symbols.data() + size_t(row) * from, from,
                  out.data() + size_t(row) * to);
    return true;
  }

  bool bytes(int weight, int bias, int fraction, int zero, PackedPointwise8& out) const {
    out.inputs = columns(weight);
    out.requant = requants(weight, bias, fraction);
    if (!copy_weights(weight, 4, out.weight)) return false;
    const int16_t* symbols = tensors_[weight].symbols.data();
    for (size_t row = 0; row < out.requant.size(); ++row, symbols += out.inputs) {
      int32_t sum = 0;
      for (int column = 0; column < out.inputs; ++column) sum += symbols[column];
      out.acc_init.push_back(-zero * sum);
    }
    return true;
  }

  bool wide(int weight, int bias, PackedPointwise16& out) const {
    out.inputs = columns(weight);
    out.requant = requants(weight, bias, kPlaneFraction);
    return copy_weights(weight, 2, out.weight);
  }

  bool depthwise(const PlanStep& step, PackedDepthwise& out) const {
    out.requant = requants(step.depthwise_weight, step.depthwise_bias, kPlaneFraction);
    return copy_weights(step.depthwise_weight, 1, out.weight);
  }

  void head(const PlanStep& step, std::vector<HeadRow>& out) const {
    out.resize(step.outputs);
    for (int row = 0; row < step.outputs; ++row) {
      const int s = step_of(tensors_[step.weight], row);
      out[row].mantissa = kStepMantissa[s & 7];
      out[row].shift = 3 - (s >> 3);
      const CodedTensor& bias = tensors_[step.bias];
      out[row].bias = dequantise_q16(bias.symbols[row] * 256, step_of(bias, row));
    }
  }

  const Plan& plan_;
  std::span<const CodedTensor> tensors_;
};

}  // namespace

int16_t dequantise_q10(int32_t u, int step) { return saturate<int16_t>(scale_by_step(u, step, 7)); }

int32_t dequantise_q16(int32_t u, int step) { return saturate<int32_t>(scale_by_step(u, step, 1)); }

Requant make_requant(int step, int fraction, int16_t bias) {
  const int n = fraction - 10 - (step >> 3);  // -20..16: within the 31 that the format allows
  Requant r;
  r.right = static_cast<uint8_t>(std::max(n, 0));
  r.left = static_cast<uint8_t>(std::max(-n, 0));
  r.mantissa = static_cast<int16_t>(kStepMantissa[step & 7]);
  r.bias = bias;
  return r;
}

Status check_tensor(const TensorSpec& spec, const CodedTensor& tensor) {
  if (static_cast<int64_t>(tensor.symbols.size()) != spec.count() ||
      (tensor.steps.size() != 1 && static_cast<int>(tensor.steps.size()) != spec.step_count()))
    return Error{ErrorCode::internal, "tensor " + spec.name + " has the wrong size"};
  const int limit = spec.kind == TensorKind::weight ? 127 : 2047;
  int least = 0, most = 0;
  for (const int16_t symbol : tensor.symbols) {
    least = std::min<int>(least, symbol);
    most = std::max<int>(most, symbol);
  }
  if (least < -limit || most > limit)
    return Error{ErrorCode::corrupt, "tensor " + spec.name + " has the symbol " +
                                         std::to_string(most > limit ? most : least) + ", beyond " +
                                         std::to_string(limit)};
  return ok();
}

Result<std::vector<PackedStep>> pack_network(const Plan& plan,
                                             std::span<const CodedTensor> tensors) {
  return Packer(plan, tensors).pack();
}

}  // namespace mvinr
