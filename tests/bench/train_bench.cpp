// Speed of whole training steps, where their time goes, and the same network in stock LibTorch
// operations in the same run: forward() on the composite operations, the loss and the rate of
// LibTorch operations, torch::optim::Adam. Times are processor time of the process if there is one
// thread, so that other programs on the machine count less.
//
//   train-bench [--threads N] [--steps N] [--seeds N] [--kernels SET] [--fused-only] [PROFILE
//   WIDTHxHEIGHT implicit|hybrid]...
//
// The PSNR of both after the same steps, with the same initial network, batches and noise, is the
// mean over --seeds (default 1). --fused-only: without stock, for profilers.
#include <ATen/Parallel.h>
#include <torch/optim/adam.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <numeric>
#include <string>
#include <vector>

#include "../train/fixture.h"
#include "model/plan.h"
#include "train/loss.h"
#include "train/ops/ops.h"
#include "train/rate.h"
#include "train/sampler.h"
#include "train/trainer.h"

namespace {

using namespace mvinr;
using namespace mvinr::train_test;

constexpr int kViews = 4, kFrames = 8;
constexpr double kLambda = 0.004;

double now(int threads) {
  timespec t{};
  clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

struct Case {
  std::string profile;
  int width, height;
  bool hybrid;
};

struct Bench {
  testutil::Clip clip;
  std::vector<int> base_views;
  PictureStore store;
  BaseStore base;
  ModelConfig config;

  explicit Bench(const Case& c)
      : clip(testutil::make_clip(
            {.views = kViews, .frames = kFrames, .width = c.width, .height = c.height})),
        base_views(c.hybrid ? std::vector<int>{1} : std::vector<int>{}),
        store(store_of(clip, network_views(clip, base_views))),
        base(base_store_of(clip, base_views)),
        config(profile_for(clip, c.profile, base_views)) {}

  /// Mean luma error of all pictures as a decoder would show them.
  double psnr(const Network& net) const {
    c10::NoGradGuard guard;
    const Values values = prepare_values(net, kHard);
    double sum = 0;
    for (int t = 0; t < kFrames; ++t)
      for (int64_t v = 0; v < config.views; ++v) {
        const at::Tensor prediction = base.prediction(t, {v}, at::kCPU);
        sum += distortion(config, forward(net, values, kHard, t, {v}, prediction),
                          store.targets(t, {v}, config, at::kCPU), Loss::psnr, 1)
                   .mse[0]
                   .item<double>();
      }
    return -10 * std::log10(sum / (kFrames * config.views));
  }
};

/// The steps of train() at a constant learning rate, in the phase with quantisation and noise.
/// Returns seconds per step.
double stock_steps(const Bench& b, Network& net, int steps, int threads) {
  const Precision precision{.weights = true, .grids_noise = true, .activations = true};
  std::vector<at::Tensor> parameters;
  for (const Parameter& p : net.parameters) {
    parameters.push_back(p.value);
    parameters.push_back(p.log_step);
  }
  for (const ContextParameters& c : net.contexts)
    if (c.out_bias.defined())
      for (const at::Tensor& t : c.all()) parameters.push_back(t);
  torch::optim::Adam adam(parameters, torch::optim::AdamOptions(1e-3).betas({0.9, 0.95}));
  const int64_t canvas = int64_t(b.config.canvas_width) * b.config.canvas_height;
  Sampler sampler(b.store.size_groups(), kFrames, int(std::max<int64_t>(1, (1 << 16) / canvas)), 1);
  const double samples = double(canvas) * b.config.views * kFrames;
  const double start = now(threads);
  for (int step = 0; step < steps; ++step) {
    const auto batch = sampler.next();
    const at::Tensor prediction = b.base.prediction(batch.frame, batch.views, at::kCPU);
    const at::Tensor output = forward(net, prepare_values(net, precision), precision, batch.frame,
                                      batch.views, prediction);
    at::Tensor loss =
        distortion(b.config, output, b.store.targets(batch.frame, batch.views, b.config, at::kCPU),
                   Loss::psnr, 1)
            .loss;
    if (step % 16 == 0) loss = loss + estimate_rate(net, false).bits * (kLambda * 16 / samples);
    adam.zero_grad();
    loss.backward();
    adam.step();
  }
  return (now(threads) - start) / steps;
}

struct Options {
  int threads = 1, steps = 160, seeds = 1;
  bool fused_only = false;
  std::string kernels = ops::kernel_sets().front();
};

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

void run(const Case& c, const Options& o) {
  const int steps = o.steps;
  const Bench b(c);
  const auto plan = make_plan(b.config);
  const int64_t canvas = int64_t(b.config.canvas_width) * b.config.canvas_height;
  const int64_t pictures =
      std::min<int64_t>(std::max<int64_t>(1, (1 << 16) / canvas), b.config.views);
  // Forward and backward are three forward passes, whatever is recomputed.
  const double macs = 3.0 * double(multiply_adds(*plan)) * double(pictures);

  std::vector<double> psnr, composite_psnr;
  double fused = 0;
  TrainTimes t;
  for (int seed = 1; seed <= o.seeds; ++seed) {
    // The same initial network, order of pictures and noise for both.
    const TrainOptions options{.lambda = kLambda, .steps = steps, .seed = uint64_t(seed)};
    Network net = make_network(b.config, options.seed, at::kCPU);
    const double start = now(o.threads);
    const auto trained = train(net, b.store, b.base, options, {});
    if (!trained) return;
    if (seed == 1) {
      fused = (now(o.threads) - start) / steps;
      t = trained->times;
    }
    psnr.push_back(b.psnr(net));
    if (o.fused_only) continue;
    ops::use_kernel_set("composite");
    Network composite = make_network(b.config, options.seed, at::kCPU);
    const bool done = bool(train(composite, b.store, b.base, options, {}));
    ops::use_kernel_set(o.kernels);
    if (!done) return;
    composite_psnr.push_back(b.psnr(composite));
  }
  const double all = t.values + t.forward + t.loss + t.rate + t.backward + t.update;
  if (o.fused_only) {
    std::printf("| %s %dx%d %s | %.1f | %.1f | %.2f |", c.profile.c_str(), c.width, c.height,
                c.hybrid ? "hybrid" : "implicit", 1 / fused, macs / fused * 1e-9, mean(psnr));
    for (const double part : {t.values, t.forward, t.loss, t.rate, t.backward, t.update})
      std::printf(" %.2f |", 1e3 * part / steps);
    std::printf(" ms\n");
    std::fflush(stdout);
    return;
  }
  ops::use_kernel_set("composite");
  Network stock = make_network(b.config, 1, at::kCPU);
  const double unfused = stock_steps(b, stock, std::max(8, steps / 16), o.threads);
  ops::use_kernel_set(o.kernels);

  std::printf("| %s %dx%d %s | %.1f | %.1f | %.1f | %.1f | %.2f / %.2f", c.profile.c_str(), c.width,
              c.height, c.hybrid ? "hybrid" : "implicit", 1 / fused, macs / fused * 1e-9,
              1 / unfused, unfused / fused, mean(psnr), mean(composite_psnr));
  if (o.seeds > 1) {
    std::vector<double> gain;
    for (size_t i = 0; i < psnr.size(); ++i) gain.push_back(psnr[i] - composite_psnr[i]);
    double squares = 0;
    for (const double g : gain) squares += (g - mean(gain)) * (g - mean(gain));
    std::printf(" (%+.2f ± %.2f)", mean(gain), std::sqrt(squares / (o.seeds * (o.seeds - 1.0))));
  }
  std::printf(" |");
  for (const double part : {t.values, t.forward, t.loss, t.rate, t.backward, t.update})
    std::printf(" %.0f |", 100 * part / all);
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  std::vector<Case> cases;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--threads" && i + 1 < argc) {
      o.threads = std::max(1, std::atoi(argv[++i]));
    } else if (a == "--steps" && i + 1 < argc) {
      o.steps = std::max(1, std::atoi(argv[++i]));
    } else if (a == "--seeds" && i + 1 < argc) {
      o.seeds = std::max(1, std::atoi(argv[++i]));
    } else if (a == "--kernels" && i + 1 < argc && ops::use_kernel_set(argv[i + 1])) {
      o.kernels = argv[++i];
    } else if (a == "--fused-only") {
      o.fused_only = true;
    } else if (Case c{.profile = a};
               i + 2 < argc && std::sscanf(argv[i + 1], "%dx%d", &c.width, &c.height) == 2) {
      c.hybrid = std::strcmp(argv[i + 2], "hybrid") == 0;
      cases.push_back(c);
      i += 2;
    } else {
      std::fprintf(
          stderr,
          "usage: train-bench [--threads N] [--steps N] [--seeds N] [--kernels SET] [--fused-only] "
          "[PROFILE WIDTHxHEIGHT implicit|hybrid]...\n");
      return 2;
    }
  }
  if (cases.empty())
    cases = {{"xxs", 512, 288, true},
             {"xs", 256, 144, false},
             {"xs", 512, 288, false},
             {"s", 512, 288, false}};
  at::set_num_threads(o.fused_only ? 1 : o.threads);  // as in the encoder, or for stock, too
  ops::set_threads(o.threads);
  std::printf(
      "%d threads, %d steps, kernels: %s\n"
      "| | steps/s | GMAC/s | stock steps/s | times as fast | luma dB, stock dB | values %% | "
      "forward %% | loss %% | rate %% | backward %% | update %% |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|\n",
      o.threads, o.steps, ops::kernel_set().c_str());
  for (const Case& c : cases) run(c, o);
  return 0;
}
