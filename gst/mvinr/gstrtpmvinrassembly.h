// Puts an access unit together from the packets that arrived.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "gstmvinr.h"
#include "gstrtpmvinr.h"

/// One access unit while its packets come in. Pieces must follow one another; a unit of which one
/// is missing is lost, and so is nothing else. Holds no more than what was received.
class GstRtpMvinrAssembly {
 public:
  GstRtpMvinrAssembly(const GstRtpMvinrHeader& first, GstClockTime pts)
      : number_(first.access_unit), units_(first.units), pts_(pts) {}

  guint16 number() const { return number_; }
  GstClockTime pts() const { return pts_; }
  guint lost_units() const { return units_ - complete_; }

  /// False if the packet contradicts others of this access unit or what its data says.
  bool add(const GstRtpMvinrHeader& header, std::span<const std::byte> data);

  /// The access unit, of the units that are complete. An error if none can be made: its header was
  /// lost, or a unit without which no view can be decoded.
  mvinr::Result<std::vector<std::byte>> finish() const;

 private:
  void add_beginning(const GstRtpMvinrHeader& header, std::span<const std::byte> data);
  void drop_incomplete_unit();

  guint16 number_, units_;
  GstClockTime pts_;
  std::vector<std::byte> beginning_;
  bool has_beginning_ = false;
  std::vector<std::byte> data_;  // complete units, and the pieces of one that is not
  size_t start_ = 0;             // of those pieces
  bool in_unit_ = false;
  guint unit_ = 0;  // the number of that one
  guint complete_ = 0;
  guint next_ = 0;  // the lowest number that a unit may have now
};
