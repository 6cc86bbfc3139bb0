// A sink pad of mvinrenc: one component of one view.
#pragma once

#include <gst/base/gstaggregator.h>
#include <gst/video/video.h>

#include <string>

#include "mvinr/types.h"

G_BEGIN_DECLS

#define GST_TYPE_MVINR_ENC_PAD (gst_mvinr_enc_pad_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrEncPad, gst_mvinr_enc_pad, GST, MVINR_ENC_PAD, GstAggregatorPad)

G_END_DECLS

namespace mvinr::gst {

struct PadId {
  int view = 0;
  Component component = Component::texture;
  auto operator<=>(const PadId&) const = default;  // texture_0, depth_0, texture_1, …
};

/// "texture_3" or "depth_3".
std::string pad_name(PadId id);

/// A new pad for `element`, not yet added to it. `name` is "texture_3", or null or "texture_%u" for
/// the first free number. Null: the element has this pad, or the name is none of the template's.
GstMvinrEncPad* new_pad(GstElement* element, GstPadTemplate* pad_template, const gchar* name);

PadId pad_id(GstMvinrEncPad* pad);
std::string pad_camera(GstMvinrEncPad* pad);

/// Format of the frames, as the last CAPS event told; finfo is null before. Only for the thread of
/// the element's src pad, which handles the queued events.
const GstVideoInfo& pad_info(GstMvinrEncPad* pad);
void set_pad_info(GstMvinrEncPad* pad, const GstVideoInfo& info);

}  // namespace mvinr::gst
