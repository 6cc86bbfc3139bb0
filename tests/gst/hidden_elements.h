// Makes a machine on which some GStreamer elements are not installed.
#pragma once

#include <gst/gst.h>

#include <vector>

namespace mvinr::gst_test {

/// While it exists, the registry lacks the elements of this kind that have a format on a pad.
class HiddenElements {
 public:
  HiddenElements(const char* format, GstElementFactoryListType type) {
    GstCaps* caps = gst_caps_new_empty_simple(format);
    const bool decoder = type == GST_ELEMENT_FACTORY_TYPE_DECODER;
    GList* all = gst_element_factory_list_get_elements(type, GST_RANK_NONE);
    GList* hit =
        gst_element_factory_list_filter(all, caps, decoder ? GST_PAD_SINK : GST_PAD_SRC, FALSE);
    for (GList* item = hit; item; item = item->next) {
      auto* feature = GST_PLUGIN_FEATURE(gst_object_ref(item->data));
      hidden_.push_back(feature);
      gst_registry_remove_feature(gst_registry_get(), feature);
    }
    gst_plugin_feature_list_free(hit);
    gst_plugin_feature_list_free(all);
    gst_caps_unref(caps);
  }
  ~HiddenElements() {
    for (GstPluginFeature* feature : hidden_) {
      gst_registry_add_feature(gst_registry_get(), feature);
      gst_object_unref(feature);
    }
  }
  HiddenElements(const HiddenElements&) = delete;
  HiddenElements& operator=(const HiddenElements&) = delete;

 private:
  std::vector<GstPluginFeature*> hidden_;
};

}  // namespace mvinr::gst_test
