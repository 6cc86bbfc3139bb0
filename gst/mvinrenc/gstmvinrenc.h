// mvinrenc: encodes the textures and depths of many views into one MV-INR stream.
#pragma once

#include <gst/base/gstaggregator.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_MVINR_ENC (gst_mvinr_enc_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrEnc, gst_mvinr_enc, GST, MVINR_ENC, GstAggregator)

GST_ELEMENT_REGISTER_DECLARE(mvinrenc)

G_END_DECLS
