#include "gstmvinrseicarriage.h"

#include <algorithm>
#include <string>

#include "base_caps.h"

using mvinr::Bytes;
using mvinr::Error;
using mvinr::ErrorCode;
using mvinr::Result;

namespace {

constexpr size_t kTableOffset = 8;   // access_unit_bytes, number of slices
constexpr size_t kEntryBytes = 8;    // literal bytes, bytes of the slice
constexpr size_t kUnitHeader = 10;   // docs/bitstream.md 4
constexpr int kBaseUnit = 4;         // its type
constexpr size_t kSlack = 1 << 20;   // holes of this size are filled however little came
constexpr size_t kLeastShare = 512;  // bytes that are worth a message

Error wrong(ErrorCode code, std::string text) { return {code, std::move(text)}; }

Result<GstMvinrSeiCodec> codec_of(const GstCaps* caps) {
  const GstStructure* in = gst_caps_get_structure(caps, 0);
  const bool h264 = gst_structure_has_name(in, "video/x-h264");
  if (!h264 && !gst_structure_has_name(in, "video/x-h265"))
    return wrong(ErrorCode::invalid_argument,
                 "the base views are coded as " + std::string(gst_structure_get_name(in)) +
                     ", only H.264 and H.265 carry SEI messages; set mvinrenc "
                     "base-encoder=x265enc or base-encoder=x264enc");
  const char* format = gst_structure_get_string(in, "stream-format");
  const char* alignment = gst_structure_get_string(in, "alignment");
  if (g_strcmp0(format, "byte-stream") != 0 || g_strcmp0(alignment, "au") != 0)
    return wrong(ErrorCode::invalid_argument,
                 "the base views have stream-format=" + std::string(format ? format : "?") +
                     ", alignment=" + (alignment ? alignment : "?") +
                     ", not byte-stream and au; end mvinrenc's base-encoder with the encoder "
                     "itself, without a parser or caps behind it");
  return h264 ? GstMvinrSeiCodec::h264 : GstMvinrSeiCodec::h265;
}

// The texture of the first base view: its unit's payload.
Result<Bytes> base_payload(Bytes access_unit, int view) {
  const auto units = mvinr::list_units(access_unit);
  if (!units) return units.error();
  for (const mvinr::UnitInfo& unit : *units)
    if (unit.type == kBaseUnit && unit.index == 2 * view && unit.intact)
      return access_unit.subspan(unit.offset + kUnitHeader, unit.bytes - kUnitHeader);
  return wrong(ErrorCode::corrupt,
               "the texture of base view " + std::to_string(view) + " is damaged or missing");
}

}  // namespace

/* ---- sender ---- */

Result<GstMvinrSeiGop> gst_mvinr_sei_split(Bytes access_unit) {
  const auto info = mvinr::read_gop_info(access_unit);
  if (!info) return info.error();
  if (info->base_views.empty())
    return wrong(ErrorCode::invalid_argument,
                 "the stream is implicit, it has no base view that could be the H.264 or H.265 "
                 "stream; set mvinrenc mode=hybrid");
  GstMvinrSeiGop gop;
  gop.view = info->base_views.front();
  const auto payload = base_payload(access_unit, gop.view);
  if (!payload) return payload.error();
  auto base = mvinr::read_base_payload(*payload);
  if (!base) return base.error();
  auto caps = mvinr::gst::parse_base_caps(base->caps);
  if (!caps) return caps.error();
  gop.caps = std::move(*caps);
  gop.packets = std::move(base->packets);
  const auto codec = codec_of(gop.caps.get());
  if (!codec) return codec.error();
  gop.codec = *codec;
  if (gop.packets.size() != size_t(info->frames))
    return wrong(ErrorCode::corrupt, "the base view has " + std::to_string(gop.packets.size()) +
                                         " packets for " + std::to_string(info->frames) +
                                         " frames");

  std::vector<std::byte> table, literals;
  uint32_t slices = 0;
  size_t done = 0;  // bytes of the access unit
  for (const Bytes& packet : gop.packets) {
    const size_t begin = size_t(packet.data() - access_unit.data());
    for (const GstMvinrNal& nal : gst_mvinr_nals(packet, gop.codec, 0)) {
      if (!gst_mvinr_is_slice(gop.codec, nal.type)) continue;
      const Bytes literal = access_unit.subspan(done, begin + nal.offset - done);
      gst_mvinr_append_uint(table, uint32_t(literal.size()), 4);
      gst_mvinr_append_uint(table, uint32_t(nal.bytes), 4);
      literals.insert(literals.end(), literal.begin(), literal.end());
      done = begin + nal.offset + nal.bytes;
      ++slices;
    }
  }
  const Bytes tail = access_unit.subspan(done, info->bytes - done);
  gst_mvinr_append_uint(gop.carriage, info->bytes, 4);
  gst_mvinr_append_uint(gop.carriage, slices, 4);
  for (const Bytes& part : {Bytes(table), Bytes(literals), tail})
    gop.carriage.insert(gop.carriage.end(), part.begin(), part.end());
  if (gop.carriage.size() > mvinr::kMaxAccessUnitBytes)
    return wrong(ErrorCode::limit_exceeded, "the base view has too many slices");
  return gop;
}

std::vector<size_t> gst_mvinr_sei_shares(std::span<const Bytes> packets, size_t carriage,
                                         bool spread) {
  std::vector<size_t> shares(packets.size(), 0);
  if (!spread || packets.size() < 2) {
    shares.front() = carriage;
    return shares;
  }
  // The least level to which the carriage fills up the packets.
  size_t low = 0, high = carriage;
  for (const Bytes& packet : packets) high = std::max(high, packet.size() + carriage);
  while (low < high) {
    const size_t level = low + (high - low) / 2;
    size_t room = 0;
    for (const Bytes& packet : packets) room += level - std::min(level, packet.size());
    room >= carriage ? high = level : low = level + 1;
  }
  size_t left = carriage, saved = 0;
  for (size_t i = 0; i < packets.size() && left > 0; ++i) {
    saved += low - std::min(low, packets[i].size());
    const bool last = i + 1 == packets.size();
    const size_t share =
        last ? left : std::min(left, i == 0 ? std::max(saved, kLeastShare) : saved);
    if (share < kLeastShare && share < left) continue;
    shares[i] = share;
    left -= share;
    saved -= std::min(saved, share);
  }
  return shares;
}

std::vector<std::byte> gst_mvinr_sei_frame(const GstMvinrSeiGop& gop, size_t index,
                                           Bytes messages) {
  const Bytes packet = gop.packets[index];
  std::vector<std::byte> frame;
  frame.reserve(packet.size() + messages.size());
  const auto append = [&](Bytes bytes) { frame.insert(frame.end(), bytes.begin(), bytes.end()); };
  bool inserted = false;
  size_t done = 0;  // of the packet
  for (const GstMvinrNal& nal : gst_mvinr_nals(packet, gop.codec, 0)) {
    if (!inserted && gst_mvinr_is_slice(gop.codec, nal.type)) {
      size_t at = nal.offset - 3;  // of its start code
      if (at > done && packet[at - 1] == std::byte{0}) --at;
      append(packet.subspan(done, at - done));
      append(messages);
      inserted = true;
      done = at;
    } else if (gst_mvinr_is_sei(gop.codec, nal.type) &&
               gst_mvinr_is_user_data(packet.subspan(nal.offset, nal.bytes), gop.codec)) {
      append(packet.subspan(done, nal.offset - 3 - done));
      done = nal.offset + nal.bytes;
    }
  }
  append(packet.subspan(done));
  return frame;
}

/* ---- receiver ---- */

bool GstMvinrSeiAssembly::belongs(const GstMvinrSeiFragment& fragment) const {
  const bool again = fragment.offset == 0 && received_ > 0 && !slice_ends_.empty();
  return fragment.gop == number_ && fragment.carriage_bytes == carriage_bytes_ && !again;
}

void GstMvinrSeiAssembly::add(const GstMvinrSeiFragment& fragment) {
  const size_t have = carriage_.size();
  if (fragment.offset < have || hopeless_) return;  // once more, or too late
  const size_t hole = fragment.offset - have;
  if (hole > received_ + kSlack) {
    hopeless_ = true;
    return;
  }
  carriage_.resize(fragment.offset);
  carriage_.insert(carriage_.end(), fragment.data.begin(), fragment.data.end());
  received_ += fragment.data.size();
  if (intact_ == have && hole == 0) intact_ = carriage_.size();
  if (table_.empty()) hopeless_ = !read_table();
}

// Reads the table as soon as it is there. False if it makes no sense, or has a hole.
bool GstMvinrSeiAssembly::read_table() {
  if (intact_ < kTableOffset) return carriage_.size() == intact_;
  const size_t slices = gst_mvinr_read_uint(carriage_, 4, 4);
  if (slices == 0 || slices > (carriage_bytes_ - kTableOffset) / kEntryBytes) return false;
  table_end_ = kTableOffset + slices * kEntryBytes;
  if (intact_ < table_end_) return carriage_.size() == intact_;
  access_unit_bytes_ = gst_mvinr_read_uint(carriage_, 0, 4);
  if (access_unit_bytes_ > mvinr::kMaxAccessUnitBytes) return false;
  uint64_t literals = 0, all = carriage_bytes_ - table_end_;
  for (size_t i = 0; i < slices; ++i) {
    const size_t at = kTableOffset + i * kEntryBytes;
    table_.push_back(
        {gst_mvinr_read_uint(carriage_, at, 4), gst_mvinr_read_uint(carriage_, at + 4, 4)});
    literals += table_.back().literal_bytes;
    all += table_.back().slice_bytes;
  }
  const bool fits = literals <= carriage_bytes_ - table_end_ && all == access_unit_bytes_;
  if (!fits) table_.clear();
  return fits;
}

void GstMvinrSeiAssembly::add_slice(Bytes nal, GstClockTime pts) {
  if (GST_CLOCK_TIME_IS_VALID(pts)) {
    pts_ = GST_CLOCK_TIME_IS_VALID(pts_) ? std::min(pts_, pts) : pts;
    if (slice_ends_.empty()) first_pts_known_ = true;
  }
  const bool enough = !table_.empty() && slice_ends_.size() >= table_.size();
  if (enough || hopeless_ || slices_.size() + nal.size() > mvinr::kMaxAccessUnitBytes) return;
  slices_.insert(slices_.end(), nal.begin(), nal.end());
  slice_ends_.push_back(slices_.size());
}

bool GstMvinrSeiAssembly::complete() const {
  return !table_.empty() && intact_ == carriage_bytes_ && slice_ends_.size() == table_.size();
}

size_t GstMvinrSeiAssembly::missing_bytes() const { return carriage_bytes_ - received_; }

size_t GstMvinrSeiAssembly::missing_slices() const {
  return table_.size() - std::min(table_.size(), slice_ends_.size());
}

// The bytes of the access unit, zeros where they were lost.
Result<std::vector<std::byte>> GstMvinrSeiAssembly::joined(bool& whole) {
  if (table_.empty())
    return wrong(hopeless_ ? ErrorCode::corrupt : ErrorCode::truncated,
                 hopeless_ ? "its SEI messages contradict each other, or most of them were lost"
                           : "its first SEI message was lost");
  whole = complete();
  const size_t all = table_end_ + access_unit_bytes_, have = received_ + slices_.size();
  if (all > 2 * have + kSlack) return wrong(ErrorCode::truncated, "most of it was lost");
  carriage_.resize(carriage_bytes_);
  std::vector<std::byte> out;
  out.reserve(access_unit_bytes_);
  size_t literal = table_end_, slice = 0;
  for (size_t i = 0; i < table_.size(); ++i) {
    const auto from = carriage_.begin() + ptrdiff_t(literal);
    out.insert(out.end(), from, from + table_[i].literal_bytes);
    literal += table_[i].literal_bytes;
    const size_t end = i < slice_ends_.size() ? slice_ends_[i] : slice;
    if (end - slice == table_[i].slice_bytes) {
      out.insert(out.end(), slices_.begin() + ptrdiff_t(slice), slices_.begin() + ptrdiff_t(end));
    } else {
      out.resize(out.size() + table_[i].slice_bytes);
      whole = false;
    }
    slice = end;
  }
  out.insert(out.end(), carriage_.begin() + ptrdiff_t(literal), carriage_.end());
  return out;
}

Result<GstMvinrSeiAssembly::Finished> GstMvinrSeiAssembly::finish() {
  Finished finished;
  auto bytes = joined(finished.whole);
  if (!bytes) return bytes.error();
  const auto info = mvinr::read_gop_info(*bytes);
  if (!info) return info.error();
  const auto units = mvinr::list_units(*bytes);
  if (!units) return units.error();
  std::vector<std::byte> intact;
  for (const mvinr::UnitInfo& unit : *units) {
    if (!unit.intact) {
      ++finished.lost_units;
      continue;
    }
    const auto from = bytes->begin() + ptrdiff_t(unit.offset);
    intact.insert(intact.end(), from, from + ptrdiff_t(unit.bytes));
  }
  finished.whole = finished.whole && finished.lost_units == 0 && info->bytes == bytes->size();
  if (finished.whole) {
    finished.access_unit = std::move(*bytes);
    return finished;
  }
  auto rest = mvinr::join_access_unit(*bytes, intact);
  if (!rest) return rest.error();
  const auto states = mvinr::view_states(*rest);
  if (!states) return states.error();
  if (std::none_of(states->begin(), states->end(),
                   [](mvinr::ViewState state) { return state == mvinr::ViewState::there; }))
    return wrong(ErrorCode::truncated, "what arrived of it is not enough for any view");
  finished.access_unit = std::move(*rest);
  return finished;
}
