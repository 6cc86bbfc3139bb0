#include "base_coder.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <thread>

namespace mvinr::gst {
namespace {

// Calls work(0) … work(count-1), each once, on as many threads as there are cores.
void in_parallel(size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  const auto take_all = [&] {
    for (size_t i; (i = next++) < count;) work(i);
  };
  const size_t threads = std::min(count, size_t(std::max(1u, std::thread::hardware_concurrency())));
  std::vector<std::jthread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back(take_all);
  take_all();
}

Error named(const BaseSource& source, const Error& error) {
  return {error.code, source_name(source) + ": " + error.message};
}

}  // namespace

std::string source_name(const BaseSource& source) {
  const char* component = source.component == Component::texture ? "texture" : "depth";
  return "view " + std::to_string(source.view) + " " + component;
}

Result<std::vector<int>> parse_base_views(const std::string& text) {
  std::vector<int> views;
  if (text == "auto") return views;
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorCode::invalid_argument,
                 "base-views \"" + text + "\": " + what + "; it is auto or views, as in 0,3"};
  };
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const char *first = text.data() + begin, *last = text.data() + end;
    int view = -1;
    const auto [stopped, error] = std::from_chars(first, last, view);
    if (error != std::errc() || stopped != last || view < 0 || view >= kMaxViews)
      return wrong("\"" + text.substr(begin, end - begin) + "\" is no view");
    if (std::find(views.begin(), views.end(), view) != views.end())
      return wrong("view " + std::to_string(view) + " comes twice");
    views.push_back(view);
    begin = end + 1;
  }
  std::sort(views.begin(), views.end());
  return views;
}

Result<std::vector<BaseSource>> base_sources(const SequenceInfo& sequence,
                                             std::span<const int> views) {
  std::vector<BaseSource> sources;
  for (const int view : views) {
    if (view < 0 || size_t(view) >= sequence.views.size())
      return Error{ErrorCode::invalid_argument,
                   "base view " + std::to_string(view) + " of a sequence of " +
                       std::to_string(sequence.views.size()) + " views"};
    const ViewInfo& info = sequence.views[size_t(view)];
    for (const auto& [component, format] :
         {std::pair(Component::texture, info.texture), std::pair(Component::depth, info.depth)})
      if (format != SampleFormat::none)
        sources.push_back(
            {view, component, {format, info.width, info.height, sequence.frame_rate}});
  }
  return sources;
}

Result<std::unique_ptr<BaseCoder>> BaseCoder::create(const std::string& fragment,
                                                     int texture_quantiser, int depth_quantiser,
                                                     std::vector<BaseSource> sources) {
  if (sources.empty()) return Error{ErrorCode::invalid_argument, "no base view"};
  auto coder = std::make_unique<BaseCoder>();
  for (const BaseSource& source : sources) {
    const bool texture = source.component == Component::texture;
    Result<std::unique_ptr<BaseEncoder>> encoder =
        BaseEncoder::create(fragment, source.format, texture ? texture_quantiser : depth_quantiser);
    if (!encoder) return named(source, encoder.error());
    coder->encoders_.push_back(std::move(*encoder));
  }
  coder->sources_ = std::move(sources);
  return coder;
}

Result<std::vector<CodedSource>> BaseCoder::encode(int frames, const PictureOf& picture_of,
                                                   std::stop_token stop) const {
  std::vector<std::vector<Picture>> pictures(sources_.size());
  for (size_t i = 0; i < sources_.size(); ++i)
    for (int frame = 0; frame < frames; ++frame) {
      Result<Picture> picture = picture_of({frame, sources_[i].view, sources_[i].component});
      if (!picture) return named(sources_[i], picture.error());
      pictures[i].push_back(*picture);
    }

  std::stop_source any;  // the caller's stop, or the first error
  const std::stop_callback forward(stop, [&any] { any.request_stop(); });
  std::vector<std::optional<Result<CodedBase>>> results(sources_.size());
  in_parallel(sources_.size(), [&](size_t i) {
    results[i] = encoders_[i]->encode(pictures[i], any.get_token());
    if (!*results[i]) any.request_stop();
  });

  std::vector<CodedSource> coded;
  std::optional<Error> failed;
  for (size_t i = 0; i < sources_.size(); ++i) {
    Result<CodedBase>& result = *results[i];
    if (result) {
      coded.push_back({sources_[i].view, sources_[i].component, std::move(*result)});
    } else if (!failed || failed->code == ErrorCode::cancelled) {
      failed = named(sources_[i], result.error());  // not what only followed from an error
    }
  }
  if (failed) return *failed;
  return coded;
}

std::vector<Result<std::vector<OwnedPicture>>> decode_bases(std::span<const BaseJob> jobs,
                                                            int frames, std::stop_token stop,
                                                            const BaseDecodeOptions& options) {
  std::vector<Result<std::vector<OwnedPicture>>> results;
  for (size_t i = 0; i < jobs.size(); ++i) results.emplace_back(std::vector<OwnedPicture>());
  in_parallel(jobs.size(), [&](size_t i) {
    auto decoded =
        BaseDecoder::decode(jobs[i].payload, jobs[i].source.format, frames, stop, options);
    if (decoded)
      results[i] = std::move(decoded);
    else
      results[i] = named(jobs[i].source, decoded.error());
  });
  return results;
}

}  // namespace mvinr::gst
