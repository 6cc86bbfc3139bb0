#include "format/access_unit.h"

#include <algorithm>

#include "base/byte_io.h"
#include "base/crc32.h"
#include "base/try.h"
#include "format/header.h"

namespace mvinr {
namespace {

constexpr char kMagic[] = {'M', 'V', 'N', 'R'};
constexpr size_t kCrcOffset = 12;  // of the header's CRC in the prefix

/// type, index, payload_bytes: what a unit's CRC covers before the payload.
constexpr size_t kUnitPrefixBytes = 6;

/// The CRC of the header covers the prefix before itself and the header.
uint32_t header_crc(Bytes beginning) {
  return crc32(beginning.subspan(kAccessUnitPrefixBytes), crc32(beginning.first(kCrcOffset)));
}

uint32_t unit_crc(Bytes unit) {
  return crc32(unit.subspan(kUnitHeaderBytes), crc32(unit.first(kUnitPrefixBytes)));
}

bool begins_like_magic(Bytes data) {
  const size_t length = std::min(data.size(), sizeof kMagic);
  return std::memcmp(data.data(), kMagic, length) == 0;
}

/// The unit at the reader's position. One whose header or payload is not all there takes the rest.
UnitView take_unit(ByteReader& in, Bytes access_unit) {
  UnitView unit;
  unit.offset = in.offset();
  const Bytes rest = access_unit.subspan(unit.offset);
  uint64_t payload_bytes = 0;
  bool complete = false;
  if (const auto type = in.unsigned_integer(1)) {
    unit.type = static_cast<UnitType>(*type);
    if (const auto index = in.unsigned_integer(1)) {
      unit.index = static_cast<int>(*index);
      if (const auto bytes = in.unsigned_integer(4)) {
        payload_bytes = *bytes;
        complete = rest.size() >= kUnitHeaderBytes + payload_bytes;
      }
    }
  }
  unit.bytes = complete ? kUnitHeaderBytes + payload_bytes : rest.size();
  const Bytes bytes = rest.first(unit.bytes);
  if (bytes.size() > kUnitHeaderBytes) unit.payload = bytes.subspan(kUnitHeaderBytes);
  if (complete) {
    ByteReader crc(bytes.subspan(kUnitPrefixBytes));
    unit.intact = *crc.unsigned_integer(4) == unit_crc(bytes);
  }
  return unit;
}

}  // namespace

Result<Prefix> read_prefix(Bytes data) {
  if (!data.empty() && !begins_like_magic(data))
    return Error{ErrorCode::corrupt, "no access unit starts here: the magic MVNR is missing"};
  ByteReader in(data);
  MVINR_TRY(in.take(std::min(data.size(), sizeof kMagic)));
  if (const auto version = in.unsigned_integer(1); version && *version != kBitstreamVersion)
    return Error{ErrorCode::unsupported, "the access unit is of bitstream version " +
                                             std::to_string(*version) + ", this is a decoder of " +
                                             std::to_string(kBitstreamVersion)};
  if (const auto flags = in.unsigned_integer(1); flags && *flags != 0)
    return Error{ErrorCode::unsupported,
                 "the access unit has flags " + std::to_string(*flags) + ", only 0 is known"};
  if (data.size() < kAccessUnitPrefixBytes)
    return Error{ErrorCode::truncated, "the prefix of an access unit has " +
                                           std::to_string(kAccessUnitPrefixBytes) +
                                           " bytes, there are " + std::to_string(data.size())};
  Prefix prefix;
  prefix.header_bytes = static_cast<uint16_t>(*in.unsigned_integer(2));
  prefix.access_unit_bytes = static_cast<uint32_t>(*in.unsigned_integer(4));
  prefix.header_crc = static_cast<uint32_t>(*in.unsigned_integer(4));
  if (prefix.access_unit_bytes > kMaxAccessUnitBytes ||
      prefix.access_unit_bytes < kAccessUnitPrefixBytes + prefix.header_bytes)
    return Error{ErrorCode::corrupt, "an access unit of " +
                                         std::to_string(prefix.access_unit_bytes) +
                                         " bytes with a header of " +
                                         std::to_string(prefix.header_bytes) + " is impossible"};
  return prefix;
}

Result<Beginning> read_beginning(Bytes data) {
  MVINR_ASSIGN(const Prefix prefix, read_prefix(data));
  const size_t bytes = kAccessUnitPrefixBytes + prefix.header_bytes;
  if (data.size() < bytes)
    return Error{ErrorCode::truncated, "the header ends after " + std::to_string(bytes) +
                                           " bytes, there are " + std::to_string(data.size())};
  if (header_crc(data.first(bytes)) != prefix.header_crc)
    return Error{ErrorCode::corrupt, "the header is damaged: its CRC does not match"};
  MVINR_ASSIGN(Header header,
               read_header(data.subspan(kAccessUnitPrefixBytes, prefix.header_bytes)));
  return Beginning{prefix, std::move(header)};
}

Result<std::vector<std::byte>> write_beginning(const Header& header, uint64_t unit_bytes) {
  MVINR_ASSIGN(const std::vector<std::byte> fields, write_header(header));
  const uint64_t total = kAccessUnitPrefixBytes + fields.size() + unit_bytes;
  if (total > kMaxAccessUnitBytes)
    return Error{ErrorCode::limit_exceeded, "the access unit has " + std::to_string(total) +
                                                " bytes, at most " +
                                                std::to_string(kMaxAccessUnitBytes)};
  ByteWriter out;
  out.append(std::as_bytes(std::span(kMagic)));
  out.unsigned_integer(kBitstreamVersion, 1);
  out.unsigned_integer(0, 1);  // flags
  out.unsigned_integer(fields.size(), 2);
  out.unsigned_integer(total, 4);
  out.unsigned_integer(crc32(fields, crc32(out.bytes())), 4);
  out.append(fields);
  return out.release();
}

const UnitView* AccessUnit::find(UnitType type, int index) const {
  for (const UnitView& unit : units)
    if (unit.intact && unit.type == type && unit.index == index) return &unit;
  return nullptr;
}

Result<AccessUnit> parse_access_unit(Bytes data) {
  MVINR_ASSIGN(Beginning beginning, read_beginning(data));
  AccessUnit result;
  result.header = std::move(beginning.header);
  result.bytes = beginning.prefix.access_unit_bytes;
  result.header_bytes =
      static_cast<uint32_t>(kAccessUnitPrefixBytes + beginning.prefix.header_bytes);
  const Bytes access_unit = data.first(std::min<size_t>(data.size(), result.bytes));
  ByteReader in(access_unit);
  MVINR_TRY(in.take(result.header_bytes));
  while (in.remaining() > 0) {
    if (result.units.size() == kMaxUnits)
      return Error{ErrorCode::corrupt,
                   "the access unit has more than " + std::to_string(kMaxUnits) + " units"};
    const UnitView unit = take_unit(in, access_unit);
    result.units.push_back(unit);
    MVINR_TRY(in.take(unit.offset + unit.bytes - in.offset()));
  }
  return result;
}

Result<std::vector<std::byte>> write_access_unit(const Header& header,
                                                 std::span<const UnitPayload> units) {
  if (units.size() > kMaxUnits)
    return Error{ErrorCode::limit_exceeded, "the access unit has " + std::to_string(units.size()) +
                                                " units, at most " + std::to_string(kMaxUnits)};
  uint64_t unit_bytes = 0;
  for (const UnitPayload& unit : units) {
    if (unit.index < 0 || unit.index > 255)
      return Error{ErrorCode::invalid_argument,
                   "the index of a unit is " + std::to_string(unit.index) + ", must be 0..255"};
    unit_bytes += kUnitHeaderBytes + unit.payload.size();
  }
  ByteWriter out;
  MVINR_ASSIGN(const std::vector<std::byte> beginning, write_beginning(header, unit_bytes));
  out.append(beginning);
  for (const UnitPayload& unit : units) {
    ByteWriter prefix;
    prefix.unsigned_integer(static_cast<uint8_t>(unit.type), 1);
    prefix.unsigned_integer(unit.index, 1);
    prefix.unsigned_integer(unit.payload.size(), 4);
    out.append(prefix.bytes());
    out.unsigned_integer(crc32(unit.payload, crc32(prefix.bytes())), 4);
    out.append(unit.payload);
  }
  return out.release();
}

Result<GopInfo> read_gop_info(Bytes data) {
  MVINR_ASSIGN(Beginning beginning, read_beginning(data));
  return GopInfo{.sequence = std::move(beginning.header.sequence),
                 .first_frame = beginning.header.first_frame,
                 .frames = beginning.header.frames,
                 .bytes = beginning.prefix.access_unit_bytes,
                 .base_views = std::move(beginning.header.base_views),
                 .motion = beginning.header.model.motion};
}

Result<uint32_t> access_unit_bytes(Bytes data) {
  MVINR_ASSIGN(const Prefix prefix, read_prefix(data));
  return prefix.access_unit_bytes;
}

size_t find_access_unit(Bytes data, size_t from) {
  while (from < data.size()) {
    const void* hit = std::memchr(data.data() + from, kMagic[0], data.size() - from);
    if (hit == nullptr) break;
    from = static_cast<size_t>(static_cast<const std::byte*>(hit) - data.data());
    if (begins_like_magic(data.subspan(from))) return from;
    ++from;
  }
  return data.size();
}

}  // namespace mvinr
