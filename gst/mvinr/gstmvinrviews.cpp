#include "gstmvinrviews.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "mvinr/stream.h"

namespace {

// Reads a view at `text` and moves behind it.
std::optional<int> take_view(std::string_view& text) {
  int view = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), view);
  if (error != std::errc() || view < 0 || view >= mvinr::kMaxViews) return {};
  text.remove_prefix(size_t(end - text.data()));
  return view;
}

}  // namespace

std::optional<GstMvinrViews> gst_mvinr_views_parse(const std::string& text) {
  std::string compact;
  std::copy_if(text.begin(), text.end(), std::back_inserter(compact),
               [](char c) { return c != ' '; });
  if (compact == "all") return GstMvinrViews{};
  std::set<int> views;
  std::string_view rest = compact;
  while (true) {
    const auto first = take_view(rest);
    if (!first) return {};
    auto last = first;
    if (rest.starts_with('-')) {
      rest.remove_prefix(1);
      last = take_view(rest);
      if (!last || *last < *first) return {};
    }
    for (int view = *first; view <= *last; ++view) views.insert(view);
    if (rest.empty()) return GstMvinrViews(views.begin(), views.end());
    if (!rest.starts_with(',')) return {};
    rest.remove_prefix(1);
  }
}

std::string gst_mvinr_missing_views(mvinr::Bytes access_unit) {
  std::string text;
  const auto states = mvinr::view_states(access_unit);
  for (size_t v = 0; states && v < states->size(); ++v)
    if ((*states)[v] != mvinr::ViewState::there)
      text += (text.empty() ? "" : " ") + std::to_string(v);
  return text;
}
