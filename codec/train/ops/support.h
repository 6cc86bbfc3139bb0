// What the fused operations share: the kernel set in use, shares of rows per thread, scratch
// memory, packed weights.
#pragma once

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <functional>
#include <optional>

#include "train/ops/kernels.h"
#include "train/ops/ops.h"

namespace mvinr::ops {

/// The kernel set in use; null for "composite".
const Kernels* current_kernels();

/// Whether the fused kernels can take all these tensors (undefined ones are ignored).
bool fusable(std::initializer_list<torch::Tensor> tensors);

inline int64_t round_up_to(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/// Arguments of an autograd function that may be missing: there, undefined tensors are not allowed.
using MaybeTensor = std::optional<torch::Tensor>;
inline MaybeTensor maybe(const torch::Tensor& t) {
  return t.defined() ? MaybeTensor(t) : std::nullopt;
}
inline torch::Tensor or_undefined(const MaybeTensor& t) { return t ? *t : torch::Tensor(); }

inline const float* data_or_null(const torch::Tensor& t) {
  return t.defined() ? t.const_data_ptr<float>() : nullptr;
}

/// An uninitialised tensor of floats. Its memory comes from earlier tensors of that size: what the
/// system would have to map and clear anew in every step costs as much as a layer.
torch::Tensor make_tensor(at::IntArrayRef shape);

/// 64-byte aligned memory of this thread, good until its next call.
float* thread_scratch(size_t floats);

/// Calls run(i) for every i in [0, count), on all threads (see set_threads). What a call throws is
/// thrown.
void parallel_calls(int64_t count, const std::function<void(int64_t)>& run);

/// Shares rows [0, rows) between `shares` calls run(share, begin, end), in parallel.
template <class Run>
void for_shares(int64_t shares, int64_t rows, const Run& run) {
  parallel_calls(shares, [&](int64_t i) { run(i, rows * i / shares, rows * (i + 1) / shares); });
}

/// Shares of `pixels` pixels in `rows` rows: one in all for work so small (in multiplications) that
/// starting threads costs more. Independent of the number of threads, and so are the results.
int64_t share_count(int64_t rows, int64_t pixels, int64_t work);

/// Floats of the same memory without a tensor around them, which costs more than filling a few
/// hundred of them.
class Floats {
 public:
  Floats() = default;
  explicit Floats(int64_t count);
  Floats(Floats&& other) noexcept {
    std::swap(data_, other.data_), std::swap(count_, other.count_);
  }
  Floats& operator=(Floats&& other) noexcept {
    std::swap(data_, other.data_), std::swap(count_, other.count_);
    return *this;
  }
  ~Floats();
  float* data() { return data_; }
  const float* data() const { return data_; }
  int64_t size() const { return count_; }

 private:
  float* data_ = nullptr;
  int64_t count_ = 0;
};

/// w [rows][columns] -> [rows][columns padded to `lanes`].
Floats pad_rows(const torch::Tensor& w, int64_t lanes);
/// w [rows][columns] -> [columns][rows padded to `lanes`] * scale / mantissa of the row.
Floats transpose_padded(const torch::Tensor& w, int64_t lanes, float scale = 1.0f,
                        const torch::Tensor& mantissa = {});
/// Rows of `stride` floats -> pairs of rows as bfloat16 numbers, [rows / 2][stride][2], rounded to
/// nearest; `exact` becomes false if that changed one.
Floats pack_pairs(const Floats& rows, int64_t stride, bool& exact);
/// Mantissas (undefined: ones) -> [count padded to `lanes`].
Floats pad_mantissa(const torch::Tensor& mantissa, int64_t count, int64_t lanes);
/// b (any shape; undefined: zeros) -> [count padded to `lanes`], rounded to Q10 if q.on(), * scale.
Floats pad_bias(const torch::Tensor& b, int64_t count, int64_t lanes, Quantise q,
                float scale = 1.0f);

/// One sum per share, [rows][columns padded] at `offset` floats from each share's start.
class ShareSums {
 public:
  ShareSums(int64_t shares, int64_t floats);
  float* share(int64_t i) { return sums_.data() + i * stride_; }
  /// The sum over the shares, in order, of [rows][columns padded to `lanes`] at `offset`, * scale,
  /// in a tensor of `shape`: [rows][columns] or, transposed, [columns][rows], or one row.
  torch::Tensor gather(int64_t offset, int64_t rows, int64_t columns, int64_t lanes,
                       bool transposed, at::IntArrayRef shape, float scale = 1.0f);

 private:
  int64_t shares_, stride_;
  Floats sums_;
};

/// What a backward pass needs besides tensors: one entry of an autograd context, which is a
/// dictionary of names.
template <class State>
struct Kept : torch::CustomClassHolder {
  State state;
  static State& make(torch::autograd::AutogradContext* ctx) {
    auto kept = c10::make_intrusive<Kept>();
    State& state = kept->state;
    ctx->saved_data["state"] = c10::IValue::make_capsule(std::move(kept));
    return state;
  }
  /// Lives as long as the context.
  static State& of(torch::autograd::AutogradContext* ctx) {
    return static_cast<Kept&>(*ctx->saved_data["state"].toCapsule()).state;
  }
};

// The fused operations; arguments are checked, contiguous, and fusable().
torch::Tensor fused_block(const torch::Tensor& x, const torch::Tensor& dw_weight,
                          const torch::Tensor& dw_bias, bool norm, const torch::Tensor& w1,
                          const torch::Tensor& b1, const torch::Tensor& w2, const torch::Tensor& b2,
                          bool residual, Quantise q, double guard);
torch::Tensor fused_upsample(const torch::Tensor& x, int scale, const torch::Tensor& tile,
                             Quantise q);
torch::Tensor fused_pointwise(const torch::Tensor& x, const torch::Tensor& w,
                              const torch::Tensor& b, Quantise q, const torch::Tensor& add);
torch::Tensor fused_layer_norm(const torch::Tensor& x, int fraction_bits);

}  // namespace mvinr::ops
