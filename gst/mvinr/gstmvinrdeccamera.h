#pragma once

#include <gst/gst.h>

#include "mvinr/stream.h"

// A GstCustomMeta whose structure has doubles: focal-x, focal-y, principal-point-x,
// principal-point-y (pixels), depth-near, depth-far, x, y, z (metres), yaw, pitch, roll (degrees);
// axes and signs as in mvinr/stream.h.
#define GST_MVINR_CAMERA_META "GstMvinrCameraMeta"

/// Once per process; more often does no harm.
void gst_mvinr_dec_register_camera_meta();

void gst_mvinr_dec_add_camera(GstBuffer* buffer, const mvinr::Camera& camera);
