#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS
#define GST_TYPE_MVINR_SEI_INSERT (gst_mvinr_sei_insert_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrSeiInsert, gst_mvinr_sei_insert, GST, MVINR_SEI_INSERT, GstElement)
G_END_DECLS
