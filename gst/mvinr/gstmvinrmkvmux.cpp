/**
 * SECTION:element-mvinrmkvmux
 * @title: mvinrmkvmux
 * @short_description: puts MV-INR and sound into a Matroska file or stream
 *
 * matroskamux takes no codec that it does not know, so this muxer stands in for it: one track per
 * `video_%u` pad (CodecID `V_MVINR`, CodecPrivate = the header of the first access unit) and one
 * per `audio_%u` pad (Opus, AAC). Every access unit is a cluster of its own and has an entry in the
 * Cues. matroskademux reads the file back as `video/x-unknown, codec-id=V_MVINR`, which mvinrparse
 * and mvinrdec take; MKVToolNix keeps the track when it adds or removes others.
 *
 * Timestamps are running times in milliseconds; mvinrparse restores the exact frame times from the
 * access units. Without seeking downstream (a pipe, a socket), or with #mvinrmkvmux:streamable, the
 * stream has neither Cues nor duration; such clients as tcpserversink can start it at every access
 * unit. A file that is cut off before the end of the stream plays up to there.
 *
 * Beside a GOP the sound has to wait: give its queue room for more than a GOP, and for the time
 * that an encoder takes.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=scene.mvinr ! mvinrparse ! mvinrmkvmux ! filesink
 * location=scene.mkv
 * ]| Put a raw stream into a Matroska file.
 * |[
 * gst-launch-1.0 mvinrmkvmux name=m ! filesink location=scene.mkv \
 *   filesrc location=scene.mvinr ! mvinrparse ! m. \
 *   filesrc location=sound.ogg ! oggdemux ! opusparse \
 *   ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! m.
 * ]| With sound.
 * |[
 * gst-launch-1.0 filesrc location=scene.mvinr ! mvinrparse ! splitmuxsink muxer=mvinrmkvmux \
 *   max-size-time=10000000000 location=scene%03d.mkv
 * ]| A file for every ten seconds.
 *
 * Since: 0.2
 */
#include "gstmvinrmkvmux.h"

#include "gstmvinr.h"
#include "gstmvinrmkvtrack.h"

GST_DEBUG_CATEGORY(mvinrmkvmux_debug);
#define GST_CAT_DEFAULT mvinrmkvmux_debug

struct _GstMvinrMkvMux {
  GstAggregator parent;
  GstMvinrMkvSettings* settings;  // guarded by the object lock
  GstMvinrMkvFile* file;          // nullptr when stopped
};

static GstStaticPadTemplate video_template =
    GST_STATIC_PAD_TEMPLATE("video_%u", GST_PAD_SINK, GST_PAD_REQUEST,
                            GST_STATIC_CAPS(GST_MVINR_MEDIA_TYPE ", parsed = (boolean) true"));
static GstStaticPadTemplate audio_template = GST_STATIC_PAD_TEMPLATE(
    "audio_%u", GST_PAD_SINK, GST_PAD_REQUEST,
    GST_STATIC_CAPS("audio/x-opus; audio/mpeg, mpegversion = (int) { 2, 4 }, "
                    "stream-format = (string) raw"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS("video/x-matroska"));

enum { PROP_0, PROP_STREAMABLE, PROP_OFFSET_TO_ZERO, PROP_WRITING_APP };
constexpr gboolean kDefaultStreamable = FALSE, kDefaultOffsetToZero = FALSE;
constexpr const char* kDefaultWritingApp = "MV-INR " VERSION;

G_DEFINE_TYPE(GstMvinrMkvMuxPad, gst_mvinr_mkv_mux_pad, GST_TYPE_AGGREGATOR_PAD)

#define gst_mvinr_mkv_mux_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstMvinrMkvMux, gst_mvinr_mkv_mux, GST_TYPE_AGGREGATOR,
                        G_IMPLEMENT_INTERFACE(GST_TYPE_TAG_SETTER, nullptr);
                        GST_DEBUG_CATEGORY_INIT(mvinrmkvmux_debug, "mvinrmkvmux", 0,
                                                "MV-INR Matroska muxer"));
GST_ELEMENT_REGISTER_DEFINE(mvinrmkvmux, "mvinrmkvmux", GST_RANK_PRIMARY, GST_TYPE_MVINR_MKV_MUX);

/* ---- pads ---- */

static void gst_mvinr_mkv_mux_pad_init(GstMvinrMkvMuxPad* pad) {
  pad->stream = new GstMvinrMkvStream;
}

static void gst_mvinr_mkv_mux_pad_finalize(GObject* object) {
  delete GST_MVINR_MKV_MUX_PAD(object)->stream;
  G_OBJECT_CLASS(gst_mvinr_mkv_mux_pad_parent_class)->finalize(object);
}

static void gst_mvinr_mkv_mux_pad_class_init(GstMvinrMkvMuxPadClass* klass) {
  G_OBJECT_CLASS(klass)->finalize = gst_mvinr_mkv_mux_pad_finalize;
}

// The name asked for, or the first one that is free; empty if it cannot be.
static std::string pad_name(GstElement* element, bool video, const gchar* wanted) {
  const std::string prefix = video ? "video_" : "audio_";
  std::string name = wanted && !strchr(wanted, '%') ? wanted : "";
  GST_OBJECT_LOCK(element);
  auto taken = [&](const std::string& candidate) {
    for (GList* item = element->sinkpads; item; item = item->next)
      if (candidate == GST_OBJECT_NAME(item->data)) return true;
    return false;
  };
  if (!name.empty() && (!g_str_has_prefix(name.c_str(), prefix.c_str()) || taken(name))) {
    name.clear();
  } else if (name.empty()) {
    int number = 0;
    do name = prefix + std::to_string(number++);
    while (taken(name));
  }
  GST_OBJECT_UNLOCK(element);
  return name;
}

static GstAggregatorPad* gst_mvinr_mkv_mux_create_new_pad(GstAggregator* aggregator,
                                                          GstPadTemplate* templ,
                                                          const gchar* wanted, const GstCaps*) {
  return gst_mvinr_guard(aggregator, static_cast<GstAggregatorPad*>(nullptr), [&] {
    const bool video = g_str_has_prefix(GST_PAD_TEMPLATE_NAME_TEMPLATE(templ), "video");
    const GstMvinrMkvFile* file = GST_MVINR_MKV_MUX(aggregator)->file;
    const bool late = file && file->started();
    const std::string name = pad_name(GST_ELEMENT(aggregator), video, wanted);
    if (late || name.empty()) {
      GST_ELEMENT_WARNING(
          aggregator, CORE, PAD,
          ("Pad %s is refused: %s", wanted ? wanted : GST_PAD_TEMPLATE_NAME_TEMPLATE(templ),
           late ? "the file has begun; request all pads before the first buffers arrive"
                : "it exists already, or its name is not video_n or audio_n"),
          (nullptr));
      return static_cast<GstAggregatorPad*>(nullptr);
    }
    auto* pad =
        GST_MVINR_MKV_MUX_PAD(g_object_new(GST_TYPE_MVINR_MKV_MUX_PAD, "name", name.c_str(),
                                           "direction", GST_PAD_SINK, "template", templ, nullptr));
    pad->stream->video = video;
    return GST_AGGREGATOR_PAD(pad);
  });
}

/* ---- life cycle and data ---- */

static gboolean gst_mvinr_mkv_mux_start(GstAggregator* aggregator) {
  GstMvinrMkvMux* self = GST_MVINR_MKV_MUX(aggregator);
  return gst_mvinr_guard(self, FALSE, [&]() -> gboolean {
    GST_OBJECT_LOCK(self);
    const GstMvinrMkvSettings settings = *self->settings;
    GST_OBJECT_UNLOCK(self);
    self->file = new GstMvinrMkvFile(aggregator, settings);
    return TRUE;
  });
}

static gboolean gst_mvinr_mkv_mux_stop(GstAggregator* aggregator) {
  GstMvinrMkvMux* self = GST_MVINR_MKV_MUX(aggregator);
  delete self->file;
  self->file = nullptr;
  gst_tag_setter_reset_tags(GST_TAG_SETTER(self));
  GST_OBJECT_LOCK(self);
  for (GList* item = GST_ELEMENT(self)->sinkpads; item; item = item->next)
    GST_MVINR_MKV_MUX_PAD(item->data)->stream->number = -1;
  GST_OBJECT_UNLOCK(self);
  return TRUE;
}

static GstFlowReturn gst_mvinr_mkv_mux_flush(GstAggregator* aggregator) {
  if (auto* file = GST_MVINR_MKV_MUX(aggregator)->file) file->flush();
  return GST_FLOW_OK;
}

static GstFlowReturn gst_mvinr_mkv_mux_aggregate(GstAggregator* aggregator, gboolean) {
  GstMvinrMkvMux* self = GST_MVINR_MKV_MUX(aggregator);
  return gst_mvinr_guard(self, GST_FLOW_ERROR, [&] { return self->file->aggregate(); });
}

static GstClockTime gst_mvinr_mkv_mux_get_next_time(GstAggregator* aggregator) {
  GstMvinrMkvMux* self = GST_MVINR_MKV_MUX(aggregator);
  return gst_mvinr_guard(self, GstClockTime(GST_CLOCK_TIME_NONE),
                         [&] { return self->file->next_time(); });
}

/* ---- events ---- */

static gboolean take_caps(GstMvinrMkvMux* self, GstMvinrMkvMuxPad* pad, GstCaps* caps) {
  GST_DEBUG_OBJECT(pad, "caps %" GST_PTR_FORMAT, caps);
  GstMvinrMkvStream& stream = *pad->stream;
  if (stream.video) return TRUE;  // every access unit tells its own geometry
  auto track = gst_mvinr_mkv_audio_track(caps);
  if (!track) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT, (NULL),
                      ("pad %s: %s", GST_PAD_NAME(pad), track.error().message.c_str()));
    return FALSE;
  }
  if (stream.number >= 0 && stream.track->codec_private != track->codec_private) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT, (NULL),
                      ("pad %s: the audio format changes in mid-stream, which a Matroska track "
                       "cannot; splitmuxsink can begin a new file",
                       GST_PAD_NAME(pad)));
    return FALSE;
  }
  stream.track = std::move(*track);
  return TRUE;
}

static void take_tags(GstMvinrMkvMux* self, GstMvinrMkvMuxPad* pad, GstEvent* event) {
  GstTagList* tags;
  gst_event_parse_tag(event, &tags);
  if (const auto language = gst_mvinr_mkv_language(tags)) pad->stream->language = *language;
  // The video's own tags are as good as any if nobody gave some for the file.
  GstTagSetter* setter = GST_TAG_SETTER(self);
  if (gst_tag_list_get_scope(tags) == GST_TAG_SCOPE_GLOBAL)
    gst_tag_setter_merge_tags(setter, tags, gst_tag_setter_get_tag_merge_mode(setter));
  else if (pad->stream->video)
    gst_tag_setter_merge_tags(setter, tags, GST_TAG_MERGE_KEEP);
}

static gboolean gst_mvinr_mkv_mux_sink_event(GstAggregator* aggregator, GstAggregatorPad* pad,
                                             GstEvent* event) {
  GstMvinrMkvMux* self = GST_MVINR_MKV_MUX(aggregator);
  return gst_mvinr_guard(self, FALSE, [&]() -> gboolean {
    if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
      GstCaps* caps;
      gst_event_parse_caps(event, &caps);
      const gboolean good = take_caps(self, GST_MVINR_MKV_MUX_PAD(pad), caps);
      gst_event_unref(event);
      return good;
    }
    if (GST_EVENT_TYPE(event) == GST_EVENT_TAG) take_tags(self, GST_MVINR_MKV_MUX_PAD(pad), event);
    return GST_AGGREGATOR_CLASS(parent_class)->sink_event(aggregator, pad, event);
  });
}

/* ---- properties ---- */

static void gst_mvinr_mkv_mux_set_property(GObject* object, guint id, const GValue* value,
                                           GParamSpec* spec) {
  GstMvinrMkvMux* self = GST_MVINR_MKV_MUX(object);
  GST_OBJECT_LOCK(self);
  switch (id) {
    case PROP_STREAMABLE:
      self->settings->streamable = g_value_get_boolean(value);
      break;
    case PROP_OFFSET_TO_ZERO:
      self->settings->offset_to_zero = g_value_get_boolean(value);
      break;
    case PROP_WRITING_APP: {
      const char* text = g_value_get_string(value);
      self->settings->writing_app = text ? text : kDefaultWritingApp;
      break;
    }
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void gst_mvinr_mkv_mux_get_property(GObject* object, guint id, GValue* value,
                                           GParamSpec* spec) {
  GstMvinrMkvMux* self = GST_MVINR_MKV_MUX(object);
  GST_OBJECT_LOCK(self);
  switch (id) {
    case PROP_STREAMABLE:
      g_value_set_boolean(value, self->settings->streamable);
      break;
    case PROP_OFFSET_TO_ZERO:
      g_value_set_boolean(value, self->settings->offset_to_zero);
      break;
    case PROP_WRITING_APP:
      g_value_set_string(value, self->settings->writing_app.c_str());
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void gst_mvinr_mkv_mux_finalize(GObject* object) {
  delete GST_MVINR_MKV_MUX(object)->settings;
  G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void gst_mvinr_mkv_mux_init(GstMvinrMkvMux* self) {
  self->settings = new GstMvinrMkvSettings{kDefaultStreamable != FALSE,
                                           kDefaultOffsetToZero != FALSE, kDefaultWritingApp};
}

static void install_properties(GObjectClass* klass) {
  const auto flags =
      GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
  g_object_class_install_property(
      klass, PROP_STREAMABLE,
      g_param_spec_boolean("streamable", "Streamable",
                           "Never seek back: a stream without Cues and duration, of unknown size. "
                           "Chosen by itself if downstream cannot seek",
                           kDefaultStreamable, flags));
  g_object_class_install_property(
      klass, PROP_OFFSET_TO_ZERO,
      g_param_spec_boolean("offset-to-zero", "Offset to zero",
                           "Let the earliest stream begin at time 0 instead of at its running time",
                           kDefaultOffsetToZero, flags));
  g_object_class_install_property(klass, PROP_WRITING_APP,
                                  g_param_spec_string("writing-app", "Writing application",
                                                      "Name of the application that the file gives",
                                                      kDefaultWritingApp, flags));
}

static void gst_mvinr_mkv_mux_class_init(GstMvinrMkvMuxClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_mvinr_mkv_mux_set_property;
  object_class->get_property = gst_mvinr_mkv_mux_get_property;
  object_class->finalize = gst_mvinr_mkv_mux_finalize;
  install_properties(object_class);

  GstElementClass* element_class = GST_ELEMENT_CLASS(klass);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &video_template,
                                                       GST_TYPE_MVINR_MKV_MUX_PAD);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &audio_template,
                                                       GST_TYPE_MVINR_MKV_MUX_PAD);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &src_template,
                                                       GST_TYPE_AGGREGATOR_PAD);
  gst_element_class_set_static_metadata(
      element_class, "MV-INR Matroska muxer", "Codec/Muxer",
      "Puts MV-INR (multi-view video with depth) and audio into Matroska files and streams",
      "The MV-INR authors");

  GstAggregatorClass* aggregator_class = GST_AGGREGATOR_CLASS(klass);
  aggregator_class->create_new_pad = gst_mvinr_mkv_mux_create_new_pad;
  aggregator_class->start = gst_mvinr_mkv_mux_start;
  aggregator_class->stop = gst_mvinr_mkv_mux_stop;
  aggregator_class->flush = gst_mvinr_mkv_mux_flush;
  aggregator_class->aggregate = gst_mvinr_mkv_mux_aggregate;
  aggregator_class->get_next_time = gst_mvinr_mkv_mux_get_next_time;
  aggregator_class->sink_event = gst_mvinr_mkv_mux_sink_event;
  aggregator_class->negotiate = nullptr;  // the caps come with the header
  gst_type_mark_as_plugin_api(GST_TYPE_MVINR_MKV_MUX_PAD, GstPluginAPIFlags(0));
}
