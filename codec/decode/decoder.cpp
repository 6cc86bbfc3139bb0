#include "mvinr/decoder.h"

#include <algorithm>
#include <string>

#include "base/thread_pool.h"
#include "base/try.h"
#include "decode/gop.h"
#include "decode/synthesis.h"
#include "kernels/buffers.h"
#include "kernels/kernels.h"

namespace mvinr {
namespace {

constexpr int kMostThreads = 256;

Error invalid(std::string message) { return {ErrorCode::invalid_argument, std::move(message)}; }

std::string size_text(int width, int height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

const char* format_name(SampleFormat format) {
  switch (format) {
    case SampleFormat::none:
      return "none";
    case SampleFormat::yuv420_8:
      return "yuv420_8";
    case SampleFormat::yuv420_10:
      return "yuv420_10";
    case SampleFormat::gray_8:
      return "gray_8";
    case SampleFormat::gray_10:
      return "gray_10";
    case SampleFormat::gray_16:
      return "gray_16";
  }
  return "unknown";
}

Error no_such_view(int view, int views) {
  return invalid("view " + std::to_string(view) + " of " + std::to_string(views) +
                 " was asked for");
}

template <typename AnyPicture>
Status check_picture(const std::string& name, const AnyPicture& picture, SampleFormat format,
                     const ViewInfo& view) {
  if (format == SampleFormat::none) return invalid(name + " was asked for, but the view has none");
  if (picture.format != format)
    return invalid(name + " has the format " + format_name(picture.format) + ", the stream's is " +
                   format_name(format));
  if (picture.width != view.width || picture.height != view.height)
    return invalid(name + " is " + size_text(picture.width, picture.height) + ", the view is " +
                   size_text(view.width, view.height));
  const int bytes = bytes_per_sample(format);
  for (int p = 0; p < plane_count(format); ++p) {
    const std::string plane = name + ", plane " + std::to_string(p) + ", ";
    if (picture.data[p] == nullptr) return invalid(plane + "has no memory");
    const int row = plane_size(view.width, p) * bytes;
    if (picture.stride[p] < row)
      return invalid(plane + "has a stride of " + std::to_string(picture.stride[p]) +
                     " bytes, a row needs " + std::to_string(row));
    if (reinterpret_cast<uintptr_t>(picture.data[p]) % bytes != 0 || picture.stride[p] % bytes != 0)
      return invalid(plane + "is not aligned to its 16-bit samples");
  }
  return ok();
}

class RealDecoder final : public Decoder {
 public:
  RealDecoder(const DecoderOptions& options, const Kernels& kernels)
      : max_samples_(options.max_samples), kernels_(kernels), pool_(options.threads) {}

  Result<GopInfo> start_gop(Bytes access_unit) override {
    MVINR_ASSIGN(std::unique_ptr<Gop> gop, open(access_unit));
    return make_current(std::move(gop));
  }

  Result<std::unique_ptr<PreparedGop>> prepare_gop(Bytes access_unit, std::span<const int> views,
                                                   std::stop_token stop) const override {
    const Error cancelled{ErrorCode::cancelled, "preparing was stopped"};
    if (stop.stop_requested()) return cancelled;
    MVINR_ASSIGN(std::unique_ptr<Gop> gop, open(access_unit));
    const int count = static_cast<int>(gop->info().sequence.views.size());
    for (const int view : views) {
      if (stop.stop_requested()) return cancelled;
      if (view < 0 || view >= count) return no_such_view(view, count);
      if (const int v = gop->network_view(view); v >= 0) (void)gop->prepare(v).has_value();
    }
    return std::unique_ptr<PreparedGop>(std::move(gop));
  }

  Result<GopInfo> start_gop(std::unique_ptr<PreparedGop> gop) override {
    if (gop == nullptr) return invalid("there is no prepared GOP");
    return make_current(std::unique_ptr<Gop>(static_cast<Gop*>(gop.release())));
  }

  std::vector<BaseUnit> base_units() const override {
    return gop_ == nullptr ? std::vector<BaseUnit>() : gop_->base_units();
  }

  Status set_base(const PictureId& id, const Picture& picture) override {
    if (gop_ == nullptr) return invalid("there is no GOP: call start_gop first");
    const GopInfo& info = gop_->info();
    if (std::find(info.base_views.begin(), info.base_views.end(), id.view) == info.base_views.end())
      return invalid("view " + std::to_string(id.view) + " is not a base view");
    if (id.frame < 0 || id.frame >= info.frames)
      return invalid("frame " + std::to_string(id.frame) + " of a GOP of " +
                     std::to_string(info.frames) + " frames was given");
    const ViewInfo& view = gop_->view_info(id.view);
    MVINR_TRY(check_picture("the " + picture_name(id), picture,
                            id.component == Component::texture ? view.texture : view.depth, view));
    gop_->set_base(id, picture);
    return ok();
  }

  Status render(std::span<const RenderJob> jobs, std::stop_token stop) override {
    if (gop_ == nullptr) return invalid("there is no GOP to render: call start_gop first");
    for (const RenderJob& job : jobs) MVINR_TRY(check(job));
    const int count = static_cast<int>(jobs.size());
    const int workers = pool_.workers();
    // As many jobs as possible side by side, each on one thread; all threads share what is left.
    // Pictures too large to have feature maps for each thread are computed one after the other.
    const bool fits = gop_->memory().map_bytes() < memory_of_this_machine() / 2 / workers;
    const int alone = workers == 1 ? count : fits ? count - count % workers : 0;
    MVINR_TRY(allocate_memory(alone > 0 ? workers : 1));
    MVINR_TRY(prepare_views(jobs, stop));

    std::vector<Status> status(count, ok());
    pool_.parallel_for(alone, [&](int i, int worker) {
      const Crew crew{.pool = nullptr, .lanes = std::span(lanes_).subspan(worker, 1)};
      status[i] = run(jobs[i], maps_[worker], crew, stop);
    });
    for (int i = alone; i < count; ++i)
      status[i] = run(jobs[i], maps_[0], {.pool = &pool_, .lanes = lanes_}, stop);
    for (Status& s : status) MVINR_TRY(std::move(s));
    return ok();
  }

 private:
  Result<std::unique_ptr<Gop>> open(Bytes access_unit) const {
    return Gop::open(access_unit, {.max_samples = max_samples_, .workers = pool_.workers()});
  }

  GopInfo make_current(std::unique_ptr<Gop> gop) {
    if (gop_ == nullptr || !(gop->memory() == gop_->memory())) {
      maps_.clear();
      lanes_.clear();
    }
    gop_ = std::move(gop);
    return gop_->info();
  }

  Status check(const RenderJob& job) const {
    const GopInfo& info = gop_->info();
    if (job.frame < 0 || job.frame >= info.frames)
      return invalid("frame " + std::to_string(job.frame) + " of a GOP of " +
                     std::to_string(info.frames) + " frames was asked for");
    const int views = static_cast<int>(info.sequence.views.size());
    if (job.view < 0 || job.view >= views) return no_such_view(job.view, views);
    const ViewInfo& view = gop_->view_info(job.view);
    const std::string name = "view " + std::to_string(job.view);
    if (job.texture != nullptr)
      MVINR_TRY(check_picture("the texture of " + name, *job.texture, view.texture, view));
    if (job.depth != nullptr)
      MVINR_TRY(check_picture("the depth of " + name, *job.depth, view.depth, view));
    return ok();
  }

  Status allocate_memory(int maps) {
    const Error error{ErrorCode::limit_exceeded, "not enough memory to render this stream"};
    maps_.resize(std::max<size_t>(maps_.size(), maps));
    warp_memory_.resize(maps_.size());
    displaced_.resize(maps_.size());
    lanes_.resize(pool_.workers());
    if (gop_->plan().config.views == 0) return ok();  // base views only
    for (Maps& m : maps_)
      if (m.map[0].size() == 0 && !allocate(gop_->memory(), m)) {
        m = {};  // a half allocated one would count as complete the next time
        return error;
      }
    for (LaneMemory& lane : lanes_)
      if (lane.head.size() == 0 && !allocate(gop_->memory(), lane)) return error;
    return ok();
  }

  // Views are decoded side by side. Their errors come back when they are rendered.
  Status prepare_views(std::span<const RenderJob> jobs, const std::stop_token& stop) {
    std::vector<int> views;
    for (const RenderJob& job : jobs)
      if (const int view = gop_->network_view(job.view); view >= 0) views.push_back(view);
    std::sort(views.begin(), views.end());
    views.erase(std::unique(views.begin(), views.end()), views.end());
    pool_.parallel_for(static_cast<int>(views.size()), [&](int i, int) {
      if (!stop.stop_requested()) (void)gop_->prepare(views[i]).has_value();
    });
    if (stop.stop_requested()) return Error{ErrorCode::cancelled, "rendering was stopped"};
    return ok();
  }

  Status run(const RenderJob& job, Maps& maps, const Crew& crew, const std::stop_token& stop) {
    const int network_view = gop_->network_view(job.view);
    if (network_view < 0) return copy_base(job);
    MVINR_TRY(gop_->prepare(network_view));
    if (job.texture == nullptr && job.depth == nullptr) return ok();
    const ViewInfo& view = gop_->view_info(job.view);
    Plane16 prediction;
    std::vector<DisplaceBase> displaced;
    if (gop_->plan().config.prediction) {
      MVINR_ASSIGN(prediction, predict(job, maps, crew));
      MVINR_ASSIGN(displaced, pictures_to_displace(job, prediction, maps, crew));
    }
    const SynthesisJob synthesis{.frame = job.frame,
                                 .view = network_view,
                                 .tensors = gop_->tensors(),
                                 .still = &gop_->still(network_view),
                                 .width = view.width,
                                 .height = view.height,
                                 .prediction = prediction,
                                 .displaced = displaced,
                                 .texture = job.texture,
                                 .depth = job.depth};
    return synthesise(gop_->plan(), gop_->packed(), kernels_, synthesis, maps, crew, stop);
  }

  Status copy_base(const RenderJob& job) {
    for (const Component component : {Component::texture, Component::depth}) {
      const MutablePicture* out = component == Component::texture ? job.texture : job.depth;
      if (out == nullptr) continue;
      const PictureId id{job.frame, job.view, component};
      const OwnedPicture* picture = gop_->base_picture(id);
      if (picture == nullptr) return invalid("the " + picture_name(id) + " has not been set");
      picture->copy_to(*out);
    }
    return ok();
  }

  // The planes warped from the base views, in the memory of `maps`; not yet written with learned
  // motion.
  Result<Plane16> predict(const RenderJob& job, Maps& maps, const Crew& crew) {
    const PlanStep& head = gop_->plan().head();
    const ModelConfig& config = gop_->plan().config;
    const Plane16 out =
        plane16_at(maps.prediction.data(), config.prediction_planes(), head.height, head.width);
    if (config.motion == Motion::learned) return out;
    MVINR_ASSIGN(const std::vector<BaseInput> bases, gop_->base_inputs(job.frame, job.view));
    const size_t slot = static_cast<size_t>(&maps - maps_.data());
    MVINR_TRY(warp(bases, gop_->placed_camera(job.frame, job.view),
                   {out.data, out.plane, out.width, out.height}, warp_memory_[slot], crew.pool));
    return out;
  }

  // What the network's displacements move.
  Result<std::vector<DisplaceBase>> pictures_to_displace(const RenderJob& job,
                                                         const Plane16& prediction,
                                                         const Maps& maps, const Crew& crew) {
    const ModelConfig& config = gop_->plan().config;
    std::vector<DisplaceBase> bases(size_t{config.has_flow() ? config.flow_bases : 0u});
    auto& pictures = displaced_[static_cast<size_t>(&maps - maps_.data())];
    pictures.resize(std::max(pictures.size(), bases.size()));
    for (size_t b = 0; b < bases.size(); ++b) {
      bases[b].picture = &pictures[b];
      if (config.motion == Motion::refined) {
        MVINR_TRY(prepare_displaced(
            {prediction.data, prediction.plane, prediction.width, prediction.height}, pictures[b],
            crew.pool));
        continue;
      }
      MVINR_ASSIGN(const Gop::BasePair pair, gop_->base_pair(job.frame, b));
      const bool depth = pair.depth.format != SampleFormat::none && config.depth;
      MVINR_TRY(
          prepare_displaced(pair.texture, depth ? &pair.depth : nullptr, pictures[b], crew.pool));
      const size_t view = static_cast<size_t>(gop_->network_view(job.view));
      const Offset& offset = config.offsets[view * bases.size() + b];
      bases[b].offset_x = offset.x, bases[b].offset_y = offset.y;
    }
    return bases;
  }

  const uint64_t max_samples_;
  const Kernels& kernels_;
  ThreadPool pool_;
  std::unique_ptr<Gop> gop_;
  std::vector<Maps> maps_;               // one per thread that computes a whole picture
  std::vector<WarpMemory> warp_memory_;  // one per entry of maps_
  std::vector<std::vector<DisplacedPicture>> displaced_;  // likewise
  std::vector<LaneMemory> lanes_;                         // one per thread
};

}  // namespace

std::vector<std::string> available_kernels() {
  std::vector<std::string> names;
  for (const Kernels* kernels : available_kernel_sets()) names.push_back(kernels->name);
  return names;
}

Result<std::unique_ptr<Decoder>> Decoder::create(const DecoderOptions& options) {
  if (options.threads < 0 || options.threads > kMostThreads)
    return invalid("threads is " + std::to_string(options.threads) + ", must be 0.." +
                   std::to_string(kMostThreads));
  if (options.max_samples == 0) return invalid("max_samples is 0");
  const Kernels* kernels = find_kernels(options.kernels);
  if (kernels == nullptr) {
    std::string names;
    for (const std::string& name : available_kernels()) names += " " + name;
    return invalid("kernels \"" + options.kernels + "\" are not there; this machine has:" + names);
  }
  return std::unique_ptr<Decoder>(std::make_unique<RealDecoder>(options, *kernels));
}

}  // namespace mvinr
