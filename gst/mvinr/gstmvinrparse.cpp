/**
 * SECTION:element-mvinrparse
 * @title: mvinrparse
 * @short_description: finds MV-INR access units and tells what they hold
 *
 * Takes an MV-INR stream as a demuxer, an encoder or a plain file delivers it, cut at any byte, and
 * gives one access unit (one GOP of all views) per buffer, with timestamp, duration and caps from
 * the access unit's header. Bytes between access units are skipped with a warning, and so is an
 * access unit whose end is missing. Every buffer is a random access point.
 *
 * The caps depend on what is behind the element: `video/x-mvinr` for a decoder or a payloader,
 * `video/x-mp4-part` for mp4mux and `video/x-qt-part` for qtmux, which store it as a video track
 * with the sample entry `mvnr`.
 *
 * Timestamps come from upstream where it has them, else from the header's frame number; what
 * Matroska rounded to milliseconds becomes n/fps again. In a local file the sizes of all access
 * units are read at the start, so duration and seeking are exact.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=scene.mvinr ! mvinrparse ! mp4mux ! filesink location=scene.mp4
 * ]| Put a raw stream into an MP4 file.
 * |[
 * gst-launch-1.0 filesrc location=scene.mkv ! matroskademux ! mvinrparse ! qtmux \
 *   ! filesink location=scene.mov
 * ]| Move a stream from one container to another.
 *
 * Since: 0.1
 */
#include "gstmvinrparse.h"

#include <algorithm>
#include <optional>

#include "gstmvinr.h"
#include "gstmvinrparseindex.h"

GST_DEBUG_CATEGORY_STATIC(mvinrparse_debug);
#define GST_CAT_DEFAULT mvinrparse_debug

namespace {

// GstBaseParse gives up on a stream after 2 MiB skipped in one call.
constexpr size_t kMaxSkip = 1 << 20;

enum class Form { mvinr, mp4, qt };
constexpr const char* kFormCaps[] = {
    GST_MVINR_MEDIA_TYPE,
    "video/x-mp4-part, format = (uint) " GST_MVINR_FOURCC_STRING,
    "video/x-qt-part, format = (uint) " GST_MVINR_FOURCC_STRING,
};

// Exists between start and stop. Only the streaming thread uses it.
struct State {
  std::optional<mvinr::SequenceInfo> sequence;  // of the last access unit
  GstFormat upstream_format = GST_FORMAT_UNDEFINED;
  bool in_sync = true;  // the next byte is where an access unit must start
  bool quiet = false;   // after a seek: bytes before the next access unit are no damage
  bool tags_sent = false;
  bool keeps_end = false;                         // does not tell downstream of the end
  bool indexed = false;                           // the attempt was made
  GstClockTime header_pts = GST_CLOCK_TIME_NONE;  // of the frame that is being finished
  GstClockTime expected = GST_CLOCK_TIME_NONE;    // end of the access unit before
};

}  // namespace

struct _GstMvinrParse {
  GstBaseParse parent;
  State* state;               // nullptr when stopped
  GstMvinrParseIndex* index;  // guarded by the object lock: queries read it from other threads
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS(GST_MVINR_MEDIA_TYPE "; " GST_MVINR_CONTAINER_CAPS));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(GST_MVINR_MEDIA_TYPE
                    ", parsed = (boolean) true; "
                    "video/x-mp4-part, format = (uint) " GST_MVINR_FOURCC_STRING "; "
                    "video/x-qt-part, format = (uint) " GST_MVINR_FOURCC_STRING));

#define gst_mvinr_parse_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstMvinrParse, gst_mvinr_parse, GST_TYPE_BASE_PARSE,
                        GST_DEBUG_CATEGORY_INIT(mvinrparse_debug, "mvinrparse", 0,
                                                "MV-INR parser"));
GST_ELEMENT_REGISTER_DEFINE(mvinrparse, "mvinrparse", GST_RANK_PRIMARY + 1, GST_TYPE_MVINR_PARSE);

/* ---- caps ---- */

// gst-launch links elements whose pads have nothing in common only through others (a queue). Then
// this is the last chance to say what would fit.
static void cannot_take(GstMvinrParse* self) {
  GstPad* peer = gst_pad_get_peer(GST_BASE_PARSE_SRC_PAD(self));
  GstCaps* caps = peer ? gst_pad_query_caps(peer, nullptr) : gst_caps_new_empty();
  GST_ELEMENT_ERROR(self, CORE, NEGOTIATION,
                    ("What follows mvinrparse cannot take MV-INR. For a Matroska file use "
                     "mvinrmkvmux, for MP4 mp4mux, for MOV qtmux; for MPEG-TS, HLS or FLV put it "
                     "into H.264 or H.265 with mvinrseiinsert."),
                    ("it takes %" GST_PTR_FORMAT, caps));
  gst_caps_unref(caps);
  if (peer) gst_object_unref(peer);
}

static Form choose_form(GstMvinrParse* self) {
  Form form = Form::mvinr;
  GstCaps* allowed = gst_pad_get_allowed_caps(GST_BASE_PARSE_SRC_PAD(self));
  if (allowed && gst_caps_is_empty(allowed)) cannot_take(self);
  for (Form candidate : {Form::mvinr, Form::mp4, Form::qt}) {
    GstCaps* caps = gst_caps_from_string(kFormCaps[int(candidate)]);
    const bool fits = allowed && gst_caps_can_intersect(allowed, caps);
    gst_caps_unref(caps);
    if (!fits) continue;
    form = candidate;
    break;
  }
  if (allowed) gst_caps_unref(allowed);
  return form;
}

// Takes `caps`.
static gboolean set_src_caps(GstMvinrParse* self, GstCaps* caps) {
  GstPad* pad = GST_BASE_PARSE_SRC_PAD(self);
  GstCaps* current = gst_pad_get_current_caps(pad);
  const bool same = current && gst_caps_is_equal(current, caps);
  if (current) gst_caps_unref(current);
  if (!same) GST_INFO_OBJECT(self, "src caps %" GST_PTR_FORMAT, caps);
  const gboolean ok = same || gst_pad_set_caps(pad, caps);
  gst_caps_unref(caps);
  return ok;
}

static gboolean set_caps_of_sequence(GstMvinrParse* self, const mvinr::SequenceInfo& sequence) {
  const Form form = choose_form(self);
  GstCaps* caps = gst_caps_from_string(kFormCaps[int(form)]);
  gst_mvinr_caps_set_video(caps, sequence);
  if (form == Form::mvinr) gst_mvinr_caps_set_views(caps, sequence);
  return set_src_caps(self, caps);
}

// Behind a demuxer the src caps must be there before the first buffer: parsebin exposes the pad
// when the demuxer says no-more-pads, and decodebin3 fails on a pad without caps. What only the
// first access unit tells follows with a second caps event.
static gboolean gst_mvinr_parse_set_sink_caps(GstBaseParse* parse, GstCaps* caps) {
  GstMvinrParse* self = GST_MVINR_PARSE(parse);
  return gst_mvinr_guard(self, FALSE, [&]() -> gboolean {
    GST_DEBUG_OBJECT(self, "sink caps %" GST_PTR_FORMAT, caps);
    const GstStructure* in = gst_caps_get_structure(caps, 0);
    gboolean parsed = FALSE;
    const bool raw = gst_structure_has_name(in, GST_MVINR_MEDIA_TYPE);
    if (raw) gst_structure_get_boolean(in, "parsed", &parsed);
    if ((raw && !parsed) || (self->state && self->state->sequence)) return TRUE;
    if (choose_form(self) != Form::mvinr) return TRUE;  // mp4mux wants width, height and rate

    GstCaps* out =
        gst_caps_new_simple(GST_MVINR_MEDIA_TYPE, "parsed", G_TYPE_BOOLEAN, TRUE, nullptr);
    GstStructure* s = gst_caps_get_structure(out, 0);
    // A container's frame rate is that of its access units.
    for (const char* field :
         {"width", "height", "framerate", "version", "views", "textures", "depths"}) {
      const GValue* value = gst_structure_get_value(in, field);
      const bool size = field == std::string_view("width") || field == std::string_view("height");
      if (value && (raw || size)) gst_structure_set_value(s, field, value);
    }
    return set_src_caps(self, out);
  });
}

/* ---- life cycle and events ---- */

static gboolean gst_mvinr_parse_start(GstBaseParse* parse) {
  GstMvinrParse* self = GST_MVINR_PARSE(parse);
  return gst_mvinr_guard(self, FALSE, [&]() -> gboolean {
    self->state = new State;
    gst_base_parse_set_min_frame_size(parse, mvinr::kAccessUnitPrefixBytes);
    return TRUE;
  });
}

static gboolean gst_mvinr_parse_stop(GstBaseParse* parse) {
  GstMvinrParse* self = GST_MVINR_PARSE(parse);
  delete self->state;
  self->state = nullptr;
  GST_OBJECT_LOCK(self);
  self->index->clear();
  GST_OBJECT_UNLOCK(self);
  return TRUE;
}

static gboolean gst_mvinr_parse_sink_event(GstBaseParse* parse, GstEvent* event) {
  State* state = GST_MVINR_PARSE(parse)->state;
  if (state && GST_EVENT_TYPE(event) == GST_EVENT_SEGMENT) {
    state->expected = GST_CLOCK_TIME_NONE;
    const GstSegment* segment;
    gst_event_parse_segment(event, &segment);
    state->upstream_format = segment->format;
    if (segment->start != 0 || segment->rate < 0) state->quiet = true;
  } else if (state && GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP) {
    state->quiet = true;
  } else if (state && GST_EVENT_TYPE(event) == GST_EVENT_EOS && state->keeps_end) {
    gst_event_unref(event);
    return TRUE;
  }
  return GST_BASE_PARSE_CLASS(parent_class)->sink_event(parse, event);
}

static gboolean gst_mvinr_parse_convert(GstBaseParse* parse, GstFormat from, gint64 value,
                                        GstFormat to, gint64* result) {
  GstMvinrParse* self = GST_MVINR_PARSE(parse);
  GST_OBJECT_LOCK(self);
  const bool done = self->index->convert(from, value, to, result);
  GST_OBJECT_UNLOCK(self);
  return done || gst_base_parse_convert_default(parse, from, value, to, result);
}

/* ---- access units ---- */

// The stream is of a version that cannot be read. decodebin and parsebin lose the errors of an
// element that they are still plugging, but the decoder, plugged when there are caps, says the same
// of the data. Where caps need more than is known (mp4mux) the end of the stream is kept back, as
// mp4mux 1.22 copies the caps that never came.
static GstFlowReturn refuse(GstMvinrParse* self, GstBaseParseFrame* frame,
                            const std::string& message) {
  self->state->keeps_end = choose_form(self) != Form::mvinr;
  if (!self->state->keeps_end) {
    set_src_caps(
        self, gst_caps_new_simple(GST_MVINR_MEDIA_TYPE, "parsed", G_TYPE_BOOLEAN, TRUE, nullptr));
    gst_base_parse_finish_frame(GST_BASE_PARSE(self), frame,
                                gint(gst_buffer_get_size(frame->buffer)));
  }
  GST_ELEMENT_ERROR(self, STREAM, FORMAT, (NULL), ("%s", message.c_str()));
  return GST_FLOW_ERROR;
}

// Tells about lost bytes once per gap, unless a seek led into the middle of an access unit.
static void lose_sync(GstMvinrParse* self, const char* why) {
  State& state = *self->state;
  if (state.in_sync && !state.quiet && GST_BASE_PARSE(self)->segment.rate > 0)
    GST_ELEMENT_WARNING(self, STREAM, DECODE, ("The MV-INR stream is damaged."),
                        ("%s; looking for the next access unit", why));
  state.in_sync = false;
}

static void build_index(GstMvinrParse* self) {
  GstMvinrParseIndex index;
  if (!index.read(GST_BASE_PARSE_SINK_PAD(self))) return;
  GST_INFO_OBJECT(self, "%zu access units, %" GST_TIME_FORMAT, index.entries().size(),
                  GST_TIME_ARGS(index.duration()));
  for (const auto& entry : index.entries())
    gst_base_parse_add_index_entry(GST_BASE_PARSE(self), entry.offset, entry.pts, TRUE, TRUE);
  gst_base_parse_set_duration(GST_BASE_PARSE(self), GST_FORMAT_TIME, gint64(index.duration()), 0);
  GST_OBJECT_LOCK(self);
  *self->index = std::move(index);
  GST_OBJECT_UNLOCK(self);
}

static GstFlowReturn finish_access_unit(GstMvinrParse* self, GstBaseParseFrame* frame,
                                        const mvinr::GopInfo& gop) {
  State& state = *self->state;
  state.in_sync = true;
  state.quiet = false;
  if (!state.indexed && GST_PAD_MODE(GST_BASE_PARSE_SINK_PAD(self)) == GST_PAD_MODE_PULL)
    build_index(self);
  state.indexed = true;
  if (!state.sequence || *state.sequence != gop.sequence) {
    if (!set_caps_of_sequence(self, gop.sequence)) return GST_FLOW_NOT_NEGOTIATED;
    state.sequence = gop.sequence;
  }
  state.header_pts = gst_mvinr_frame_time(gop.first_frame, gop.sequence.frame_rate);
  // With timestamps from upstream, GstBaseParse puts these in place of ours.
  GST_BUFFER_PTS(frame->buffer) = state.header_pts;
  GST_BUFFER_DTS(frame->buffer) = state.header_pts;
  GST_BUFFER_DURATION(frame->buffer) = gst_mvinr_gop_duration(gop);
  GST_BUFFER_FLAG_UNSET(frame->buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  GST_LOG_OBJECT(self, "access unit of %u bytes, frames %" G_GUINT64_FORMAT " + %d", gop.bytes,
                 gop.first_frame, gop.frames);
  return gst_base_parse_finish_frame(GST_BASE_PARSE(self), frame, int(gop.bytes));
}

// GstBaseParse calls this with all bytes that it has, again when it has min_frame_size of them. The
// answer is to skip bytes (*skip), to take an access unit, or to ask for more bytes.
static GstFlowReturn gst_mvinr_parse_handle_frame(GstBaseParse* parse, GstBaseParseFrame* frame,
                                                  gint* skip) {
  GstMvinrParse* self = GST_MVINR_PARSE(parse);
  return gst_mvinr_guard(self, GST_FLOW_ERROR, [&]() -> GstFlowReturn {
    State& state = *self->state;
    const bool last = GST_BASE_PARSE_DRAINING(parse);
    std::optional<GstMvinrMap> map(std::in_place, frame->buffer);
    if (!*map) {
      GST_ELEMENT_ERROR(self, RESOURCE, READ, (NULL), ("cannot map the input"));
      return GST_FLOW_ERROR;
    }
    const mvinr::Bytes data = map->bytes();
    auto ask_for = [&](size_t bytes) {
      gst_base_parse_set_min_frame_size(parse, guint(bytes));
      return GST_FLOW_OK;
    };
    auto skip_to_next = [&](size_t from, const char* why) {
      lose_sync(self, why);
      *skip = int(std::min(mvinr::find_access_unit(data, from), kMaxSkip));
      return GST_FLOW_OK;
    };

    ask_for(mvinr::kAccessUnitPrefixBytes);
    if (mvinr::find_access_unit(data) > 0)
      return skip_to_next(0, "bytes outside of an access unit");
    const auto size = mvinr::access_unit_bytes(data);
    const auto gop = mvinr::read_gop_info(data);
    if (!size || !gop) {
      const mvinr::Error& error = !size ? size.error() : gop.error();
      if (error.code == mvinr::ErrorCode::unsupported && state.in_sync) {
        map.reset();
        return refuse(self, frame, error.message);
      }
      if (error.code != mvinr::ErrorCode::truncated) return skip_to_next(1, error.message.c_str());
      if (last) return skip_to_next(1, "the last access unit is not complete");
      if (!size) return GST_FLOW_OK;
      return ask_for(std::min<size_t>(*size, std::max<size_t>(512, 2 * data.size())));
    }
    if (data.size() < *size) {  // the header's CRC was right, so the size is
      if (last) return skip_to_next(1, "the last access unit is not complete");
      return ask_for(*size);
    }
    map.reset();
    return finish_access_unit(self, frame, *gop);
  });
}

// Matroska's timestamps are rounded to milliseconds. Frames lie at n/fps, or one access unit
// follows the other.
static GstClockTime restore_time(GstMvinrParse* self, GstBuffer* buffer) {
  State& state = *self->state;
  const GstClockTime pts = GST_BUFFER_PTS(buffer);
  if (!state.sequence || !gst_mvinr_is_from_matroska(GST_BASE_PARSE_SINK_PAD(self))) return pts;
  const auto on_grid = gst_mvinr_unrounded(pts, state.sequence->frame_rate);
  const GstClockTime next = state.expected;
  const bool follows = GST_CLOCK_TIME_IS_VALID(next) &&
                       std::max(next, pts) - std::min(next, pts) < kGstMvinrRounding;
  const GstClockTime exact = on_grid ? *on_grid : follows ? next : pts;
  const bool forward = GST_BASE_PARSE(self)->segment.rate > 0;
  state.expected = forward && GST_BUFFER_DURATION_IS_VALID(buffer)
                       ? exact + GST_BUFFER_DURATION(buffer)
                       : GST_CLOCK_TIME_NONE;
  return exact;
}

// Upstream that has a timeline but left out this timestamp: the header's is all there is.
static GstFlowReturn gst_mvinr_parse_pre_push_frame(GstBaseParse* parse, GstBaseParseFrame* frame) {
  State& state = *GST_MVINR_PARSE(parse)->state;
  frame->flags |= GST_BASE_PARSE_FRAME_FLAG_CLIP;
  if (!GST_BUFFER_PTS_IS_VALID(frame->buffer)) {
    frame->buffer = gst_buffer_make_writable(frame->buffer);
    GST_BUFFER_PTS(frame->buffer) = state.header_pts;
    GST_BUFFER_DTS(frame->buffer) = state.header_pts;
  }
  const GstClockTime exact = restore_time(GST_MVINR_PARSE(parse), frame->buffer);
  if (exact != GST_BUFFER_PTS(frame->buffer)) {
    frame->buffer = gst_buffer_make_writable(frame->buffer);
    GST_BUFFER_PTS(frame->buffer) = GST_BUFFER_DTS(frame->buffer) = exact;
  }
  if (!state.tags_sent) {
    GstTagList* tags = gst_tag_list_new(GST_TAG_VIDEO_CODEC, "MV-INR", nullptr);
    gst_base_parse_merge_tags(parse, tags, GST_TAG_MERGE_REPLACE);
    gst_tag_list_unref(tags);
    state.tags_sent = true;
  }
  return GST_FLOW_OK;
}

static void gst_mvinr_parse_finalize(GObject* object) {
  delete GST_MVINR_PARSE(object)->index;
  G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void gst_mvinr_parse_init(GstMvinrParse* self) {
  self->index = new GstMvinrParseIndex;
  GST_PAD_SET_ACCEPT_INTERSECT(GST_BASE_PARSE_SINK_PAD(self));
  GST_PAD_SET_ACCEPT_TEMPLATE(GST_BASE_PARSE_SINK_PAD(self));
}

static void gst_mvinr_parse_class_init(GstMvinrParseClass* klass) {
  GstElementClass* element_class = GST_ELEMENT_CLASS(klass);
  GstBaseParseClass* parse_class = GST_BASE_PARSE_CLASS(klass);
  G_OBJECT_CLASS(klass)->finalize = gst_mvinr_parse_finalize;
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "MV-INR parser", "Codec/Parser/Converter/Video",
      "Parses MV-INR streams (multi-view video with depth)", "The MV-INR authors");
  parse_class->start = gst_mvinr_parse_start;
  parse_class->stop = gst_mvinr_parse_stop;
  parse_class->set_sink_caps = gst_mvinr_parse_set_sink_caps;
  parse_class->sink_event = gst_mvinr_parse_sink_event;
  parse_class->convert = gst_mvinr_parse_convert;
  parse_class->handle_frame = gst_mvinr_parse_handle_frame;
  parse_class->pre_push_frame = gst_mvinr_parse_pre_push_frame;
}
