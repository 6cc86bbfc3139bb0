// poses.json: where moving cameras are at every frame.
#pragma once

#include "mvinr/stream.h"

namespace mvinr {

/// Reads the poses.json that lies beside the camera file `path` into file.poses.
Status read_poses(const std::string& path, CameraFile& file);

}  // namespace mvinr
