#pragma once

#include <gst/base/gstbaseparse.h>

G_BEGIN_DECLS
#define GST_TYPE_MVINR_PARSE (gst_mvinr_parse_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrParse, gst_mvinr_parse, GST, MVINR_PARSE, GstBaseParse)
G_END_DECLS
