// The public Encoder: pictures in, trained and verified access units out.
#include "mvinr/encoder.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "base/try.h"
#include "format/model_units.h"
#include "train/device.h"
#include "train/export.h"
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

/// Pictures, parameters with gradients and optimiser state, and what one step keeps for its
/// backward pass (floats per canvas sample, measured over the profiles: docs/training.md).
uint64_t memory_needed(const SequenceInfo& sequence, const ModelConfig& config, int batch_samples) {
  uint64_t parameters = 0;
  for (const TensorSpec& spec : tensor_specs(config)) parameters += uint64_t(spec.count());
  const uint64_t canvas = uint64_t(config.canvas_width) * config.canvas_height;
  double floats = 40;  // output, targets, loss
  for (int i = 1; i <= int(config.stages.size()); ++i) {
    const double area = double(config.stage_width(i)) * config.stage_height(i) / double(canvas);
    const StageConfig& s = config.stages[size_t(i) - 1];
    floats += area * config.entry_channels(i) * (6 + s.depth * (4 + 2 * s.expansion));
  }
  const double batch = double(std::max<uint64_t>(canvas, uint64_t(batch_samples)));
  return PictureStore::bytes(sequence, config.frames) + parameters * 4 * 30 +
         uint64_t(batch * floats * 4) + (300u << 20);
}

// Hybrid mode, found by measurement (docs/training.md, "Hybrid mode"): a bit is worth more in the
// base views, from which the others are predicted, than in the network; and depth, which comes with
// the warp, less than where it is the only source.
constexpr double kHybridLambda = 4, kHybridDepthWeight = 0.3;

constexpr double kIervPrune = 0.6;  // of the profiles ierv, as their paper

/// On small pictures most of a step is many small operations, which two threads do no faster than
/// one: measured with `mvinr-encode --threads`, 256x144 and 512x288 on two cores.
int training_threads(const ModelConfig& config, int threads) {
  constexpr int64_t kSamplesPerThread = 200'000;
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

  Status add_base(const PictureId& id, const Picture& picture) override {
    return guarded([&] { return base_.add(id, picture); });
  }
  Status add_base_unit(int view, Component component, std::vector<std::byte> payload) override {
    return guarded([&] { return base_.add_unit(view, component, std::move(payload)); });
  }

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
  }

  Status set_lambda(double lambda) override {
    MVINR_TRY(check_lambda(lambda));
    options_.lambda = lambda;
    return ok();
  }
  Status set_time_budget(double seconds) override {
    MVINR_TRY(check_time_budget(seconds));
    options_.time_budget = seconds;
    return ok();
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
  void report(const Progress& p) const {
    if (options_.on_progress) options_.on_progress(p);
  }

  SequenceInfo sequence_;
  EncoderOptions options_;
  at::Device device_;
  std::vector<int> views_;  // of the network
  PictureStore pictures_;
  BaseStore base_;
  uint64_t next_frame_ = 0;
};

Result<EncodedGop> EncoderImpl::encode(int frames, std::stop_token stop) {
  if (frames < 1 || frames > options_.gop_frames)
    return out_of_range("frames of the GOP", frames, "1..gop_frames");
  MVINR_TRY(pictures_.complete(frames));
  MVINR_TRY(base_.complete(frames));
  const int threads =
      options_.threads > 0 ? options_.threads : int(std::thread::hardware_concurrency());
  MVINR_ASSIGN(ModelConfig config,
               make_profile(options_.profile, sequence_, frames, views_, options_.motion.value()));
  at::set_num_threads(training_threads(config, threads));

  MVINR_TRY(base_.predict(config, views_, stop));
  std::optional<MotionSearch> search;
  if (config.prediction && config.motion == Motion::learned) {
    MVINR_ASSIGN(search, search_motion(config, sequence_, pictures_, base_, views_, stop));
    config.offsets = search->offsets;
    config.flow_shift = uint8_t(search->shift);
  }
  Network network = make_network(config, options_.seed, device_);
  const bool hybrid = config.prediction, ierv = config.order == StageOrder::ierv;
  const TrainOptions train_options{
      .loss = options_.loss,
      .lambda = options_.lambda * (hybrid ? kHybridLambda : 1),
      .depth_weight = options_.depth_weight * (hybrid ? kHybridDepthWeight : 1),
      .prune = ierv && options_.prune == 0 ? kIervPrune : options_.prune,
      .steps = kStepsOfEffort[options_.effort],
      .time_budget = options_.time_budget,
      .seed = options_.seed,
      .parts_loss = config.fusion == Fusion::softmax,
      .search = search ? &*search : nullptr,
      .on_progress = options_.on_progress};
  MVINR_ASSIGN(const TrainResult trained, train(network, pictures_, base_, train_options, stop));

  EncodedGop gop;
  CodedModel model = export_model(network);
  refine_context_models(model);
  adopt_contexts(network, model);
  MVINR_ASSIGN(auto units, encode_model(model));
  for (UnitPayload& unit : units)
    if (unit.type == UnitType::view) unit.index = views_[size_t(unit.index)];
  uint64_t payload_bytes = 0;  // whose bits training estimates
  for (const UnitPayload& unit : units) payload_bytes += unit.payload.size();
  for (UnitPayload& unit : base_.units()) units.push_back(std::move(unit));
  const Header header{.sequence = sequence_,
                      .first_frame = next_frame_,
                      .frames = frames,
                      .base_views = options_.base_views,
                      .model = config};
  MVINR_ASSIGN(gop.bytes, write_access_unit(header, units));
  gop.stats = {.first_frame = next_frame_,
               .frames = frames,
               .bytes = gop.bytes.size(),
               .estimated_bits =
                   estimated_bits(network, model) + 8.0 * double(gop.bytes.size() - payload_bytes),
               .train_seconds = trained.seconds,
               .steps = trained.steps,
               .profile = options_.profile};
  report({.step = trained.steps,
          .steps = trained.steps,
          .bits = 8.0 * double(gop.bytes.size()),
          .seconds = trained.seconds,
          .phase = "verify"});
  const auto start = std::chrono::steady_clock::now();
  MVINR_TRY(verify(gop.bytes, pictures_, base_, threads, stop, gop.stats));
  gop.stats.verify_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  next_frame_ += uint64_t(frames);
  return gop;
}

}  // namespace

Result<std::unique_ptr<Encoder>> Encoder::create(const SequenceInfo& sequence,
                                                 const EncoderOptions& options) {
  MVINR_TRY(check(options));
  MVINR_TRY(validate(sequence));
  Header header{
      .sequence = sequence, .frames = options.gop_frames, .base_views = options.base_views};
  MVINR_ASSIGN(header.model, make_profile(options.profile, sequence, options.gop_frames,
                                          header.network_views(), motion_of(sequence, options)));
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
