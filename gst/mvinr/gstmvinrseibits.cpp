#include "gstmvinrseibits.h"

#include <algorithm>
#include <array>
#include <cstring>

using mvinr::Bytes;

namespace {

// docs/sei.md 2: names these messages among all of type user_data_unregistered.
constexpr std::array<uint8_t, 16> kUuid = {0x6e, 0x2f, 0x76, 0x71, 0x4f, 0xc0, 0x4f, 0x13,
                                           0x8e, 0x41, 0x2b, 0xb6, 0x1a, 0x52, 0x2e, 0x5a};
constexpr uint8_t kUserDataUnregistered = 5;  // payloadType
constexpr std::byte kZero{0}, kEscape{3}, kFull{0xff}, kRbspEnd{0x80};

size_t header_bytes(GstMvinrSeiCodec codec) { return codec == GstMvinrSeiCodec::h264 ? 1 : 2; }

int type_of(std::byte first, GstMvinrSeiCodec codec) {
  const int value = std::to_integer<int>(first);
  return codec == GstMvinrSeiCodec::h264 ? value & 31 : value >> 1 & 63;
}

// Where the next start code 00 00 01 begins; data.size() if there is none.
size_t find_start_code(Bytes data, size_t from) {
  for (size_t i = from + 2; i < data.size(); ++i) {
    const void* one = std::memchr(data.data() + i, 1, data.size() - i);
    if (!one) break;
    i = size_t(static_cast<const std::byte*>(one) - data.data());
    if (data[i - 1] == kZero && data[i - 2] == kZero) return i - 2;
  }
  return data.size();
}

// 00 00 followed by 0..3 gets a 03 between.
void append_escaped(std::vector<std::byte>& out, Bytes data) {
  int zeros = 0;
  for (const std::byte b : data) {
    if (zeros == 2 && b <= kEscape) {
      out.push_back(kEscape);
      zeros = 0;
    }
    out.push_back(b);
    zeros = b == kZero ? zeros + 1 : 0;
  }
}

std::vector<std::byte> unescaped(Bytes nal) {
  std::vector<std::byte> out;
  out.reserve(nal.size());
  int zeros = 0;
  for (const std::byte b : nal) {
    if (zeros == 2 && b == kEscape) {
      zeros = 0;
      continue;
    }
    out.push_back(b);
    zeros = b == kZero ? zeros + 1 : 0;
  }
  return out;
}

// payloadType and payloadSize: FF as often as 255 fits, then the rest. False at the end of data.
bool take_sei_number(Bytes& data, size_t& value) {
  value = 0;
  while (!data.empty()) {
    const std::byte b = data[0];
    data = data.subspan(1);
    value += std::to_integer<size_t>(b);
    if (b != kFull) return true;
  }
  return false;
}

// Behind the UUID. False if it makes no sense.
bool read_fragment(Bytes data, GstMvinrSeiFragment& fragment) {
  constexpr size_t kBytes = kGstMvinrSeiHeaderBytes - kUuid.size();
  if (data.empty()) return false;
  fragment.version = int(gst_mvinr_read_uint(data, 0, 1));
  if (fragment.version != kGstMvinrSeiVersion) return true;
  if (data.size() <= kBytes) return false;
  fragment.gop = uint16_t(gst_mvinr_read_uint(data, 2, 2));
  fragment.carriage_bytes = gst_mvinr_read_uint(data, 4, 4);
  fragment.offset = gst_mvinr_read_uint(data, 8, 4);
  fragment.data = data.subspan(kBytes);
  return fragment.carriage_bytes <= mvinr::kMaxAccessUnitBytes &&
         fragment.offset <= fragment.carriage_bytes &&
         fragment.data.size() <= fragment.carriage_bytes - fragment.offset;
}

}  // namespace

void gst_mvinr_append_uint(std::vector<std::byte>& out, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(std::byte(value >> 8 * i));
}

uint32_t gst_mvinr_read_uint(Bytes data, size_t offset, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; ++i)
    value |= std::to_integer<uint32_t>(data[offset + size_t(i)]) << 8 * i;
  return value;
}

std::vector<GstMvinrNal> gst_mvinr_nals(Bytes frame, GstMvinrSeiCodec codec, int length_bytes) {
  std::vector<GstMvinrNal> nals;
  const auto add = [&](size_t begin, size_t end) {
    while (end > begin && frame[end - 1] == kZero) --end;
    if (end > begin) nals.push_back({begin, end - begin, type_of(frame[begin], codec)});
  };
  if (length_bytes == 0) {
    for (size_t code = find_start_code(frame, 0); code < frame.size();) {
      const size_t next = find_start_code(frame, code + 3);
      add(code + 3, next);
      code = next;
    }
    return nals;
  }
  for (size_t at = 0; frame.size() - at > size_t(length_bytes);) {
    size_t bytes = 0;
    for (int i = 0; i < length_bytes; ++i)
      bytes = bytes << 8 | std::to_integer<size_t>(frame[at + size_t(i)]);
    at += size_t(length_bytes);
    if (bytes > frame.size() - at) break;
    add(at, at + bytes);
    at += bytes;
  }
  return nals;
}

bool gst_mvinr_is_slice(GstMvinrSeiCodec codec, int type) {
  return codec == GstMvinrSeiCodec::h264 ? type >= 1 && type <= 5 : type < 32;
}

bool gst_mvinr_is_sei(GstMvinrSeiCodec codec, int type) {
  return codec == GstMvinrSeiCodec::h264 ? type == 6 : type == 39 || type == 40;
}

void gst_mvinr_append_sei(std::vector<std::byte>& out, GstMvinrSeiCodec codec,
                          const GstMvinrSeiFragment& fragment) {
  const size_t size = kGstMvinrSeiHeaderBytes + fragment.data.size();
  std::vector<std::byte> sei = {std::byte{kUserDataUnregistered}};
  sei.reserve(size + size / 255 + 3);
  sei.insert(sei.end(), size / 255, kFull);
  sei.push_back(std::byte(size % 255));
  for (const uint8_t b : kUuid) sei.push_back(std::byte{b});
  gst_mvinr_append_uint(sei, kGstMvinrSeiVersion, 1);
  gst_mvinr_append_uint(sei, 0, 1);
  gst_mvinr_append_uint(sei, fragment.gop, 2);
  gst_mvinr_append_uint(sei, fragment.carriage_bytes, 4);
  gst_mvinr_append_uint(sei, fragment.offset, 4);
  sei.insert(sei.end(), fragment.data.begin(), fragment.data.end());
  sei.push_back(kRbspEnd);
  gst_mvinr_append_uint(out, 0x01000000, 4);  // start code
  if (codec == GstMvinrSeiCodec::h264)
    gst_mvinr_append_uint(out, 0x06, 1);  // nal_ref_idc 0, type 6
  else
    gst_mvinr_append_uint(out, 0x014e, 2);  // type 39 (prefix SEI), layer 0, temporal id 0
  append_escaped(out, sei);
}

namespace {

// Calls `found` with type and payload of every message of an SEI NAL unit; the payload is shorter
// than its message says if the unit ends before. The unit is copied.
void for_each_message(Bytes nal, GstMvinrSeiCodec codec,
                      const std::function<void(size_t type, size_t bytes, Bytes payload)>& found) {
  const std::vector<std::byte> rbsp = unescaped(nal);
  Bytes rest(rbsp);
  rest = rest.subspan(std::min(rest.size(), header_bytes(codec)));
  size_t type, bytes;
  while (rest.size() > 1 && take_sei_number(rest, type) && take_sei_number(rest, bytes)) {
    const Bytes payload = rest.first(std::min(bytes, rest.size()));
    found(type, bytes, payload);
    rest = rest.subspan(payload.size());
  }
}

}  // namespace

bool gst_mvinr_is_user_data(Bytes nal, GstMvinrSeiCodec codec) {
  bool only = true;
  for_each_message(nal, codec,
                   [&](size_t type, size_t, Bytes) { only &= type == kUserDataUnregistered; });
  return only;
}

int gst_mvinr_read_sei(Bytes nal, GstMvinrSeiCodec codec,
                       const std::function<void(const GstMvinrSeiFragment&)>& found) {
  int malformed = 0;
  for_each_message(nal, codec, [&](size_t type, size_t bytes, Bytes payload) {
    const bool ours = type == kUserDataUnregistered && payload.size() >= kUuid.size() &&
                      std::memcmp(payload.data(), kUuid.data(), kUuid.size()) == 0;
    GstMvinrSeiFragment fragment;
    if (ours && payload.size() == bytes && read_fragment(payload.subspan(kUuid.size()), fragment))
      found(fragment);
    else if (ours)
      ++malformed;
  });
  return malformed;
}
