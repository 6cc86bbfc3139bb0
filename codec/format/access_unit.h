// An access unit in bytes (docs/bitstream.md 2-4): prefix, header, units. Reading never allocates
// more than a few kilobytes per header, whatever the bytes say; payloads are not copied.
#pragma once

#include <string>
#include <vector>

#include "model/config.h"
#include "mvinr/stream.h"

namespace mvinr {

struct Header {
  SequenceInfo sequence;
  uint64_t first_frame = 0;
  int frames = 1;
  std::vector<int> base_views;  // see GopInfo
  ModelConfig model;            // model.frames == frames, model.views == number of the other views
  /// The views that the network renders, in rising order: view k of the model is the k-th of them.
  std::vector<int> network_views() const;
  bool operator==(const Header&) const = default;
};

/// Everything that docs/bitstream.md 3 asks of a header. `invalid_argument` names the field;
/// `limit_exceeded` as validate(ModelConfig).
Status validate(const Header& header);

/// Index of a unit of type base.
constexpr int base_unit_index(int view, Component component) {
  return 2 * view + static_cast<int>(component);
}

inline constexpr int kMaxUnits = 1024;  // in one access unit
inline constexpr size_t kUnitHeaderBytes = 10;

/// One unit of an access unit that was read; `payload` points into the bytes given to
/// parse_access_unit.
struct UnitView {
  UnitType type = UnitType::network;  // other values than the enumerators: to be skipped
  int index = 0;
  Bytes payload;
  bool intact = false;  // all bytes are there and the CRC is right
  size_t offset = 0;    // of the unit's header in the access unit
  size_t bytes = 0;     // of the unit's header and payload, as far as they are there
};

struct AccessUnit {
  Header header;
  std::vector<UnitView> units;
  uint32_t bytes = 0;         // of the whole access unit, as its prefix says
  uint32_t header_bytes = 0;  // prefix included

  /// The first intact unit of this type and index, or nullptr.
  const UnitView* find(UnitType type, int index = 0) const;
};

/// Reads the access unit that starts at data[0]; bytes behind its end are ignored. Prefix and
/// header must be valid (errors as read_gop_info). If its tail is missing, or a unit is damaged,
/// the units concerned are listed with intact = false: the caller decides whether it needs them.
/// `corrupt` also if there are more than kMaxUnits.
Result<AccessUnit> parse_access_unit(Bytes data);

struct UnitPayload {
  UnitType type = UnitType::network;
  int index = 0;  // 0..255
  std::vector<std::byte> payload;
};

/// The bytes of a whole access unit. Errors: those of validate(header), `limit_exceeded` (more than
/// kMaxAccessUnitBytes or kMaxUnits).
Result<std::vector<std::byte>> write_access_unit(const Header& header,
                                                 std::span<const UnitPayload> units);

/// One line per part of the header: every field by name and value.
std::string describe_header(const Header& header);

}  // namespace mvinr
