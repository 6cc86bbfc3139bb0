// A fixed set of threads that share loops. No exceptions, no allocation per loop.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <type_traits>
#include <vector>

namespace mvinr {

class ThreadPool {
 public:
  /// `threads` counts the calling thread: 1 starts none, 0 means one per core. If the system
  /// refuses a thread, the pool works with those that it has. For loops that follow each other
  /// closely: a thread without work looks for some for `spin_microseconds` before it sleeps, as
  /// waking it takes tens of them.
  explicit ThreadPool(int threads = 0, int spin_microseconds = 30);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// How many threads work on a loop, the caller included; `worker` is below this.
  int workers() const { return static_cast<int>(threads_.size()) + 1; }

  /// Calls fn(int index, int worker) for every index in [0, count), in any order, and returns when
  /// all are done. The caller takes part as worker 0. No two calls run at once with the same worker
  /// number, so `worker` may select scratch memory. Called from inside fn, the inner loop runs on
  /// that thread alone, with its number; called from two threads, the loops run one after the
  /// other. fn must not throw.
  template <typename F>
  void parallel_for(int count, F&& fn) {
    using Function = std::remove_reference_t<F>;
    run(
        count, [](void* f, int index, int worker) { (*static_cast<Function*>(f))(index, worker); },
        const_cast<void*>(static_cast<const void*>(&fn)));
  }

 private:
  using Call = void (*)(void* function, int index, int worker);

  void run(int count, Call call, void* function);
  void work(int worker);
  void take_indices(int worker);
  template <typename Condition>
  void spin_until(const Condition& condition) const;

  std::vector<pthread_t> threads_;
  std::mutex loop_mutex_;  // held by the caller whose loop runs
  std::mutex mutex_;       // guards what follows, except next_
  std::condition_variable wake_, done_;
  // Written under mutex_, but looked at without it while spinning.
  std::atomic<uint64_t> loop_{0};  // number of the loop, so that a worker joins each only once
  std::atomic<bool> stop_{false};
  std::atomic<int> active_{0};  // threads besides the caller that are inside the loop
  bool open_ = false;           // workers may still join the loop
  const int spin_microseconds_;
  int count_ = 0;
  Call call_ = nullptr;
  void* function_ = nullptr;
  std::atomic<int> next_{0};
};

}  // namespace mvinr
