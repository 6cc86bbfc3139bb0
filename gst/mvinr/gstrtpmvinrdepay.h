#pragma once

#include <gst/rtp/gstrtpbasedepayload.h>

G_BEGIN_DECLS
#define GST_TYPE_RTP_MVINR_DEPAY (gst_rtp_mvinr_depay_get_type())
G_DECLARE_FINAL_TYPE(GstRtpMvinrDepay, gst_rtp_mvinr_depay, GST, RTP_MVINR_DEPAY,
                     GstRTPBaseDepayload)
G_END_DECLS
