// Lists of views as users write them: "all", "0,3", "0-2,7".
#pragma once

#include <optional>
#include <string>
#include <vector>

/// Views in ascending order, each once; empty: all.
using GstMvinrViews = std::vector<int>;

/// Nothing if the text is not such a list, or names views beyond 63.
std::optional<GstMvinrViews> gst_mvinr_views_parse(const std::string& text);
