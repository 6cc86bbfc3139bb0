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
  parallel_calls(shares,
                 [&](int64_t i) { run(i, rows * i / shares, rows * (i + 1) / shares); });
}

/// Shares of `pixels` pixels in `rows` rows: one in all for work so small (in multiplications) that
/// starting threads costs more. Independent of the number of threads, and so are the results.
int64_t share_count(int64_t rows, int64_t pixels, int64_t work);

/// w [rows][columns] -> [rows][columns padded to `lanes`] * scale (w itself if nothing changes).
torch::Tensor pad_rows(const torch::Tensor& w, int64_t lanes, float scale = 1.0f);
/// w [rows][columns] -> [columns][rows padded to `lanes`] * scale / mantissa of the row.
torch::Tensor transpose_padded(const torch::Tensor& w, int64_t lanes, float scale = 1.0f,
                               const torch::Tensor& mantissa = {});
/// Mantissas (undefined: ones) -> [count padded to `lanes`].
torch::Tensor pad_mantissa(const torch::Tensor& mantissa, int64_t count, int64_t lanes);
/// b (any shape; undefined: zeros) -> [count padded to `lanes`], rounded to Q10 if q.on(), * scale.
torch::Tensor pad_bias(const torch::Tensor& b, int64_t count, int64_t lanes, Quantise q,
                       float scale = 1.0f);

/// One sum per share, [shares][rows][columns padded] at `offset` floats from each share's start of
/// `stride` floats -> [rows][columns] * scale, or transposed. Shares are added in order.
struct ShareSums {
  torch::Tensor sums;  // [shares][stride]
  torch::Tensor gather(int64_t offset, int64_t rows, int64_t columns, int64_t lanes,
                       bool transposed, float scale = 1.0f) const;
  float* share(int64_t i) const { return sums.data_ptr<float>() + i * sums.size(1); }
};
ShareSums make_sums(int64_t shares, int64_t floats);

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
