/**
 * SECTION:element-mvinrseiextract
 * @title: mvinrseiextract
 * @short_description: takes an MV-INR stream out of H.264 or H.265
 *
 * Gives back the MV-INR stream that mvinrseiinsert put into an H.264 or H.265 stream, byte for
 * byte, whatever containers, servers and transports it went through (docs/sei.md). Put h264parse or
 * h265parse in front of it, and mvinrdec behind it, or mvinrparse and a muxer.
 *
 * An access unit comes out with the last frame of its GOP: in a live pipeline that adds the
 * duration of a GOP to the latency. To show the base view at once, tee the stream in front of this
 * element to any decoder of H.264 or H.265.
 *
 * What was lost on the way costs as little as it can: a lost SEI message the views whose data it
 * held, a lost frame the views that need it. If no view is left, the access unit is dropped with a
 * warning and its time passes with a GAP event; the next GOP is whole again. Whenever something is
 * missing, an element message `mvinrseiextract-loss` tells what: gop (guint, its number in the
 * messages, modulo 65536), pts (guint64), bytes-lost (guint64, of SEI messages), slices-lost
 * (guint, of the video), units-lost (guint), dropped (gboolean), views-missing (string, "0 3").
 *
 * The rank is none: decodebin and playbin3 play the base view as they would without this element.
 * With GST_PLUGIN_FEATURE_RANK=mvinrseiextract:MAX they take it for every H.264 or H.265 stream,
 * so do that only where all of them carry MV-INR.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=everywhere.mp4 ! qtdemux ! h265parse ! mvinrseiextract \
 *   ! mvinrdec name=d  d.texture_0 ! queue ! videoconvert ! autovideosink \
 *   d.texture_1 ! queue ! videoconvert ! autovideosink
 * ]| Show two views of a file.
 * |[
 * gst-launch-1.0 srtsrc uri=srt://host:7001 ! tsdemux ! h265parse ! mvinrseiextract \
 *   ! mvinrparse ! mp4mux ! filesink location=received.mp4
 * ]| Store the MV-INR stream of a broadcast.
 *
 * Since: 0.1
 */
#include "gstmvinrseiextract.h"

#include "gstmvinrseiextractpriv.h"

GST_DEBUG_CATEGORY(mvinrseiextract_debug);
#define GST_CAT_DEFAULT mvinrseiextract_debug

using Losses = GstMvinrSeiExtractLosses;
using State = GstMvinrSeiExtractState;

enum { PROP_0, PROP_LOSSES };

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS("video/x-h264, stream-format = (string) { byte-stream, avc, avc3 }, alignment "
                    "= (string) au; "
                    "video/x-h265, stream-format = (string) { byte-stream, hvc1, hev1 }, alignment "
                    "= (string) au"));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS(GST_MVINR_MEDIA_TYPE ", parsed = (boolean) true"));

#define gst_mvinr_sei_extract_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstMvinrSeiExtract, gst_mvinr_sei_extract, GST_TYPE_ELEMENT,
                        GST_DEBUG_CATEGORY_INIT(mvinrseiextract_debug, "mvinrseiextract", 0,
                                                "MV-INR out of H.264 and H.265"));
GST_ELEMENT_REGISTER_DEFINE(mvinrseiextract, "mvinrseiextract", GST_RANK_NONE,
                            GST_TYPE_MVINR_SEI_EXTRACT);

static GstFlowReturn gst_mvinr_sei_extract_chain(GstPad*, GstObject* parent, GstBuffer* buffer) {
  GstMvinrSeiExtract* self = GST_MVINR_SEI_EXTRACT(parent);
  const GstFlowReturn flow = gst_mvinr_guard(
      self, GST_FLOW_ERROR, [&] { return gst_mvinr_sei_extract_take(self, buffer); });
  gst_buffer_unref(buffer);
  return flow;
}

/* ---- events and queries ---- */

// The last two bits of a byte of the codec data, avcC or hvcC, tell the size of the lengths.
static gboolean set_sink_caps(GstMvinrSeiExtract* self, GstCaps* caps) {
  State& state = *self->state;
  const GstStructure* in = gst_caps_get_structure(caps, 0);
  const bool h264 = gst_structure_has_name(in, "video/x-h264");
  state.codec = h264 ? GstMvinrSeiCodec::h264 : GstMvinrSeiCodec::h265;
  state.length_bytes = 0;
  if (g_strcmp0(gst_structure_get_string(in, "stream-format"), "byte-stream") != 0) {
    const GValue* value = gst_structure_get_value(in, "codec_data");
    guint8 byte = 0;
    if (!value || gst_buffer_extract(gst_value_get_buffer(value), h264 ? 4 : 21, &byte, 1) != 1) {
      GST_ELEMENT_ERROR(self, STREAM, FORMAT, (NULL), ("no codec_data in the caps of the video"));
      return FALSE;
    }
    state.length_bytes = (byte & 3) + 1;
  }
  // The caps come before the segment; what only the first access unit tells follows.
  if (state.sequence) return TRUE;
  GstCaps* out = gst_caps_new_simple(GST_MVINR_MEDIA_TYPE, "parsed", G_TYPE_BOOLEAN, TRUE, nullptr);
  const gboolean ok = gst_pad_set_caps(self->src, out);
  gst_caps_unref(out);
  return ok;
}

// A seek's end may lie inside of a GOP, all of which is needed: upstream plays on to its end.
static GstEvent* with_later_stop(GstMvinrSeiExtract* self, GstEvent* event) {
  gdouble rate;
  GstFormat format;
  GstSeekFlags flags;
  GstSeekType start_type, stop_type;
  gint64 start, stop;
  gst_event_parse_seek(event, &rate, &format, &flags, &start_type, &start, &stop_type, &stop);
  GST_OBJECT_LOCK(self);
  const GstClockTime gop = self->latency;
  const bool later = format == GST_FORMAT_TIME && stop_type == GST_SEEK_TYPE_SET && stop >= 0;
  self->seek_stop = later ? GstClockTime(stop) : GST_CLOCK_TIME_NONE;
  self->seek_seqnum = gst_event_get_seqnum(event);
  GST_OBJECT_UNLOCK(self);
  if (!later) return event;
  const guint32 seqnum = gst_event_get_seqnum(event);
  gst_event_unref(event);
  // Before the first GOP its duration is not known: then chain() ends it.
  event = gst_event_new_seek(rate, format, flags, start_type, start, GST_SEEK_TYPE_SET,
                             gop > 0 ? stop + gint64(gop) : -1);
  gst_event_set_seqnum(event, seqnum);
  return event;
}

static GstEvent* with_earlier_stop(GstMvinrSeiExtract* self, GstEvent* event) {
  GST_OBJECT_LOCK(self);
  const bool ours = self->seek_seqnum == gst_event_get_seqnum(event);
  const GstClockTime stop = ours ? self->seek_stop : GST_CLOCK_TIME_NONE;
  GST_OBJECT_UNLOCK(self);
  GstSegment segment;
  gst_event_copy_segment(event, &segment);
  if (!GST_CLOCK_TIME_IS_VALID(stop) || segment.format != GST_FORMAT_TIME) return event;
  const auto position = gst_segment_position_from_stream_time(&segment, GST_FORMAT_TIME, stop);
  if (!GST_CLOCK_TIME_IS_VALID(position) || position < segment.start) return event;
  if (GST_CLOCK_TIME_IS_VALID(segment.stop) && segment.stop <= position) return event;
  segment.stop = position;
  GstEvent* changed = gst_event_new_segment(&segment);
  gst_event_set_seqnum(changed, gst_event_get_seqnum(event));
  gst_event_unref(event);
  return changed;
}

// Lost GOPs at the end, and streams in which there was nothing of ours at all.
static void end(GstMvinrSeiExtract* self) {
  gst_mvinr_sei_extract_finish(self);
  State& state = *self->state;
  GST_OBJECT_LOCK(self);
  const bool nothing = self->losses->access_units == 0;
  GST_OBJECT_UNLOCK(self);
  if (nothing && !state.any && state.frames > 0)
    GST_ELEMENT_ERROR(self, STREAM, WRONG_TYPE,
                      ("This video does not carry MV-INR; it shows a single view."),
                      ("no message of mvinrseiinsert in all of its %d frames; play it without "
                       "mvinrseiextract",
                       state.frames));
}

static gboolean gst_mvinr_sei_extract_sink_event(GstPad* pad, GstObject* parent, GstEvent* event) {
  GstMvinrSeiExtract* self = GST_MVINR_SEI_EXTRACT(parent);
  State* state = self->state;
  if (!state) return gst_pad_event_default(pad, parent, event);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_CAPS: {
      GstCaps* caps;
      gst_event_parse_caps(event, &caps);
      const gboolean ok = gst_mvinr_guard(self, FALSE, [&] { return set_sink_caps(self, caps); });
      gst_event_unref(event);
      return ok;
    }
    case GST_EVENT_STREAM_START:  // another stream, with numbers of its own
      gst_mvinr_guard(self, GST_FLOW_ERROR, [&] { return gst_mvinr_sei_extract_finish(self); });
      state->last.reset();
      break;
    case GST_EVENT_SEGMENT:
      gst_mvinr_guard(self, GST_FLOW_ERROR, [&] { return gst_mvinr_sei_extract_finish(self); });
      state->expected = GST_CLOCK_TIME_NONE;
      state->discont = state->sought = true;
      event = with_earlier_stop(self, event);
      gst_event_copy_segment(event, &state->segment);
      break;
    case GST_EVENT_FLUSH_STOP:
      state->assembly.reset();
      state->last.reset();
      state->expected = GST_CLOCK_TIME_NONE;
      state->discont = state->sought = true;
      break;
    case GST_EVENT_EOS:
      gst_mvinr_guard(self, FALSE, [&]() -> gboolean {
        end(self);
        return TRUE;
      });
      break;
    default:
      break;
  }
  return gst_pad_event_default(pad, parent, event);
}

static gboolean gst_mvinr_sei_extract_src_event(GstPad* pad, GstObject* parent, GstEvent* event) {
  if (GST_EVENT_TYPE(event) == GST_EVENT_SEEK)
    event = with_later_stop(GST_MVINR_SEI_EXTRACT(parent), event);
  return gst_pad_event_default(pad, parent, event);
}

static gboolean gst_mvinr_sei_extract_src_query(GstPad* pad, GstObject* parent, GstQuery* query) {
  GstMvinrSeiExtract* self = GST_MVINR_SEI_EXTRACT(parent);
  if (GST_QUERY_TYPE(query) != GST_QUERY_LATENCY) return gst_pad_query_default(pad, parent, query);
  if (!gst_pad_peer_query(self->sink, query)) return FALSE;
  gboolean live;
  GstClockTime least, most;
  gst_query_parse_latency(query, &live, &least, &most);
  GST_OBJECT_LOCK(self);
  least += self->latency;
  if (GST_CLOCK_TIME_IS_VALID(most)) most += self->latency;
  GST_OBJECT_UNLOCK(self);
  gst_query_set_latency(query, live, least, most);
  return TRUE;
}

/* ---- states and properties ---- */

static GstStateChangeReturn gst_mvinr_sei_extract_change_state(GstElement* element,
                                                               GstStateChange transition) {
  GstMvinrSeiExtract* self = GST_MVINR_SEI_EXTRACT(element);
  return gst_mvinr_change_state(GST_ELEMENT_CLASS(parent_class), element, transition, self->state,
                                [self] {
                                  *self->losses = {};
                                  self->latency = 0;
                                  self->seek_stop = GST_CLOCK_TIME_NONE;
                                  self->seek_seqnum = GST_SEQNUM_INVALID;
                                });
}

static void gst_mvinr_sei_extract_get_property(GObject* object, guint id, GValue* value,
                                               GParamSpec* spec) {
  GstMvinrSeiExtract* self = GST_MVINR_SEI_EXTRACT(object);
  if (id != PROP_LOSSES) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    return;
  }
  GST_OBJECT_LOCK(self);
  const Losses losses = *self->losses;
  GST_OBJECT_UNLOCK(self);
  g_value_take_boxed(
      value, gst_structure_new("application/x-mvinrseiextract-losses", "access-units",
                               G_TYPE_UINT64, losses.access_units, "incomplete", G_TYPE_UINT64,
                               losses.incomplete, "dropped", G_TYPE_UINT64, losses.dropped,
                               "malformed", G_TYPE_UINT64, losses.malformed, nullptr));
}

static void gst_mvinr_sei_extract_finalize(GObject* object) {
  delete GST_MVINR_SEI_EXTRACT(object)->state;
  delete GST_MVINR_SEI_EXTRACT(object)->losses;
  G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void gst_mvinr_sei_extract_init(GstMvinrSeiExtract* self) {
  self->losses = new Losses;
  self->sink = gst_pad_new_from_static_template(&sink_template, "sink");
  self->src = gst_pad_new_from_static_template(&src_template, "src");
  gst_pad_set_chain_function(self->sink, gst_mvinr_sei_extract_chain);
  gst_pad_set_event_function(self->sink, gst_mvinr_sei_extract_sink_event);
  gst_pad_set_event_function(self->src, gst_mvinr_sei_extract_src_event);
  gst_pad_set_query_function(self->src, gst_mvinr_sei_extract_src_query);
  gst_pad_use_fixed_caps(self->src);
  gst_element_add_pad(GST_ELEMENT(self), self->sink);
  gst_element_add_pad(GST_ELEMENT(self), self->src);
}

static void gst_mvinr_sei_extract_class_init(GstMvinrSeiExtractClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  GstElementClass* element_class = GST_ELEMENT_CLASS(klass);
  object_class->get_property = gst_mvinr_sei_extract_get_property;
  object_class->finalize = gst_mvinr_sei_extract_finalize;
  g_object_class_install_property(
      object_class, PROP_LOSSES,
      g_param_spec_boxed("losses", "Losses",
                         "Since READY: access-units sent on, incomplete ones among them, dropped "
                         "access units, malformed messages",
                         GST_TYPE_STRUCTURE,
                         GParamFlags(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
  element_class->change_state = gst_mvinr_sei_extract_change_state;
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "MV-INR SEI extractor", "Codec/Demuxer/Video",
      "Takes the MV-INR stream, with all views, out of an H.264 or H.265 stream of mvinrseiinsert",
      "The MV-INR authors");
}
