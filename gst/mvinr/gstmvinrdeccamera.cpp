// The camera of a picture as a custom meta of its buffer: renderers of new views need it, and a
// camera that moves has another one for every frame.
#include "gstmvinrdeccamera.h"

#include "gstmvinr.h"

void gst_mvinr_dec_register_camera_meta() {
  // Elements that change the size of a picture do not pass it on.
  static const gchar* tags[] = {"video", "size", "orientation", nullptr};
  static const GstMetaInfo* info =
      gst_meta_register_custom(GST_MVINR_CAMERA_META, tags, nullptr, nullptr, nullptr);
  (void)info;
}

void gst_mvinr_dec_add_camera(GstBuffer* buffer, const mvinr::Camera& camera) {
  GstCustomMeta* meta = gst_buffer_add_custom_meta(buffer, GST_MVINR_CAMERA_META);
  if (!meta) return;
  const auto set = [&](const char* field, float value) {
    gst_structure_set(gst_custom_meta_get_structure(meta), field, G_TYPE_DOUBLE, double{value},
                      nullptr);
  };
  set("focal-x", camera.focal[0]);
  set("focal-y", camera.focal[1]);
  set("principal-point-x", camera.principal_point[0]);
  set("principal-point-y", camera.principal_point[1]);
  set("depth-near", camera.depth_range[0]);
  set("depth-far", camera.depth_range[1]);
  set("x", camera.position[0]);
  set("y", camera.position[1]);
  set("z", camera.position[2]);
  set("yaw", camera.rotation[0]);
  set("pitch", camera.rotation[1]);
  set("roll", camera.rotation[2]);
}
