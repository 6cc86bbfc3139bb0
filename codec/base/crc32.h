// CRC-32 of IEEE 802.3 (reflected polynomial 0xEDB88320, initial value and final xor 0xFFFFFFFF),
// as in zlib, PNG and Ethernet.
#pragma once

#include "mvinr/types.h"

namespace mvinr {

/// CRC of `data`; pass the CRC of the bytes before it to go on: crc32(b, crc32(a)) = crc32(a + b).
uint32_t crc32(Bytes data, uint32_t before = 0);

}  // namespace mvinr
