#include "base_fake_decoder.h"

#include <gst/gst.h>

namespace mvinr::gst_test {
namespace {

struct Fake {
  GstElement parent;
};
struct FakeClass {
  GstElementClass parent;
  bool starts;
};

GstStateChangeReturn change_state(GstElement* element, GstStateChange change) {
  auto* klass = reinterpret_cast<FakeClass*>(G_OBJECT_GET_CLASS(element));
  if (change == GST_STATE_CHANGE_NULL_TO_READY && !klass->starts) {
    GST_ELEMENT_ERROR(element, RESOURCE, NOT_FOUND, ("There is no such device."), (nullptr));
    return GST_STATE_CHANGE_FAILURE;
  }
  return GST_ELEMENT_CLASS(g_type_class_peek(GST_TYPE_ELEMENT))->change_state(element, change);
}

void class_init(gpointer klass, gpointer caps_name) {
  auto* element_class = GST_ELEMENT_CLASS(klass);
  const auto* name = static_cast<const char*>(caps_name);
  reinterpret_cast<FakeClass*>(klass)->starts = g_str_has_suffix(name, "hang");
  element_class->change_state = change_state;
  gst_element_class_set_static_metadata(element_class, "fake", "Codec/Decoder/Video", "of a test",
                                        "MV-INR");
  GstCaps* caps = gst_caps_new_empty_simple(name);
  GstCaps* raw = gst_caps_new_empty_simple("video/x-raw");
  gst_element_class_add_pad_template(
      element_class, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
  gst_element_class_add_pad_template(element_class,
                                     gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, raw));
  gst_caps_unref(caps);
  gst_caps_unref(raw);
}

void instance_init(GTypeInstance* instance, gpointer klass) {
  auto* element = GST_ELEMENT(instance);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  GstPad* sink =
      gst_pad_new_from_template(gst_element_class_get_pad_template(element_class, "sink"), "sink");
  gst_pad_set_chain_function(
      sink, +[](GstPad*, GstObject*, GstBuffer* buffer) {
        gst_buffer_unref(buffer);
        return GST_FLOW_OK;
      });
  gst_pad_set_event_function(
      sink, +[](GstPad*, GstObject*, GstEvent* event) -> gboolean {
        gst_event_unref(event);
        return TRUE;
      });
  gst_element_add_pad(element, sink);
  gst_element_add_pad(
      element,
      gst_pad_new_from_template(gst_element_class_get_pad_template(element_class, "src"), "src"));
}

void register_one(const char* caps_name, const char* type_name, guint rank) {
  GTypeInfo info{};
  info.class_size = sizeof(FakeClass);
  info.class_init = class_init;
  info.class_data = caps_name;
  info.instance_size = sizeof(Fake);
  info.instance_init = instance_init;
  const GType type = g_type_register_static(GST_TYPE_ELEMENT, type_name, &info, GTypeFlags(0));
  gst_element_register(nullptr, type_name, rank, type);
}

}  // namespace

void register_fake_decoders() {
  static const bool once = [] {
    register_one("video/x-test-hang", "mvinrtesthang", GST_RANK_PRIMARY);
    register_one("video/x-test-broken", "mvinrtestbroken", GST_RANK_PRIMARY);
    register_one("video/x-h265", kBrokenH265Decoder, GST_RANK_NONE);
    return true;
  }();
  (void)once;
}

}  // namespace mvinr::gst_test
