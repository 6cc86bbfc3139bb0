#include "base_views.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "encoder_table.h"
#include "glue.h"

namespace mvinr::gst {
namespace {

// Of all pictures, base views and what can be predicted from them. Below that, mode=auto takes
// implicit mode (docs/training.md, "Hybrid mode").
constexpr double kLeastShown = 0.5;

Error lacking(const std::string& what) {
  return {ErrorCode::invalid_argument, "hybrid mode: " + what};
}

bool has_depth(const SequenceInfo& sequence) {
  return std::any_of(sequence.views.begin(), sequence.views.end(),
                     [](const ViewInfo& v) { return v.depth != SampleFormat::none; });
}

// Without cameras views are thought to stand in the order of their numbers: the middle ones of
// groups of this many.
constexpr int kViewsPerBase = 6;
std::vector<int> spread_base_views(int count) {
  const int wanted = (count + kViewsPerBase - 1) / kViewsPerBase;
  std::vector<int> views;
  for (int i = 0; i < wanted; ++i) views.push_back((2 * i + 1) * count / (2 * wanted));
  return views;
}

}  // namespace

Status check_base_views(const Settings& settings, const SequenceInfo& sequence) {
  Result<std::vector<int>> views = parse_base_views(settings.base.views);
  if (!views) return views.error();
  if (!views->empty() && size_t(views->back()) >= sequence.views.size())
    return Error{ErrorCode::invalid_argument,
                 "base-views \"" + settings.base.views + "\": there is no view " +
                     std::to_string(views->back()) + ", the sequence has " +
                     std::to_string(sequence.views.size()) + " views"};
  return ok();
}

Motion motion_of(const Settings& settings, const SequenceInfo& sequence) {
  if (settings.encoder.motion) return *settings.encoder.motion;
  if (settings.encoder.profile.starts_with("ierv")) return Motion::learned;
  const Result<std::vector<int>> named = parse_base_views(settings.base.views);
  if (named && !named->empty()) return automatic_motion(sequence, *named);
  // Any view with depth can be a base view.
  return has_depth(sequence) ? automatic_motion(sequence, {}) : Motion::learned;
}

Result<std::vector<int>> find_base_views(const Settings& settings, const SequenceInfo& sequence) {
  const int count = int(sequence.views.size());
  if (count < 2) return lacking("needs at least two views, there is one");
  const bool geometry = motion_of(settings, sequence) != Motion::learned;
  for (int v = 0; geometry && v < count; ++v)
    if (!sequence.views[size_t(v)].camera)
      return lacking("view " + std::to_string(v) +
                     " has no camera: set the property cameras, or camera of the pad texture_" +
                     std::to_string(v));
  if (Status good = check_base_views(settings, sequence); !good) return good.error();
  Result<std::vector<int>> views = parse_base_views(settings.base.views);
  if (views->empty()) {
    if (geometry && !has_depth(sequence))
      return lacking("no view has depth: feed a pad depth_n of at least one view");
  } else {
    const std::string name = "base-views \"" + settings.base.views + "\"";
    if (views->size() > size_t(kMaxBaseViews))
      return lacking(name + " are more than " + std::to_string(kMaxBaseViews));
    for (const int v : *views)
      if (geometry && sequence.views[size_t(v)].depth == SampleFormat::none)
        return lacking("base view " + std::to_string(v) + " has no depth: feed the pad depth_" +
                       std::to_string(v) + ", or choose other base-views");
  }
  if (views->empty() && !geometry) return spread_base_views(count);
  return views;
}

// Views that cannot be predicted well enough become base views, the worst first: a 2D codec spends
// fewer bits on their pictures than the network on what the prediction lacks.
Status add_unpredicted(const Settings& settings, std::span<const Instant> instants, double lambda,
                       std::vector<int>& views) {
  // Y-PSNR of a base view at crf 29, and dB per crf: of the clips of docs/evaluation.md.
  constexpr double kPsnr = 35.5, kCrf = 29, kSlope = 0.57;
  constexpr double kWorse = 7;  // dB; docs/training.md 6
  const int quantiser = base_quantisers(settings, lambda).texture;
  const double psnr = kPsnr - kSlope * ((quantiser < 0 ? kCrf : quantiser) - kCrf) - kWorse;
  const size_t most = std::min(instants[0].views.size(), size_t(kMaxBaseViews));
  while (views.size() < most) {
    Result<std::vector<double>> errors = prediction_errors(instants, views);
    if (!errors) return errors.error();
    for (size_t v = 0; v < errors->size(); ++v)
      if (instants[0].views[v].depth == SampleFormat::none) (*errors)[v] = 0;
    const auto worst = std::max_element(errors->begin(), errors->end());
    const double worst_psnr = -10 * std::log10(std::max(*worst, 1e-9));
    const int view = int(worst - errors->begin());
    GST_INFO("the worst predicted view is %d, %.1f dB; %.1f dB are wanted", view, worst_psnr, psnr);
    if (worst_psnr >= psnr) break;
    views.insert(std::upper_bound(views.begin(), views.end(), view), view);
  }
  return ok();
}

Result<std::vector<int>> choose_base_views(const Settings& settings,
                                           std::span<const Instant> instants, double lambda) {
  Result<BaseChoice> choice = mvinr::choose_base_views(instants);
  if (!choice) return lacking(choice.error().message);
  const double views = double(instants[0].views.size()), bases = double(choice->views.size());
  const double shown = (bases + choice->coverage * (views - bases)) / views;
  GST_INFO("%g base views show %.0f %% of the other views", bases, 100 * choice->coverage);
  if (choice->views.empty() || (settings.encoder.mode == Mode::automatic && shown < kLeastShown))
    return lacking("base views could show only " + std::to_string(std::lround(100 * shown)) +
                   " % of all pictures: cameras that do not overlap or do not fit the depth");
  if (Status added = add_unpredicted(settings, instants, lambda, choice->views); !added)
    return added.error();
  return std::move(choice->views);
}

// Microseconds per sample of the base views that leave most of the time budget to the training, if
// there is any.
static double coding_time(std::span<const BaseSource> sources, bool all_views, int frames,
                          double time_budget) {
  if (time_budget <= 0) return std::numeric_limits<double>::infinity();
  double samples = 0;
  for (const BaseSource& source : sources)
    samples += double(source.format.width) * source.format.height * frames;
  const double cores = std::max(1u, std::thread::hardware_concurrency());
  return (all_views ? 0.6 : 0.15) * 1e6 * time_budget * cores / samples;
}

Result<std::unique_ptr<BaseViews>> BaseViews::create(const Settings& settings,
                                                     const SequenceInfo& sequence,
                                                     std::vector<int> views,
                                                     BaseQuantisers quantisers,
                                                     double time_budget) {
  Result<std::vector<BaseSource>> sources = base_sources(sequence, views);
  if (!sources) return sources.error();
  const bool all_views = views.size() == sequence.views.size();
  std::string fragment = settings.base.encoder;
  if (fragment.empty()) {
    Result<std::string> automatic = automatic_base_encoder(
        coding_time(*sources, all_views, settings.encoder.gop_frames, time_budget));
    if (!automatic) return automatic.error();
    fragment = std::move(*automatic);
  }
  std::unique_ptr<BaseViews> base(new BaseViews(std::move(fragment), std::move(views), all_views));
  base->pictures_.resize(sources->size());
  if (Status made = base->make_coder(std::move(*sources), quantisers); !made) return made.error();
  return base;
}

Status BaseViews::make_coder(std::vector<BaseSource> sources, BaseQuantisers quantisers) {
  Result<std::unique_ptr<BaseCoder>> coder =
      BaseCoder::create(fragment_, quantisers.texture, quantisers.depth, std::move(sources));
  if (!coder) return coder.error();
  coder_ = std::move(*coder);
  quantisers_ = quantisers;
  return ok();
}

void BaseViews::keep(const PictureId& id, const Picture& picture) {
  const std::vector<BaseSource>& sources = coder_->sources();
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].view != id.view || sources[i].component != id.component) continue;
    if (pictures_[i].size() <= size_t(id.frame)) pictures_[i].resize(size_t(id.frame) + 1);
    pictures_[i][size_t(id.frame)] = copy_of(picture);
  }
}

void BaseViews::forget() {
  for (auto& pictures : pictures_) pictures.clear();
  coded_.clear();
}

Result<BaseStats> BaseViews::code(int frames, BaseQuantisers quantisers, std::stop_token stop) {
  const auto start = std::chrono::steady_clock::now();
  if (!(quantisers == quantisers_))
    if (Status made = make_coder(coder_->sources(), quantisers); !made) return made.error();
  const std::vector<BaseSource>& sources = coder_->sources();
  const auto picture_of = [&](const PictureId& id) -> Result<Picture> {
    const auto source = std::find_if(sources.begin(), sources.end(), [&](const BaseSource& s) {
      return s.view == id.view && s.component == id.component;
    });
    const auto& pictures = pictures_[size_t(source - sources.begin())];
    if (size_t(id.frame) >= pictures.size())
      return Error{ErrorCode::internal, "frame " + std::to_string(id.frame) + " is missing"};
    return pictures[size_t(id.frame)].picture;
  };
  Result<std::vector<CodedSource>> coded = coder_->encode(frames, picture_of, stop);
  if (!coded) return coded.error();
  coded_ = std::move(*coded);
  BaseStats stats{.views = views_};
  for (const CodedSource& source : coded_) stats.bytes += source.coded.payload.size();
  stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return stats;
}

Status BaseViews::give(int frames, Encoder& encoder) {
  for (CodedSource& source : coded_) {
    for (int f = 0; f < frames; ++f)
      if (Status added = encoder.add_base({f, source.view, source.component},
                                          source.coded.decoded[size_t(f)].picture);
          !added)
        return added;
    source.coded.decoded.clear();
    if (Status added =
            encoder.add_base_unit(source.view, source.component, std::move(source.coded.payload));
        !added)
      return added;
  }
  forget();
  return ok();
}

}  // namespace mvinr::gst
