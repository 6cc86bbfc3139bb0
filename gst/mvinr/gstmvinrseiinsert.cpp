/**
 * SECTION:element-mvinrseiinsert
 * @title: mvinrseiinsert
 * @short_description: makes an ordinary H.264 or H.265 stream of a hybrid MV-INR stream
 *
 * The texture of the first base view becomes the video that every player, muxer, server and
 * transport of H.264 or H.265 takes and shows. All the rest of the MV-INR stream travels inside, in
 * SEI messages that others ignore (docs/sei.md); mvinrseiextract gives back the MV-INR stream,
 * byte for byte. Nothing is sent twice.
 *
 * Needs a stream of hybrid mode whose base views are H.264 or H.265: mvinrenc mode=hybrid
 * base-encoder=x264enc (or x265enc, which it takes by default). Put h264parse or h265parse behind
 * it, as behind any encoder. FLV, RTMP and most browsers take H.264 only.
 *
 * `spread` decides how a GOP's SEI messages lie on its frames. The receiver needs the whole GOP
 * either way.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=scene.mp4 ! qtdemux ! mvinrparse ! mvinrseiinsert \
 *   ! h265parse ! mp4mux ! filesink location=everywhere.mp4
 * ]| A file that any player of H.265 plays.
 * |[
 * gst-launch-1.0 filesrc location=scene.mvinr ! mvinrparse ! mvinrseiinsert ! h265parse \
 *   ! mpegtsmux ! srtsink uri="srt://:7001?mode=listener"
 * ]| Broadcast it as MPEG-TS over SRT.
 * |[
 * gst-launch-1.0 filesrc location=everywhere.mp4 ! qtdemux ! h265parse ! mvinrseiextract \
 *   ! mvinrdec name=d  d.texture_2 ! queue ! videoconvert ! autovideosink
 * ]| Show the third view of that file.
 *
 * Since: 0.1
 */
#include "gstmvinrseiinsert.h"

#include "gstmvinr.h"
#include "gstmvinrseicarriage.h"
#include "gstmvinrseiclock.h"
#include "gstmvinrseiorder.h"

GST_DEBUG_CATEGORY_STATIC(mvinrseiinsert_debug);
#define GST_CAT_DEFAULT mvinrseiinsert_debug

using mvinr::Bytes;

namespace {

// B-frames are decoded before they are shown: the first DTS is below the first PTS. Timestamps are
// moved, and the segment with them, so that none falls below 0; encoders do the same.
constexpr GstClockTime kShift = 1000 * 3600 * GST_SECOND;

constexpr guint kDefaultMaxBytes = 65536, kLeastMaxBytes = 256, kMostMaxBytes = 16 << 20;

struct Settings {
  gboolean spread = TRUE;
  guint max_bytes = kDefaultMaxBytes;
};

struct Stats {
  guint64 access_units = 0, dropped = 0, frames = 0, messages = 0, base_bytes = 0, sei_bytes = 0;
};

// Exists from READY to PAUSED and back; only the streaming thread uses it.
struct State {
  GstCaps* caps = nullptr;                      // of the source pad
  std::vector<GstEvent*> waiting;               // for them
  GstClockTime last_dts = GST_CLOCK_TIME_NONE;  // of the last buffer
  int reorder = 0;                              // the most that was seen
  guint16 number = 0;                           // of the next access unit
  bool discont = true;
  ~State() {
    for (GstEvent* event : waiting) gst_event_unref(event);
    gst_clear_caps(&caps);
  }
};

}  // namespace

struct _GstMvinrSeiInsert {
  GstElement parent;
  GstPad *sink, *src;
  Settings* settings;  // guarded by the object lock
  Stats* stats;        // guarded by the object lock
  State* state;
};

enum { PROP_0, PROP_SPREAD, PROP_MAX_MESSAGE_BYTES, PROP_STATS };

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS(GST_MVINR_MEDIA_TYPE ", parsed = (boolean) true"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS("video/x-h264, stream-format = (string) byte-stream, alignment = (string) au; "
                    "video/x-h265, stream-format = (string) byte-stream, alignment = (string) au"));

#define gst_mvinr_sei_insert_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstMvinrSeiInsert, gst_mvinr_sei_insert, GST_TYPE_ELEMENT,
                        GST_DEBUG_CATEGORY_INIT(mvinrseiinsert_debug, "mvinrseiinsert", 0,
                                                "MV-INR into H.264 and H.265"));
GST_ELEMENT_REGISTER_DEFINE(mvinrseiinsert, "mvinrseiinsert", GST_RANK_NONE,
                            GST_TYPE_MVINR_SEI_INSERT);

/* ---- caps and events ---- */

static gboolean update_caps(GstMvinrSeiInsert* self, const GstMvinrSeiGop& gop,
                            const mvinr::Fraction& rate) {
  State& state = *self->state;
  GstCaps* caps = gst_caps_copy(gop.caps.get());
  if (rate.num > 0 && rate.num <= G_MAXINT && rate.den <= G_MAXINT)
    gst_caps_set_simple(caps, "framerate", GST_TYPE_FRACTION, int(rate.num), int(rate.den),
                        nullptr);
  if (state.caps && gst_caps_is_equal(state.caps, caps)) {
    gst_caps_unref(caps);
    return TRUE;
  }
  GST_INFO_OBJECT(self, "view %d is the video: %" GST_PTR_FORMAT, gop.view, caps);
  gst_caps_take(&state.caps, caps);
  if (!gst_pad_set_caps(self->src, caps)) return FALSE;
  for (GstEvent* event : std::exchange(state.waiting, {})) gst_pad_push_event(self->src, event);
  return TRUE;
}

// The segment of upstream, moved. Takes the event.
static GstEvent* shifted(GstEvent* event) {
  GstSegment segment;
  gst_event_copy_segment(event, &segment);
  if (segment.format != GST_FORMAT_TIME) return event;
  segment.start += kShift;
  segment.position += kShift;
  if (GST_CLOCK_TIME_IS_VALID(segment.stop)) segment.stop += kShift;
  GstEvent* moved = gst_event_new_segment(&segment);
  gst_event_set_seqnum(moved, gst_event_get_seqnum(event));
  gst_event_unref(event);
  return moved;
}

static gboolean gst_mvinr_sei_insert_sink_event(GstPad* pad, GstObject* parent, GstEvent* event) {
  GstMvinrSeiInsert* self = GST_MVINR_SEI_INSERT(parent);
  State* state = self->state;
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_CAPS:  // ours come with the first access unit
      gst_event_unref(event);
      return TRUE;
    case GST_EVENT_SEGMENT:
      event = shifted(event);
      if (state) state->last_dts = GST_CLOCK_TIME_NONE;
      break;
    case GST_EVENT_GAP: {
      GstClockTime time, duration;
      gst_event_parse_gap(event, &time, &duration);
      if (!GST_CLOCK_TIME_IS_VALID(time)) break;
      gst_event_unref(event);
      event = gst_event_new_gap(time + kShift, duration);
      break;
    }
    case GST_EVENT_FLUSH_STOP:
      if (state) {
        state->last_dts = GST_CLOCK_TIME_NONE;
        state->discont = true;
        for (GstEvent* waiting : std::exchange(state->waiting, {})) gst_event_unref(waiting);
      }
      break;
    default:
      break;
  }
  const auto type = GST_EVENT_TYPE(event);
  const bool in_order = gst_event_type_get_flags(type) & GST_EVENT_TYPE_SERIALIZED;
  const bool wait = state && !state->caps && in_order && type > GST_EVENT_CAPS;
  if (!wait || type == GST_EVENT_EOS) return gst_pad_event_default(pad, parent, event);
  gst_mvinr_guard(self, FALSE, [&]() -> gboolean {
    state->waiting.push_back(event);
    return TRUE;
  });
  return TRUE;
}

/* ---- data ---- */

static GstFlowReturn push_frames(GstMvinrSeiInsert* self, const GstMvinrSeiGop& gop,
                                 const GstMvinrSeiOrder& order, const GstMvinrSeiClock& clock) {
  State& state = *self->state;
  GST_OBJECT_LOCK(self);
  const Settings settings = *self->settings;
  GST_OBJECT_UNLOCK(self);
  const auto shares = gst_mvinr_sei_shares(gop.packets, gop.carriage.size(), settings.spread);
  state.reorder = std::max(state.reorder, order.reorder);
  const size_t most = settings.max_bytes - kGstMvinrSeiHeaderBytes;
  size_t done = 0;
  for (size_t i = 0; i < gop.packets.size(); ++i) {
    std::vector<std::byte> messages;
    guint64 count = 0;
    for (size_t left = shares[i]; left > 0; ++count) {
      const size_t bytes = std::min(left, most);
      gst_mvinr_append_sei(messages, gop.codec,
                           {.gop = state.number,
                            .carriage_bytes = uint32_t(gop.carriage.size()),
                            .offset = uint32_t(done),
                            .data = Bytes(gop.carriage).subspan(done, bytes)});
      done += bytes;
      left -= bytes;
    }
    GstBuffer* buffer = gst_mvinr_buffer_new(gst_mvinr_sei_frame(gop, i, messages));
    const GstClockTime pts = clock.at(order.shown[i]);
    GstClockTime dts = clock.at(int(i) - state.reorder);
    if (GST_CLOCK_TIME_IS_VALID(state.last_dts)) dts = std::max(dts, state.last_dts);
    GST_BUFFER_PTS(buffer) = pts;
    GST_BUFFER_DTS(buffer) = state.last_dts = std::min(dts, pts);
    GST_BUFFER_DURATION(buffer) = clock.at(order.shown[i] + 1) - clock.at(order.shown[i]);
    if (!order.sync[i]) GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    if (std::exchange(state.discont, false)) GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
    GST_OBJECT_LOCK(self);
    ++self->stats->frames;
    self->stats->messages += count;
    self->stats->base_bytes += gst_buffer_get_size(buffer) - messages.size();
    self->stats->sei_bytes += messages.size();
    GST_OBJECT_UNLOCK(self);
    const GstFlowReturn flow = gst_pad_push(self->src, buffer);
    if (flow != GST_FLOW_OK) return flow;
  }
  ++state.number;
  return GST_FLOW_OK;
}

// Of an access unit that cannot be carried.
static GstFlowReturn refuse(GstMvinrSeiInsert* self, const mvinr::Error& error) {
  using mvinr::ErrorCode;
  if (error.code == ErrorCode::invalid_argument || error.code == ErrorCode::unsupported) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                      ("This MV-INR stream cannot travel inside H.264 or H.265."),
                      ("%s", error.message.c_str()));
    return GST_FLOW_ERROR;
  }
  GST_OBJECT_LOCK(self);
  ++self->stats->dropped;
  GST_OBJECT_UNLOCK(self);
  self->state->discont = true;
  GST_ELEMENT_WARNING(self, STREAM, DECODE, ("A GOP of the MV-INR stream is damaged, left out."),
                      ("%s", error.message.c_str()));
  return GST_FLOW_OK;
}

static GstFlowReturn send(GstMvinrSeiInsert* self, GstBuffer* buffer) {
  const GstMvinrMap map(buffer);
  const auto info = mvinr::read_gop_info(map.bytes());
  if (!info) return refuse(self, info.error());
  if (info->bytes > map.bytes().size())
    return refuse(self, {mvinr::ErrorCode::corrupt, "the end of an access unit is missing"});
  const auto gop = gst_mvinr_sei_split(map.bytes());
  if (!gop) return refuse(self, gop.error());
  const auto order = gst_mvinr_sei_order(gop->codec, gop->packets);
  if (!order) return refuse(self, order.error());
  const auto& rate = info->sequence.frame_rate;
  const GstClockTime pts = GST_BUFFER_PTS_IS_VALID(buffer)
                               ? GST_BUFFER_PTS(buffer)
                               : gst_mvinr_frame_time(info->first_frame, rate);
  const GstMvinrSeiClock clock{pts + kShift, info->first_frame, rate, GST_BUFFER_DURATION(buffer),
                               info->frames};
  if (!GST_CLOCK_TIME_IS_VALID(pts) || !clock.known())
    return refuse(self, {mvinr::ErrorCode::invalid_argument,
                         "neither it nor what comes before tells the frame rate and the time; put "
                         "a frame rate into the caps before mvinrenc"});
  if (GST_BUFFER_IS_DISCONT(buffer)) self->state->discont = true;
  if (!update_caps(self, *gop, rate)) return GST_FLOW_NOT_NEGOTIATED;
  GST_OBJECT_LOCK(self);
  ++self->stats->access_units;
  GST_OBJECT_UNLOCK(self);
  return push_frames(self, *gop, *order, clock);
}

static GstFlowReturn gst_mvinr_sei_insert_chain(GstPad*, GstObject* parent, GstBuffer* buffer) {
  GstMvinrSeiInsert* self = GST_MVINR_SEI_INSERT(parent);
  const GstFlowReturn flow =
      gst_mvinr_guard(self, GST_FLOW_ERROR, [&] { return send(self, buffer); });
  gst_buffer_unref(buffer);
  return flow;
}

static GstStateChangeReturn gst_mvinr_sei_insert_change_state(GstElement* element,
                                                              GstStateChange transition) {
  GstMvinrSeiInsert* self = GST_MVINR_SEI_INSERT(element);
  return gst_mvinr_change_state(GST_ELEMENT_CLASS(parent_class), element, transition, self->state,
                                [self] { *self->stats = {}; });
}

/* ---- properties ---- */

static void gst_mvinr_sei_insert_set_property(GObject* object, guint id, const GValue* value,
                                              GParamSpec* spec) {
  GstMvinrSeiInsert* self = GST_MVINR_SEI_INSERT(object);
  GST_OBJECT_LOCK(self);
  if (id == PROP_SPREAD)
    self->settings->spread = g_value_get_boolean(value);
  else if (id == PROP_MAX_MESSAGE_BYTES)
    self->settings->max_bytes = g_value_get_uint(value);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  GST_OBJECT_UNLOCK(self);
}

static void gst_mvinr_sei_insert_get_property(GObject* object, guint id, GValue* value,
                                              GParamSpec* spec) {
  GstMvinrSeiInsert* self = GST_MVINR_SEI_INSERT(object);
  GST_OBJECT_LOCK(self);
  const Stats stats = *self->stats;
  const Settings settings = *self->settings;
  GST_OBJECT_UNLOCK(self);
  if (id == PROP_SPREAD)
    g_value_set_boolean(value, settings.spread);
  else if (id == PROP_MAX_MESSAGE_BYTES)
    g_value_set_uint(value, settings.max_bytes);
  else if (id == PROP_STATS)
    g_value_take_boxed(
        value,
        gst_structure_new("application/x-mvinrseiinsert-stats", "access-units", G_TYPE_UINT64,
                          stats.access_units, "dropped", G_TYPE_UINT64, stats.dropped, "frames",
                          G_TYPE_UINT64, stats.frames, "messages", G_TYPE_UINT64, stats.messages,
                          "base-bytes", G_TYPE_UINT64, stats.base_bytes, "sei-bytes", G_TYPE_UINT64,
                          stats.sei_bytes, nullptr));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

static void gst_mvinr_sei_insert_finalize(GObject* object) {
  GstMvinrSeiInsert* self = GST_MVINR_SEI_INSERT(object);
  delete self->settings;
  delete self->stats;
  delete self->state;
  G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void gst_mvinr_sei_insert_init(GstMvinrSeiInsert* self) {
  self->settings = new Settings;
  self->stats = new Stats;
  self->sink = gst_pad_new_from_static_template(&sink_template, "sink");
  self->src = gst_pad_new_from_static_template(&src_template, "src");
  gst_pad_set_chain_function(self->sink, gst_mvinr_sei_insert_chain);
  gst_pad_set_event_function(self->sink, gst_mvinr_sei_insert_sink_event);
  gst_pad_use_fixed_caps(self->src);
  gst_element_add_pad(GST_ELEMENT(self), self->sink);
  gst_element_add_pad(GST_ELEMENT(self), self->src);
}

static void gst_mvinr_sei_insert_class_init(GstMvinrSeiInsertClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  GstElementClass* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_mvinr_sei_insert_set_property;
  object_class->get_property = gst_mvinr_sei_insert_get_property;
  object_class->finalize = gst_mvinr_sei_insert_finalize;
  const auto flags =
      GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
  g_object_class_install_property(
      object_class, PROP_SPREAD,
      g_param_spec_boolean("spread", "Spread",
                           "Send the SEI messages of a GOP over its frames, so that the bitrate is "
                           "even; FALSE: all of them with its first frame",
                           TRUE, flags));
  g_object_class_install_property(
      object_class, PROP_MAX_MESSAGE_BYTES,
      g_param_spec_uint("max-message-bytes", "Maximal bytes of a message",
                        "Larger SEI messages are split, each into an SEI NAL unit of its own",
                        kLeastMaxBytes, kMostMaxBytes, kDefaultMaxBytes, flags));
  g_object_class_install_property(
      object_class, PROP_STATS,
      g_param_spec_boxed("stats", "Statistics",
                         "Since READY: access-units carried, dropped ones (damaged), frames of the "
                         "video, SEI messages, base-bytes (of the video itself), sei-bytes",
                         GST_TYPE_STRUCTURE,
                         GParamFlags(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
  element_class->change_state = gst_mvinr_sei_insert_change_state;
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "MV-INR SEI inserter", "Codec/Converter/Video",
      "Makes an H.264 or H.265 stream of a hybrid MV-INR stream: any player shows the base view, "
      "mvinrseiextract gives back all views",
      "The MV-INR authors");
}
