// Prefix and header of an access unit as bytes; the whole of it is in access_unit.h.
#pragma once

#include <string>
#include <vector>

#include "format/access_unit.h"

namespace mvinr {

/// The 16 bytes before the header, without magic, version and flags, which can have one value only.
struct Prefix {
  uint16_t header_bytes = 0;
  uint32_t access_unit_bytes = 0;
  uint32_t header_crc = 0;
};

/// Does not look at the header. `corrupt`: no access unit starts here; `unsupported`: of another
/// version; `truncated`: what is there may begin one.
Result<Prefix> read_prefix(Bytes data);

/// Prefix and header, CRC checked. Errors: those of read_prefix and read_header; `truncated` if the
/// header is not all there.
struct Beginning {
  Prefix prefix;
  Header header;
};
Result<Beginning> read_beginning(Bytes data);

/// The prefix and the header behind it, CRC included, for an access unit of `unit_bytes` bytes
/// behind them. `limit_exceeded` if it gets too large.
Result<std::vector<std::byte>> write_beginning(const Header& header, uint64_t unit_bytes);

/// `corrupt` (a field out of its range, named; missing or surplus bytes) or `limit_exceeded`.
Result<Header> read_header(Bytes data);

/// Errors: those of validate(header).
Result<std::vector<std::byte>> write_header(const Header& header);

}  // namespace mvinr
