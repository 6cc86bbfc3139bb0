#pragma once

#include "gstmvinr.h"

/// When the frames of a GOP are shown.
struct GstMvinrSeiClock {
  GstClockTime start = 0;
  guint64 first_frame = 0;
  mvinr::Fraction rate;
  GstClockTime duration = GST_CLOCK_TIME_NONE;  // of the GOP, if there is no frame rate
  int frames = 1;

  bool known() const { return rate.num > 0 || GST_CLOCK_TIME_IS_VALID(duration); }
  GstClockTime length(guint64 count) const {
    if (rate.num == 0) return gst_util_uint64_scale(duration, count, guint64(frames));
    return gst_mvinr_frame_time(count, rate);
  }
  /// Of frame `index` of the GOP; negative: before its start.
  GstClockTime at(int index) const {
    if (index < 0) return start - length(guint64(-index));
    if (rate.num == 0) return start + length(guint64(index));
    const auto first = gst_mvinr_frame_time(first_frame, rate);
    return start + gst_mvinr_frame_time(first_frame + guint64(index), rate) - first;
  }
};
