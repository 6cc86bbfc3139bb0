#include "fake_encoder.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

namespace mvinr {
namespace {

std::mutex mutex;
fake::Log the_log;
fake::Behaviour the_behaviour;

Error error(ErrorCode code, const std::string& message) { return {code, message}; }

class FakeEncoder final : public Encoder {
  using Clock = std::chrono::steady_clock;

 public:
  FakeEncoder(const SequenceInfo& sequence, const EncoderOptions& options)
      : sequence_(sequence), options_(options) {
    const std::lock_guard lock(mutex);
    the_log.sequences.push_back(sequence);
    the_log.options.push_back(options);
    ++the_log.alive;
    reset();
  }
  ~FakeEncoder() override {
    const std::lock_guard lock(mutex);
    --the_log.alive;
  }

  Status add(const PictureId& id, const Picture& picture) override {
    const ViewInfo& view = sequence_.views.at(size_t(id.view));
    const SampleFormat format = id.component == Component::texture ? view.texture : view.depth;
    if (picture.format != format || picture.width != view.width || picture.height != view.height)
      return error(ErrorCode::invalid_argument, "picture does not fit its view");
    int sample = 0;
    std::memcpy(&sample, picture.data[0], size_t(bytes_per_sample(format)));
    // Every row must be readable, and the last one must hold what the first one holds.
    int last = 0;
    std::memcpy(&last, picture.data[0] + (view.height - 1) * picture.stride[0],
                size_t(bytes_per_sample(format)));
    if (last != sample) return error(ErrorCode::invalid_argument, "stride is wrong");
    samples_.at((size_t(id.frame) * sequence_.views.size() + size_t(id.view)) * 2 +
                size_t(id.component)) = sample;
    return ok();
  }

  Status add_pose(int frame, int view, const Pose& pose) override {
    if (frame >= options_.gop_frames || !sequence_.views.at(size_t(view)).moving)
      return error(ErrorCode::invalid_argument, "no moving camera");
    poses_[{frame, view}] = pose;
    return ok();
  }

  Status add_base(const PictureId& id, const Picture& picture) override {
    const ViewInfo& view = sequence_.views.at(size_t(id.view));
    const SampleFormat format = id.component == Component::texture ? view.texture : view.depth;
    if (!is_base(id.view) || picture.format != format || picture.width != view.width)
      return error(ErrorCode::invalid_argument, "no picture of a base view");
    std::vector<int>& samples = base_samples_[{id.view, int(id.component)}];
    samples.resize(size_t(options_.gop_frames), -1);
    samples.at(size_t(id.frame)) = 0;
    std::memcpy(&samples[size_t(id.frame)], picture.data[0], size_t(bytes_per_sample(format)));
    return ok();
  }
  Status add_base_unit(int view, Component component, std::vector<std::byte> payload) override {
    if (!is_base(view)) return error(ErrorCode::invalid_argument, "not a base view");
    units_.push_back({view, component, std::move(payload), {}});
    return ok();
  }

  Result<EncodedGop> encode_gop(int frames, std::stop_token stop) override {
    const Clock::time_point start = Clock::now();
    const double left = deadline_ == Clock::time_point::max()
                            ? std::numeric_limits<double>::infinity()
                            : std::chrono::duration<double>(deadline_ - start).count();
    fake::Behaviour behaviour;
    {
      const std::lock_guard lock(mutex);
      behaviour = the_behaviour;
      ++the_log.training;
    }
    if (behaviour.obeys)
      behaviour.seconds = std::clamp(behaviour.seconds, 0.0, std::max(left, 0.0));
    if (behaviour.in_training) behaviour.in_training();
    double seconds = 0;
    const int steps = 10;
    for (int step = 0; step <= steps && !stop.stop_requested(); ++step) {
      options_.on_progress({.step = step,
                            .steps = steps,
                            .psnr = 20.0 + step,
                            .bits = 1e4,
                            .seconds = seconds,
                            .seconds_left = behaviour.seconds - seconds,
                            .phase = "float"});
      while (seconds < behaviour.seconds * step / steps && !stop.stop_requested()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        seconds = std::chrono::duration<double>(Clock::now() - start).count();
      }
    }
    const std::lock_guard lock(mutex);
    --the_log.training;
    if (stop.stop_requested()) {
      reset();
      return error(ErrorCode::cancelled, "cancelled");
    }
    EncodedGop gop;
    gop.bytes.resize(target_bytes_ > 0 ? size_t(target_bytes_ * 6 / 5)
                                       : fake::access_unit_bytes(lambda_, frames));
    std::memcpy(gop.bytes.data(), "MVNR", 4);
    gop.stats = {.first_frame = first_frame_,
                 .frames = frames,
                 .bytes = gop.bytes.size(),
                 .estimated_bits = 8.0 * double(gop.bytes.size()) - 1,
                 .lambda = lambda_,
                 .train_seconds = seconds,
                 .verify_seconds = 0.25,
                 .verified_frames = frames,
                 .steps = steps,
                 .profile = options_.profile == "auto" ? "xs" : options_.profile};
    bool depth = false;
    for (const ViewInfo& view : sequence_.views) depth |= view.depth != SampleFormat::none;
    gop.stats.texture.assign(sequence_.views.size(), {fake::kPsnrY, 40, 41});
    if (depth) gop.stats.depth.assign(sequence_.views.size(), {35, 0, 0});
    gop.stats.mean_texture_psnr = fake::kPsnrY;
    gop.stats.mean_depth_psnr = depth ? 35 : 0;
    samples_.resize(size_t(frames) * sequence_.views.size() * 2);
    for (fake::BaseUnit& unit : units_) {
      unit.samples = base_samples_[{unit.view, int(unit.component)}];
      unit.samples.resize(size_t(frames), -1);
    }
    size_t wanted = 0;
    for (const int v : options_.base_views)
      wanted += sequence_.views[size_t(v)].depth == SampleFormat::none ? 1 : 2;
    if (units_.size() != wanted)
      return error(ErrorCode::invalid_argument, "BASE units are missing");
    the_log.gops.push_back({frames, lambda_, time_budget_, left, samples_, poses_, units_});
    first_frame_ += uint64_t(frames);
    reset();
    return gop;
  }

  void set_first_frame(uint64_t frame) override { first_frame_ = frame; }

  void reset() override {
    samples_.assign(size_t(options_.gop_frames) * sequence_.views.size() * 2, -1);
    base_samples_.clear();
    units_.clear();
    poses_.clear();
  }
  Status set_lambda(double lambda) override {
    lambda_ = lambda;
    return ok();
  }
  Status set_target_bytes(uint64_t bytes) override {
    target_bytes_ = bytes;
    return ok();
  }
  Status set_time_budget(double seconds) override {
    time_budget_ = seconds;
    return ok();
  }
  void set_deadline(Clock::time_point deadline) override { deadline_ = deadline; }

 private:
  bool is_base(int view) const {
    const auto& views = options_.base_views;
    return std::find(views.begin(), views.end(), view) != views.end();
  }

  SequenceInfo sequence_;
  EncoderOptions options_;
  std::vector<int> samples_;
  std::map<std::pair<int, int>, std::vector<int>> base_samples_;  // view, component
  std::vector<fake::BaseUnit> units_;
  std::map<std::pair<int, int>, Pose> poses_;
  double lambda_ = 0, time_budget_ = 0;
  uint64_t target_bytes_ = 0;
  Clock::time_point deadline_ = Clock::time_point::max();
  uint64_t first_frame_ = 0;
};

}  // namespace

std::vector<std::string> profile_names() { return {"auto", "xxs", "xs", "s"}; }

Result<std::unique_ptr<Encoder>> Encoder::create(const SequenceInfo& sequence,
                                                 const EncoderOptions& options) {
  if ((options.mode == Mode::hybrid) == options.base_views.empty())
    return error(ErrorCode::internal, "mode and base views do not agree");
  if (options.mode == Mode::hybrid && options.profile == "xxs")
    return error(ErrorCode::invalid_argument, "profile xxs is not for hybrid mode");
  if (options.device != "auto" && options.device != "cpu")
    return error(ErrorCode::no_device, "there is no device " + options.device);
  uint64_t needed = 0;
  for (const ViewInfo& view : sequence.views)
    needed += uint64_t(view.width) * uint64_t(view.height) * fake::kBytesPerSample;
  if (options.max_memory > 0 && options.max_memory < needed)
    return error(ErrorCode::limit_exceeded,
                 "a GOP needs " + std::to_string(needed) + " bytes of memory");
  return std::unique_ptr<Encoder>(std::make_unique<FakeEncoder>(sequence, options));
}

namespace fake {

Log log() {
  const std::lock_guard lock(mutex);
  return the_log;
}
std::vector<int> samples(int view, int views) {
  std::vector<int> result;
  for (const Gop& gop : log().gops)
    for (int t = 0; t < gop.frames; ++t)
      result.push_back(gop.samples[size_t((t * views + view) * 2)]);
  return result;
}
void set_behaviour(const Behaviour& behaviour) {
  const std::lock_guard lock(mutex);
  the_behaviour = behaviour;
}
void reset() {
  const std::lock_guard lock(mutex);
  const int alive = the_log.alive;
  the_log = {};
  the_log.alive = alive;
  the_behaviour = {};
}
size_t access_unit_bytes(double lambda, int frames) {
  return size_t(50 * frames * std::pow(lambda, -0.6)) + 16;
}

}  // namespace fake
}  // namespace mvinr
