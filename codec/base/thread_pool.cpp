#include "base/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace mvinr {
namespace {

// The pool whose loop this thread is in, and the thread's number there.
thread_local const ThreadPool* current_pool = nullptr;
thread_local int current_worker = 0;

struct Start {
  ThreadPool* pool;
  int worker;
};

}  // namespace

// pthread_create instead of std::thread: it reports failure without an exception.
ThreadPool::ThreadPool(int threads, int spin_microseconds) : spin_microseconds_(spin_microseconds) {
  constexpr int kMostThreads = 256;
  if (threads <= 0) threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  threads = std::min(threads, kMostThreads);
  threads_.reserve(threads - 1);
  for (int worker = 1; worker < threads; ++worker) {
    auto* start = new Start{this, worker};
    pthread_t thread;
    const int error = pthread_create(
        &thread, nullptr,
        [](void* argument) -> void* {
          const Start start = *static_cast<Start*>(argument);
          delete static_cast<Start*>(argument);
          start.pool->work(start.worker);
          return nullptr;
        },
        start);
    if (error != 0) {
      delete start;
      break;
    }
    threads_.push_back(thread);
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (pthread_t thread : threads_) pthread_join(thread, nullptr);
}

template <typename Condition>
void ThreadPool::spin_until(const Condition& condition) const {
  if (spin_microseconds_ == 0) return;
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(spin_microseconds_);
  while (!condition()) {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      asm volatile("yield");
#endif
    }
    if (std::chrono::steady_clock::now() >= end) return;
  }
}

void ThreadPool::run(int count, Call call, void* function) {
  if (count <= 0) return;
  if (current_pool == this) {  // an inner loop
    for (int i = 0; i < count; ++i) call(function, i, current_worker);
    return;
  }
  std::lock_guard one_loop(loop_mutex_);
  const bool shared = count > 1 && !threads_.empty();
  {
    std::lock_guard lock(mutex_);
    call_ = call;
    function_ = function;
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    open_ = shared;
    ++loop_;
  }
  if (shared) wake_.notify_all();
  take_indices(0);
  // A thread that has not woken up by now finds the loop closed: nobody waits for it.
  {
    std::lock_guard lock(mutex_);
    open_ = false;
  }
  spin_until([this] { return active_.load(std::memory_order_relaxed) == 0; });
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return active_ == 0; });
}

void ThreadPool::work(int worker) {
  uint64_t joined = 0;
  for (;;) {
    spin_until([&] { return stop_ || loop_.load(std::memory_order_relaxed) != joined; });
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return stop_ || (open_ && loop_ != joined); });
    if (stop_) return;
    joined = loop_;
    ++active_;
    lock.unlock();
    take_indices(worker);
    lock.lock();
    if (--active_ == 0) done_.notify_one();
    lock.unlock();
  }
}

void ThreadPool::take_indices(int worker) {
  const ThreadPool* outer_pool = std::exchange(current_pool, this);
  const int outer_worker = std::exchange(current_worker, worker);
  // count_ and call_ do not change while this thread is in the loop. The caller closes the loop
  // only once every index is taken, and waits for those who work on one.
  for (int i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;)
    call_(function_, i, worker);
  current_pool = outer_pool;
  current_worker = outer_worker;
}

}  // namespace mvinr
