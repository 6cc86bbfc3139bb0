// Speed of every kernel set: GMAC/s, and the share of the multiply-accumulate peak of the set's own
// dot-product instruction, which this program measures first (registers only, one thread).
//   kernels-bench --benchmark_filter=avx512
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "cases.h"

namespace mvinr::test {
namespace {

#if defined(__x86_64__)
// Twelve independent chains: more than latency x throughput of any of these instructions. Assembly,
// so that this file needs no compiler flags; dispatch has made sure that the machine has them.
#define MVINR_TWELVE(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
#define MVINR_ZMM(n) "vpdpbusd %%zmm14, %%zmm15, %%zmm" #n "\n"
#define MVINR_YMM(n) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #n "\n"
#define MVINR_AVX2(n) \
  "vpmaddwd %%ymm14, %%ymm15, %%ymm13\n vpaddd %%ymm13, %%ymm" #n ", %%ymm" #n "\n"
#define MVINR_CLOBBERS                                                                     \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

void loop_zmm() { asm volatile(MVINR_TWELVE(MVINR_ZMM)::: MVINR_CLOBBERS); }
void loop_ymm() { asm volatile(MVINR_TWELVE(MVINR_YMM)::: MVINR_CLOBBERS); }
void loop_avx2() { asm volatile(MVINR_TWELVE(MVINR_AVX2)::: MVINR_CLOBBERS); }

/// Multiply-accumulates per second of twelve dot products of `macs` each.
template <void (*kLoop)()>
double measure_peak(int macs) {
  double best = 0;
  for (int attempt = 0; attempt < 20; ++attempt) {
    constexpr int kRounds = 200000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i) kLoop();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 12.0 * macs * kRounds / seconds.count());
  }
  return best;
}

double peak_of(const std::string& set) {
  static std::map<std::string, double> peaks;
  const auto known = peaks.find(set);
  if (known != peaks.end()) return known->second;
  double peak = 0;
  if (set.starts_with("avx512")) peak = measure_peak<loop_zmm>(64);
  if (set == "avxvnni") peak = measure_peak<loop_ymm>(32);
  if (set == "avx2") peak = measure_peak<loop_avx2>(16);
  if (peak > 0) std::printf("peak of %s: %.0f GMAC/s\n", set.c_str(), peak * 1e-9);
  return peaks[set] = peak;
}
#else
double peak_of(const std::string&) { return 0; }
#endif

void run_case(benchmark::State& state, const Kernels* set, const Case& c) {
  const double peak = peak_of(set->name);
  Operands operands(c);
  for (auto _ : state) {
    operands.run(*set);
    benchmark::ClobberMemory();
  }
  const double calls = static_cast<double>(state.iterations());
  using benchmark::Counter;
  if (c.multiply_adds() > 0) {
    const double macs = calls * static_cast<double>(c.multiply_adds());
    state.counters["MAC/s"] = Counter(macs, Counter::kIsRate);
    if (peak > 0) state.counters["%peak"] = Counter(100 * macs / peak, Counter::kIsRate);
  }
  state.counters["values/s"] =
      Counter(calls * static_cast<double>(c.outputs_written()), Counter::kIsRate);
}

void add(const Kernels* set, Operation operation, int inputs, int outputs, int height, int width,
         int scale = 2) {
  Case c;
  c.operation = operation;
  c.inputs = inputs;
  c.outputs = outputs;
  c.height = height;
  c.width = width;
  c.scale = scale;
  const bool upsamples = operation == Operation::upsample_tile;
  const std::string name = std::string(set->name) + "/" + to_string(operation) + "/" +
                           std::to_string(inputs) + "->" + std::to_string(outputs) + "/" +
                           std::to_string(width) + "x" + std::to_string(height) +
                           (upsamples ? "/x" + std::to_string(scale) : "");
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) { run_case(state, set, c); });
}

void add_all() {
  for (const Kernels* set : available_kernel_sets()) {
    for (const int c : {16, 32, 64}) {
      add(set, Operation::pointwise_gelu, c, 3 * c, 72, 128);
      add(set, Operation::pointwise_add, 3 * c, c, 72, 128);
      add(set, Operation::norm_to_packed, c, c, 72, 128);
      add(set, Operation::depthwise, c, c, 72, 128);
    }
    add(set, Operation::norm_to_plane, 32, 32, 72, 128);
    add(set, Operation::quantise, 32, 32, 72, 128);
    add(set, Operation::pointwise16_add, 12, 32, 72, 128);
    add(set, Operation::head, 16, 10, 72, 128);
    for (int scale = 1; scale <= 5; ++scale) {
      add(set, Operation::upsample_tile, 16, 16, 24, 128 / scale, scale);
    }
  }
}

}  // namespace
}  // namespace mvinr::test

int main(int argc, char** argv) {
  mvinr::test::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
