// Where each access unit of a local MV-INR file starts, in bytes and in time.
#pragma once

#include <gst/gst.h>

#include <vector>

class GstMvinrParseIndex {
 public:
  struct Entry {
    guint64 offset;    // bytes from the start of the file
    GstClockTime pts;  // of the first frame
  };

  /// Reads the headers of all access units through a sink pad in pull mode. False, and nothing
  /// kept, if reading is slow (network), the file is damaged or not in ascending order.
  bool read(GstPad* pad);

  /// Bytes to time or back, to the access unit that holds the position. False if there is no index
  /// or the formats are others.
  bool convert(GstFormat from, gint64 value, GstFormat to, gint64* result) const;

  void clear() { *this = GstMvinrParseIndex(); }
  const std::vector<Entry>& entries() const { return entries_; }
  GstClockTime duration() const { return end_.pts; }

 private:
  std::vector<Entry> entries_;  // ascending in both fields
  Entry end_{0, 0};             // behind the last access unit
};
