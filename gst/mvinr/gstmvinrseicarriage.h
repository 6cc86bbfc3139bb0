// An access unit as what a 2D stream carries already and the rest, and back (docs/sei.md 3).
#pragma once

#include <gst/gst.h>

#include <span>
#include <vector>

#include "gst_ptr.h"
#include "gstmvinrseibits.h"

/// What mvinrseiinsert makes of an access unit. The packets point into it.
struct GstMvinrSeiGop {
  GstMvinrSeiCodec codec = GstMvinrSeiCodec::h264;
  int view = 0;                       // whose texture the packets are
  mvinr::gst::GstPtr<GstCaps> caps;   // of the packets
  std::vector<mvinr::Bytes> packets;  // one picture each, in decoding order, behind start codes
  std::vector<std::byte> carriage;    // everything else
};

/// Errors: those of list_units; `invalid_argument`: an implicit stream or another 2D codec (the
/// message says what to set in mvinrenc); `corrupt`: its base view is damaged.
mvinr::Result<GstMvinrSeiGop> gst_mvinr_sei_split(mvinr::Bytes access_unit);

/// How many bytes of a carriage go with each packet. `spread`: so that packets and carriage
/// together are as even as they can be; else all with the first. The first gets some always.
std::vector<size_t> gst_mvinr_sei_shares(std::span<const mvinr::Bytes> packets, size_t carriage,
                                         bool spread);

/// Packet `index` with these SEI NAL units in front of its first slice, and without the settings of
/// the encoder (gst_mvinr_is_user_data), which are in the carriage.
std::vector<std::byte> gst_mvinr_sei_frame(const GstMvinrSeiGop& gop, size_t index,
                                           mvinr::Bytes messages);

/// An access unit while the frames come in that carry it. Holds no more than was received, and what
/// it takes to fill holes not larger than that.
class GstMvinrSeiAssembly {
 public:
  explicit GstMvinrSeiAssembly(const GstMvinrSeiFragment& first)
      : number_(first.gop), carriage_bytes_(first.carriage_bytes) {}

  guint16 number() const { return number_; }
  /// False if the fragment begins another access unit.
  bool belongs(const GstMvinrSeiFragment& fragment) const;
  void add(const GstMvinrSeiFragment& fragment);
  /// A slice of the 2D stream, and the time of its frame.
  void add_slice(mvinr::Bytes nal, GstClockTime pts);

  /// Everything is there.
  bool complete() const;
  /// Of its first picture; GST_CLOCK_TIME_NONE if the 2D stream does not say.
  GstClockTime pts() const { return first_pts_known_ ? pts_ : GST_CLOCK_TIME_NONE; }
  size_t missing_bytes() const;   // of the carriage
  size_t missing_slices() const;  // 0 if their number is not known

  struct Finished {
    std::vector<std::byte> access_unit;
    bool whole = false;  // as it was sent; else without units that were lost
    guint lost_units = 0;
  };
  /// `truncated`, `corrupt`: no view can be decoded of what came.
  mvinr::Result<Finished> finish();

 private:
  struct Entry {
    uint32_t literal_bytes, slice_bytes;
  };
  bool read_table();
  mvinr::Result<std::vector<std::byte>> joined(bool& whole);

  guint16 number_;
  size_t carriage_bytes_;
  std::vector<std::byte> carriage_;  // zeros where something was lost
  size_t received_ = 0;              // bytes of it
  size_t intact_ = 0;                // from its beginning on
  bool hopeless_ = false;            // more was lost than came

  std::vector<Entry> table_;  // one entry per slice; empty: not there yet
  size_t table_end_ = 0;
  size_t access_unit_bytes_ = 0;

  std::vector<std::byte> slices_;  // one behind the other
  std::vector<size_t> slice_ends_;
  GstClockTime pts_ = GST_CLOCK_TIME_NONE;
  bool first_pts_known_ = false;
};
