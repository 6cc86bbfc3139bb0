// The public Encoder: pictures in, trained and verified access units out.
#include "mvinr/encoder.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "base/try.h"
#include "format/camera_unit.h"
#include "format/model_units.h"
#include "train/deadline.h"
#include "train/device.h"
#include "train/export.h"
#include "train/memory.h"
#include "train/ops/ops.h"
#include "train/rate.h"
#include "train/trainer.h"
#include "train/verify.h"

namespace mvinr {
namespace {

constexpr int kStepsOfEffort[] = {0, 150, 400, 1000, 2000, 4000, 8000, 16000, 40000, 100000};

Error out_of_range(const char* option, double value, const char* range) {
  char text[160];
  std::snprintf(text, sizeof text, "%s = %g is out of its range %s", option, value, range);
  return {ErrorCode::invalid_argument, text};
}

Status check_lambda(double lambda) {
  if (!(lambda > 0 && lambda <= 10)) return out_of_range("lambda", lambda, "(0, 10]");
  return ok();
}

Status check_time_budget(double seconds) {
  if (!(seconds >= 0 && seconds <= 1e7)) return out_of_range("time_budget", seconds, "[0, 1e7]");
  return ok();
}

Status check(const EncoderOptions& o) {
  if (o.mode == Mode::hybrid && o.base_views.empty())
    return Error{ErrorCode::invalid_argument, "mode hybrid needs base_views"};
  if (o.mode == Mode::implicit && !o.base_views.empty())
    return Error{ErrorCode::invalid_argument, "mode implicit has no base_views"};
  MVINR_TRY(check_lambda(o.lambda));
  MVINR_TRY(check_time_budget(o.time_budget));
  if (o.effort < 1 || o.effort > 9) return out_of_range("effort", o.effort, "1..9");
  if (o.gop_frames < 1 || o.gop_frames > kMaxGopFrames)
    return out_of_range("gop_frames", o.gop_frames, "1..256");
  if (!(o.depth_weight >= 0 && o.depth_weight <= 100))
    return out_of_range("depth_weight", o.depth_weight, "[0, 100]");
  if (!(o.prune >= 0 && o.prune <= 0.95)) return out_of_range("prune", o.prune, "[0, 0.95]");
  if (o.threads < 0 || o.threads > 1024) return out_of_range("threads", o.threads, "0..1024");
  return ok();
}

/// The profiles ierv have their paper's flow network unless the options say otherwise.
Motion motion_of(const SequenceInfo& sequence, const EncoderOptions& options) {
  if (options.motion) return *options.motion;
  return options.profile.starts_with("ierv") ? Motion::learned
                                             : automatic_motion(sequence, options.base_views);
}

std::string megabytes(uint64_t bytes) { return std::to_string((bytes + 999999) / 1000000) + " MB"; }

// Hybrid mode, found by measurement (docs/training.md, "Hybrid mode"): a bit is worth more in the
// base views, from which the others are predicted, than in the network; and depth, which comes with
// the warp, less than where it is the only source.
constexpr double kHybridLambda = 4, kHybridDepthWeight = 0.3;

constexpr double kIervPrune = 0.6;  // of the profiles ierv, as their paper

/// Threads that a step of this size can use.
int training_threads(const ModelConfig& config, int threads) {
  constexpr int64_t kSamplesPerThread = 16'000;
  const int64_t canvas = int64_t(config.canvas_width) * config.canvas_height;
  return int(std::clamp<int64_t>(canvas / kSamplesPerThread, 1, std::max(1, threads)));
}

/// What training believed, and what it left out.
double estimated_bits(const Network& network, const CodedModel& model) {
  torch::NoGradGuard guard;
  return estimate_rate(network, true, true).bits.item<double>() + side_info_bits(model);
}

class EncoderImpl final : public Encoder {
 public:
  EncoderImpl(const SequenceInfo& sequence, const EncoderOptions& options, at::Device device)
      : sequence_(sequence),
        options_(options),
        device_(device),
        views_(Header{.sequence = sequence, .base_views = options.base_views}.network_views()),
        pictures_(sequence, views_),
        base_(sequence, options.base_views) {
    options_.motion = motion_of(sequence, options);
  }

  Status add(const PictureId& id, const Picture& picture) override {
    return guarded([&] { return pictures_.add(id, picture); });
  }

  Status add_pose(int frame, int view, const Pose& pose) override {
    if (view < 0 || view >= int(sequence_.views.size()) ||
        !is_moving(sequence_.views[size_t(view)]))
      return Error{ErrorCode::invalid_argument,
                   "view " + std::to_string(view) + " has no moving camera"};
    if (frame < 0 || frame >= options_.gop_frames)
      return out_of_range("frame of a pose", frame, "0..gop_frames - 1");
    poses_[{frame, view}] = pose;
    return ok();
  }

  Status add_base(const PictureId& id, const Picture& picture) override {
    return guarded([&] { return base_.add(id, picture); });
  }
  Status add_base_unit(int view, Component component, std::vector<std::byte> payload) override {
    return guarded([&] { return base_.add_unit(view, component, std::move(payload)); });
  }

  void set_first_frame(uint64_t frame) override { next_frame_ = frame; }

  Result<EncodedGop> encode_gop(int frames, std::stop_token stop) override {
    auto result = [&]() -> Result<EncodedGop> {
      try {
        return encode(frames, stop);
      } catch (const Cancelled&) {
        return Error{ErrorCode::cancelled, "encoding was stopped"};
      } catch (const std::exception& e) {
        return failure(e);
      }
    }();
    reset();
    return result;
  }

  void reset() override {
    pictures_.clear();
    base_.clear();
    poses_.clear();
  }

  Status set_lambda(double lambda) override {
    MVINR_TRY(check_lambda(lambda));
    options_.lambda = lambda;
    return ok();
  }
  Status set_target_bytes(uint64_t bytes) override {
    target_bytes_ = bytes;
    return ok();
  }
  Status set_time_budget(double seconds) override {
    MVINR_TRY(check_time_budget(seconds));
    options_.time_budget = seconds;
    return ok();
  }
  void set_deadline(std::chrono::steady_clock::time_point deadline) override {
    deadline_.set(deadline);
  }

 private:
  static Error failure(const std::exception& e) {
    const std::string what = e.what();
    const bool memory = what.find("out of memory") != std::string::npos ||
                        what.find("allocate memory") != std::string::npos ||
                        dynamic_cast<const std::bad_alloc*>(&e);
    return {memory ? ErrorCode::limit_exceeded : ErrorCode::internal, what};
  }
  template <typename F>
  static Status guarded(F&& f) {
    try {
      return f();
    } catch (const std::exception& e) {
      return failure(e);
    }
  }

  Result<EncodedGop> encode(int frames, std::stop_token stop);
  /// The payload of the CAMERAS unit; empty if no camera moves.
  Result<std::vector<std::byte>> code_poses(int frames) const;
  Result<ModelConfig> model_config(int frames) const {
    if (views_.empty()) return no_network(frames);
    return make_profile(options_.profile, sequence_, frames, views_, options_.motion.value());
  }
  Result<EncodedGop> encode_base_views(const Header& header, std::span<const UnitPayload> units,
                                       int threads, std::stop_token stop);
  Status measure(EncodedGop& gop, int threads, std::stop_token stop);
  double network_bits(const Header& header, std::span<const UnitPayload> others) const;
  void report(const Progress& p) const {
    if (options_.on_progress) options_.on_progress(p);
  }

  SequenceInfo sequence_;
  EncoderOptions options_;
  at::Device device_;
  std::vector<int> views_;  // of the network
  PictureStore pictures_;
  BaseStore base_;
  Deadline deadline_;
  std::map<std::pair<int, int>, Pose> poses_;  // by frame and view
  uint64_t target_bytes_ = 0;
  uint64_t next_frame_ = 0;
  std::optional<Network> last_;  // of the GOP before, where training goes on from it
};

// What the target leaves for the network's units beside the header and the `others`, but always
// something; 0 without a target.
double EncoderImpl::network_bits(const Header& header, std::span<const UnitPayload> others) const {
  if (target_bytes_ == 0) return 0;
  constexpr double kLeast = 0.02;  // of the target
  double bytes = double(target_bytes_);
  if (auto written = write_access_unit(header, others)) bytes -= double(written->size());
  bytes -= double(kUnitHeaderBytes * (2 + views_.size()));
  return 8 * std::max(bytes, kLeast * double(target_bytes_));
}

Result<std::vector<std::byte>> EncoderImpl::code_poses(int frames) const {
  if (!has_moving_cameras(sequence_)) return std::vector<std::byte>{};
  Poses poses(size_t(frames), std::vector<Pose>(sequence_.views.size()));
  for (int t = 0; t < frames; ++t)
    for (int v = 0; v < int(sequence_.views.size()); ++v) {
      if (!is_moving(sequence_.views[size_t(v)])) continue;
      const auto found = poses_.find({t, v});
      if (found == poses_.end())
        return Error{ErrorCode::invalid_argument, "the pose of view " + std::to_string(v) +
                                                      ", frame " + std::to_string(t) +
                                                      " is missing: its camera moves"};
      poses[size_t(t)][size_t(v)] = found->second;
    }
  return write_poses(sequence_, poses);
}

// All views are base views: there is nothing to train.
Result<EncodedGop> EncoderImpl::encode_base_views(const Header& header,
                                                  std::span<const UnitPayload> units, int threads,
                                                  std::stop_token stop) {
  EncodedGop gop;
  MVINR_ASSIGN(gop.bytes, write_access_unit(header, units));
  gop.stats = {.first_frame = next_frame_,
               .frames = header.frames,
               .bytes = gop.bytes.size(),
               .estimated_bits = 8.0 * double(gop.bytes.size()),
               .lambda = options_.lambda,
               .profile = options_.profile};
  MVINR_TRY(measure(gop, threads, stop));
  return gop;
}

// The real decoder renders it: what it measures are the stats.
Status EncoderImpl::measure(EncodedGop& gop, int threads, std::stop_token stop) {
  const auto start = std::chrono::steady_clock::now();
  MVINR_TRY(verify(gop.bytes, pictures_, base_, threads, deadline_, stop, gop.stats));
  gop.stats.verify_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  next_frame_ += uint64_t(gop.stats.frames);
  return ok();
}

Result<EncodedGop> EncoderImpl::encode(int frames, std::stop_token stop) {
  if (frames < 1 || frames > options_.gop_frames)
    return out_of_range("frames of the GOP", frames, "1..gop_frames");
  MVINR_TRY(pictures_.complete(frames));
  MVINR_TRY(base_.complete(frames));
  const int threads =
      options_.threads > 0 ? options_.threads : int(std::thread::hardware_concurrency());
  MVINR_ASSIGN(ModelConfig config, model_config(frames));
  // LibTorch's own threads spin between its operations: only where these are the larger part.
  at::set_num_threads(options_.loss == Loss::psnr ? 1 : training_threads(config, threads));
  ops::set_threads(training_threads(config, threads));

  MVINR_ASSIGN(std::vector<std::byte> cameras, code_poses(frames));
  Poses poses;  // as every decoder has them
  if (!cameras.empty()) {
    MVINR_ASSIGN(poses, read_poses(sequence_, frames, cameras));
  }
  // Live there is no time to begin anew with every GOP.
  const bool goes_on = options_.warm_start || deadline_.exists();
  std::optional<MotionSearch> search;
  if (!views_.empty()) {
    MVINR_TRY(base_.predict(config, views_, std::move(poses), stop));
    if (config.prediction && config.motion == Motion::learned) {
      if (goes_on && last_) {
        config.offsets = last_->config.offsets;
        config.flow_shift = last_->config.flow_shift;
      } else {
        MVINR_ASSIGN(search,
                     search_motion(config, sequence_, pictures_, base_, views_, threads, stop));
        config.offsets = search->offsets;
        config.flow_shift = uint8_t(search->shift);
      }
    }
  }
  const Header header{.sequence = sequence_,
                      .first_frame = next_frame_,
                      .frames = frames,
                      .base_views = options_.base_views,
                      .model = config};
  std::vector<UnitPayload> others = base_.units();
  if (!cameras.empty()) others.push_back({UnitType::cameras, 0, std::move(cameras)});
  if (views_.empty()) return encode_base_views(header, others, threads, stop);
  Network network = make_network(config, options_.seed, device_);
  if (goes_on && last_) start_from(network, *last_);
  const bool hybrid = config.prediction, ierv = config.order == StageOrder::ierv;
  double budget = options_.time_budget;
  if (deadline_.exists()) {
    const double left = deadline_.training(frames);
    budget = budget > 0 ? std::min(budget, left) : left;
  }
  const TrainOptions train_options{
      .loss = options_.loss,
      .lambda = options_.lambda * (hybrid ? kHybridLambda : 1),
      .target_bits = network_bits(header, others),
      .depth_weight = options_.depth_weight * (hybrid ? kHybridDepthWeight : 1),
      .prune = ierv && options_.prune == 0 ? kIervPrune : options_.prune,
      .steps = kStepsOfEffort[options_.effort],
      .time_budget = budget,
      .seed = options_.seed,
      .search = search ? &*search : nullptr,
      .on_progress = options_.on_progress};
  MVINR_ASSIGN(const TrainResult trained, train(network, pictures_, base_, train_options, stop));
  const double after_training = deadline_.left() + (trained.seconds - budget);  // its last step

  EncodedGop gop;
  MVINR_ASSIGN(CodedUnits coded, code_units(network));
  adopt_contexts(network, coded.model);
  const uint64_t payload_bytes = coded.bytes();  // whose bits training estimates
  std::vector<UnitPayload>& units = coded.units;
  for (UnitPayload& unit : units)
    if (unit.type == UnitType::view) unit.index = views_[size_t(unit.index)];
  std::move(others.begin(), others.end(), std::back_inserter(units));
  MVINR_ASSIGN(gop.bytes, write_access_unit(header, units));
  gop.stats = {.first_frame = next_frame_,
               .frames = frames,
               .bytes = gop.bytes.size(),
               .estimated_bits = estimated_bits(network, coded.model) +
                                 8.0 * double(gop.bytes.size() - payload_bytes),
               .lambda = trained.lambda / (hybrid ? kHybridLambda : 1),
               .train_seconds = trained.seconds,
               .steps = trained.steps,
               .profile = options_.profile};
  report({.step = trained.steps,
          .steps = trained.steps,
          .bits = 8.0 * double(gop.bytes.size()),
          .seconds = trained.seconds,
          .phase = "verify"});
  const double unverified = deadline_.left();
  MVINR_TRY(measure(gop, threads, stop));
  if (deadline_.exists()) {
    deadline_.learn(after_training - unverified,
                    gop.stats.verify_seconds / gop.stats.verified_frames);
  }
  if (goes_on) last_ = std::move(network);
  return gop;
}

}  // namespace

Result<std::unique_ptr<Encoder>> Encoder::create(const SequenceInfo& sequence,
                                                 const EncoderOptions& options) {
  MVINR_TRY(check(options));
  MVINR_TRY(validate(sequence));
  Header header{
      .sequence = sequence, .frames = options.gop_frames, .base_views = options.base_views};
  if (header.network_views().empty()) {
    header.model = no_network(options.gop_frames);
  } else {
    MVINR_ASSIGN(header.model, make_profile(options.profile, sequence, options.gop_frames,
                                            header.network_views(), motion_of(sequence, options)));
  }
  MVINR_TRY(validate(header));  // the base views
  const ModelConfig& config = header.model;
  MVINR_ASSIGN(const at::Device device, find_device(options.device));
  const uint64_t needed = memory_needed(sequence, config, TrainOptions{}.batch_samples);
  const uint64_t allowed =
      options.max_memory > 0 ? options.max_memory : free_memory(device) / 4 * 3;
  if (needed > allowed)
    return Error{ErrorCode::limit_exceeded,
                 "a GOP of " + std::to_string(options.gop_frames) + " frames of " +
                     std::to_string(sequence.views.size()) + " views needs about " +
                     megabytes(needed) + " of memory, " + megabytes(allowed) +
                     " are allowed: lower the GOP size, the profile or the picture size"};
  return std::unique_ptr<Encoder>(new EncoderImpl(sequence, options, device));
}

std::vector<std::string> profile_names() { return model_profile_names(); }

}  // namespace mvinr
