// The payload format of MV-INR in RTP (docs/rtp.md): what payloader and depayloader share.
#pragma once

#include <gst/gst.h>

#include <span>

#define GST_RTP_MVINR_ENCODING_NAME "MVINR"
#define GST_RTP_MVINR_CLOCK_RATE 90000

/// The twelve bytes in front of every packet's data.
struct GstRtpMvinrHeader {
  static constexpr gsize kBytes = 12;
  static constexpr guint kVersion = 0;

  bool beginning = false;   // the data is of the access unit's prefix and header, not of units
  bool starts = false;      // the data's first byte is the first of a unit, or of the beginning
  bool ends = false;        // its last byte is the last of one
  guint16 access_unit = 0;  // counts access units, modulo 2^16
  guint16 unit = 0;         // number of the first unit that the data is of; 0 for the beginning
  guint16 units = 0;        // of the whole access unit
  guint32 offset = 0;       // of the data in its unit, or in the beginning

  void write(guint8* out) const {
    out[0] = guint8(kVersion << 6 | guint(beginning) << 5 | guint(starts) << 4 | guint(ends) << 3);
    out[1] = 0;
    GST_WRITE_UINT16_BE(out + 2, access_unit);
    GST_WRITE_UINT16_BE(out + 4, unit);
    GST_WRITE_UINT16_BE(out + 6, units);
    GST_WRITE_UINT32_BE(out + 8, offset);
  }
  /// False if the payload has no data behind its header, or is of another version.
  bool read(std::span<const guint8> payload) {
    if (payload.size() <= kBytes || payload[0] >> 6 != kVersion) return false;
    beginning = payload[0] & 0x20;
    starts = payload[0] & 0x10;
    ends = payload[0] & 0x08;
    access_unit = GST_READ_UINT16_BE(payload.data() + 2);
    unit = GST_READ_UINT16_BE(payload.data() + 4);
    units = GST_READ_UINT16_BE(payload.data() + 6);
    offset = GST_READ_UINT32_BE(payload.data() + 8);
    return starts == (offset == 0) && (beginning ? unit == 0 : unit < units);
  }
};
