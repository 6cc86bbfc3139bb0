// What mvinrseiextract does with data: frames come in, access units go out.
#include "gstmvinrseiextractpriv.h"
#include "gstmvinrviews.h"

#define GST_CAT_DEFAULT mvinrseiextract_debug

using mvinr::Bytes;
using Losses = GstMvinrSeiExtractLosses;
using State = GstMvinrSeiExtractState;

static constexpr int kFramesUntilHint = 250;  // without any message: say so

static void count(GstMvinrSeiExtract* self, guint64 Losses::*counter, guint64 more = 1) {
  GST_OBJECT_LOCK(self);
  self->losses->*counter += more;
  GST_OBJECT_UNLOCK(self);
}

/* ---- access units that go out ---- */

static gboolean set_src_caps(GstMvinrSeiExtract* self, const mvinr::SequenceInfo& sequence) {
  State& state = *self->state;
  if (state.sequence == sequence) return TRUE;
  GstCaps* caps = gst_caps_new_empty_simple(GST_MVINR_MEDIA_TYPE);
  gst_mvinr_caps_set_views(caps, sequence);
  gst_mvinr_caps_set_video(caps, sequence);
  GST_INFO_OBJECT(self, "src caps %" GST_PTR_FORMAT, caps);
  const gboolean ok = gst_pad_set_caps(self->src, caps);
  gst_caps_unref(caps);
  state.sequence = sequence;
  return ok;
}

static void set_latency(GstMvinrSeiExtract* self, GstClockTime latency) {
  GST_OBJECT_LOCK(self);
  const bool longer = latency > self->latency;
  if (longer) self->latency = latency;
  GST_OBJECT_UNLOCK(self);
  if (longer)
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

static void post_loss(GstMvinrSeiExtract* self, const GstMvinrSeiAssembly& assembly,
                      GstClockTime pts, guint units, bool dropped, const std::string& views) {
  GstStructure* loss = gst_structure_new(
      "mvinrseiextract-loss", "gop", G_TYPE_UINT, guint{assembly.number()}, "pts", G_TYPE_UINT64,
      pts, "bytes-lost", G_TYPE_UINT64, guint64{assembly.missing_bytes()}, "slices-lost",
      G_TYPE_UINT, guint(assembly.missing_slices()), "units-lost", G_TYPE_UINT, units, "dropped",
      G_TYPE_BOOLEAN, gboolean(dropped), "views-missing", G_TYPE_STRING, views.c_str(), nullptr);
  gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), loss));
}

static void warn_lost(GstMvinrSeiExtract* self, const std::string& detail) {
  self->state->discont = true;
  GST_ELEMENT_WARNING(self, STREAM, DECODE,
                      ("A GOP of the MV-INR stream was lost; the next one will show all views."),
                      ("%s", detail.c_str()));
}

static void drop(GstMvinrSeiExtract* self, const GstMvinrSeiAssembly& assembly, GstClockTime pts,
                 const mvinr::Error& error) {
  State& state = *self->state;
  // Playback began inside of this GOP: that is no loss.
  if (state.sought && assembly.missing_bytes() > 0) return;
  count(self, &Losses::dropped);
  post_loss(self, assembly, pts, 0, true, "");
  warn_lost(self, "GOP " + std::to_string(assembly.number()) + ": " + error.message);
  if (GST_CLOCK_TIME_IS_VALID(pts) && GST_CLOCK_TIME_IS_VALID(state.duration))
    gst_pad_push_event(self->src, gst_event_new_gap(pts, state.duration));
}

// When the GOP begins. Containers round, and its first frame may be lost: where one GOP follows the
// other, the end of that one is exact.
static GstClockTime start_of(const State& state, const GstMvinrSeiAssembly& assembly, bool whole) {
  const GstClockTime pts = assembly.pts(), next = state.expected;
  if (!GST_CLOCK_TIME_IS_VALID(pts)) return state.discont ? GST_CLOCK_TIME_NONE : next;
  if (!GST_CLOCK_TIME_IS_VALID(next)) return pts;
  const GstClockTime apart = std::max(pts, next) - std::min(pts, next);
  const GstClockTime most =
      whole || !GST_CLOCK_TIME_IS_VALID(state.duration) ? kGstMvinrRounding : state.duration;
  return apart < most ? next : pts;
}

GstFlowReturn gst_mvinr_sei_extract_finish(GstMvinrSeiExtract* self) {
  State& state = *self->state;
  if (!state.assembly) return GST_FLOW_OK;
  GstMvinrSeiAssembly assembly = std::move(*state.assembly);
  state.assembly.reset();
  state.last = assembly.number();
  auto finished = assembly.finish();
  GstClockTime pts = start_of(state, assembly, finished && finished->whole);
  if (!finished) {
    drop(self, assembly, pts, finished.error());
    state.expected = GST_CLOCK_TIME_NONE;
    return GST_FLOW_OK;
  }
  const auto gop = mvinr::read_gop_info(finished->access_unit);
  if (!gop) return GST_FLOW_OK;  // it was read a moment ago
  if (!GST_CLOCK_TIME_IS_VALID(pts))
    pts = gst_mvinr_frame_time(gop->first_frame, gop->sequence.frame_rate);
  if (!finished->whole) {
    if (state.sought && assembly.missing_bytes() > 0) return GST_FLOW_OK;
    count(self, &Losses::incomplete);
    post_loss(self, assembly, pts, finished->lost_units, false,
              gst_mvinr_missing_views(finished->access_unit));
  }
  state.sought = false;
  state.duration = gst_mvinr_gop_duration(*gop);
  const bool timed = GST_CLOCK_TIME_IS_VALID(pts) && GST_CLOCK_TIME_IS_VALID(state.duration);
  state.expected = timed ? pts + state.duration : GST_CLOCK_TIME_NONE;
  const GstSegment& segment = state.segment;
  if (segment.rate > 0 && GST_CLOCK_TIME_IS_VALID(segment.stop) && GST_CLOCK_TIME_IS_VALID(pts) &&
      pts >= segment.stop)
    return GST_FLOW_EOS;
  if (!set_src_caps(self, gop->sequence)) return GST_FLOW_NOT_NEGOTIATED;
  if (GST_CLOCK_TIME_IS_VALID(state.duration)) set_latency(self, state.duration);
  GstBuffer* buffer = gst_mvinr_buffer_new(std::move(finished->access_unit));
  GST_BUFFER_PTS(buffer) = GST_BUFFER_DTS(buffer) = pts;
  GST_BUFFER_DURATION(buffer) = state.duration;
  // Backwards, each GOP is one of the pieces that are shown in the order in which they come.
  if (std::exchange(state.discont, false) || segment.rate < 0)
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
  count(self, &Losses::access_units);
  return gst_pad_push(self->src, buffer);
}

/* ---- frames that come in ---- */

// Access units of which not a single message arrived.
static void note_skipped(GstMvinrSeiExtract* self, guint16 number) {
  const auto& last = self->state->last;
  const guint skipped = last ? guint16(number - *last - 1) : 0;
  if (skipped == 0 || skipped >= 0x8000 || self->state->sought) return;
  count(self, &Losses::dropped, skipped);
  warn_lost(self, "no message of " + std::to_string(skipped) + " GOPs before number " +
                      std::to_string(number));
}

static GstFlowReturn take_fragment(GstMvinrSeiExtract* self, const GstMvinrSeiFragment& fragment) {
  State& state = *self->state;
  state.any = true;
  if (fragment.version != kGstMvinrSeiVersion) {
    if (!std::exchange(state.newer, true))
      GST_ELEMENT_WARNING(self, STREAM, FORMAT,
                          ("The video carries MV-INR in a way that this version cannot read."),
                          ("SEI messages of version %d, this is %d; they are ignored",
                           fragment.version, kGstMvinrSeiVersion));
    return GST_FLOW_OK;
  }
  GstFlowReturn flow = GST_FLOW_OK;
  if (state.assembly && !state.assembly->belongs(fragment))
    flow = gst_mvinr_sei_extract_finish(self);
  if (!state.assembly) {
    if (state.last == fragment.gop && fragment.offset > 0) return flow;  // of one that has ended
    note_skipped(self, fragment.gop);
    state.assembly.emplace(fragment);
  }
  state.assembly->add(fragment);
  return flow;
}

GstFlowReturn gst_mvinr_sei_extract_take(GstMvinrSeiExtract* self, GstBuffer* buffer) {
  State& state = *self->state;
  const GstMvinrMap map(buffer);
  const Bytes frame = map.bytes();
  GstFlowReturn flow = GST_FLOW_OK;
  for (const GstMvinrNal& nal : gst_mvinr_nals(frame, state.codec, state.length_bytes)) {
    const Bytes bytes = frame.subspan(nal.offset, nal.bytes);
    if (gst_mvinr_is_sei(state.codec, nal.type)) {
      const int bad = gst_mvinr_read_sei(bytes, state.codec, [&](const auto& fragment) {
        const GstFlowReturn ended = take_fragment(self, fragment);
        if (flow == GST_FLOW_OK) flow = ended;
      });
      if (bad > 0) count(self, &Losses::malformed, guint64(bad));
    } else if (gst_mvinr_is_slice(state.codec, nal.type) && state.assembly) {
      state.assembly->add_slice(bytes, GST_BUFFER_PTS(buffer));
      if (state.assembly->complete() && flow == GST_FLOW_OK)
        flow = gst_mvinr_sei_extract_finish(self);
    }
  }
  if (!state.any && ++state.frames == kFramesUntilHint)
    GST_ELEMENT_WARNING(self, STREAM, WRONG_TYPE,
                        ("This video does not carry MV-INR; it shows a single view."),
                        ("no message of mvinrseiinsert in %d frames", state.frames));
  return flow;
}
