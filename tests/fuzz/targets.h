// What the fuzzers run. Each target takes any bytes; a result that input must never cause ends the
// process: ErrorCode::internal, or accepting what another function refuses.
#pragma once

#include <cstdint>
#include <vector>

#include "mvinr/types.h"

namespace mvinr::fuzz {

void header(Bytes data);       // find_access_unit, access_unit_bytes, read_gop_info, describe
void access_unit(Bytes data);  // a whole decoder: start_gop and some pictures
void cameras(Bytes data);      // read_camera_file, camera_for_size
// model_targets.cpp
void units(Bytes data);    // parse_access_unit, the payloads of all units, and writing them again
void kernels(Bytes data);  // synthesis with weights made of the bytes: every set of kernels agrees
/// sei_target.cpp, in builds with GStreamer: mvinrseiextract with options and a stream of H.264 or
/// H.265. How many access units came out of it.
size_t sei(Bytes data);

/// Makes the CRCs of header and units right, as far as the sizes in `data` allow: otherwise nearly
/// every mutation would end at a CRC and nothing behind it would be tested.
void repair_crcs(std::vector<std::byte>& data);

}  // namespace mvinr::fuzz
