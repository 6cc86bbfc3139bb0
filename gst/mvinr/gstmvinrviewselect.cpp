/**
 * SECTION:element-mvinrviewselect
 * @title: mvinrviewselect
 * @short_description: decodes one view of an MV-INR stream
 *
 * mvinrdec with one source pad, for applications that show one view at a time. Only the chosen view
 * is decoded. `view` and `component` may change at any time; the next access unit follows them, and
 * timestamps go on without a hole. Caps change if the views' sizes or formats differ.
 *
 * If the stream lacks the view (mvinrfilter may have dropped it), another one is shown, with a
 * warning, until it comes.
 *
 * The decoder inside is named `decoder`: its other properties are reached as `decoder::threads`, …
 *
 * The rank is marginal: decodebin and playbin3 take mvinrdec, which gives an application all views.
 * For one that can only handle one pad, set GST_PLUGIN_FEATURE_RANK=mvinrviewselect:MAX.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=scene.mp4 ! qtdemux ! mvinrparse \
 *   ! mvinrviewselect view=2 ! queue ! videoconvert ! autovideosink
 * ]| Show the third view.
 *
 * Since: 0.1
 */
#include "gstmvinrviewselect.h"

#include <atomic>
#include <string>

#include "gstmvinr.h"
#include "gstmvinrdec.h"
#include "gstmvinrdecpriv.h"

GST_DEBUG_CATEGORY_STATIC(mvinrviewselect_debug);
#define GST_CAT_DEFAULT mvinrviewselect_debug

using mvinr::Component;

namespace {

struct State {
  // Guarded by the object lock.
  int view = 0;
  Component component = Component::texture;
  bool told = false;  // that the stream lacks that view

  std::atomic<bool> running = false, ended = false;  // ended: upstream is at the end of the stream
};

}  // namespace

struct _GstMvinrViewSelect {
  GstBin parent;
  GstElement* decoder;  // in the bin
  GstPad* src;          // the element's
  State* state;
};

enum { PROP_0, PROP_VIEW, PROP_COMPONENT, PROP_STATS };

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS("video/x-raw, format = { I420, I420_10LE, GRAY8, GRAY10_LE32, GRAY16_LE }, "
                    "width = [1, 8192], height = [1, 8192], framerate = (fraction) [0, max]"));

#define gst_mvinr_view_select_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstMvinrViewSelect, gst_mvinr_view_select, GST_TYPE_BIN,
                        GST_DEBUG_CATEGORY_INIT(mvinrviewselect_debug, "mvinrviewselect", 0,
                                                "MV-INR decoder of one view"));
GST_ELEMENT_REGISTER_DEFINE(mvinrviewselect, "mvinrviewselect", GST_RANK_MARGINAL,
                            GST_TYPE_MVINR_VIEW_SELECT);

#define GST_TYPE_MVINR_COMPONENT (gst_mvinr_component_get_type())
static GType gst_mvinr_component_get_type() {
  static const GEnumValue values[] = {{int(Component::texture), "Picture", "texture"},
                                      {int(Component::depth), "Depth map", "depth"},
                                      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstMvinrComponent", values);
  return type;
}

/* ---- which pad of the decoder is shown: all in the streaming thread ---- */

static void show(GstMvinrViewSelect* self, GstPad* pad) {
  GST_INFO_OBJECT(self, "showing %" GST_PTR_FORMAT, pad);
  gst_ghost_pad_set_target(GST_GHOST_PAD(self->src), pad);
}

// The pad to show instead of one that is not there: of the same component, if possible.
static GstPad* find_substitute(GstMvinrViewSelect* self, Component component) {
  GstPad* found = nullptr;
  GST_OBJECT_LOCK(self->decoder);
  for (GList* l = self->decoder->srcpads; l; l = l->next) {
    const bool same = gst_mvinr_dec_pad_component(GST_MVINR_DEC_PAD(l->data)) == component;
    if (!found || same) found = GST_PAD(l->data);
    if (same) break;
  }
  if (found) gst_object_ref(found);
  GST_OBJECT_UNLOCK(self->decoder);
  return found;
}

// Shows what the properties say. With `all_pads`, no pad will come before the next access unit.
static void choose(GstMvinrViewSelect* self, bool all_pads) {
  GST_OBJECT_LOCK(self);
  const int view = self->state->view;
  const Component component = self->state->component;
  GST_OBJECT_UNLOCK(self);
  const GstMvinrDecPadName wanted(view, component);
  GstPad* target = gst_ghost_pad_get_target(GST_GHOST_PAD(self->src));
  GstPad* pad = gst_element_get_static_pad(self->decoder, wanted.name.c_str());
  const bool lacking = !pad && all_pads;
  if (lacking && !target) pad = find_substitute(self, component);
  if (pad && pad != target) show(self, pad);
  if (lacking && (pad || target)) {
    GST_OBJECT_LOCK(self);
    const bool news = !std::exchange(self->state->told, true);
    GST_OBJECT_UNLOCK(self);
    if (news)
      GST_ELEMENT_WARNING(
          self, LIBRARY, SETTINGS, ("The MV-INR stream lacks the wanted view."),
          ("there is no %s; showing %s", wanted.name.c_str(), GST_PAD_NAME(pad ? pad : target)));
  }
  if (pad) gst_object_unref(pad);
  if (target) gst_object_unref(target);
}

static void pad_added(GstElement*, GstPad*, gpointer self) {
  choose(GST_MVINR_VIEW_SELECT(self), false);
}

static void no_more_pads(GstElement*, gpointer self) { choose(GST_MVINR_VIEW_SELECT(self), true); }

// The pad that was shown is unlinked by now. The others must take over before the next picture.
static void pad_removed(GstElement*, GstPad*, gpointer data) {
  GstMvinrViewSelect* self = GST_MVINR_VIEW_SELECT(data);
  if (self->state->running) choose(self, true);
}

// In front of the decoder: an access unit is where views change.
static GstPadProbeReturn before_decoder(GstPad*, GstPadProbeInfo* info, gpointer data) {
  GstMvinrViewSelect* self = GST_MVINR_VIEW_SELECT(data);
  if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
    choose(self, self->decoder->numsrcpads > 0);
    return GST_PAD_PROBE_OK;
  }
  const auto type = GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info));
  if (type == GST_EVENT_EOS) self->state->ended = true;
  if (type == GST_EVENT_STREAM_START || type == GST_EVENT_FLUSH_STOP) self->state->ended = false;
  return GST_PAD_PROBE_OK;
}

// A change of the view is not another stream. Takes the event.
static GstEvent* one_stream(GstEvent* event) {
  const gchar* id = nullptr;
  guint group = GST_GROUP_ID_INVALID;
  gst_event_parse_stream_start(event, &id);
  const std::string whole = id ? id : "";
  GstEvent* out =
      gst_event_new_stream_start((whole.substr(0, whole.rfind('/')) + "/selected").c_str());
  if (gst_event_parse_group_id(event, &group)) gst_event_set_group_id(out, group);
  gst_event_set_stream_flags(out, GST_STREAM_FLAG_SELECT);
  gst_event_set_seqnum(out, gst_event_get_seqnum(event));
  gst_event_unref(event);
  return out;
}

static gboolean event_behind_decoder(GstPad* pad, GstObject* parent, GstEvent* event) {
  // The parent of the proxy pad inside is the source pad.
  GstElement* element = gst_pad_get_parent_element(GST_PAD(parent));
  const bool ended = element && GST_MVINR_VIEW_SELECT(element)->state->ended;
  if (element) gst_object_unref(element);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_STREAM_START:
      event = one_stream(event);
      break;
    case GST_EVENT_EOS:  // the decoder also ends a pad whose view goes away
      if (ended) break;
      [[fallthrough]];
    case GST_EVENT_STREAM_COLLECTION:  // of streams that are not ours
      gst_event_unref(event);
      return TRUE;
    default:
      break;
  }
  return gst_pad_event_default(pad, parent, event);
}

static void gst_mvinr_view_select_handle_message(GstBin* bin, GstMessage* message) {
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_STREAM_COLLECTION) {
    gst_message_unref(message);
    return;
  }
  GST_BIN_CLASS(parent_class)->handle_message(bin, message);
}

static GstStateChangeReturn gst_mvinr_view_select_change_state(GstElement* element,
                                                               GstStateChange transition) {
  State& state = *GST_MVINR_VIEW_SELECT(element)->state;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    GST_OBJECT_LOCK(element);
    state.told = false;
    GST_OBJECT_UNLOCK(element);
    state.ended = false;
    state.running = true;
  }
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) state.running = false;
  return GST_ELEMENT_CLASS(parent_class)->change_state(element, transition);
}

/* ---- properties ---- */

static void gst_mvinr_view_select_set_property(GObject* object, guint id, const GValue* value,
                                               GParamSpec* spec) {
  GstMvinrViewSelect* self = GST_MVINR_VIEW_SELECT(object);
  GST_OBJECT_LOCK(self);
  State& state = *self->state;
  state.told = false;
  if (id == PROP_VIEW)
    state.view = int(g_value_get_uint(value));
  else if (id == PROP_COMPONENT)
    state.component = Component(g_value_get_enum(value));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  GST_OBJECT_UNLOCK(self);
}

static void gst_mvinr_view_select_get_property(GObject* object, guint id, GValue* value,
                                               GParamSpec* spec) {
  GstMvinrViewSelect* self = GST_MVINR_VIEW_SELECT(object);
  if (id == PROP_STATS) {
    g_object_get_property(G_OBJECT(self->decoder), "stats", value);
    return;
  }
  GST_OBJECT_LOCK(self);
  const State& state = *self->state;
  if (id == PROP_VIEW)
    g_value_set_uint(value, guint(state.view));
  else if (id == PROP_COMPONENT)
    g_value_set_enum(value, int(state.component));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  GST_OBJECT_UNLOCK(self);
}

// A message on the bus may keep the decoder alive after the bin.
static void gst_mvinr_view_select_dispose(GObject* object) {
  GstMvinrViewSelect* self = GST_MVINR_VIEW_SELECT(object);
  if (self->decoder) g_signal_handlers_disconnect_by_data(self->decoder, self);
  g_clear_pointer(&self->decoder, gst_object_unref);
  G_OBJECT_CLASS(parent_class)->dispose(object);
}

static void gst_mvinr_view_select_finalize(GObject* object) {
  delete GST_MVINR_VIEW_SELECT(object)->state;
  G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void gst_mvinr_view_select_init(GstMvinrViewSelect* self) {
  self->state = new State;
  self->decoder = GST_ELEMENT(g_object_new(GST_TYPE_MVINR_DEC, "name", "decoder", nullptr));
  gst_object_ref_sink(self->decoder);
  gst_bin_add(GST_BIN(self), self->decoder);
  g_signal_connect(self->decoder, "pad-added", G_CALLBACK(pad_added), self);
  g_signal_connect(self->decoder, "pad-removed", G_CALLBACK(pad_removed), self);
  g_signal_connect(self->decoder, "no-more-pads", G_CALLBACK(no_more_pads), self);

  GstElementClass* klass = GST_ELEMENT_GET_CLASS(self);
  GstPad* sink = gst_element_get_static_pad(self->decoder, "sink");
  gst_pad_add_probe(
      sink,
      GstPadProbeType(GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM |
                      GST_PAD_PROBE_TYPE_EVENT_FLUSH),
      before_decoder, self, nullptr);
  gst_element_add_pad(GST_ELEMENT(self),
                      gst_ghost_pad_new_from_template(
                          "sink", sink, gst_element_class_get_pad_template(klass, "sink")));
  gst_object_unref(sink);

  self->src = gst_ghost_pad_new_no_target_from_template(
      "src", gst_element_class_get_pad_template(klass, "src"));
  GstProxyPad* inside = gst_proxy_pad_get_internal(GST_PROXY_PAD(self->src));
  gst_pad_set_event_function(GST_PAD(inside), event_behind_decoder);
  gst_object_unref(inside);
  gst_element_add_pad(GST_ELEMENT(self), self->src);
}

static void install_properties(GObjectClass* klass) {
  const auto flags =
      GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
  g_object_class_install_property(
      klass, PROP_VIEW,
      g_param_spec_uint("view", "View",
                        "Number of the view to decode; a change takes effect with the next access "
                        "unit",
                        0, mvinr::kMaxViews - 1, 0, flags));
  g_object_class_install_property(
      klass, PROP_COMPONENT,
      g_param_spec_enum("component", "Component",
                        "What of the view to decode; a change takes effect with the next access "
                        "unit",
                        GST_TYPE_MVINR_COMPONENT, int(Component::texture), flags));
  g_object_class_install_property(
      klass, PROP_STATS,
      g_param_spec_boxed(
          "stats", "Statistics",
          "Of the decoder, since READY: access-units, rendered and skipped pictures, "
          "damaged access units, seconds of decoding",
          GST_TYPE_STRUCTURE, GParamFlags(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
}

static void gst_mvinr_view_select_class_init(GstMvinrViewSelectClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  GstElementClass* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_mvinr_view_select_set_property;
  object_class->get_property = gst_mvinr_view_select_get_property;
  object_class->dispose = gst_mvinr_view_select_dispose;
  object_class->finalize = gst_mvinr_view_select_finalize;
  install_properties(object_class);
  GST_BIN_CLASS(klass)->handle_message = gst_mvinr_view_select_handle_message;
  element_class->change_state = gst_mvinr_view_select_change_state;
  gst_element_class_add_static_pad_template(element_class, &gst_mvinr_dec_sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "MV-INR decoder of one view", "Codec/Decoder/Video",
      "Decodes one view of MV-INR (multi-view video with depth), chosen at any time",
      "The MV-INR authors");
  gst_type_mark_as_plugin_api(GST_TYPE_MVINR_COMPONENT, GstPluginAPIFlags(0));
}
