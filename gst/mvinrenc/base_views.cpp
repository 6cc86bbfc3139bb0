#include "base_views.h"

#include <algorithm>
#include <chrono>

namespace mvinr::gst {
namespace {

constexpr int kViewsPerBase = 6;

Error lacking(const std::string& what) {
  return {ErrorCode::invalid_argument, "hybrid mode: " + what};
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
  const bool depth = std::any_of(sequence.views.begin(), sequence.views.end(),
                                 [](const auto& v) { return v.depth != SampleFormat::none; });
  return depth ? automatic_motion(sequence, {}) : Motion::learned;
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
  if (!views->empty()) {
    const std::string name = "base-views \"" + settings.base.views + "\"";
    if (views->size() >= sequence.views.size())
      return lacking(name + " leaves no view for the network");
    if (views->size() > size_t(kMaxBaseViews))
      return lacking(name + " are more than " + std::to_string(kMaxBaseViews));
    for (const int v : *views)
      if (geometry && sequence.views[size_t(v)].depth == SampleFormat::none)
        return lacking("base view " + std::to_string(v) + " has no depth: feed the pad depth_" +
                       std::to_string(v) + ", or choose other base-views");
    return views;
  }
  const int wanted = (count + kViewsPerBase - 1) / kViewsPerBase;
  std::vector<int> chosen = choose_base_views(sequence, wanted);
  // Without cameras views are thought to stand in the order of their numbers.
  if (!geometry && chosen.size() < size_t(wanted)) chosen.clear();
  for (int i = 0; !geometry && chosen.size() < size_t(wanted); ++i)
    chosen.push_back((2 * i + 1) * count / (2 * wanted));
  if (chosen.empty()) return lacking("no view has depth: feed a pad depth_n of at least one view");
  return chosen;
}

Result<std::unique_ptr<BaseViews>> BaseViews::create(const Settings& settings,
                                                     const SequenceInfo& sequence,
                                                     BaseQuantisers quantisers) {
  Result<std::vector<int>> views = find_base_views(settings, sequence);
  if (!views) return views.error();
  Result<std::vector<BaseSource>> sources = base_sources(sequence, *views);
  if (!sources) return sources.error();
  std::unique_ptr<BaseViews> base(new BaseViews(settings, std::move(*views)));
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
}

Result<BaseStats> BaseViews::code(int frames, BaseQuantisers quantisers, Encoder& encoder,
                                  std::stop_token stop) {
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
  forget();
  if (!coded) return coded.error();
  BaseStats stats{.views = views_};
  for (CodedSource& source : *coded) {
    for (int f = 0; f < frames; ++f)
      if (Status added = encoder.add_base({f, source.view, source.component},
                                          source.coded.decoded[size_t(f)].picture);
          !added)
        return added.error();
    source.coded.decoded.clear();
    stats.bytes += source.coded.payload.size();
    if (Status added =
            encoder.add_base_unit(source.view, source.component, std::move(source.coded.payload));
        !added)
      return added.error();
  }
  stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return stats;
}

}  // namespace mvinr::gst
