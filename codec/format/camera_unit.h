// The payload of a CAMERAS unit: the poses of moving cameras (docs/bitstream.md 6.10).
#pragma once

#include <vector>

#include "format/access_unit.h"
#include "geometry/rig.h"

namespace mvinr {

/// Rounds the poses of all frames to steps that move no point by more than about 1/32 of a pixel,
/// and writes them: what is read again is what encoder and decoder warp with. `poses` has an entry
/// for every frame and view. `invalid_argument` names the view and frame of a pose that is not
/// finite or too large.
Result<std::vector<std::byte>> write_poses(const SequenceInfo& sequence, const Poses& poses);

/// `corrupt` if the payload is not one of `frames` frames of this sequence.
Result<Poses> read_poses(const SequenceInfo& sequence, int frames, Bytes payload);

/// The poses of an access unit; empty if no camera moves. `corrupt` or `truncated`: the unit is
/// damaged or missing.
Result<Poses> poses_of(const AccessUnit& unit, size_t available);

}  // namespace mvinr
