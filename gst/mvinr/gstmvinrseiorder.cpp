#include "gstmvinrseiorder.h"

#define GST_USE_UNSTABLE_API  // of the codec parsers, as in all releases since 1.4
#include <gst/codecparsers/gsth264parser.h>
#include <gst/codecparsers/gsth265parser.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <string>

using mvinr::Bytes;
using mvinr::Error;
using mvinr::ErrorCode;
using mvinr::Result;

namespace {

// Of one picture: `period` counts the pictures at which the order count begins anew.
struct Place {
  int period = 0;
  int64_t count = 0;
  bool sync = false;
};

// The more significant part of a picture order count, from the less significant ones of this and of
// an earlier picture (H.264 8.2.1.1, H.265 8.3.1).
int64_t next_msb(int64_t lsb, int64_t before_lsb, int64_t before_msb, int64_t range) {
  if (lsb < before_lsb && before_lsb - lsb >= range / 2) return before_msb + range;
  if (lsb > before_lsb && lsb - before_lsb > range / 2) return before_msb - range;
  return before_msb;
}

class H264Order {
 public:
  static constexpr GstMvinrSeiCodec kCodec = GstMvinrSeiCodec::h264;

  /// The place of the picture if the NAL unit is a slice.
  Result<std::optional<Place>> read(const guint8* data, size_t start_code, size_t end) {
    GstH264NalUnit nal;
    if (gst_h264_parser_identify_nalu_unchecked(parser_.get(), data, guint(start_code), end,
                                                &nal) != GST_H264_PARSER_OK)
      return std::optional<Place>();
    if (!gst_mvinr_is_slice(kCodec, nal.type)) {
      gst_h264_parser_parse_nal(parser_.get(), &nal);
      return std::optional<Place>();
    }
    GstH264SliceHdr slice;
    if (gst_h264_parser_parse_slice_hdr(parser_.get(), &nal, &slice, FALSE, FALSE) !=
        GST_H264_PARSER_OK)
      return Error{ErrorCode::corrupt, "a slice header cannot be read"};
    const GstH264SPS& sps = *slice.pps->sequence;
    if (sps.vui_parameters_present_flag && sps.vui_parameters.bitstream_restriction_flag)
      reorder = std::max(reorder, int(std::min(sps.vui_parameters.num_reorder_frames, 16u)));
    if (nal.idr_pic_flag) {
      ++period_;
      lsb_ = msb_ = 0;
    }
    if (sps.pic_order_cnt_type == 1)
      return Error{ErrorCode::unsupported, "pictures are in the order of pic_order_cnt_type 1"};
    // Type 2: the order of output is that of decoding.
    if (sps.pic_order_cnt_type == 2)
      return std::optional(Place{period_, count_++, nal.idr_pic_flag != 0});
    const int64_t range = int64_t{1} << (sps.log2_max_pic_order_cnt_lsb_minus4 + 4);
    const int64_t lsb = slice.pic_order_cnt_lsb;
    const int64_t msb = next_msb(lsb, lsb_, msb_, range);
    if (nal.ref_idc != 0) {
      lsb_ = lsb;
      msb_ = msb;
    }
    return std::optional(Place{period_, msb + lsb, nal.idr_pic_flag != 0});
  }
  int reorder = 0;

 private:
  struct Free {
    void operator()(GstH264NalParser* parser) const { gst_h264_nal_parser_free(parser); }
  };
  std::unique_ptr<GstH264NalParser, Free> parser_{gst_h264_nal_parser_new()};
  int period_ = 0;
  int64_t lsb_ = 0, msb_ = 0, count_ = 0;
};

class H265Order {
 public:
  static constexpr GstMvinrSeiCodec kCodec = GstMvinrSeiCodec::h265;

  Result<std::optional<Place>> read(const guint8* data, size_t start_code, size_t end) {
    GstH265NalUnit nal;
    if (gst_h265_parser_identify_nalu_unchecked(parser_.get(), data, guint(start_code), end,
                                                &nal) != GST_H265_PARSER_OK)
      return std::optional<Place>();
    if (!gst_mvinr_is_slice(kCodec, nal.type)) {
      gst_h265_parser_parse_nal(parser_.get(), &nal);
      return std::optional<Place>();
    }
    GstH265SliceHdr slice;
    const auto parsed = gst_h265_parser_parse_slice_hdr(parser_.get(), &nal, &slice);
    if (parsed != GST_H265_PARSER_OK)
      return Error{ErrorCode::corrupt, "a slice header cannot be read"};
    const GstH265SPS& sps = *slice.pps->sps;
    const int layer = std::min<int>(sps.max_sub_layers_minus1, GST_H265_MAX_SUB_LAYERS - 1);
    reorder = std::max(reorder, std::min<int>(sps.max_num_reorder_pics[layer], 16));
    const int64_t range = int64_t{1} << (sps.log2_max_pic_order_cnt_lsb_minus4 + 4);
    const int64_t lsb = slice.pic_order_cnt_lsb;
    gst_h265_slice_hdr_free(&slice);

    const int type = nal.type;
    const bool sync = type >= 16 && type <= 23;                 // a random access point
    const bool restart = period_ == 0 || (sync && type <= 20);  // IDR or BLA
    if (restart) ++period_;
    const int64_t msb = restart ? 0 : next_msb(lsb, lsb_, msb_, range);
    const bool leading = type >= 6 && type <= 9, unreferenced = type <= 14 && type % 2 == 0;
    if (nal.temporal_id_plus1 == 1 && !leading && !unreferenced) {
      lsb_ = lsb;
      msb_ = msb;
    }
    return std::optional(Place{period_, msb + lsb, sync});
  }
  int reorder = 0;

 private:
  struct Free {
    void operator()(GstH265Parser* parser) const { gst_h265_parser_free(parser); }
  };
  std::unique_ptr<GstH265Parser, Free> parser_{gst_h265_parser_new()};
  int period_ = 0;
  int64_t lsb_ = 0, msb_ = 0;
};

// The place of the packet's picture: that of its first slice.
template <typename Order>
Result<Place> place_of(Order& order, Bytes packet) {
  const auto* data = reinterpret_cast<const guint8*>(packet.data());
  for (const GstMvinrNal& nal : gst_mvinr_nals(packet, Order::kCodec, 0)) {
    auto place = order.read(data, nal.offset - 3, nal.offset + nal.bytes);
    if (!place) return place.error();
    if (*place) return **place;
  }
  return Error{ErrorCode::corrupt, "a packet without a picture"};
}

template <typename Order>
Result<GstMvinrSeiOrder> order_of(std::span<const Bytes> packets) {
  Order order;
  std::vector<Place> places;
  GstMvinrSeiOrder result;
  for (const Bytes& packet : packets) {
    const Result<Place> place = place_of(order, packet);
    if (!place) return place.error();
    places.push_back(*place);
    result.sync.push_back(place->sync);
  }
  const auto key = [&](int i) {
    return std::pair(places[size_t(i)].period, places[size_t(i)].count);
  };
  std::vector<int> by_output(packets.size());
  std::iota(by_output.begin(), by_output.end(), 0);
  std::sort(by_output.begin(), by_output.end(), [&](int a, int b) { return key(a) < key(b); });
  result.shown.resize(packets.size());
  result.reorder = order.reorder;
  for (int shown = 0; shown < int(packets.size()); ++shown) {
    const int packet = by_output[size_t(shown)];
    if (shown > 0 && key(by_output[size_t(shown - 1)]) == key(packet))
      return Error{ErrorCode::corrupt, "two packets hold one picture"};
    result.shown[size_t(packet)] = shown;
    result.reorder = std::max(result.reorder, packet - shown);
  }
  return result;
}

}  // namespace

Result<GstMvinrSeiOrder> gst_mvinr_sei_order(GstMvinrSeiCodec codec,
                                             std::span<const Bytes> packets) {
  return codec == GstMvinrSeiCodec::h264 ? order_of<H264Order>(packets)
                                         : order_of<H265Order>(packets);
}
