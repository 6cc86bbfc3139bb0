#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS
#define GST_TYPE_MVINR_VIEW_SELECT (gst_mvinr_view_select_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrViewSelect, gst_mvinr_view_select, GST, MVINR_VIEW_SELECT, GstBin)
G_END_DECLS
