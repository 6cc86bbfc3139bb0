#include "gstmvinrparseindex.h"

#include <algorithm>

#include "gstmvinr.h"

namespace {

constexpr size_t kMaxEntries = 1 << 16;  // 18 hours of one-second GOPs, read in about a second

bool is_local(GstPad* pad) {
  GstQuery* query = gst_query_new_scheduling();
  GstSchedulingFlags flags = GST_SCHEDULING_FLAG_BANDWIDTH_LIMITED;
  if (gst_pad_peer_query(pad, query))
    gst_query_parse_scheduling(query, &flags, nullptr, nullptr, nullptr);
  gst_query_unref(query);
  return (flags & GST_SCHEDULING_FLAG_BANDWIDTH_LIMITED) == 0;
}

// The header at `offset`: most fit into the first kilobytes, none is longer than 64 KiB.
mvinr::Result<mvinr::GopInfo> read_header(GstPad* pad, guint64 offset) {
  mvinr::Error error{mvinr::ErrorCode::truncated, "cannot read the file"};
  for (guint size : {4096u, 66000u}) {
    GstBuffer* buffer = nullptr;
    if (gst_pad_pull_range(pad, offset, size, &buffer) != GST_FLOW_OK) return error;
    auto gop = mvinr::read_gop_info(GstMvinrMap(buffer).bytes());
    gst_buffer_unref(buffer);
    if (gop || gop.error().code != mvinr::ErrorCode::truncated) return gop;
  }
  return error;
}

}  // namespace

bool GstMvinrParseIndex::read(GstPad* pad) {
  gint64 file_bytes = 0;
  if (!is_local(pad) || !gst_pad_peer_query_duration(pad, GST_FORMAT_BYTES, &file_bytes))
    return false;
  GstMvinrParseIndex index;
  while (index.end_.offset < guint64(file_bytes)) {
    const auto gop = read_header(pad, index.end_.offset);
    if (!gop && gop.error().code == mvinr::ErrorCode::truncated) break;
    if (!gop || index.entries_.size() == kMaxEntries) return false;
    if (index.end_.offset + gop->bytes > guint64(file_bytes)) break;  // will be dropped
    const auto& rate = gop->sequence.frame_rate;
    const auto pts = gst_mvinr_frame_time(gop->first_frame, rate);
    const auto end = gst_mvinr_frame_time(gop->first_frame + guint64(gop->frames), rate);
    if (!GST_CLOCK_TIME_IS_VALID(pts) || !GST_CLOCK_TIME_IS_VALID(end) || pts < index.end_.pts)
      return false;
    index.entries_.push_back({index.end_.offset, pts});
    index.end_ = {index.end_.offset + gop->bytes, end};
  }
  *this = std::move(index);
  return !entries_.empty();
}

bool GstMvinrParseIndex::convert(GstFormat from, gint64 value, GstFormat to, gint64* result) const {
  if (entries_.empty() || value < 0) return false;
  const bool to_bytes = from == GST_FORMAT_TIME && to == GST_FORMAT_BYTES;
  const bool to_time = from == GST_FORMAT_BYTES && to == GST_FORMAT_TIME;
  if (!to_bytes && !to_time) return false;
  auto key = [&](const Entry& e) { return to_bytes ? guint64(e.pts) : e.offset; };
  const Entry* found = &end_;
  if (guint64(value) < key(end_)) {
    const auto next = std::upper_bound(entries_.begin(), entries_.end(), guint64(value),
                                       [&](guint64 v, const Entry& e) { return v < key(e); });
    found = next == entries_.begin() ? &entries_.front() : &*std::prev(next);
  }
  *result = to_bytes ? gint64(found->offset) : gint64(found->pts);
  return true;
}
