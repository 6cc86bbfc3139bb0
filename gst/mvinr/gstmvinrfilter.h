#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS
#define GST_TYPE_MVINR_FILTER (gst_mvinr_filter_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrFilter, gst_mvinr_filter, GST, MVINR_FILTER, GstElement)
G_END_DECLS
