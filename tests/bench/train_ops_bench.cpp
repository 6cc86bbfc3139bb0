// Speed of the fused training operations and of the same maths in LibTorch operations.
// GMAC/s counts forward and backward as three forward passes, whatever is recomputed.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>

#include "train/ops/ops.h"

namespace {

using torch::Tensor;
using namespace mvinr::ops;

/// Of the process if there is one thread, so that other programs on the machine count less.
double now() {
  timespec t{};
  clock_gettime(at::get_num_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

/// Shortest time of forward and backward.
double seconds(const std::function<Tensor()>& forward, const std::vector<Tensor>& inputs) {
  const Tensor gradient = at::randn(forward().sizes());
  double best = 1e9, total = 0;
  for (int i = 0; i < 5 || (total < 0.5 && i < 200); ++i) {
    const double start = now();
    torch::autograd::grad({forward()}, inputs, {gradient});
    const double elapsed = now() - start;
    best = std::min(best, elapsed);
    total += elapsed;
  }
  return best;
}

Tensor leaf(at::IntArrayRef shape, double deviation) {
  return (at::randn(shape) * deviation).set_requires_grad(true);
}

/// Seven-bit weights, as the trainer's.
Tensor weight(at::IntArrayRef shape, double deviation) {
  const double step = deviation / 24;
  return ((at::randn(shape) * 24).round().clamp(-127, 127) * std::exp2(std::round(std::log2(step))))
      .set_requires_grad(true);
}

void block(int64_t n, int64_t h, int64_t w, int64_t c, int64_t expansion) {
  const int64_t hidden = c * expansion;
  const std::vector<Tensor> t = {leaf({n, h, w, c}, 1),
                                 weight({c, 9}, 0.3),
                                 weight({hidden, c}, 1 / std::sqrt(double(c))),
                                 leaf({hidden}, 0.1),
                                 weight({c, hidden}, 1 / std::sqrt(double(hidden))),
                                 leaf({c}, 0.1)};
  const double macs = 3.0 * double(n * h * w * (9 * c + 2 * c * hidden));
  for (const bool quantise : {false, true}) {
    std::printf("block [%ld, %ld, %ld, %ld] x%ld%s:", long(n), long(h), long(w), long(c),
                long(expansion), quantise ? " quantised" : "");
    double best = 0, composite = 0;
    for (const std::string& set : kernel_sets()) {
      use_kernel_set(set);
      const double s = seconds(
          [&] {
            return convnext_block(t[0], t[1], {}, true, t[2], t[3], t[4], t[5], true,
                                  {.activations = quantise});
          },
          t);
      std::printf("  %s %.1f GMAC/s (%.2f ms)", set.c_str(), macs / s * 1e-9, s * 1e3);
      if (best == 0) best = s;
      composite = s;
    }
    std::printf("  = %.1f times as fast\n", composite / best);
  }
}

void others() {
  const Tensor x = leaf({4, 36, 64, 16}, 1), tile = leaf({4, 2, 2, 16}, 1);
  const Tensor w = leaf({16, 16}, 0.2), bias = leaf({16}, 0.2);
  const Tensor feat = leaf({4, 72, 128, 16}, 0.2);
  for (const std::string& set : kernel_sets()) {
    use_kernel_set(set);
    std::printf("%s: upsample %.2f ms, pointwise %.2f ms, layer_norm %.2f ms\n", set.c_str(),
                1e3 * seconds([&] { return upsample_bilinear(x, 2, tile); }, {x, tile}),
                1e3 * seconds([&] { return pointwise(feat, w, bias); }, {feat, w, bias}),
                1e3 * seconds([&] { return layer_norm(feat); }, {feat}));
  }
}

}  // namespace

/// Argument: the number of threads.
int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1;
  at::set_num_threads(threads);
  set_threads(threads);
  at::manual_seed(1);
  std::printf("%d threads\n", at::get_num_threads());
  block(4, 72, 128, 16, 3);
  block(4, 36, 64, 32, 3);
  block(4, 18, 32, 64, 3);
  block(4, 72, 128, 8, 4);
  others();
}
