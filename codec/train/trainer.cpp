#include "train/trainer.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

#include "base/try.h"
#include "train/export.h"
#include "train/loss.h"
#include "train/ops/ops.h"
#include "train/optimizer.h"
#include "train/prune.h"
#include "train/rate.h"
#include "train/rate_target.h"
#include "train/sampler.h"

namespace mvinr {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Shares of the training (docs/training.md, "Phases").
constexpr double kFloatShare = 0.04;  // no quantisation, no rate
constexpr double kNoiseShare = 0.95;  // up to here: noise on grids, all else as the decoder has it
constexpr float kLastSharpness = 4, kLessNoise = 0.25f;  // there, from plain noise of one step
constexpr double kSoftSteps = 2000;  // up to here; twice as many steps have plain noise throughout
constexpr double kPruneAt = 0.45;    // magnitude pruning, fine-tuned by the rest
constexpr double kWarmUpShare = 0.03;
constexpr double kRate = 1.2e-2;  // Adam's learning rate for weights, cosine to kLastRate
constexpr double kLastRate = 1e-4;
constexpr double kGridRate = 4.0;  // learning rates relative to the weights'
constexpr double kStepRate = 2.0;  // of log2 steps
constexpr double kContextRate = 1.0;
// Per step, times the learning rate. Before a LayerNorm the scale of weights is free: without decay
// they grow in long trainings until the decoder's 16-bit planes clamp what they make.
constexpr double kWeightDecay = 0.1, kScaleFreeDecay = 0.2;
constexpr int kRateEvery = 8;      // NVRC section 3.4: R every 8 steps, eightfold
constexpr double kFlowRate = 0.1;  // learning rate of the flow layer, relative to the weights'
// The displacements follow the block search at first, less and less up to this share.
constexpr double kSearchShare = 0.12, kSearchWeight = 0.01;
constexpr double kProgressPeriod = 0.25;

/// Adds the time since the last call to one of TrainTimes.
class StopWatch {
 public:
  void restart() { last_ = now(); }
  void add_to(double& part) {
    const double t = now();
    part += t - last_;
    last_ = t;
  }

 private:
  static double now() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
  }
  double last_ = now();
};

double learning_rate(double progress) {
  if (progress < kWarmUpShare) return kRate * (0.1 + 0.9 * progress / kWarmUpShare);
  const double x = (progress - kWarmUpShare) / (1 - kWarmUpShare);
  return kLastRate + (kRate - kLastRate) * 0.5 * (1 + std::cos(M_PI * std::min(x, 1.0)));
}

/// `steps`: of the whole training, as far as is known.
Precision precision_at(double progress, double steps) {
  if (progress < kFloatShare) return {};
  if (progress < kNoiseShare) {
    const double strength = std::clamp(2 - steps / kSoftSteps, 0.0, 1.0);
    const float part = float(strength * (progress - kFloatShare) / (kNoiseShare - kFloatShare));
    return {.weights = true,
            .grids_noise = true,
            .soft = {.sharpness = kLastSharpness * part, .amplitude = 1 - kLessNoise * part},
            .activations = true};
  }
  return {.weights = true, .grids_hard = true, .activations = true};
}

const char* phase_name(const Precision& p) {
  return p.grids_hard ? "quantise" : p.weights ? "noise" : "float";
}

/// Mean absolute distance of the displacements from those that were searched.
at::Tensor search_error(const MotionSearch& search, const at::Tensor& flow, int frame,
                        const std::vector<int64_t>& views) {
  const at::Tensor all = search.targets[size_t(frame)];
  const at::Tensor wanted = all.index_select(0, at::tensor(views, at::kLong)).to(flow.device());
  std::vector<at::Tensor> parts;
  for (int64_t b = 0; b < flow.size(3) / kFlowOutputs; ++b)
    parts.push_back(flow.narrow(3, kFlowOutputs * b, 2));
  return (at::cat(parts, 3) - wanted).abs().mean();
}

double total_samples(const ModelConfig& config) {
  return double(config.canvas_width) * config.canvas_height * config.views * config.frames;
}

}  // namespace

Result<TrainResult> train(Network& net, const PictureStore& pictures, const BaseStore& base,
                          const TrainOptions& options, std::stop_token stop) {
  const auto start = Clock::now();
  Adam adam({});
  for (const Parameter& p : net.parameters) {
    const bool grid = p.spec.kind == TensorKind::grid;
    const bool scale_free = p.spec.name.ends_with("depthwise.weight");
    const double decay = p.spec.kind != TensorKind::weight ? 0
                         : scale_free                      ? kScaleFreeDecay
                                                           : kWeightDecay;
    const bool flow = p.spec.name.find(".flow.") != std::string::npos;
    adam.add(p.value, grid ? kGridRate : flow ? kFlowRate : 1.0, decay);
    adam.add(p.log_step, kStepRate);
  }
  for (const ContextParameters& c : net.contexts) {
    if (!c.out_bias.defined()) continue;
    for (const at::Tensor& t : c.all()) adam.add(t, kContextRate);
  }
  const int64_t canvas = int64_t(net.config.canvas_width) * net.config.canvas_height;
  Sampler sampler(pictures.size_groups(), net.config.frames,
                  int(std::max<int64_t>(1, options.batch_samples / canvas)), options.seed);
  const double samples = total_samples(net.config);
  RateTarget target(options.lambda, options.target_bits);
  double bits = 0, psnr = 0, last_report = 0, progress = 0;
  bool pruned = options.prune <= 0;
  int step = 0;
  TrainTimes times;
  StopWatch watch;
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
    const Precision precision = precision_at(
        progress, options.time_budget > 0 ? step / std::max(progress, 1e-6) : options.steps);
    const auto batch = sampler.next();
    watch.restart();
    const Values values = prepare_values(net, precision);
    watch.add_to(times.values);
    const Trunk features = trunk(net, values, precision, batch.frame, batch.views,
                                 base.prediction(batch.frame, batch.views, net.device), stop,
                                 base.displaced(net.config, batch.frame, batch.views));
    watch.add_to(times.forward);
    const Distortion d = distortion(net.config, features, pictures, batch.frame, batch.views,
                                    options.loss, options.depth_weight);
    at::Tensor loss = d.loss;
    if (options.search != nullptr && progress < kSearchShare)
      loss = loss + search_error(*options.search, features.flow, batch.frame, batch.views) *
                        (kSearchWeight * (1 - progress / kSearchShare));
    watch.add_to(times.loss);
    if (precision.weights && step % kRateEvery == 0) {
      const RateEstimate rate = estimate_rate(net, precision.grids_hard, false, precision.soft);
      bits = rate.bits.item<double>();
      if (target.wants_size(progress)) {
        MVINR_ASSIGN(const CodedUnits coded, code_units(net));
        target.calibrate(bits, 8.0 * double(coded.bytes()));
      }
      target.follow(bits, progress);
      loss = loss + rate.bits * (target.lambda() * kRateEvery / samples);
    }
    watch.add_to(times.rate);
    loss.backward();
    watch.add_to(times.backward);
    adam.step(learning_rate(progress));
    watch.add_to(times.update);
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
  ops::release_memory();
  torch::NoGradGuard guard;
  TrainResult result{.steps = step, .seconds = seconds_since(start), .times = times};
  result.lambda = target.lambda();
  result.estimated_bits = estimate_rate(net, true).bits.item<double>();
  return result;
}

}  // namespace mvinr
