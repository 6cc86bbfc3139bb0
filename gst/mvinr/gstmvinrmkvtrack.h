// What mvinrmkvmux writes about a pad and about the file: from caps, access units and tags.
#pragma once

#include <gst/gst.h>

#include "mkvwriter.h"
#include "mvinr/stream.h"

/// The track of a pad with audio caps. `invalid_argument` names the field that is missing.
mvinr::Result<mvinr::mkv::Track> gst_mvinr_mkv_audio_track(GstCaps* caps);

/// The track of a pad with MV-INR, from its first access unit.
mvinr::Result<mvinr::mkv::Track> gst_mvinr_mkv_video_track(mvinr::Bytes access_unit);

/// Title and tags that Matroska has a name for.
void gst_mvinr_mkv_add_tags(const GstTagList* tags, mvinr::mkv::FileInfo& info);

/// The language as ISO 639-2 code, or nothing.
std::optional<std::string> gst_mvinr_mkv_language(const GstTagList* tags);
