#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS
#define GST_TYPE_MVINR_DEC (gst_mvinr_dec_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrDec, gst_mvinr_dec, GST, MVINR_DEC, GstElement)
G_END_DECLS
