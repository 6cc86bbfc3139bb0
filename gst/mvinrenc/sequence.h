// From the pads to the sequence that the encoder is told: views, formats, frame rate, cameras.
#pragma once

#include <gst/video/video.h>

#include <optional>
#include <span>
#include <string>

#include "gstmvinrencpad.h"
#include "mvinr/stream.h"

namespace mvinr::gst {

struct InputPad {
  PadId id;
  GstVideoInfo info;   // finfo is null if the pad has no caps
  std::string camera;  // the pad's property
};

/// `none` for a format that the encoder does not take.
SampleFormat sample_format(GstVideoFormat format);

/// One camera: "PATH#NAME", "PATH" of a file with one camera, or a JSON object. Every error begins
/// with `owner`, the place where the text stands.
Result<CameraFileEntry> parse_camera(const std::string& text, const std::string& owner);

/// `pads` are ordered by id. `invalid_argument` names the pads and what is wrong with them: a view
/// without texture, a hole in the numbers, different frame rates, a depth of another size than its
/// texture, a camera that cannot be read or has another aspect ratio.
Result<SequenceInfo> describe_sequence(std::span<const InputPad> pads,
                                       const std::optional<CameraFile>& cameras);

}  // namespace mvinr::gst
