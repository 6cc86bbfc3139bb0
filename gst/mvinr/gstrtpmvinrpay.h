#pragma once

#include <gst/rtp/gstrtpbasepayload.h>

G_BEGIN_DECLS
#define GST_TYPE_RTP_MVINR_PAY (gst_rtp_mvinr_pay_get_type())
G_DECLARE_FINAL_TYPE(GstRtpMvinrPay, gst_rtp_mvinr_pay, GST, RTP_MVINR_PAY, GstRTPBasePayload)
G_END_DECLS
