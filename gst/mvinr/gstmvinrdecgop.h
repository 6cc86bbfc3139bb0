// The access unit that is being played: what of it is damaged (gstmvinrdecdamage.cpp), and its base
// views (gstmvinrdecbase.cpp). Streaming thread only.
#pragma once

#include <gst/gst.h>

#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "gstmvinr.h"
#include "gstmvinrdecpriv.h"

struct GstMvinrDecGop {
  struct View {
    bool base = false;            // another codec has coded it
    bool damaged[2] = {};         // by component: it cannot be shown, and the gap was sent
    bool base_asked_for[2] = {};  // by component: its BASE unit was decoded, or that failed
  };
  mvinr::GopInfo info;
  GstClockTime pts = GST_CLOCK_TIME_NONE;  // of frame 0
  std::vector<View> views;
  std::vector<mvinr::FrameCameras> cameras;  // empty if they cannot be had
  bool counted = false;                      // as a damaged access unit
  std::stop_token stop;

  void set_info(mvinr::GopInfo gop) {
    info = std::move(gop);
    cameras.clear();
    views.assign(info.sequence.views.size(), {});
    for (const int view : info.base_views) views[size_t(view)].base = true;
  }
  View& view_of(const GstMvinrDecPad* pad) { return views[size_t(gst_mvinr_dec_pad_view(pad))]; }
  bool is_damaged(const GstMvinrDecPad* pad) const {
    return views[size_t(gst_mvinr_dec_pad_view(pad))]
        .damaged[size_t(gst_mvinr_dec_pad_component(pad))];
  }
  GstClockTime frame_start(int frame) const {
    const auto offset = gst_mvinr_frame_time(guint64(frame), info.sequence.frame_rate);
    return GST_CLOCK_TIME_IS_VALID(offset) && GST_CLOCK_TIME_IS_VALID(pts) ? pts + offset : pts;
  }
  GstClockTime end() const { return frame_start(info.frames); }
};

/// The part of a frame's or a GOP's time that is inside the segment.
struct GstMvinrDecSpan {
  GstClockTime start = GST_CLOCK_TIME_NONE, duration = GST_CLOCK_TIME_NONE;
};
std::optional<GstMvinrDecSpan> gst_mvinr_dec_clip(const GstSegment& segment, GstClockTime start,
                                                  GstClockTime stop);

/// Adds the time of its scope to the statistics.
class GstMvinrDecStopwatch {
 public:
  explicit GstMvinrDecStopwatch(GstMvinrDec* self) : self_(self), start_(g_get_monotonic_time()) {}
  ~GstMvinrDecStopwatch() {
    const gint64 end = g_get_monotonic_time();
    GST_OBJECT_LOCK(self_);
    self_->priv->stats.seconds += double(end - start_) * 1e-6;
    GST_OBJECT_UNLOCK(self_);
  }
  GstMvinrDecStopwatch(const GstMvinrDecStopwatch&) = delete;
  GstMvinrDecStopwatch& operator=(const GstMvinrDecStopwatch&) = delete;

 private:
  GstMvinrDec* self_;
  gint64 start_;
};

inline void gst_mvinr_dec_count(GstMvinrDec* self, guint64 GstMvinrDecStats::*counter) {
  GST_OBJECT_LOCK(self);
  ++(self->priv->stats.*counter);
  GST_OBJECT_UNLOCK(self);
}

inline GstMvinrDecSettings gst_mvinr_dec_settings(GstMvinrDec* self) {
  GST_OBJECT_LOCK(self);
  GstMvinrDecSettings settings = self->priv->settings;
  GST_OBJECT_UNLOCK(self);
  return settings;
}

/* gstmvinrdecdamage.cpp */

/// What ends the stream: the element's error message, or nothing if it was a stop.
GstFlowReturn gst_mvinr_dec_fail(GstMvinrDec* self, const mvinr::Error& error);
/// An access unit of which nothing can be shown: a warning, and its time passes with a gap on every
/// pad. GST_FLOW_ERROR when there were too many in a row.
GstFlowReturn gst_mvinr_dec_drop_access_unit(GstMvinrDec* self, const mvinr::Error& error,
                                             GstClockTime start, GstClockTime stop);
/// A part of this access unit is damaged: a warning, once. GST_FLOW_ERROR when there were too many
/// such access units in a row.
GstFlowReturn gst_mvinr_dec_report_part(GstMvinrDec* self, GstMvinrDecGop& gop,
                                        const mvinr::Error& error);
/// This component of a view cannot be shown from `frame` on, in the direction of play: a gap.
void gst_mvinr_dec_lose(GstMvinrDec* self, GstMvinrDecGop& gop, int frame, int view,
                        mvinr::Component component);

/* gstmvinrdecbase.cpp */

/// Hybrid mode: decodes the BASE units that the pads' pictures need, unless that was done. What is
/// then damaged is lost from `frame` on.
GstFlowReturn gst_mvinr_dec_prepare_bases(GstMvinrDec* self, GstMvinrDecGop& gop, int frame,
                                          std::span<GstMvinrDecPad* const> pads);
