#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS
#define GST_TYPE_MVINR_SEI_EXTRACT (gst_mvinr_sei_extract_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrSeiExtract, gst_mvinr_sei_extract, GST, MVINR_SEI_EXTRACT, GstElement)
G_END_DECLS
