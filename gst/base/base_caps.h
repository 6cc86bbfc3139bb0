// The caps string of a BASE unit: one structure, a few known fields, no nesting. It comes from the
// stream, so it is read by a parser of its own and not by GStreamer's, which would make a value of
// any registered type.
#pragma once

#include <string>
#include <string_view>

#include "gst_ptr.h"
#include "mvinr/types.h"

namespace mvinr::gst {

/// `corrupt` names what is wrong. Accepted are video/x-… and image/… except raw video and MV-INR.
Result<GstPtr<GstCaps>> parse_base_caps(std::string_view text);

/// What of an encoder's caps goes into the stream, in the form that parse_base_caps reads.
Result<std::string> format_base_caps(const GstCaps* caps);

}  // namespace mvinr::gst
