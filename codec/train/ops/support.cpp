#include "train/ops/support.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

#include "base/clones.h"
#include "base/thread_pool.h"

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

int64_t share_count(int64_t rows, int64_t pixels, int64_t work) {
  if (work < 200'000) return 1;
  return std::min(rows, std::clamp<int64_t>(pixels / 256, 1, 8));
}

namespace {

/// Memory of tensors that are gone, by size.
class Pool {
 public:
  float* take(size_t bytes) {
    {
      std::lock_guard lock(mutex_);
      std::vector<void*>& list = free_[bytes];
      if (!list.empty()) {
        void* p = list.back();
        list.pop_back();
        return static_cast<float*>(p);
      }
    }
    void* p = std::aligned_alloc(64, bytes);
    if (!p) throw std::bad_alloc();
    return static_cast<float*>(p);
  }
  void give(void* p, size_t bytes) {
    std::lock_guard lock(mutex_);
    free_[bytes].push_back(p);
  }
  void clear() {
    std::lock_guard lock(mutex_);
    for (auto& [bytes, list] : free_)
      for (void* p : list) std::free(p);
    free_.clear();
  }

 private:
  std::mutex mutex_;
  std::unordered_map<size_t, std::vector<void*>> free_;
};
Pool& pool() {
  static Pool* pool = new Pool;  // tensors may outlive every static object
  return *pool;
}

size_t bytes_of(size_t floats) {
  return (std::max<size_t>(floats, 1) * sizeof(float) + 63) / 64 * 64;
}

}  // namespace

Tensor make_tensor(at::IntArrayRef shape) {
  const size_t bytes = bytes_of(size_t(c10::multiply_integers(shape)));
  float* memory = pool().take(bytes);
  return at::from_blob(
      memory, shape, [bytes](void* p) { pool().give(p, bytes); }, torch::kFloat32);
}

void release_memory() { pool().clear(); }

namespace {

// Loops of a step follow each other within some ten microseconds.
constexpr int kSpinMicroseconds = 100;

struct Threads {
  std::mutex mutex;
  std::shared_ptr<ThreadPool> pool = std::make_shared<ThreadPool>(1);
};
Threads& threads() {
  static Threads* threads = new Threads;
  return *threads;
}

}  // namespace

void set_threads(int count) {
  std::lock_guard lock(threads().mutex);
  if (threads().pool->workers() != count)
    threads().pool = std::make_shared<ThreadPool>(count, kSpinMicroseconds);
}

void parallel_calls(int64_t count, const std::function<void(int64_t)>& run) {
  if (count == 1) return run(0);
  std::shared_ptr<ThreadPool> pool;
  {
    std::lock_guard lock(threads().mutex);
    pool = threads().pool;
  }
  std::mutex mutex;
  std::exception_ptr thrown;
  pool->parallel_for(int(count), [&](int i, int) {
    try {
      run(i);
    } catch (...) {
      std::lock_guard lock(mutex);
      thrown = std::current_exception();
    }
  });
  if (thrown) std::rethrow_exception(thrown);
}

Floats::Floats(int64_t count) : data_(pool().take(bytes_of(size_t(count)))), count_(count) {}

Floats::~Floats() {
  if (data_) pool().give(data_, bytes_of(size_t(count_)));
}

Floats pad_rows(const Tensor& w, int64_t lanes) {
  const int64_t rows = w.size(0), columns = w.size(1), stride = round_up_to(columns, lanes);
  Floats out(rows * stride);
  const float* from = w.const_data_ptr<float>();
  float* to = out.data();
  for (int64_t r = 0; r < rows; ++r, from += columns, to += stride) {
    std::copy_n(from, columns, to);
    std::fill_n(to + columns, stride - columns, 0.0f);
  }
  return out;
}

Floats transpose_padded(const Tensor& w, int64_t lanes, float scale, const Tensor& mantissa) {
  const int64_t rows = w.size(0), columns = w.size(1), stride = round_up_to(rows, lanes);
  const float* m = mantissa.defined() ? mantissa.const_data_ptr<float>() : nullptr;
  Floats out(columns * stride);
  const float* from = w.const_data_ptr<float>();
  float* to = out.data();
  for (int64_t c = 0; c < columns; ++c, to += stride) {
    for (int64_t r = 0; r < rows; ++r) to[r] = from[r * columns + c] / (m ? m[r] : 1.0f) * scale;
    for (int64_t r = rows; r < stride; ++r) to[r] = 0.0f;
  }
  return out;
}

namespace {

MVINR_CLONES uint32_t pack_two_rows(const float* a, const float* b, int64_t count, uint32_t* out) {
  uint32_t lost = 0;
  const auto round = [](float f) {
    const uint32_t bits = std::bit_cast<uint32_t>(f);
    return (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16;
  };
  for (int64_t i = 0; i < count; ++i) {
    out[i] = round(a[i]) | round(b[i]) << 16;
    lost |= std::bit_cast<uint32_t>(a[i]) | std::bit_cast<uint32_t>(b[i]);
  }
  return lost & 0xFFFFu;
}

}  // namespace

Floats pack_pairs(const Floats& rows, int64_t stride, bool& exact) {
  const int64_t count = rows.size() / stride, pairs = (count + 1) / 2;
  const std::vector<float> zeros(count % 2 ? size_t(stride) : 0, 0.0f);
  Floats out(pairs * stride);
  for (int64_t i = 0; i < pairs; ++i) {
    const float* a = rows.data() + 2 * i * stride;
    if (pack_two_rows(a, 2 * i + 1 < count ? a + stride : zeros.data(), stride,
                      reinterpret_cast<uint32_t*>(out.data() + i * stride)))
      exact = false;
  }
  return out;
}

Floats pad_mantissa(const Tensor& mantissa, int64_t count, int64_t lanes) {
  Floats out(round_up_to(count, lanes));
  std::fill_n(out.data(), out.size(), 1.0f);
  if (mantissa.defined()) std::copy_n(mantissa.const_data_ptr<float>(), count, out.data());
  return out;
}

Floats pad_bias(const Tensor& b, int64_t count, int64_t lanes, Quantise q, float scale) {
  Floats out(round_up_to(count, lanes));
  std::fill_n(out.data(), out.size(), 0.0f);
  if (!b.defined()) return out;
  const float* from = b.const_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i)
    out.data()[i] = scale * (q.on() ? std::floor(from[i] * 1024.0f + 0.5f) / 1024.0f : from[i]);
  return out;
}

ShareSums::ShareSums(int64_t shares, int64_t floats)
    : shares_(shares), stride_(round_up_to(floats, 16)), sums_(shares * stride_) {
  std::fill_n(sums_.data(), sums_.size(), 0.0f);
}

Tensor ShareSums::gather(int64_t offset, int64_t rows, int64_t columns, int64_t lanes,
                         bool transposed, at::IntArrayRef shape, float scale) {
  const int64_t stride = round_up_to(columns, lanes);
  float* first = share(0) + offset;
  for (int64_t s = 1; s < shares_; ++s) {
    const float* other = first + s * stride_;
    for (int64_t i = 0; i < rows * stride; ++i) first[i] += other[i];
  }
  Tensor out = make_tensor(shape);
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
