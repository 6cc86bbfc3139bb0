// Access units to pictures: what of an access unit is to be shown, rendering, and damage.
#include <algorithm>
#include <cmath>
#include <utility>

#include "gstmvinrdeccamera.h"
#include "gstmvinrdecgop.h"

#define GST_CAT_DEFAULT mvinrdec_debug

using mvinr::ErrorCode;
using Gop = GstMvinrDecGop;
using Span = GstMvinrDecSpan;

std::optional<Span> gst_mvinr_dec_clip(const GstSegment& segment, GstClockTime start,
                                       GstClockTime stop) {
  if (!GST_CLOCK_TIME_IS_VALID(start)) return Span{};
  if (stop <= start) stop = GST_CLOCK_TIME_NONE;  // frame rate 0
  guint64 from, to;
  if (!gst_segment_clip(&segment, GST_FORMAT_TIME, start, stop, &from, &to)) return {};
  // Demuxers round the segment's ends.
  if (from - start < kGstMvinrRounding) from = start;
  if (GST_CLOCK_TIME_IS_VALID(to) && stop - to < kGstMvinrRounding) to = stop;
  return Span{from, GST_CLOCK_TIME_IS_VALID(to) ? to - from : GST_CLOCK_TIME_NONE};
}

// A render call of several views failed because units of some are damaged: renders each view by
// itself and loses the damaged ones from `frame` on.
static GstFlowReturn render_what_is_intact(GstMvinrDec* self, Gop& gop, int frame,
                                           std::span<const mvinr::RenderJob> jobs) {
  for (const auto& job : jobs) {
    const auto status = self->priv->state->decoder->render({&job, 1}, gop.stop);
    if (status) continue;
    if (status.error().code != ErrorCode::corrupt) return gst_mvinr_dec_fail(self, status.error());
    const GstFlowReturn flow = gst_mvinr_dec_report_part(self, gop, status.error());
    if (flow != GST_FLOW_OK) return flow;
    for (const auto component : {mvinr::Component::texture, mvinr::Component::depth})
      gst_mvinr_dec_lose(self, gop, frame, job.view, component);
  }
  return GST_FLOW_OK;
}

/* ---- frames ---- */

using Frames = std::vector<std::unique_ptr<GstMvinrDecFrame>>;

// The pads that somebody listens to; `flow` is what all pads together say.
static std::vector<GstMvinrDecPad*> wanted_pads(GstMvinrDec* self, GstFlowReturn* flow) {
  GstMvinrDecState& state = *self->priv->state;
  std::vector<GstMvinrDecPad*> wanted;
  *flow = GST_FLOW_OK;
  for (GstMvinrDecPad* pad : state.pads) {
    if (gst_mvinr_dec_pad_wanted(pad))
      wanted.push_back(pad);
    else
      *flow = gst_flow_combiner_update_pad_flow(state.combiner, GST_PAD(pad),
                                                gst_mvinr_dec_pad_flow(pad));
  }
  if (!wanted.empty()) *flow = GST_FLOW_OK;
  return wanted;
}

// Buffers for the pads that show this frame.
static Frames prepare_frame(GstMvinrDec* self, const Gop& gop, const Span& span, bool qos,
                            GstFlowReturn* flow) {
  GstMvinrDecState& state = *self->priv->state;
  Frames frames;
  const auto pads = wanted_pads(self, flow);
  for (GstMvinrDecPad* pad : pads) {
    if (gop.is_damaged(pad)) continue;
    if (qos && gst_mvinr_dec_pad_too_late(pad, &state.segment, span.start, span.duration)) {
      gst_mvinr_dec_count(self, &GstMvinrDecStats::skipped);
      continue;
    }
    GstBuffer* buffer = nullptr;
    const GstFlowReturn got = gst_mvinr_dec_pad_acquire(pad, pads.size() == 1, &buffer);
    if (got != GST_FLOW_OK) {
      *flow = gst_flow_combiner_update_pad_flow(state.combiner, GST_PAD(pad), got);
      if (*flow != GST_FLOW_OK) return {};
      continue;
    }
    auto frame = std::make_unique<GstMvinrDecFrame>(pad, buffer);
    if (!frame->ok()) {
      GST_ELEMENT_ERROR(self, RESOURCE, WRITE, (NULL), ("cannot map an output buffer"));
      *flow = GST_FLOW_ERROR;
      return {};
    }
    frames.push_back(std::move(frame));
  }
  return frames;
}

// Hybrid mode: with the first frame, the base views of the whole GOP. Frames whose pads lose their
// pictures go.
static GstFlowReturn prepare_bases(GstMvinrDec* self, Gop& gop, int frame, Frames& frames) {
  std::vector<GstMvinrDecPad*> pads;
  for (const auto& f : frames) pads.push_back(f->pad());
  const GstFlowReturn flow = gst_mvinr_dec_prepare_bases(self, gop, frame, pads);
  std::erase_if(frames, [&](const auto& f) { return gop.is_damaged(f->pad()); });
  return flow;
}

static std::vector<mvinr::RenderJob> make_jobs(int frame, const Frames& frames) {
  std::vector<mvinr::RenderJob> jobs;
  for (const auto& f : frames) {
    const int view = gst_mvinr_dec_pad_view(f->pad());
    if (jobs.empty() || jobs.back().view != view) jobs.push_back({.frame = frame, .view = view});
    const bool texture = gst_mvinr_dec_pad_component(f->pad()) == mvinr::Component::texture;
    (texture ? jobs.back().texture : jobs.back().depth) = f->picture();
  }
  return jobs;
}

static GstFlowReturn push_frames(GstMvinrDec* self, const Gop& gop, int frame, const Span& span,
                                 Frames frames) {
  GstMvinrDecState& state = *self->priv->state;
  const guint64 number = gop.info.first_frame + guint64(frame);
  for (auto& f : frames) {
    GstMvinrDecPad* pad = f->pad();
    if (gop.is_damaged(pad)) continue;
    GstBuffer* buffer = f->finish();
    GST_BUFFER_PTS(buffer) = span.start;
    GST_BUFFER_DTS(buffer) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_DURATION(buffer) = span.duration;
    GST_BUFFER_OFFSET(buffer) = number;
    GST_BUFFER_OFFSET_END(buffer) = number + 1;
    const size_t view = size_t(gst_mvinr_dec_pad_view(pad));
    if (!gop.cameras.empty() && gop.cameras[size_t(frame)][view])
      gst_mvinr_dec_add_camera(buffer, *gop.cameras[size_t(frame)][view]);
    gst_mvinr_dec_count(self, &GstMvinrDecStats::rendered);
    const GstFlowReturn flow = gst_flow_combiner_update_pad_flow(
        state.combiner, GST_PAD(pad), gst_mvinr_dec_pad_push(pad, buffer));
    if (flow != GST_FLOW_OK) return flow;
  }
  return GST_FLOW_OK;
}

static GstFlowReturn show_frame(GstMvinrDec* self, Gop& gop, int frame, const Span& span,
                                bool qos) {
  GstMvinrDecState& state = *self->priv->state;
  GstFlowReturn flow;
  Frames frames = prepare_frame(self, gop, span, qos, &flow);
  if (flow != GST_FLOW_OK || frames.empty()) return flow;
  flow = prepare_bases(self, gop, frame, frames);
  if (flow != GST_FLOW_OK || frames.empty()) return flow;
  {
    const auto jobs = make_jobs(frame, frames);
    const GstMvinrDecStopwatch stopwatch(self);
    const auto status = state.decoder->render(jobs, gop.stop);
    if (!status && status.error().code == ErrorCode::corrupt)
      flow = render_what_is_intact(self, gop, frame, jobs);
    else if (!status)
      flow = gst_mvinr_dec_fail(self, status.error());
  }
  if (flow != GST_FLOW_OK) return flow;
  if (GST_CLOCK_TIME_IS_VALID(span.start)) {
    GST_OBJECT_LOCK(self);
    state.segment.position = span.start;
    GST_OBJECT_UNLOCK(self);
  }
  return push_frames(self, gop, frame, span, std::move(frames));
}

// Every frame can be rendered alone, so trick modes simply leave frames out.
static int frame_step(const GstSegment& segment, int frames) {
  if (segment.flags & GST_SEGMENT_FLAG_TRICKMODE_KEY_UNITS) return frames;
  if (!(segment.flags & GST_SEGMENT_FLAG_TRICKMODE)) return 1;
  return int(std::clamp(std::floor(std::abs(segment.rate)), 1.0, double(frames)));
}

static GstFlowReturn show_frames(GstMvinrDec* self, Gop& gop) {
  GstMvinrDecState& state = *self->priv->state;
  const GstSegment& segment = state.segment;
  const bool qos = gst_mvinr_dec_settings(self).qos;
  const int frames = gop.info.frames, step = frame_step(segment, frames);
  GstFlowReturn flow = GST_FLOW_OK;
  for (int n = 0; n < frames && flow == GST_FLOW_OK; n += step) {
    const int last = (frames - 1) / step * step;
    const int frame = segment.rate < 0 ? last - n : n;
    const auto span =
        gst_mvinr_dec_clip(segment, gop.frame_start(frame), gop.frame_start(frame + 1));
    if (span) flow = show_frame(self, gop, frame, *span, qos);
  }
  return flow;
}

/* ---- access units ---- */

// Behind the segment, in the direction of play: upstream need not send more.
static bool is_past_segment(const GstSegment& segment, const Gop& gop) {
  if (!GST_CLOCK_TIME_IS_VALID(gop.pts)) return false;
  if (segment.rate > 0) return GST_CLOCK_TIME_IS_VALID(segment.stop) && gop.pts >= segment.stop;
  return gop.end() > gop.pts && gop.end() <= segment.start;
}

// Views that somebody dropped on purpose or in transport, which is no damage.
static std::vector<bool> left_out_views(mvinr::Bytes access_unit, size_t views) {
  std::vector<bool> left_out(views);
  const auto states = mvinr::view_states(access_unit);
  for (size_t v = 0; states && v < views; ++v)
    left_out[v] = (*states)[v] == mvinr::ViewState::left_out;
  return left_out;
}

static std::stop_token stop_token(GstMvinrDec* self) {
  const std::lock_guard lock(self->priv->stop_mutex);
  return self->priv->stop.get_token();
}

// `ahead` has begun to decode this buffer; nullptr: nobody has.
static GstFlowReturn decode(GstMvinrDec* self, GstBuffer* buffer,
                            GstMvinrDecAhead* ahead = nullptr) {
  GstMvinrDecState& state = *self->priv->state;
  state.got_input = true;
  gst_mvinr_dec_count(self, &GstMvinrDecStats::access_units);
  if (GST_BUFFER_IS_DISCONT(buffer))
    for (GstMvinrDecPad* pad : state.pads) gst_mvinr_dec_pad_mark_discont(pad);
  const GstMvinrMap map(buffer);
  if (!map) {
    GST_ELEMENT_ERROR(self, RESOURCE, READ, (NULL), ("cannot map the input"));
    return GST_FLOW_ERROR;
  }

  Gop gop;
  gop.pts = GST_BUFFER_DTS_OR_PTS(buffer);
  if (GST_BUFFER_PTS_IS_VALID(buffer)) gop.pts = GST_BUFFER_PTS(buffer);
  gop.stop = stop_token(self);
  if (gop.stop.stop_requested()) return GST_FLOW_FLUSHING;

  auto header = mvinr::read_gop_info(map.bytes());
  if (!header) {
    if (header.error().code == ErrorCode::unsupported)
      return gst_mvinr_dec_fail(self, header.error());
    const bool known = GST_CLOCK_TIME_IS_VALID(gop.pts) && GST_BUFFER_DURATION_IS_VALID(buffer);
    return gst_mvinr_dec_drop_access_unit(
        self, header.error(), gop.pts,
        known ? gop.pts + GST_BUFFER_DURATION(buffer) : GST_CLOCK_TIME_NONE);
  }
  gop.set_info(std::move(*header));
  const std::vector<bool> left_out = left_out_views(map.bytes(), gop.views.size());
  const auto& rate = gop.info.sequence.frame_rate;
  if (!GST_CLOCK_TIME_IS_VALID(gop.pts)) gop.pts = gst_mvinr_frame_time(gop.info.first_frame, rate);
  if (gst_mvinr_is_from_matroska(self->sink))
    gop.pts = gst_mvinr_unrounded(gop.pts, rate).value_or(gop.pts);
  gst_mvinr_dec_update_pads(self, gop.info.sequence, left_out);
  if (is_past_segment(state.segment, gop)) return GST_FLOW_EOS;
  if (!gst_mvinr_dec_clip(state.segment, gop.pts, gop.end())) return GST_FLOW_OK;
  GstFlowReturn flow;
  wanted_pads(self, &flow);
  if (flow != GST_FLOW_OK) return flow;

  {
    const GstMvinrDecStopwatch stopwatch(self);
    auto started = [&]() -> mvinr::Result<mvinr::GopInfo> {
      if (!ahead) return state.decoder->start_gop(map.bytes());
      auto prepared = ahead->gop.get();
      if (!prepared) return prepared.error();
      return state.decoder->start_gop(std::move(*prepared));
    }();
    if (!started) {
      const auto code = started.error().code;
      if (code != ErrorCode::corrupt && code != ErrorCode::truncated)
        return gst_mvinr_dec_fail(self, started.error());
      return gst_mvinr_dec_drop_access_unit(self, started.error(), gop.pts, gop.end());
    }
    if (auto cameras = mvinr::read_cameras(map.bytes())) gop.cameras = std::move(*cameras);
  }
  const int first = state.segment.rate > 0 ? 0 : gop.info.frames - 1;
  for (size_t v = 0; v < left_out.size(); ++v)
    for (const auto component : {mvinr::Component::texture, mvinr::Component::depth})
      if (left_out[v]) gst_mvinr_dec_lose(self, gop, first, int(v), component);
  flow = show_frames(self, gop);
  if (!gop.counted) state.errors = 0;
  return flow;
}

// Whether an access unit may wait for the next one: not where that would delay what is live.
static bool may_wait(GstMvinrDec* self) {
  GstMvinrDecState& state = *self->priv->state;
  const auto settings = gst_mvinr_dec_settings(self);
  if (!settings.ahead || settings.threads == 1) return false;
  if (!state.live) {
    gboolean live = FALSE;
    GstQuery* query = gst_query_new_latency();
    if (gst_pad_peer_query(self->sink, query)) gst_query_parse_latency(query, &live, NULL, NULL);
    gst_query_unref(query);
    state.live = live;
  }
  return !*state.live;
}

static std::unique_ptr<GstMvinrDecAhead> decode_ahead(GstMvinrDec* self, GstBuffer* buffer) {
  GstMvinrDecState& state = *self->priv->state;
  std::vector<int> views;
  for (GstMvinrDecPad* pad : state.pads)
    if (gst_mvinr_dec_pad_wanted(pad)) views.push_back(gst_mvinr_dec_pad_view(pad));
  auto ahead = std::make_unique<GstMvinrDecAhead>(buffer);
  ahead->gop =
      std::async(std::launch::async,
                 [decoder = state.decoder.get(), views, buffer,
                  stop = stop_token(self)]() -> mvinr::Result<std::unique_ptr<mvinr::PreparedGop>> {
                   const GstMvinrMap map(buffer);
                   if (!map) return mvinr::Error{ErrorCode::corrupt, "the input cannot be mapped"};
                   // The pads may be of another sequence than this access unit.
                   std::vector<int> present;
                   if (const auto info = mvinr::read_gop_info(map.bytes()))
                     for (const int view : views)
                       if (view < int(info->sequence.views.size())) present.push_back(view);
                   return decoder->prepare_gop(map.bytes(), present, stop);
                 });
  return ahead;
}

static GstFlowReturn show_ahead(GstMvinrDec* self, std::unique_ptr<GstMvinrDecAhead> ahead) {
  return ahead ? decode(self, ahead->buffer, ahead.get()) : GST_FLOW_OK;
}

GstFlowReturn gst_mvinr_dec_drain(GstMvinrDec* self) {
  auto& fragment = self->priv->state->fragment;
  GstFlowReturn flow = show_ahead(self, std::move(self->priv->state->ahead));
  for (; !fragment.empty(); fragment.pop_back()) {
    if (flow == GST_FLOW_OK) flow = decode(self, fragment.back());
    gst_buffer_unref(fragment.back());
  }
  return flow;
}

// In reverse, upstream sends fragments backwards, but what is inside a fragment forwards; DISCONT
// marks its first buffer. So a fragment must be complete before its last access unit is shown.
static GstFlowReturn take_buffer(GstMvinrDec* self, GstBuffer* buffer) {
  GstMvinrDecState& state = *self->priv->state;
  if (state.segment.rate > 0) {
    // Players wait for a first picture of every stream before they take more of any.
    const bool first = std::exchange(state.first, false);
    if (first || !may_wait(self)) return decode(self, buffer);
    return show_ahead(self, std::exchange(state.ahead, decode_ahead(self, buffer)));
  }
  const GstFlowReturn flow =
      GST_BUFFER_IS_DISCONT(buffer) ? gst_mvinr_dec_drain(self) : GST_FLOW_OK;
  state.fragment.push_back(gst_buffer_ref(buffer));
  return flow;
}

GstFlowReturn gst_mvinr_dec_chain(GstPad*, GstObject* parent, GstBuffer* buffer) {
  GstMvinrDec* self = GST_MVINR_DEC(parent);
  const GstFlowReturn flow =
      gst_mvinr_guard(self, GST_FLOW_ERROR, [&] { return take_buffer(self, buffer); });
  GST_LOG_OBJECT(self, "%" GST_PTR_FORMAT ": %s", buffer, gst_flow_get_name(flow));
  gst_buffer_unref(buffer);
  return flow;
}

/* ---- cancelling ---- */

static void set_pads_flushing(GstMvinrDec* self, bool flushing) {
  GST_OBJECT_LOCK(self);
  std::vector<GstMvinrDecPad*> pads;
  if (self->priv->state) pads = self->priv->state->pads;
  for (GstMvinrDecPad* pad : pads) gst_object_ref(pad);
  GST_OBJECT_UNLOCK(self);
  for (GstMvinrDecPad* pad : pads) {
    gst_mvinr_dec_pad_set_flushing(pad, flushing);
    gst_object_unref(pad);
  }
}

void gst_mvinr_dec_cancel(GstMvinrDec* self) {
  {
    const std::lock_guard lock(self->priv->stop_mutex);
    self->priv->stop.request_stop();
  }
  set_pads_flushing(self, true);
}

void gst_mvinr_dec_resume(GstMvinrDec* self) {
  {
    const std::lock_guard lock(self->priv->stop_mutex);
    self->priv->stop = std::stop_source();
  }
  set_pads_flushing(self, false);
}
