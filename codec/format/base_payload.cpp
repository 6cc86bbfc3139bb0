// The payload of a BASE unit: caps_bytes:u16 caps packets:u16 { bytes:u32 packet }*.
#include "base/byte_io.h"
#include "base/try.h"
#include "mvinr/stream.h"

namespace mvinr {
namespace {

Error corrupt(const std::string& what) { return {ErrorCode::corrupt, "base payload: " + what}; }
Error invalid(const std::string& what) {
  return {ErrorCode::invalid_argument, "base payload: " + what};
}

Result<BasePayload> read(ByteReader& reader) {
  BasePayload base;
  MVINR_ASSIGN(const uint64_t caps_bytes, reader.unsigned_integer(2));
  if (caps_bytes == 0 || caps_bytes > kMaxBaseCapsBytes)
    return corrupt("caps of " + std::to_string(caps_bytes) + " bytes");
  MVINR_ASSIGN(const Bytes caps, reader.take(caps_bytes));
  base.caps.assign(reinterpret_cast<const char*>(caps.data()), caps.size());

  MVINR_ASSIGN(const uint64_t count, reader.unsigned_integer(2));
  if (count == 0 || count > kMaxBasePackets)
    return corrupt(std::to_string(count) + " packets, not 1 to " + std::to_string(kMaxBasePackets));
  base.packets.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    MVINR_ASSIGN(const uint64_t bytes, reader.unsigned_integer(4));
    if (bytes == 0) return corrupt("packet " + std::to_string(i) + " is empty");
    MVINR_ASSIGN(const Bytes packet, reader.take(bytes));
    base.packets.push_back(packet);
  }
  if (reader.remaining() > 0)
    return corrupt(std::to_string(reader.remaining()) + " bytes behind the last packet");
  return base;
}

}  // namespace

Result<BasePayload> read_base_payload(Bytes payload) {
  ByteReader reader(payload);
  Result<BasePayload> base = read(reader);
  // The payload is there as a whole: an end that comes too early is damage.
  if (!base && base.error().code == ErrorCode::truncated) return corrupt(base.error().message);
  return base;
}

Result<std::vector<std::byte>> write_base_payload(const std::string& caps,
                                                  std::span<const Bytes> packets) {
  if (caps.empty() || caps.size() > kMaxBaseCapsBytes)
    return invalid("caps of " + std::to_string(caps.size()) + " bytes, not 1 to " +
                   std::to_string(kMaxBaseCapsBytes));
  if (packets.empty() || packets.size() > kMaxBasePackets)
    return invalid(std::to_string(packets.size()) + " packets, not 1 to " +
                   std::to_string(kMaxBasePackets));
  ByteWriter writer;
  writer.unsigned_integer(caps.size(), 2);
  writer.append(std::as_bytes(std::span(caps)));
  writer.unsigned_integer(packets.size(), 2);
  for (const Bytes& packet : packets) {
    if (packet.empty() || packet.size() > kMaxAccessUnitBytes)
      return invalid("a packet of " + std::to_string(packet.size()) + " bytes");
    writer.unsigned_integer(packet.size(), 4);
    writer.append(packet);
  }
  if (writer.size() > kMaxAccessUnitBytes)
    return invalid(std::to_string(writer.size()) + " bytes are more than an access unit may have");
  return writer.release();
}

}  // namespace mvinr
