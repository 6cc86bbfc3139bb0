#include "gstrtpmvinrassembly.h"

#include <algorithm>

namespace {

constexpr size_t kUnitHeader = 10;  // docs/bitstream.md 4

// How many whole units these bytes are; 0 if they are not.
guint count_units(std::span<const std::byte> data) {
  guint count = 0;
  for (; !data.empty(); ++count) {
    if (data.size() < kUnitHeader) return 0;
    const size_t payload = GST_READ_UINT32_LE(reinterpret_cast<const guint8*>(data.data()) + 2);
    if (data.size() - kUnitHeader < payload) return 0;
    data = data.subspan(kUnitHeader + payload);
  }
  return count;
}

}  // namespace

// Every repetition is cut alike, so that one fills the holes of another.
void GstRtpMvinrAssembly::add_beginning(const GstRtpMvinrHeader& header,
                                        std::span<const std::byte> data) {
  if (has_beginning_ || header.offset != beginning_.size()) return;
  beginning_.insert(beginning_.end(), data.begin(), data.end());
  has_beginning_ = header.ends;
}

void GstRtpMvinrAssembly::drop_incomplete_unit() {
  data_.resize(start_);
  in_unit_ = false;
}

bool GstRtpMvinrAssembly::add(const GstRtpMvinrHeader& header, std::span<const std::byte> data) {
  if (header.units != units_) return false;
  if (header.beginning) {
    add_beginning(header, data);
    return true;
  }
  if (header.starts) {
    if (in_unit_) drop_incomplete_unit();
    if (header.unit < next_) return false;  // a unit once more
    start_ = data_.size();
    in_unit_ = true;
    unit_ = header.unit;
  } else if (!in_unit_ || header.unit != unit_ || header.offset != data_.size() - start_) {
    if (in_unit_) drop_incomplete_unit();
    return true;  // pieces before this one were lost
  }
  if (data_.size() + data.size() > mvinr::kMaxAccessUnitBytes) {
    drop_incomplete_unit();
    return false;
  }
  data_.insert(data_.end(), data.begin(), data.end());
  if (!header.ends) return true;
  const guint count = count_units(std::span(data_).subspan(start_));
  const bool fits = count > 0 && unit_ + count <= units_ && (header.starts || count == 1);
  if (!fits) {
    drop_incomplete_unit();
    return false;
  }
  in_unit_ = false;
  start_ = data_.size();
  complete_ += count;
  next_ = unit_ + count;
  return true;
}

mvinr::Result<std::vector<std::byte>> GstRtpMvinrAssembly::finish() const {
  if (!has_beginning_) return mvinr::Error{mvinr::ErrorCode::truncated, "its header was lost"};
  auto unit = mvinr::join_access_unit(beginning_, std::span(data_).first(start_));
  if (!unit || lost_units() == 0) return unit;
  if (const auto states = mvinr::view_states(*unit); !states) return states.error();
  return unit;
}
