#include "gstmvinrencpad.h"

#include <cstring>

#include "glue.h"
#include "mvinr/stream.h"

struct _GstMvinrEncPad {
  GstAggregatorPad parent;
  gchar* camera;  // object lock
  mvinr::gst::PadId id;
  GstVideoInfo info;
};

enum { kPropCamera = 1 };

G_DEFINE_TYPE(GstMvinrEncPad, gst_mvinr_enc_pad, GST_TYPE_AGGREGATOR_PAD)

static void gst_mvinr_enc_pad_set_property(GObject* object, guint id, const GValue* value,
                                           GParamSpec* spec) {
  GstMvinrEncPad* self = GST_MVINR_ENC_PAD(object);
  if (id != kPropCamera) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    return;
  }
  GST_OBJECT_LOCK(self);
  g_free(self->camera);
  self->camera = g_value_dup_string(value);
  GST_OBJECT_UNLOCK(self);
}

static void gst_mvinr_enc_pad_get_property(GObject* object, guint id, GValue* value,
                                           GParamSpec* spec) {
  GstMvinrEncPad* self = GST_MVINR_ENC_PAD(object);
  if (id != kPropCamera) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    return;
  }
  GST_OBJECT_LOCK(self);
  g_value_set_string(value, self->camera);
  GST_OBJECT_UNLOCK(self);
}

static void gst_mvinr_enc_pad_finalize(GObject* object) {
  g_free(GST_MVINR_ENC_PAD(object)->camera);
  G_OBJECT_CLASS(gst_mvinr_enc_pad_parent_class)->finalize(object);
}

static void gst_mvinr_enc_pad_class_init(GstMvinrEncPadClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_mvinr_enc_pad_set_property;
  object_class->get_property = gst_mvinr_enc_pad_get_property;
  object_class->finalize = gst_mvinr_enc_pad_finalize;
  g_object_class_install_property(
      object_class, kPropCamera,
      g_param_spec_string(
          "camera", "Camera",
          "Camera of this pad's view: a camera of a MIV-style file as PATH#NAME "
          "(rig.json#v0), or one camera as a JSON object with the fields of such a "
          "file. Of the two pads of a view the texture's property counts first; "
          "both come before the element's property cameras",
          nullptr,
          GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)));
}

static void gst_mvinr_enc_pad_init(GstMvinrEncPad* self) { gst_video_info_init(&self->info); }

namespace mvinr::gst {

std::string pad_name(PadId id) {
  return (id.component == Component::texture ? "texture_" : "depth_") + std::to_string(id.view);
}

GstMvinrEncPad* new_pad(GstElement* element, GstPadTemplate* pad_template, const gchar* name) {
  const bool texture = g_str_has_prefix(GST_PAD_TEMPLATE_NAME_TEMPLATE(pad_template), "texture_");
  PadId id{0, texture ? Component::texture : Component::depth};
  const bool any = !name || strchr(name, '%') != nullptr;
  for (; id.view < kMaxViews; ++id.view) {
    const std::string candidate = pad_name(id);
    if (!any && candidate != name) continue;
    GstPad* old = gst_element_get_static_pad(element, candidate.c_str());
    const bool free = old == nullptr;
    gst_clear_object(&old);
    if (free) break;
    if (!any) return nullptr;
  }
  if (id.view == kMaxViews) return nullptr;
  auto* pad = static_cast<GstMvinrEncPad*>(
      g_object_new(GST_TYPE_MVINR_ENC_PAD, "name", pad_name(id).c_str(), "direction", GST_PAD_SINK,
                   "template", pad_template, nullptr));
  pad->id = id;
  return pad;
}

PadId pad_id(GstMvinrEncPad* pad) { return pad->id; }

std::string pad_camera(GstMvinrEncPad* pad) {
  const ObjectLock lock(pad);
  return pad->camera ? pad->camera : "";
}

const GstVideoInfo& pad_info(GstMvinrEncPad* pad) { return pad->info; }
void set_pad_info(GstMvinrEncPad* pad, const GstVideoInfo& info) { pad->info = info; }

}  // namespace mvinr::gst
