// References to GStreamer's objects that end with their scope.
#pragma once

#include <gst/gst.h>

#include <memory>

namespace mvinr::gst {

struct Unref {
  void operator()(GstCaps* caps) const { gst_caps_unref(caps); }
  void operator()(GstBuffer* buffer) const { gst_buffer_unref(buffer); }
  void operator()(GstSample* sample) const { gst_sample_unref(sample); }
  void operator()(GstElement* element) const { gst_object_unref(element); }
  void operator()(GstElementFactory* factory) const { gst_object_unref(factory); }
  void operator()(GstPad* pad) const { gst_object_unref(pad); }
  void operator()(gchar* text) const { g_free(text); }
};
template <typename T>
using GstPtr = std::unique_ptr<T, Unref>;

/// A new element, whose reference is ours, not floating. Null if there is no such element.
inline GstPtr<GstElement> own(GstElement* floating) {
  return GstPtr<GstElement>(floating ? GST_ELEMENT(gst_object_ref_sink(floating)) : nullptr);
}

}  // namespace mvinr::gst
