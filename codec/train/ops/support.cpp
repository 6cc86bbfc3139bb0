#include "train/ops/support.h"

#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>

namespace mvinr::ops {

using torch::Tensor;

float* thread_scratch(size_t floats) {
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  thread_local std::unique_ptr<float, Free> memory;
  thread_local size_t capacity = 0;
  if (floats > capacity) {
    memory.reset();
    capacity = 0;
    const size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
    memory.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (!memory) throw std::bad_alloc();
    capacity = floats;
  }
  return memory.get();
}

int64_t share_count(int64_t rows, int64_t work) {
  if (work < 200'000) return 1;
  return std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows));
}

Tensor pad_rows(const Tensor& w, int64_t lanes, float scale) {
  const int64_t rows = w.size(0), columns = w.size(1), stride = round_up_to(columns, lanes);
  if (stride == columns && scale == 1.0f) return w;
  Tensor out = at::empty({rows, stride}, w.options().requires_grad(false));
  const float* from = w.const_data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (int64_t r = 0; r < rows; ++r, to += stride)
    for (int64_t c = 0; c < stride; ++c) to[c] = c < columns ? *from++ * scale : 0.0f;
  return out;
}

Tensor transpose_padded(const Tensor& w, int64_t lanes, float scale, const Tensor& mantissa) {
  const int64_t rows = w.size(0), columns = w.size(1), stride = round_up_to(rows, lanes);
  const Tensor divisor = pad_mantissa(mantissa, rows, lanes);
  const float* m = divisor.const_data_ptr<float>();
  Tensor out = at::empty({columns, stride}, w.options().requires_grad(false));
  const float* from = w.const_data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (int64_t c = 0; c < columns; ++c, to += stride) {
    for (int64_t r = 0; r < rows; ++r) to[r] = from[r * columns + c] / m[r] * scale;
    for (int64_t r = rows; r < stride; ++r) to[r] = 0.0f;
  }
  return out;
}

Tensor pad_mantissa(const Tensor& mantissa, int64_t count, int64_t lanes) {
  Tensor out = at::ones({round_up_to(count, lanes)}, torch::kFloat32);
  if (mantissa.defined()) out.narrow(0, 0, count).copy_(mantissa.view(-1));
  return out;
}

Tensor pad_bias(const Tensor& b, int64_t count, int64_t lanes, Quantise q, float scale) {
  Tensor out = at::zeros({round_up_to(count, lanes)}, torch::kFloat32);
  if (!b.defined()) return out;
  const float* from = b.const_data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (int64_t i = 0; i < count; ++i)
    to[i] = scale * (q.on() ? std::floor(from[i] * 1024.0f + 0.5f) / 1024.0f : from[i]);
  return out;
}

ShareSums make_sums(int64_t shares, int64_t floats) {
  return {at::zeros({shares, round_up_to(floats, 16)}, torch::kFloat32)};
}

Tensor ShareSums::gather(int64_t offset, int64_t rows, int64_t columns, int64_t lanes,
                         bool transposed, float scale) const {
  const int64_t stride = round_up_to(columns, lanes), shares = sums.size(0);
  float* first = sums.data_ptr<float>() + offset;
  for (int64_t s = 1; s < shares; ++s) {
    const float* other = first + s * sums.size(1);
    for (int64_t i = 0; i < rows * stride; ++i) first[i] += other[i];
  }
  Tensor out = transposed ? at::empty({columns, rows}) : at::empty({rows, columns});
  float* to = out.data_ptr<float>();
  if (transposed) {
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t r = 0; r < rows; ++r) *to++ = first[r * stride + c] * scale;
  } else {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) *to++ = first[r * stride + c] * scale;
  }
  return out;
}

}  // namespace mvinr::ops
