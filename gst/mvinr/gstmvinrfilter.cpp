/**
 * SECTION:element-mvinrfilter
 * @title: mvinrfilter
 * @short_description: drops views from an MV-INR stream without decoding it
 *
 * For a server that sends a viewer two of twelve cameras. The views of the `views` property stay,
 * and those that they refer to; the others' units are taken out of every access unit. View numbers
 * do not change. mvinrdec shows no pads for views that were dropped.
 *
 * Texture and depth of a view are one unit: they stay or go together. The shared network stays, so
 * that the stream shrinks by the views' own share.
 *
 * `views` may change at any time; the next access unit follows it.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=scene.mvinr ! mvinrparse ! mvinrfilter views=0,3 \
 *   ! rtpmvinrpay ! udpsink host=127.0.0.1 port=5004
 * ]| Send two views.
 * |[
 * gst-launch-1.0 filesrc location=scene.mp4 ! qtdemux ! mvinrparse ! mvinrfilter views=0-2 \
 *   ! mvinrparse ! mp4mux ! filesink location=three.mp4
 * ]| Store three of the views of a file.
 *
 * Since: 0.1
 */
#include "gstmvinrfilter.h"

#include "gstmvinr.h"
#include "gstmvinrviews.h"

GST_DEBUG_CATEGORY_STATIC(mvinrfilter_debug);
#define GST_CAT_DEFAULT mvinrfilter_debug

namespace {

// Guarded by the object lock.
struct State {
  std::string text = "all";
  std::optional<GstMvinrViews> views = GstMvinrViews{};  // nothing: the text makes no sense
  bool told = false;                                     // that the stream lacks a wanted view
  guint64 access_units = 0, bytes_in = 0, bytes_out = 0;
};

}  // namespace

struct _GstMvinrFilter {
  GstElement parent;
  GstPad *sink, *src;
  State* state;
};

enum { PROP_0, PROP_VIEWS, PROP_STATS };

#define FILTER_CAPS GST_STATIC_CAPS(GST_MVINR_MEDIA_TYPE ", parsed = (boolean) true")
static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, FILTER_CAPS);
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, FILTER_CAPS);

#define gst_mvinr_filter_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstMvinrFilter, gst_mvinr_filter, GST_TYPE_ELEMENT,
                        GST_DEBUG_CATEGORY_INIT(mvinrfilter_debug, "mvinrfilter", 0,
                                                "MV-INR view filter"));
GST_ELEMENT_REGISTER_DEFINE(mvinrfilter, "mvinrfilter", GST_RANK_NONE, GST_TYPE_MVINR_FILTER);

/* ---- data ---- */

// The wanted views that the stream has; tells once about those that it does not.
static GstMvinrViews views_of_stream(GstMvinrFilter* self, const GstMvinrViews& wanted,
                                     size_t count) {
  GstMvinrViews there;
  std::string others;
  for (const int view : wanted) {
    if (size_t(view) < count)
      there.push_back(view);
    else
      others += (others.empty() ? "" : ", ") + std::to_string(view);
  }
  GST_OBJECT_LOCK(self);
  const bool news = !others.empty() && !self->state->told;
  self->state->told = !others.empty();
  GST_OBJECT_UNLOCK(self);
  if (news)
    GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("The MV-INR stream lacks a wanted view."),
                        ("views %s: the stream has views 0..%zu", others.c_str(), count - 1));
  return there;
}

// The access unit without what is not wanted; takes the buffer. Passed on as it is if it cannot be
// read: the decoder reports what is wrong with it.
static GstBuffer* filter(GstMvinrFilter* self, GstBuffer* buffer, const GstMvinrViews& wanted) {
  std::optional<GstMvinrMap> map(std::in_place, buffer);
  const auto gop = mvinr::read_gop_info(map->bytes());
  if (!gop) return buffer;
  const auto views = views_of_stream(self, wanted, gop->sequence.views.size());
  auto filtered = mvinr::filter_access_unit(map->bytes(), views);
  map.reset();
  if (!filtered) return buffer;
  GstBuffer* out = gst_mvinr_buffer_new(std::move(*filtered));
  gst_buffer_copy_into(out, buffer, GST_BUFFER_COPY_METADATA, 0, gsize(-1));
  gst_buffer_unref(buffer);
  return out;
}

static GstFlowReturn gst_mvinr_filter_chain(GstPad*, GstObject* parent, GstBuffer* buffer) {
  GstMvinrFilter* self = GST_MVINR_FILTER(parent);
  return gst_mvinr_guard(self, GST_FLOW_ERROR, [&]() -> GstFlowReturn {
    const gsize before = gst_buffer_get_size(buffer);
    GST_OBJECT_LOCK(self);
    const GstMvinrViews wanted = self->state->views.value_or(GstMvinrViews{});
    GST_OBJECT_UNLOCK(self);
    GstBuffer* out = wanted.empty() ? buffer : filter(self, buffer, wanted);
    GST_OBJECT_LOCK(self);
    ++self->state->access_units;
    self->state->bytes_in += before;
    self->state->bytes_out += gst_buffer_get_size(out);
    GST_OBJECT_UNLOCK(self);
    return gst_pad_push(self->src, out);
  });
}

static GstStateChangeReturn gst_mvinr_filter_change_state(GstElement* element,
                                                          GstStateChange transition) {
  GstMvinrFilter* self = GST_MVINR_FILTER(element);
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    GST_OBJECT_LOCK(self);
    const std::string bad = self->state->views ? "" : "\"" + self->state->text + "\"";
    self->state->told = false;
    self->state->access_units = self->state->bytes_in = self->state->bytes_out = 0;
    GST_OBJECT_UNLOCK(self);
    if (!bad.empty()) {
      GST_ELEMENT_ERROR(
          self, LIBRARY, SETTINGS, (NULL),
          ("views=%s is no list of views such as \"0,3\", \"0-2\" or \"all\"", bad.c_str()));
      return GST_STATE_CHANGE_FAILURE;
    }
  }
  return GST_ELEMENT_CLASS(parent_class)->change_state(element, transition);
}

/* ---- properties ---- */

// While it plays, a list that makes no sense is a warning and changes nothing.
static void set_views(GstMvinrFilter* self, const char* value) {
  const std::string text = value ? value : "all";
  const auto views = gst_mvinr_views_parse(text);
  GST_OBJECT_LOCK(self);
  const bool keep = !views && GST_STATE(self) >= GST_STATE_PAUSED;
  if (!keep) {
    self->state->text = text;
    self->state->views = views;
    self->state->told = false;
  }
  GST_OBJECT_UNLOCK(self);
  if (keep)
    GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, (NULL),
                        ("views=\"%s\" is no list of views such as \"0,3\", \"0-2\" or \"all\"; "
                         "nothing changes",
                         text.c_str()));
}

static void gst_mvinr_filter_set_property(GObject* object, guint id, const GValue* value,
                                          GParamSpec* spec) {
  GstMvinrFilter* self = GST_MVINR_FILTER(object);
  if (id == PROP_VIEWS)
    set_views(self, g_value_get_string(value));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

static void gst_mvinr_filter_get_property(GObject* object, guint id, GValue* value,
                                          GParamSpec* spec) {
  GstMvinrFilter* self = GST_MVINR_FILTER(object);
  GST_OBJECT_LOCK(self);
  const State& state = *self->state;
  if (id == PROP_VIEWS)
    g_value_set_string(value, state.text.c_str());
  else if (id == PROP_STATS)
    g_value_take_boxed(
        value, gst_structure_new("application/x-mvinrfilter-stats", "access-units", G_TYPE_UINT64,
                                 state.access_units, "bytes-in", G_TYPE_UINT64, state.bytes_in,
                                 "bytes-out", G_TYPE_UINT64, state.bytes_out, nullptr));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  GST_OBJECT_UNLOCK(self);
}

static void gst_mvinr_filter_finalize(GObject* object) {
  delete GST_MVINR_FILTER(object)->state;
  G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void gst_mvinr_filter_init(GstMvinrFilter* self) {
  self->state = new State;
  self->sink = gst_pad_new_from_static_template(&sink_template, "sink");
  self->src = gst_pad_new_from_static_template(&src_template, "src");
  gst_pad_set_chain_function(self->sink, gst_mvinr_filter_chain);
  for (GstPad* pad : {self->sink, self->src}) {
    GST_PAD_SET_PROXY_CAPS(pad);
    gst_element_add_pad(GST_ELEMENT(self), pad);
  }
}

static void gst_mvinr_filter_class_init(GstMvinrFilterClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  GstElementClass* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_mvinr_filter_set_property;
  object_class->get_property = gst_mvinr_filter_get_property;
  object_class->finalize = gst_mvinr_filter_finalize;
  g_object_class_install_property(
      object_class, PROP_VIEWS,
      g_param_spec_string(
          "views", "Views",
          "Views to keep, texture and depth together: numbers 0 to 63 and ranges "
          "such as 0,3 or 0-2,7, or all; a change takes effect with the next access "
          "unit",
          "all",
          GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)));
  g_object_class_install_property(
      object_class, PROP_STATS,
      g_param_spec_boxed("stats", "Statistics", "Since READY: access-units, bytes-in, bytes-out",
                         GST_TYPE_STRUCTURE,
                         GParamFlags(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
  element_class->change_state = gst_mvinr_filter_change_state;
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(element_class, "MV-INR view filter", "Filter/Video",
                                        "Drops views from an MV-INR stream without decoding it",
                                        "The MV-INR authors");
}
