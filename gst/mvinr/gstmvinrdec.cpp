/**
 * SECTION:element-mvinrdec
 * @title: mvinrdec
 * @short_description: decodes MV-INR, multi-view video with depth
 *
 * Decodes each access unit (one GOP of all views) to the pictures of the views whose pads are
 * linked; the others cost nothing. Pads appear with the first access unit: `texture_0`, `depth_0`,
 * `texture_1`, … Textures are I420 or I420_10LE; depth is GRAY8, GRAY16_LE or, for 10 bits,
 * GRAY10_LE32, samples unchanged. Range of depth in metres: the pads' properties `depth-near` and
 * `depth-far`.
 *
 * Views that were left out of the stream (by mvinrfilter, or lost in RTP) are no damage: they have
 * no pads until they come for the first time, and after that GAP events while they are away.
 *
 * The stream does not tell colorimetry; the caps say what GStreamer assumes for the size.
 *
 * The base views of hybrid streams are decoded, a GOP at a time, by the decoders that GStreamer has
 * for them. A pad of a base view needs its own pictures only, a pad of any other view needs those
 * of all base views.
 *
 * Frames are independent of each other, so an accurate seek renders only frames inside the segment,
 * reverse playback renders them in descending order, and late frames are skipped before they are
 * rendered. Of key-unit trick modes, the first frame of each access unit is shown.
 *
 * As behind any demuxer, put a queue behind every pad.
 *
 * With `decode-ahead`, if upstream is not live, an access unit, but the first one of a segment, is
 * shown when the next one has come (or the end of the stream, or another serialised event), whose
 * entropy decoding then runs beside the rendering.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 playbin3 uri=file:///path/scene.mp4
 * ]| Play the first view.
 * |[
 * gst-launch-1.0 filesrc location=scene.mp4 ! qtdemux ! mvinrparse ! mvinrdec name=d \
 *   d.texture_0 ! queue ! videoconvert ! autovideosink \
 *   d.depth_0 ! queue ! videoconvert ! autovideosink
 * ]| Show texture and depth of the first view.
 *
 * Since: 0.1
 */
#include "gstmvinrdec.h"

#include "gstmvinr.h"
#include "gstmvinrdeccamera.h"
#include "gstmvinrdecpriv.h"

GST_DEBUG_CATEGORY(mvinrdec_debug);
#define GST_CAT_DEFAULT mvinrdec_debug

GstStaticPadTemplate gst_mvinr_dec_sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(GST_MVINR_MEDIA_TYPE ", parsed = (boolean) true; " GST_MVINR_CONTAINER_CAPS));

#define SIZE_AND_RATE "width = [1, 8192], height = [1, 8192], framerate = (fraction) [0, max]"
static GstStaticPadTemplate texture_template = GST_STATIC_PAD_TEMPLATE(
    "texture_%u", GST_PAD_SRC, GST_PAD_SOMETIMES,
    GST_STATIC_CAPS("video/x-raw, format = { I420, I420_10LE }, " SIZE_AND_RATE));
static GstStaticPadTemplate depth_template = GST_STATIC_PAD_TEMPLATE(
    "depth_%u", GST_PAD_SRC, GST_PAD_SOMETIMES,
    GST_STATIC_CAPS("video/x-raw, format = { GRAY8, GRAY10_LE32, GRAY16_LE }, " SIZE_AND_RATE));

enum {
  PROP_0,
  PROP_THREADS,
  PROP_DECODE_AHEAD,
  PROP_KERNELS,
  PROP_MAX_ERRORS,
  PROP_QOS,
  PROP_STATS
};

#define gst_mvinr_dec_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstMvinrDec, gst_mvinr_dec, GST_TYPE_ELEMENT,
                        GST_DEBUG_CATEGORY_INIT(mvinrdec_debug, "mvinrdec", 0, "MV-INR decoder"));
GST_ELEMENT_REGISTER_DEFINE(mvinrdec, "mvinrdec", GST_RANK_PRIMARY, GST_TYPE_MVINR_DEC);

GstMvinrDecState::GstMvinrDecState() {
  combiner = gst_flow_combiner_new();
  gst_segment_init(&segment, GST_FORMAT_TIME);
}

void GstMvinrDecState::drop_pending() {
  ahead.reset();
  for (GstBuffer* buffer : fragment) gst_buffer_unref(buffer);
  fragment.clear();
}

GstMvinrDecState::~GstMvinrDecState() {
  drop_pending();
  gst_flow_combiner_unref(combiner);
  if (tags) gst_tag_list_unref(tags);
}

/* ---- state ---- */

static bool start(GstMvinrDec* self) {
  mvinr::DecoderOptions options;
  GST_OBJECT_LOCK(self);
  options.threads = int(self->priv->settings.threads);
  options.kernels = self->priv->settings.kernels;
  self->priv->stats = {};
  GST_OBJECT_UNLOCK(self);
  auto decoder = mvinr::Decoder::create(options);
  if (!decoder) {
    GST_ELEMENT_ERROR(self, LIBRARY, SETTINGS, (NULL), ("%s", decoder.error().message.c_str()));
    return false;
  }
  auto state = std::make_unique<GstMvinrDecState>();
  state->decoder = std::move(*decoder);
  GST_OBJECT_LOCK(self);
  self->priv->state = std::move(state);
  GST_OBJECT_UNLOCK(self);
  gst_mvinr_dec_resume(self);
  return true;
}

static void stop(GstMvinrDec* self) {
  if (!self->priv->state) return;
  gst_mvinr_dec_remove_pads(self);
  GST_OBJECT_LOCK(self);
  auto state = std::move(self->priv->state);
  GST_OBJECT_UNLOCK(self);
}

static GstStateChangeReturn gst_mvinr_dec_change_state(GstElement* element,
                                                       GstStateChange transition) {
  GstMvinrDec* self = GST_MVINR_DEC(element);
  return gst_mvinr_guard(self, GST_STATE_CHANGE_FAILURE, [&]() -> GstStateChangeReturn {
    if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !start(self))
      return GST_STATE_CHANGE_FAILURE;
    // The pads can only be deactivated when the streaming thread has left the decoder.
    if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) gst_mvinr_dec_cancel(self);
    const auto result = GST_ELEMENT_CLASS(parent_class)->change_state(element, transition);
    if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
        (transition == GST_STATE_CHANGE_READY_TO_PAUSED && result == GST_STATE_CHANGE_FAILURE))
      stop(self);
    return result;
  });
}

/* ---- properties ---- */

static GstStructure* make_stats(const GstMvinrDecStats& stats) {
  return gst_structure_new("application/x-mvinrdec-stats", "access-units", G_TYPE_UINT64,
                           stats.access_units, "rendered", G_TYPE_UINT64, stats.rendered, "skipped",
                           G_TYPE_UINT64, stats.skipped, "damaged", G_TYPE_UINT64, stats.damaged,
                           "base-units", G_TYPE_UINT64, stats.base_units, "seconds", G_TYPE_DOUBLE,
                           stats.seconds, nullptr);
}

static void gst_mvinr_dec_set_property(GObject* object, guint id, const GValue* value,
                                       GParamSpec* spec) {
  GstMvinrDec* self = GST_MVINR_DEC(object);
  GST_OBJECT_LOCK(self);
  auto& settings = self->priv->settings;
  switch (id) {
    case PROP_THREADS:
      settings.threads = g_value_get_uint(value);
      break;
    case PROP_DECODE_AHEAD:
      settings.ahead = g_value_get_boolean(value);
      break;
    case PROP_KERNELS: {
      const char* name = g_value_get_string(value);
      settings.kernels = name ? name : "auto";
      break;
    }
    case PROP_MAX_ERRORS:
      settings.max_errors = g_value_get_int(value);
      break;
    case PROP_QOS:
      settings.qos = g_value_get_boolean(value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void gst_mvinr_dec_get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  GstMvinrDec* self = GST_MVINR_DEC(object);
  GST_OBJECT_LOCK(self);
  const auto& settings = self->priv->settings;
  switch (id) {
    case PROP_THREADS:
      g_value_set_uint(value, settings.threads);
      break;
    case PROP_DECODE_AHEAD:
      g_value_set_boolean(value, settings.ahead);
      break;
    case PROP_KERNELS:
      g_value_set_string(value, settings.kernels.c_str());
      break;
    case PROP_MAX_ERRORS:
      g_value_set_int(value, settings.max_errors);
      break;
    case PROP_QOS:
      g_value_set_boolean(value, settings.qos);
      break;
    case PROP_STATS:
      g_value_take_boxed(value, make_stats(self->priv->stats));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void gst_mvinr_dec_finalize(GObject* object) {
  delete GST_MVINR_DEC(object)->priv;
  G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void gst_mvinr_dec_init(GstMvinrDec* self) {
  self->priv = new GstMvinrDecPrivate;
  self->sink = gst_pad_new_from_static_template(&gst_mvinr_dec_sink_template, "sink");
  gst_pad_set_chain_function(self->sink, gst_mvinr_dec_chain);
  gst_pad_set_event_function(self->sink, gst_mvinr_dec_sink_event);
  GST_PAD_SET_ACCEPT_TEMPLATE(self->sink);
  gst_element_add_pad(GST_ELEMENT(self), self->sink);
}

static void install_properties(GObjectClass* klass) {
  const auto flags =
      GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
  const auto playing =
      GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
  g_object_class_install_property(
      klass, PROP_DECODE_AHEAD,
      g_param_spec_boolean("decode-ahead", "Decode ahead",
                           "Show an access unit, but the first one, when the next has come, whose "
                           "entropy decoding then runs beside the rendering; not behind live "
                           "sources, not with one thread. The queues of sound beside it must hold "
                           "a GOP more",
                           FALSE, GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS)));
  g_object_class_install_property(
      klass, PROP_THREADS,
      g_param_spec_uint("threads", "Threads", "Threads that decode (0 = one per core)", 0, 256, 0,
                        flags));
  g_object_class_install_property(
      klass, PROP_KERNELS,
      g_param_spec_string("kernels", "Kernels",
                          "Arithmetic kernels: auto, or a name such as reference or avx2. All give "
                          "the same pictures",
                          "auto", flags));
  g_object_class_install_property(
      klass, PROP_MAX_ERRORS,
      g_param_spec_int("max-errors", "Most errors",
                       "Damaged access units in a row after which the stream is given up (-1 = "
                       "never)",
                       -1, G_MAXINT, 10, playing));
  g_object_class_install_property(
      klass, PROP_QOS,
      g_param_spec_boolean("qos", "Quality of service",
                           "Skip frames that would come too late, before they are rendered", TRUE,
                           playing));
  g_object_class_install_property(
      klass, PROP_STATS,
      g_param_spec_boxed("stats", "Statistics",
                         "Since READY: access-units, rendered and skipped pictures, damaged access "
                         "units, base-units (of hybrid mode) that were decoded, seconds of "
                         "decoding",
                         GST_TYPE_STRUCTURE,
                         GParamFlags(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
}

static void gst_mvinr_dec_class_init(GstMvinrDecClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  GstElementClass* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_mvinr_dec_set_property;
  object_class->get_property = gst_mvinr_dec_get_property;
  object_class->finalize = gst_mvinr_dec_finalize;
  install_properties(object_class);
  gst_mvinr_dec_register_camera_meta();
  element_class->change_state = gst_mvinr_dec_change_state;
  gst_element_class_add_static_pad_template(element_class, &gst_mvinr_dec_sink_template);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &texture_template,
                                                       GST_TYPE_MVINR_DEC_PAD);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &depth_template,
                                                       GST_TYPE_MVINR_DEC_PAD);
  // "Demuxer", not "Decoder": decodebin3 takes a Decoder for an element with one source pad.
  gst_element_class_set_static_metadata(
      element_class, "MV-INR decoder", "Codec/Demuxer/Video",
      "Decodes MV-INR (multi-view video with depth) to one pad per picture stream",
      "The MV-INR authors");
  gst_type_mark_as_plugin_api(GST_TYPE_MVINR_DEC_PAD, GstPluginAPIFlags(0));
}
