// Lists of views as users write them: "all", "0,3", "0-2,7".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mvinr/types.h"

/// Views in ascending order, each once; empty: all.
using GstMvinrViews = std::vector<int>;

/// Nothing if the text is not such a list, or names views beyond 63.
std::optional<GstMvinrViews> gst_mvinr_views_parse(const std::string& text);

/// The views that an access unit lacks, damaged or left out: "0 3".
std::string gst_mvinr_missing_views(mvinr::Bytes access_unit);
