// What mvinrdec does with the events of upstream.
#include "gstmvinr.h"
#include "gstmvinrdecpriv.h"

#define GST_CAT_DEFAULT mvinrdec_debug

static void take_segment(GstMvinrDec* self, GstEvent* event) {
  GstMvinrDecState& state = *self->priv->state;
  const GstSegment* segment;
  gst_event_parse_segment(event, &segment);
  GST_OBJECT_LOCK(self);
  if (segment->format == GST_FORMAT_TIME) {
    gst_segment_copy_into(segment, &state.segment);
  } else {  // bytes: the access units' own timestamps count from 0
    gst_segment_init(&state.segment, GST_FORMAT_TIME);
  }
  state.segment_seqnum = gst_event_get_seqnum(event);
  state.live.reset();
  state.first = true;
  GST_OBJECT_UNLOCK(self);
  GST_DEBUG_OBJECT(self, "%" GST_SEGMENT_FORMAT, &state.segment);
  gst_mvinr_dec_push_segment(self);
}

static void take_stream_start(GstMvinrDec* self, GstEvent* event) {
  GstMvinrDecState& state = *self->priv->state;
  const gchar* id = nullptr;
  gst_event_parse_stream_start(event, &id);
  if (!gst_event_parse_group_id(event, &state.group_id)) state.group_id = gst_util_group_id_next();
  const bool another = state.upstream_id != (id ? id : "");
  state.upstream_id = id ? id : "";
  if (!state.pads.empty() && another) gst_mvinr_dec_restart_streams(self);
}

// A parser measures bitrates again and again. Telling every pad could block on one that is not
// linked (in decodebin3's multiqueue) while the linked ones starve.
static bool differ_besides_bitrates(const GstTagList* a, const GstTagList* b) {
  auto without = [](const GstTagList* list) {
    GstTagList* copy = list ? gst_tag_list_copy(list) : gst_tag_list_new_empty();
    for (const char* tag : {GST_TAG_BITRATE, GST_TAG_MINIMUM_BITRATE, GST_TAG_MAXIMUM_BITRATE})
      gst_tag_list_remove_tag(copy, tag);
    return copy;
  };
  GstTagList *left = without(a), *right = without(b);
  const bool differ = !gst_tag_list_is_equal(left, right);
  gst_tag_list_unref(left);
  gst_tag_list_unref(right);
  return differ;
}

static void take_tags(GstMvinrDec* self, GstEvent* event) {
  GstMvinrDecState& state = *self->priv->state;
  GstTagList* tags;
  gst_event_parse_tag(event, &tags);
  if (gst_tag_list_get_scope(tags) != GST_TAG_SCOPE_STREAM) {
    gst_pad_event_default(self->sink, GST_OBJECT(self), gst_event_ref(event));
    return;
  }
  const bool news = differ_besides_bitrates(state.tags, tags);
  if (state.tags) gst_tag_list_unref(state.tags);
  state.tags = gst_tag_list_ref(tags);
  if (news) gst_mvinr_dec_push_tags(self);
}

static gboolean end_of_stream(GstMvinrDec* self, GstEvent* event) {
  GstMvinrDecState& state = *self->priv->state;
  if (state.pads.empty()) {  // nobody would ever hear of the end
    GST_ELEMENT_ERROR(self, STREAM, DECODE, (NULL),
                      (state.got_input ? "no access unit could be decoded"
                                       : "the stream ended before its first access unit"));
    gst_event_unref(event);
    return FALSE;
  }
  return gst_pad_event_default(self->sink, GST_OBJECT(self), event);
}

static gboolean flush_stop(GstMvinrDec* self, GstEvent* event) {
  GstMvinrDecState& state = *self->priv->state;
  const gboolean ok = gst_pad_event_default(self->sink, GST_OBJECT(self), event);
  gst_flow_combiner_reset(state.combiner);
  GST_OBJECT_LOCK(self);
  gst_segment_init(&state.segment, GST_FORMAT_TIME);
  GST_OBJECT_UNLOCK(self);
  state.errors = 0;
  state.drop_pending();
  for (GstMvinrDecPad* pad : state.pads) gst_mvinr_dec_pad_reset(pad);
  gst_mvinr_dec_resume(self);
  return ok;
}

static bool ends_fragment(GstEvent* event) {
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_STREAM_START:
    case GST_EVENT_SEGMENT:
    case GST_EVENT_SEGMENT_DONE:
    case GST_EVENT_GAP:
    case GST_EVENT_EOS:
      return true;
    default:
      return false;
  }
}

gboolean gst_mvinr_dec_sink_event(GstPad* pad, GstObject* parent, GstEvent* event) {
  GstMvinrDec* self = GST_MVINR_DEC(parent);
  return gst_mvinr_guard(self, FALSE, [&]() -> gboolean {
    // The only event that comes from another thread than the buffers, or while the element stops.
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_START) gst_mvinr_dec_cancel(self);
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_START || !self->priv->state)
      return gst_pad_event_default(pad, parent, event);
    if (ends_fragment(event)) gst_mvinr_dec_drain(self);
    switch (GST_EVENT_TYPE(event)) {
      case GST_EVENT_STREAM_START:
        take_stream_start(self, event);
        break;
      case GST_EVENT_SEGMENT:
        take_segment(self, event);
        break;
      case GST_EVENT_TAG:
        take_tags(self, event);
        break;
      case GST_EVENT_CAPS:               // every pad has its own
      case GST_EVENT_STREAM_COLLECTION:  // ours lists the decoded streams
        break;
      case GST_EVENT_EOS:
        return end_of_stream(self, event);
      case GST_EVENT_FLUSH_STOP:
        return flush_stop(self, event);
      default:
        return gst_pad_event_default(pad, parent, event);
    }
    gst_event_unref(event);
    return TRUE;
  });
}
