/**
 * SECTION:element-mvinrenc
 * @title: mvinrenc
 * @short_description: MV-INR encoder of multi-view video and depth
 *
 * Trains a small neural network per group of pictures that reproduces all views, and writes its
 * quantised parameters as one access unit. Every access unit stands alone.
 *
 * Request one pad `texture_n` per view, with n counting from 0 without holes, and a pad `depth_n`
 * for each view that has depth, all before the first buffers flow: later requests are refused. All
 * pads need the same frame rate; a depth has the size of its texture; views may differ in size.
 * Frames of the pads belong together if their running times differ by at most half a frame
 * duration. A frame that comes too late is dropped, for one that does not come the last is
 * repeated, and a warning tells how often. When a pad ends, the stream ends.
 *
 * In a live pipeline the element reports a latency of one GOP plus `time-budget`, and keeps it:
 * each access unit has a deadline, for which its training ends early enough. The pads hold the
 * frames that come meanwhile; no queues are needed. A machine that cannot even write a GOP in that
 * time makes the element drop frames, with QoS messages and a warning.
 *
 * Hybrid mode: the GStreamer elements of `base-encoder` code the base views, and the network only
 * adds what depth and cameras cannot predict from them. `mode=auto` takes it where all views have
 * cameras, a view has depth, the views overlap, and a base encoder and its decoder are installed;
 * the debug log (INFO) tells why it does not. Base views are coded when their GOP is complete,
 * before the training, and within `time-budget`.
 *
 * Messages on the bus: `mvinrenc-progress` a few times a second while a GOP trains, `mvinrenc-gop`
 * with the measured quality and size of each GOP.
 *
 * ## Examples
 * |[
 * gst-launch-1.0 -e -m mvinrenc name=e lambda=0.004 effort=3 cameras=cameras.json ! mvinrparse \
 *   ! mp4mux ! filesink location=out.mp4 \
 *   filesrc location=v0_texture.mkv ! matroskademux ! avdec_ffv1 ! videoconvert ! e.texture_0 \
 *   filesrc location=v0_depth.mkv ! matroskademux ! avdec_ffv1 ! videoconvert ! e.depth_0
 * ]| One view with depth into an MP4 file, with progress messages.
 * |[
 * gst-launch-1.0 -e mvinrenc name=e bitrate=500 time-budget=20 gop-size=16 \
 *   texture_0::camera=rig.json#left texture_1::camera=rig.json#right ! filesink location=out.mvinr
 * \ videotestsrc num-buffers=32 ! e.texture_0  videotestsrc num-buffers=32 pattern=ball !
 * e.texture_1
 * ]| Two views at 500 kbit/s, 20 seconds of training per 16 frames.
 */
#include "gstmvinrenc.h"

#include <gst/video/gstvideometa.h>
#include <gst/video/video-event.h>

#include <optional>

#include "glue.h"
#include "gop_stream.h"
#include "gstmvinrencpad.h"
#include "settings.h"

GST_DEBUG_CATEGORY(mvinr_enc_debug);

using mvinr::gst::guarded;
using mvinr::gst::KeyUnitRequest;
using mvinr::gst::ObjectLock;

namespace {

struct Private {
  explicit Private(GstAggregator* element) : stream(element, shared) {}
  mvinr::gst::Shared shared;
  mvinr::gst::GopStream stream;
};

constexpr size_t kMaxKeyUnitRequests = 64;  // more are forgotten

}  // namespace

struct _GstMvinrEnc {
  GstAggregator parent;
  Private* priv;
};

#define RAW_CAPS(formats)                                                             \
  "video/x-raw, format=(string){ " formats                                            \
  " }, width=(int)[1,8192], height=(int)[1,8192], framerate=(fraction)[1/2147483647," \
  "2147483647/1]"

static GstStaticPadTemplate texture_template = GST_STATIC_PAD_TEMPLATE(
    "texture_%u", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS(RAW_CAPS("I420, I420_10LE")));
static GstStaticPadTemplate depth_template =
    GST_STATIC_PAD_TEMPLATE("depth_%u", GST_PAD_SINK, GST_PAD_REQUEST,
                            GST_STATIC_CAPS(RAW_CAPS("GRAY16_LE, GRAY10_LE32, GRAY8")));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(
        "video/x-mvinr, parsed=(boolean)true, version=(int)[1,255], width=(int)[1,8192], "
        "height=(int)[1,8192], framerate=(fraction)[0/1,2147483647/1], "
        "views=(int)[1,64], textures=(int)[1,64], depths=(int)[0,64]"));

static void gst_mvinr_enc_child_proxy_init(gpointer iface, gpointer data);

G_DEFINE_TYPE_WITH_CODE(GstMvinrEnc, gst_mvinr_enc, GST_TYPE_AGGREGATOR,
                        G_IMPLEMENT_INTERFACE(GST_TYPE_PRESET, nullptr);
                        G_IMPLEMENT_INTERFACE(GST_TYPE_CHILD_PROXY, gst_mvinr_enc_child_proxy_init);
                        GST_DEBUG_CATEGORY_INIT(mvinr_enc_debug, "mvinrenc", 0, "MV-INR encoder"))
GST_ELEMENT_REGISTER_DEFINE(mvinrenc, "mvinrenc", GST_RANK_NONE, GST_TYPE_MVINR_ENC)

/* properties */

static void gst_mvinr_enc_set_property(GObject* object, guint id, const GValue* value,
                                       GParamSpec* spec) {
  GstMvinrEnc* self = GST_MVINR_ENC(object);
  guarded(self, false, [&] {
    bool known = false;
    {
      const ObjectLock lock(self);
      known = set_setting(self->priv->shared.settings, id, value);
    }
    if (!known) G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    return known;
  });
}

static void gst_mvinr_enc_get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  GstMvinrEnc* self = GST_MVINR_ENC(object);
  GST_OBJECT_LOCK(self);
  bool known = true;
  if (id == mvinr::gst::kPropStats)
    g_value_take_boxed(value, self->priv->shared.stats.structure());
  else
    known = get_setting(self->priv->shared.settings, id, value);
  GST_OBJECT_UNLOCK(self);
  if (!known) G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

/* pads */

static GstAggregatorPad* gst_mvinr_enc_create_new_pad(GstAggregator* aggregator,
                                                      GstPadTemplate* templ, const gchar* name,
                                                      const GstCaps*) {
  return guarded(aggregator, static_cast<GstAggregatorPad*>(nullptr), [&] {
    GstMvinrEncPad* pad = mvinr::gst::new_pad(GST_ELEMENT_CAST(aggregator), templ, name);
    if (!pad)
      GST_ELEMENT_WARNING(
          aggregator, CORE, PAD,
          ("Pad %s is refused: it exists already, or its name is not texture_n or "
           "depth_n with n from 0 to %d",
           name ? name : GST_PAD_TEMPLATE_NAME_TEMPLATE(templ), mvinr::kMaxViews - 1),
          (nullptr));
    return reinterpret_cast<GstAggregatorPad*>(pad);
  });
}

static GstPad* gst_mvinr_enc_request_new_pad(GstElement* element, GstPadTemplate* templ,
                                             const gchar* name, const GstCaps* caps) {
  GstMvinrEnc* self = GST_MVINR_ENC(element);
  if (self->priv->shared.encoding) {
    GST_ELEMENT_WARNING(self, CORE, PAD,
                        ("Pad %s is refused: the encoder has started; request all pads before the "
                         "first frames arrive",
                         name ? name : GST_PAD_TEMPLATE_NAME_TEMPLATE(templ)),
                        (nullptr));
    return nullptr;
  }
  GstPad* pad =
      GST_ELEMENT_CLASS(gst_mvinr_enc_parent_class)->request_new_pad(element, templ, name, caps);
  if (pad) gst_child_proxy_child_added(GST_CHILD_PROXY(element), G_OBJECT(pad), GST_PAD_NAME(pad));
  return pad;
}

static void gst_mvinr_enc_release_pad(GstElement* element, GstPad* pad) {
  gst_child_proxy_child_removed(GST_CHILD_PROXY(element), G_OBJECT(pad), GST_PAD_NAME(pad));
  GST_ELEMENT_CLASS(gst_mvinr_enc_parent_class)->release_pad(element, pad);
}

static GObject* gst_mvinr_enc_get_child(GstChildProxy* proxy, guint index) {
  const ObjectLock lock(proxy);
  gpointer pad = g_list_nth_data(GST_ELEMENT_CAST(proxy)->sinkpads, index);
  if (pad) gst_object_ref(pad);
  return static_cast<GObject*>(pad);
}

static guint gst_mvinr_enc_count_children(GstChildProxy* proxy) {
  const ObjectLock lock(proxy);
  return GST_ELEMENT_CAST(proxy)->numsinkpads;
}

static void gst_mvinr_enc_child_proxy_init(gpointer iface, gpointer) {
  auto* proxy = static_cast<GstChildProxyInterface*>(iface);
  proxy->get_child_by_index = gst_mvinr_enc_get_child;
  proxy->get_children_count = gst_mvinr_enc_count_children;
}

/* life cycle */

static gboolean gst_mvinr_enc_start(GstAggregator* aggregator) {
  GstMvinrEnc* self = GST_MVINR_ENC(aggregator);
  return guarded(self, FALSE, [&]() -> gboolean {
    Private& p = *self->priv;
    mvinr::gst::Settings settings;
    {
      const ObjectLock lock(self);
      settings = p.shared.settings;
      p.shared.stats = {};
      p.shared.key_units.clear();
    }
    if (mvinr::Status good = check_settings(settings); !good) {
      GST_ELEMENT_ERROR(self, LIBRARY, SETTINGS, ("%s", good.error().message.c_str()), (nullptr));
      return FALSE;
    }
    std::optional<mvinr::CameraFile> cameras;
    if (!settings.cameras.empty()) {
      mvinr::Result<mvinr::CameraFile> file = mvinr::read_camera_file(settings.cameras);
      if (!file) {
        GST_ELEMENT_ERROR(self, RESOURCE, READ,
                          ("property cameras: %s", file.error().message.c_str()), (nullptr));
        return FALSE;
      }
      cameras = std::move(*file);
    }
    p.shared.cancel.restart();
    p.shared.discard = false;
    p.shared.next_time = mvinr::gst::kNoTime;
    p.stream.start(settings, std::move(cameras));
    return TRUE;
  });
}

static gboolean gst_mvinr_enc_stop(GstAggregator* aggregator) {
  return guarded(aggregator, FALSE, [&]() -> gboolean {
    GST_MVINR_ENC(aggregator)->priv->stream.stop();
    return TRUE;
  });
}

static GstStateChangeReturn gst_mvinr_enc_change_state(GstElement* element,
                                                       GstStateChange transition) {
  // Before the pads are deactivated: that waits for the end of aggregate().
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    GST_MVINR_ENC(element)->priv->shared.cancel.request_final();
  return GST_ELEMENT_CLASS(gst_mvinr_enc_parent_class)->change_state(element, transition);
}

/* data */

static GstFlowReturn gst_mvinr_enc_aggregate(GstAggregator* aggregator, gboolean timeout) {
  return guarded(aggregator, GST_FLOW_ERROR,
                 [&] { return GST_MVINR_ENC(aggregator)->priv->stream.aggregate(timeout); });
}

static GstClockTime gst_mvinr_enc_get_next_time(GstAggregator* aggregator) {
  const gint64 time = GST_MVINR_ENC(aggregator)->priv->shared.next_time;
  if (time == mvinr::gst::kNoTime) return GST_CLOCK_TIME_NONE;
  // It is added to base time and latency, modulo 2^64, which makes up for what is negative.
  return GstClockTime(time) & ~GstClockTime(1);
}

// Elements that have nothing in common link only in special ways; then this is the last chance to
// say what would fit.
static gboolean gst_mvinr_enc_negotiate(GstAggregator* aggregator) {
  GstCaps* allowed = gst_pad_get_allowed_caps(aggregator->srcpad);
  if (allowed && gst_caps_is_empty(allowed))
    GST_ELEMENT_ERROR(aggregator, CORE, NEGOTIATION,
                      ("What follows mvinrenc cannot take video/x-mvinr. For a Matroska file use "
                       "mvinrmkvmux; for MP4 or MOV mvinrparse and mp4mux or qtmux; for MPEG-TS, "
                       "HLS or FLV put it into H.264 or H.265 with mvinrseiinsert."),
                      (nullptr));
  if (allowed) gst_caps_unref(allowed);
  return GST_AGGREGATOR_CLASS(gst_mvinr_enc_parent_class)->negotiate(aggregator);
}

static GstFlowReturn gst_mvinr_enc_update_src_caps(GstAggregator* aggregator, GstCaps* filter,
                                                   GstCaps** caps) {
  GstCaps* own = GST_MVINR_ENC(aggregator)->priv->stream.src_caps();
  if (!own) return GST_AGGREGATOR_FLOW_NEED_DATA;
  *caps = gst_caps_intersect_full(filter, own, GST_CAPS_INTERSECT_FIRST);
  return GST_FLOW_OK;
}

static gboolean gst_mvinr_enc_propose_allocation(GstAggregator*, GstAggregatorPad*, GstQuery*,
                                                 GstQuery* query) {
  gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr);
  return TRUE;
}

/* events */

static void gst_mvinr_enc_add_key_unit(GstMvinrEnc* self, const KeyUnitRequest& request) {
  const ObjectLock lock(self);
  auto& requests = self->priv->shared.key_units;
  if (requests.size() < kMaxKeyUnitRequests) requests.push_back(request);
}

static gboolean gst_mvinr_enc_set_caps(GstMvinrEnc* self, GstMvinrEncPad* pad, GstEvent* event) {
  GstCaps* caps = nullptr;
  gst_event_parse_caps(event, &caps);
  GstVideoInfo info;
  if (!gst_video_info_from_caps(&info, caps)) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                      ("Pad %s has caps that cannot be read", GST_PAD_NAME(pad)), (nullptr));
    return FALSE;
  }
  if (gst_video_info_is_equal(&info, &mvinr::gst::pad_info(pad))) return TRUE;
  GST_INFO_OBJECT(pad, "%" GST_PTR_FORMAT, caps);
  mvinr::gst::set_pad_info(pad, info);
  self->priv->stream.caps_changed();
  return TRUE;
}

static gboolean gst_mvinr_enc_sink_event(GstAggregator* aggregator, GstAggregatorPad* pad,
                                         GstEvent* event) {
  GstMvinrEnc* self = GST_MVINR_ENC(aggregator);
  return guarded(self, FALSE, [&]() -> gboolean {
    auto& shared = self->priv->shared;
    if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
      const gboolean good = gst_mvinr_enc_set_caps(self, GST_MVINR_ENC_PAD(pad), event);
      gst_event_unref(event);
      return good;
    }
    if (gst_video_event_is_force_key_unit(event)) {
      KeyUnitRequest request{.seqnum = gst_event_get_seqnum(event)};
      if (gst_video_event_parse_downstream_force_key_unit(
              event, nullptr, nullptr, &request.running_time, &request.all_headers, &request.count))
        gst_mvinr_enc_add_key_unit(self, request);
      gst_event_unref(event);
      return TRUE;
    }
    // Flushes come here directly, on the thread that sends them; the rest on that of the src pad.
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_START) shared.cancel.request();
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP) {
      shared.discard = true;
      shared.cancel.rearm();
    }
    return GST_AGGREGATOR_CLASS(gst_mvinr_enc_parent_class)->sink_event(aggregator, pad, event);
  });
}

static gboolean is_seekable(GstElement*, GstPad* pad, gpointer found) {
  GstQuery* query = gst_query_new_seeking(GST_FORMAT_TIME);
  gboolean seekable = FALSE;
  if (gst_pad_peer_query(pad, query))
    gst_query_parse_seeking(query, nullptr, &seekable, nullptr, nullptr);
  gst_query_unref(query);
  if (seekable) *static_cast<bool*>(found) = true;
  return TRUE;
}

static gboolean gst_mvinr_enc_src_event(GstAggregator* aggregator, GstEvent* event) {
  GstMvinrEnc* self = GST_MVINR_ENC(aggregator);
  return guarded(self, FALSE, [&]() -> gboolean {
    auto* parent = GST_AGGREGATOR_CLASS(gst_mvinr_enc_parent_class);
    if (gst_video_event_is_force_key_unit(event)) {
      KeyUnitRequest request{.seqnum = gst_event_get_seqnum(event)};
      gst_video_event_parse_upstream_force_key_unit(event, &request.running_time,
                                                    &request.all_headers, &request.count);
      gst_mvinr_enc_add_key_unit(self, request);
      gst_event_unref(event);
      return TRUE;
    }
    GstSeekFlags flags = GST_SEEK_FLAG_NONE;
    if (GST_EVENT_TYPE(event) == GST_EVENT_SEEK)
      gst_event_parse_seek(event, nullptr, nullptr, &flags, nullptr, nullptr, nullptr, nullptr);
    if (!(flags & GST_SEEK_FLAG_FLUSH)) return parent->src_event(aggregator, event);

    // GstAggregator stops its thread for a flushing seek before it asks upstream: a seek that
    // nobody can follow must not get that far, and a training must not delay the others.
    bool seekable = false;
    gst_element_foreach_sink_pad(GST_ELEMENT_CAST(self), is_seekable, &seekable);
    if (!seekable) {
      GST_INFO_OBJECT(self, "upstream cannot seek");
      gst_event_unref(event);
      return FALSE;
    }
    self->priv->shared.cancel.request();
    const gboolean result = parent->src_event(aggregator, event);
    if (!result) self->priv->shared.cancel.rearm();
    return result;
  });
}

static void gst_mvinr_enc_finalize(GObject* object) {
  delete GST_MVINR_ENC(object)->priv;
  G_OBJECT_CLASS(gst_mvinr_enc_parent_class)->finalize(object);
}

static void gst_mvinr_enc_class_init(GstMvinrEncClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_mvinr_enc_set_property;
  object_class->get_property = gst_mvinr_enc_get_property;
  object_class->finalize = gst_mvinr_enc_finalize;
  mvinr::gst::install_properties(object_class);

  GstElementClass* element_class = GST_ELEMENT_CLASS(klass);
  element_class->request_new_pad = gst_mvinr_enc_request_new_pad;
  element_class->release_pad = gst_mvinr_enc_release_pad;
  element_class->change_state = gst_mvinr_enc_change_state;
  gst_element_class_add_static_pad_template_with_gtype(element_class, &texture_template,
                                                       GST_TYPE_MVINR_ENC_PAD);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &depth_template,
                                                       GST_TYPE_MVINR_ENC_PAD);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &src_template,
                                                       GST_TYPE_AGGREGATOR_PAD);
  gst_element_class_set_static_metadata(
      element_class, "MV-INR encoder", "Codec/Encoder/Video",
      "Encodes the textures and depths of many views as one implicit neural representation",
      "The MV-INR authors");

  GstAggregatorClass* aggregator_class = GST_AGGREGATOR_CLASS(klass);
  aggregator_class->create_new_pad = gst_mvinr_enc_create_new_pad;
  aggregator_class->start = gst_mvinr_enc_start;
  aggregator_class->stop = gst_mvinr_enc_stop;
  aggregator_class->aggregate = gst_mvinr_enc_aggregate;
  aggregator_class->get_next_time = gst_mvinr_enc_get_next_time;
  aggregator_class->negotiate = gst_mvinr_enc_negotiate;
  aggregator_class->update_src_caps = gst_mvinr_enc_update_src_caps;
  aggregator_class->propose_allocation = gst_mvinr_enc_propose_allocation;
  aggregator_class->sink_event = gst_mvinr_enc_sink_event;
  aggregator_class->src_event = gst_mvinr_enc_src_event;
  gst_type_mark_as_plugin_api(GST_TYPE_MVINR_ENC_PAD, GstPluginAPIFlags(0));
}

static void gst_mvinr_enc_init(GstMvinrEnc* self) {
  self->priv = new Private(GST_AGGREGATOR(self));
}
