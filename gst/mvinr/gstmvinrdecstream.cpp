// The source pads of mvinrdec: which there are, the events that open them, and what comes back.

#include <algorithm>

#include "gstmvinr.h"
#include "gstmvinrdecpriv.h"

#define GST_CAT_DEFAULT mvinrdec_debug

using mvinr::Component;
using mvinr::SampleFormat;

static std::string stream_id_of(GstMvinrDec* self, GstMvinrDecPad* pad) {
  const GstMvinrDecState& state = *self->priv->state;
  const GstMvinrDecPadName name(gst_mvinr_dec_pad_view(pad), gst_mvinr_dec_pad_component(pad));
  if (!state.upstream_id.empty()) return state.upstream_id + "/" + name.id;
  gchar* made = gst_pad_create_stream_id(GST_PAD(pad), GST_ELEMENT(self), name.id.c_str());
  std::string id = made;
  g_free(made);
  return id;
}

static GstStream* make_stream(GstMvinrDec* self, GstMvinrDecPad* pad) {
  const bool first =
      gst_mvinr_dec_pad_view(pad) == 0 && gst_mvinr_dec_pad_component(pad) == Component::texture;
  GstCaps* caps = gst_mvinr_dec_pad_caps(pad);
  GstStream* stream = gst_stream_new(stream_id_of(self, pad).c_str(), caps, GST_STREAM_TYPE_VIDEO,
                                     first ? GST_STREAM_FLAG_SELECT : GST_STREAM_FLAG_NONE);
  gst_caps_unref(caps);
  return stream;
}

static void push_stream_start(GstMvinrDec* self, GstMvinrDecPad* pad) {
  GstMvinrDecState& state = *self->priv->state;
  if (state.group_id == GST_GROUP_ID_INVALID) state.group_id = gst_util_group_id_next();
  GstStream* stream = make_stream(self, pad);
  GstEvent* event = gst_event_new_stream_start(gst_stream_get_stream_id(stream));
  gst_event_set_group_id(event, state.group_id);
  gst_event_set_stream(event, stream);
  gst_event_set_stream_flags(event, gst_stream_get_stream_flags(stream));
  gst_object_unref(stream);
  gst_pad_push_event(GST_PAD(pad), event);
}

static void push_caps(GstMvinrDecPad* pad) {
  GstCaps* caps = gst_mvinr_dec_pad_caps(pad);
  GST_INFO_OBJECT(pad, "caps %" GST_PTR_FORMAT, caps);
  gst_pad_push_event(GST_PAD(pad), gst_event_new_caps(caps));
  gst_caps_unref(caps);
}

static void push_segment(GstMvinrDec* self, GstMvinrDecPad* pad) {
  const GstMvinrDecState& state = *self->priv->state;
  GstEvent* event = gst_event_new_segment(&state.segment);
  if (state.segment_seqnum != GST_SEQNUM_INVALID) gst_event_set_seqnum(event, state.segment_seqnum);
  gst_pad_push_event(GST_PAD(pad), event);
}

static void push_tags(GstMvinrDec* self, GstMvinrDecPad* pad) {
  const GstMvinrDecState& state = *self->priv->state;
  GstTagList* tags = gst_tag_list_new(GST_TAG_VIDEO_CODEC, "MV-INR", nullptr);
  GstTagList* merged = gst_tag_list_merge(state.tags, tags, GST_TAG_MERGE_REPLACE);
  gst_tag_list_unref(tags);
  gst_pad_push_event(GST_PAD(pad), gst_event_new_tag(merged));
}

static void push_collection(GstMvinrDec* self) {
  const GstMvinrDecState& state = *self->priv->state;
  GstStreamCollection* collection =
      gst_stream_collection_new(state.upstream_id.empty() ? nullptr : state.upstream_id.c_str());
  for (GstMvinrDecPad* pad : state.pads)
    gst_stream_collection_add_stream(collection, make_stream(self, pad));
  for (GstMvinrDecPad* pad : state.pads)
    gst_pad_push_event(GST_PAD(pad), gst_event_new_stream_collection(collection));
  gst_element_post_message(GST_ELEMENT(self),
                           gst_message_new_stream_collection(GST_OBJECT(self), collection));
  gst_object_unref(collection);
}

void gst_mvinr_dec_push_segment(GstMvinrDec* self) {
  for (GstMvinrDecPad* pad : self->priv->state->pads) push_segment(self, pad);
}

void gst_mvinr_dec_push_tags(GstMvinrDec* self) {
  for (GstMvinrDecPad* pad : self->priv->state->pads) push_tags(self, pad);
}

void gst_mvinr_dec_restart_streams(GstMvinrDec* self) {
  for (GstMvinrDecPad* pad : self->priv->state->pads) {
    gst_mvinr_dec_pad_reset(pad);
    push_stream_start(self, pad);
  }
  push_collection(self);
  // Stream-start makes downstream forget what came before.
  for (GstMvinrDecPad* pad : self->priv->state->pads) push_caps(pad);
}

/* ---- which pads there are ---- */

static void remove_pad(GstMvinrDec* self, GstMvinrDecPad* pad) {
  GST_INFO_OBJECT(pad, "removed");
  gst_flow_combiner_remove_pad(self->priv->state->combiner, GST_PAD(pad));
  gst_pad_set_active(GST_PAD(pad), FALSE);
  gst_mvinr_dec_pad_release(pad);
  gst_element_remove_pad(GST_ELEMENT(self), GST_PAD(pad));
}

// Pads that the sequence does not have end here.
static void remove_gone_pads(GstMvinrDec* self, const mvinr::SequenceInfo& sequence) {
  std::vector<GstMvinrDecPad*> gone;
  auto stays = [&](GstMvinrDecPad* pad) {
    const size_t view = size_t(gst_mvinr_dec_pad_view(pad));
    if (view >= sequence.views.size()) return false;
    const bool texture = gst_mvinr_dec_pad_component(pad) == Component::texture;
    const auto& info = sequence.views[view];
    return (texture ? info.texture : info.depth) != SampleFormat::none;
  };
  auto& pads = self->priv->state->pads;
  const auto middle = std::stable_partition(pads.begin(), pads.end(), stays);
  gone.assign(middle, pads.end());
  GST_OBJECT_LOCK(self);
  pads.erase(middle, pads.end());
  GST_OBJECT_UNLOCK(self);
  for (GstMvinrDecPad* pad : gone) {
    gst_pad_push_event(GST_PAD(pad), gst_event_new_eos());
    remove_pad(self, pad);
  }
}

static GstMvinrDecPad* add_pad(GstMvinrDec* self, int view, Component component) {
  GstMvinrDecState& state = *self->priv->state;
  GstMvinrDecPad* pad = gst_mvinr_dec_pad_new(GST_ELEMENT(self), view, component);
  gst_pad_set_event_function(GST_PAD(pad), gst_mvinr_dec_src_event);
  gst_pad_set_query_function(GST_PAD(pad), gst_mvinr_dec_src_query);
  gst_pad_use_fixed_caps(GST_PAD(pad));
  gst_pad_set_active(GST_PAD(pad), TRUE);
  auto before = [&](GstMvinrDecPad* a) {
    const int other = gst_mvinr_dec_pad_view(a);
    return other < view || (other == view && gst_mvinr_dec_pad_component(a) < component);
  };
  const auto place = std::partition_point(state.pads.begin(), state.pads.end(), before);
  GST_OBJECT_LOCK(self);
  state.pads.insert(place, pad);
  GST_OBJECT_UNLOCK(self);
  gst_flow_combiner_add_pad(state.combiner, GST_PAD(pad));
  return pad;
}

// The view has its pads already, if only it is of this sequence.
static bool has_pads(const GstMvinrDecState& state, int view) {
  return std::any_of(state.pads.begin(), state.pads.end(),
                     [&](GstMvinrDecPad* pad) { return gst_mvinr_dec_pad_view(pad) == view; });
}

static bool all_views_have_pads(const GstMvinrDecState& state, const std::vector<bool>& left_out) {
  for (size_t v = 0; v < left_out.size(); ++v)
    if (!left_out[v] && !has_pads(state, int(v))) return false;
  return true;
}

void gst_mvinr_dec_update_pads(GstMvinrDec* self, const mvinr::SequenceInfo& sequence,
                               const std::vector<bool>& left_out) {
  GstMvinrDecState& state = *self->priv->state;
  if (state.sequence && *state.sequence == sequence && all_views_have_pads(state, left_out)) return;
  const bool first_time = !state.sequence;
  remove_gone_pads(self, sequence);

  std::vector<GstMvinrDecPad*> added;
  for (int v = 0; v < int(sequence.views.size()); ++v) {
    for (Component component : {Component::texture, Component::depth}) {
      const auto& view = sequence.views[size_t(v)];
      const auto format = component == Component::texture ? view.texture : view.depth;
      if (format == SampleFormat::none) continue;
      const auto old = std::find_if(state.pads.begin(), state.pads.end(), [&](GstMvinrDecPad* pad) {
        return gst_mvinr_dec_pad_view(pad) == v && gst_mvinr_dec_pad_component(pad) == component;
      });
      if (old != state.pads.end()) {
        if (gst_mvinr_dec_pad_configure(*old, view, sequence.frame_rate)) push_caps(*old);
        continue;
      }
      if (left_out[size_t(v)]) continue;
      GstMvinrDecPad* pad = add_pad(self, v, component);
      gst_mvinr_dec_pad_configure(pad, view, sequence.frame_rate);
      push_stream_start(self, pad);
      added.push_back(pad);
    }
  }
  const auto frame = gst_mvinr_frame_time(1, sequence.frame_rate);
  GST_OBJECT_LOCK(self);
  state.frame_duration = GST_CLOCK_TIME_IS_VALID(frame) ? frame : 0;
  GST_OBJECT_UNLOCK(self);
  state.sequence = sequence;

  if (first_time || !added.empty()) push_collection(self);
  for (GstMvinrDecPad* pad : added) {
    push_caps(pad);
    push_segment(self, pad);
    push_tags(self, pad);
    gst_element_add_pad(GST_ELEMENT(self), GST_PAD(pad));
  }
  if (!added.empty()) gst_element_no_more_pads(GST_ELEMENT(self));
  if (first_time)
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

void gst_mvinr_dec_remove_pads(GstMvinrDec* self) {
  auto& pads = self->priv->state->pads;
  GST_OBJECT_LOCK(self);
  const auto all = std::move(pads);
  pads.clear();
  GST_OBJECT_UNLOCK(self);
  for (GstMvinrDecPad* pad : all) remove_pad(self, pad);
}

/* ---- from downstream ---- */

// Every sink sends the application's seek upstream; one is enough.
static bool is_repeated_seek(GstMvinrDec* self, GstEvent* event) {
  const guint32 seqnum = gst_event_get_seqnum(event);
  GST_OBJECT_LOCK(self);
  const bool repeated = self->priv->state && self->priv->state->last_seek == seqnum;
  GST_OBJECT_UNLOCK(self);
  return repeated;
}

static gboolean seek(GstMvinrDec* self, GstEvent* event) {
  if (is_repeated_seek(self, event)) {
    gst_event_unref(event);
    return TRUE;
  }
  const guint32 seqnum = gst_event_get_seqnum(event);
  const gboolean ok = gst_pad_push_event(self->sink, event);
  GST_OBJECT_LOCK(self);
  if (ok && self->priv->state) self->priv->state->last_seek = seqnum;
  GST_OBJECT_UNLOCK(self);
  return ok;
}

gboolean gst_mvinr_dec_src_event(GstPad* pad, GstObject* parent, GstEvent* event) {
  GstMvinrDec* self = GST_MVINR_DEC(parent);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_QOS:
      gst_mvinr_dec_pad_take_qos(GST_MVINR_DEC_PAD(pad), event);
      gst_event_unref(event);
      return TRUE;
    case GST_EVENT_RECONFIGURE:  // the pad's flag is set, which the next frame looks at
      gst_event_unref(event);
      return TRUE;
    case GST_EVENT_SEEK:
      return seek(self, event);
    default:
      return gst_pad_event_default(pad, parent, event);
  }
}

static gboolean answer_position(GstMvinrDec* self, GstQuery* query) {
  gint64 position = -1;
  GST_OBJECT_LOCK(self);
  if (const auto& state = self->priv->state)
    position = gint64(
        gst_segment_to_stream_time(&state->segment, GST_FORMAT_TIME, state->segment.position));
  GST_OBJECT_UNLOCK(self);
  if (position < 0) return FALSE;
  gst_query_set_position(query, GST_FORMAT_TIME, position);
  return TRUE;
}

// A frame must be rendered before it can be shown. That takes less than its duration, or playing
// in real time would be out of the question.
static gboolean answer_latency(GstMvinrDec* self, GstQuery* query) {
  if (!gst_pad_peer_query(self->sink, query)) return FALSE;
  gboolean live;
  GstClockTime min, max, frame = 0;
  gst_query_parse_latency(query, &live, &min, &max);
  GST_OBJECT_LOCK(self);
  if (const auto& state = self->priv->state) frame = state->frame_duration;
  GST_OBJECT_UNLOCK(self);
  if (GST_CLOCK_TIME_IS_VALID(max)) max += frame;
  gst_query_set_latency(query, live, min + frame, max);
  return TRUE;
}

gboolean gst_mvinr_dec_src_query(GstPad* pad, GstObject* parent, GstQuery* query) {
  GstMvinrDec* self = GST_MVINR_DEC(parent);
  if (GST_QUERY_TYPE(query) == GST_QUERY_LATENCY) return answer_latency(self, query);
  if (GST_QUERY_TYPE(query) == GST_QUERY_POSITION) {
    GstFormat format;
    gst_query_parse_position(query, &format, nullptr);
    if (format == GST_FORMAT_TIME && answer_position(self, query)) return TRUE;
  }
  return gst_pad_query_default(pad, parent, query);
}
