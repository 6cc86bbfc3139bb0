// Between GObject and C++.
#pragma once

#include <gst/gst.h>

#include <exception>

GST_DEBUG_CATEGORY_EXTERN(mvinr_enc_debug);
#define GST_CAT_DEFAULT mvinr_enc_debug

namespace mvinr::gst {

class ObjectLock {
 public:
  explicit ObjectLock(gpointer object) : object_(GST_OBJECT_CAST(object)) {
    GST_OBJECT_LOCK(object_);
  }
  ~ObjectLock() { GST_OBJECT_UNLOCK(object_); }
  ObjectLock(const ObjectLock&) = delete;
  ObjectLock& operator=(const ObjectLock&) = delete;

 private:
  GstObject* object_;
};

/// Runs the body of a virtual method of `element`. No C++ exception may pass through the C code of
/// GStreamer: it becomes an error message, and the method returns `failure`.
template <typename R, typename Body>
R guarded(gpointer element, R failure, Body&& body) noexcept {
  try {
    return body();
  } catch (const std::exception& exception) {
    GST_ELEMENT_ERROR(element, LIBRARY, ENCODE, ("The encoder failed: %s", exception.what()),
                      (nullptr));
  } catch (...) {
    GST_ELEMENT_ERROR(element, LIBRARY, ENCODE, ("The encoder failed"), (nullptr));
  }
  return failure;
}

}  // namespace mvinr::gst
