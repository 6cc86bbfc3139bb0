// What mvinrdec does about errors: the end of the stream, or warnings and gaps.
#include "gstmvinrdecgop.h"

#define GST_CAT_DEFAULT mvinrdec_debug

using mvinr::ErrorCode;

GstFlowReturn gst_mvinr_dec_fail(GstMvinrDec* self, const mvinr::Error& error) {
  switch (error.code) {
    case ErrorCode::cancelled:
      return GST_FLOW_FLUSHING;
    case ErrorCode::unsupported:
      GST_ELEMENT_ERROR(self, STREAM, FORMAT, (NULL), ("%s", error.message.c_str()));
      break;
    case ErrorCode::limit_exceeded:
      GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT, (NULL), ("%s", error.message.c_str()));
      break;
    default:
      GST_ELEMENT_ERROR(self, STREAM, DECODE, (NULL),
                        ("%s: %s", mvinr::to_string(error.code), error.message.c_str()));
  }
  return GST_FLOW_ERROR;
}

static void push_gap(GstMvinrDec* self, GstMvinrDecPad* pad, GstClockTime start,
                     GstClockTime stop) {
  const auto span = gst_mvinr_dec_clip(self->priv->state->segment, start, stop);
  if (!span || !GST_CLOCK_TIME_IS_VALID(span->start)) return;
  GST_LOG_OBJECT(pad, "gap at %" GST_TIME_FORMAT, GST_TIME_ARGS(span->start));
  gst_pad_push_event(GST_PAD(pad), gst_event_new_gap(span->start, span->duration));
  gst_mvinr_dec_pad_mark_discont(pad);
}

static GstFlowReturn report_damage(GstMvinrDec* self, const mvinr::Error& error) {
  GstMvinrDecState& state = *self->priv->state;
  const int most = gst_mvinr_dec_settings(self).max_errors;
  gst_mvinr_dec_count(self, &GstMvinrDecStats::damaged);
  ++state.errors;
  if (most >= 0 && state.errors > most) {
    GST_ELEMENT_ERROR(
        self, STREAM, DECODE, ("Too much of the MV-INR stream is damaged."),
        ("%d access units in a row; the last: %s", state.errors, error.message.c_str()));
    return GST_FLOW_ERROR;
  }
  GST_ELEMENT_WARNING(self, STREAM, DECODE, ("The MV-INR stream is damaged."),
                      ("%s", error.message.c_str()));
  return GST_FLOW_OK;
}

GstFlowReturn gst_mvinr_dec_drop_access_unit(GstMvinrDec* self, const mvinr::Error& error,
                                             GstClockTime start, GstClockTime stop) {
  const GstFlowReturn flow = report_damage(self, error);
  if (flow != GST_FLOW_OK) return flow;
  for (GstMvinrDecPad* pad : self->priv->state->pads) push_gap(self, pad, start, stop);
  return GST_FLOW_OK;
}

GstFlowReturn gst_mvinr_dec_report_part(GstMvinrDec* self, GstMvinrDecGop& gop,
                                        const mvinr::Error& error) {
  if (gop.counted) {
    GST_WARNING_OBJECT(self, "more damage: %s", error.message.c_str());
    return GST_FLOW_OK;
  }
  gop.counted = true;
  return report_damage(self, error);
}

void gst_mvinr_dec_lose(GstMvinrDec* self, GstMvinrDecGop& gop, int frame, int view,
                        mvinr::Component component) {
  bool& damaged = gop.views[size_t(view)].damaged[size_t(component)];
  if (damaged) return;
  damaged = true;
  const GstMvinrDecState& state = *self->priv->state;
  const bool forward = state.segment.rate > 0;
  for (GstMvinrDecPad* pad : state.pads)
    if (gst_mvinr_dec_pad_view(pad) == view && gst_mvinr_dec_pad_component(pad) == component)
      push_gap(self, pad, forward ? gop.frame_start(frame) : gop.pts,
               forward ? gop.end() : gop.frame_start(frame + 1));
}
