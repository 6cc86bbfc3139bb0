#include "train/trainer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>

#include "train/loss.h"
#include "train/optimizer.h"
#include "train/prune.h"
#include "train/rate.h"

namespace mvinr {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Shares of the training (docs/training.md, "Phases").
constexpr double kFloatShare = 0.04;  // no quantisation, no rate
constexpr double kNoiseShare = 0.75;  // up to here: noise on grids, rounded weights, rate
constexpr double kPruneAt = 0.45;     // magnitude pruning, fine-tuned by the rest
constexpr double kWarmUpShare = 0.03;
constexpr double kRate = 1.2e-2;  // Adam's learning rate for weights, cosine to kLastRate
constexpr double kLastRate = 1e-4;
constexpr double kGridRate = 4.0;  // learning rates relative to the weights'
constexpr double kStepRate = 2.0;  // of log2 steps
constexpr double kContextRate = 1.0;
constexpr int kRateEvery = 16;  // NVRC section 3.4 (8 there): R every 16 steps, 16-fold
constexpr double kProgressPeriod = 0.25;

/// Walks over all (frame, group of views) pairs in random order, again and again.
class Sampler {
 public:
  struct Batch {
    int frame;
    std::vector<int64_t> views;
  };
  Sampler(const PictureStore& pictures, const ModelConfig& config, int batch_samples, uint64_t seed)
      : random_(seed), frames_(config.frames), groups_(pictures.size_groups()) {
    const int64_t canvas = int64_t(config.canvas_width) * config.canvas_height;
    batch_views_ = size_t(std::max<int64_t>(1, batch_samples / canvas));
  }
  Batch next() {
    if (queue_.empty()) refill();
    Batch b = std::move(queue_.back());
    queue_.pop_back();
    return b;
  }

 private:
  void shuffle(auto& items) {  // std::shuffle is not the same on every standard library
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random_() % i]);
  }
  void refill() {
    for (auto group : groups_) {
      const size_t parts = (group.size() + batch_views_ - 1) / batch_views_;
      for (int t = 0; t < frames_; ++t) {
        if (parts > 1) shuffle(group);
        for (size_t i = 0; i < parts; ++i) {
          std::vector<int64_t> views(group.begin() + ptrdiff_t(group.size() * i / parts),
                                     group.begin() + ptrdiff_t(group.size() * (i + 1) / parts));
          std::sort(views.begin(), views.end());
          queue_.push_back({t, std::move(views)});
        }
      }
    }
    shuffle(queue_);
  }
  std::mt19937_64 random_;
  int frames_;
  size_t batch_views_ = 1;
  std::vector<std::vector<int64_t>> groups_;
  std::vector<Batch> queue_;
};

double learning_rate(double progress) {
  if (progress < kWarmUpShare) return kRate * (0.1 + 0.9 * progress / kWarmUpShare);
  const double x = (progress - kWarmUpShare) / (1 - kWarmUpShare);
  return kLastRate + (kRate - kLastRate) * 0.5 * (1 + std::cos(M_PI * std::min(x, 1.0)));
}

Precision precision_at(double progress) {
  if (progress < kFloatShare) return {};
  if (progress < kNoiseShare) return {.weights = true, .grids_noise = true};
  return {.weights = true, .grids_hard = true, .activations = true};
}

const char* phase_name(const Precision& p) {
  return p.activations ? "quantise" : p.weights ? "noise" : "float";
}

double total_samples(const ModelConfig& config) {
  return double(config.canvas_width) * config.canvas_height * config.views * config.frames;
}

}  // namespace

Result<TrainResult> train(Network& net, const PictureStore& pictures, const TrainOptions& options,
                          std::stop_token stop) {
  const auto start = Clock::now();
  Adam adam({});
  for (const Parameter& p : net.parameters) {
    adam.add(p.value, p.spec.kind == TensorKind::grid ? kGridRate : 1.0);
    adam.add(p.log_step, kStepRate);
  }
  for (const ContextParameters& c : net.contexts) {
    if (!c.out_bias.defined()) continue;
    for (const at::Tensor& t : c.all()) adam.add(t, kContextRate);
  }
  Sampler sampler(pictures, net.config, options.batch_samples, options.seed);
  const double samples = total_samples(net.config);
  double bits = 0, psnr = 0, last_report = 0, progress = 0;
  bool pruned = options.prune <= 0;
  int step = 0;
  for (;; ++step) {
    if (stop.stop_requested()) return Error{ErrorCode::cancelled, "training was stopped"};
    const double elapsed = seconds_since(start);
    progress = options.time_budget > 0 ? elapsed / options.time_budget
                                       : double(step) / std::max(1, options.steps);
    if (progress >= 1) break;
    if (!pruned && progress >= kPruneAt) {
      prune(net, options.prune);
      pruned = true;
    }
    const Precision precision = precision_at(progress);
    const auto batch = sampler.next();
    const Values values = prepare_values(net, precision);
    const at::Tensor output = forward(net, values, precision, batch.frame, batch.views, stop);
    const Targets targets = pictures.targets(batch.frame, batch.views, net.config, net.device);
    const Distortion d =
        distortion(net.config, output, targets, options.loss, options.depth_weight);
    at::Tensor loss = d.loss;
    if (precision.weights && step % kRateEvery == 0) {
      const RateEstimate rate = estimate_rate(net, precision.grids_hard);
      loss = loss + rate.bits * (options.lambda * kRateEvery / samples);
      bits = rate.bits.item<double>();
    }
    loss.backward();
    adam.step(learning_rate(progress));
    if (options.on_progress && elapsed - last_report >= kProgressPeriod) {
      last_report = elapsed;
      const double now = -10 * std::log10(std::max(1e-9, d.mse[0].item<double>()));
      psnr = psnr == 0 ? now : 0.8 * psnr + 0.2 * now;
      const double left = progress > 0 ? elapsed * (1 - progress) / progress : options.time_budget;
      options.on_progress(
          {.step = step,
           .steps = options.time_budget > 0 ? int(step / std::max(progress, 1e-6)) : options.steps,
           .psnr = psnr,
           .bits = bits,
           .seconds = elapsed,
           .seconds_left = left,
           .phase = phase_name(precision)});
    }
  }
  torch::NoGradGuard guard;
  TrainResult result{.steps = step, .seconds = seconds_since(start)};
  result.estimated_bits = estimate_rate(net, true).bits.item<double>();
  return result;
}

}  // namespace mvinr
