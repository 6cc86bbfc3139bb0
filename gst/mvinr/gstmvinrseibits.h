// NAL units of H.264 and H.265 and the SEI messages in which MV-INR travels (docs/sei.md 2).
#pragma once

#include <functional>
#include <vector>

#include "mvinr/stream.h"

enum class GstMvinrSeiCodec { h264, h265 };

/// A NAL unit by its place in a frame: from its header on, without start code and trailing zeros.
struct GstMvinrNal {
  size_t offset = 0, bytes = 0;
  int type = 0;
};

/// The NAL units of a frame, none empty. `length_bytes`: of the field in front of each; 0: they are
/// behind start codes. What is cut off at the end is left out.
std::vector<GstMvinrNal> gst_mvinr_nals(mvinr::Bytes frame, GstMvinrSeiCodec codec,
                                        int length_bytes);
/// True if NAL units of this type hold coded slices of pictures.
bool gst_mvinr_is_slice(GstMvinrSeiCodec codec, int type);
bool gst_mvinr_is_sei(GstMvinrSeiCodec codec, int type);

inline constexpr int kGstMvinrSeiVersion = 1;
/// UUID and header of a message.
inline constexpr size_t kGstMvinrSeiHeaderBytes = 28;

/// A piece of the carriage of an access unit.
struct GstMvinrSeiFragment {
  int version = kGstMvinrSeiVersion;  // others: the other fields are not known
  uint16_t gop = 0;                   // number of the access unit
  uint32_t carriage_bytes = 0;        // of the whole carriage
  uint32_t offset = 0;                // of the data in the carriage
  mvinr::Bytes data;
};

/// Appends a start code and an SEI NAL unit with this message.
void gst_mvinr_append_sei(std::vector<std::byte>& out, GstMvinrSeiCodec codec,
                          const GstMvinrSeiFragment& fragment);
/// Calls `found` for every message of ours in an SEI NAL unit; the data is valid during the call.
/// The number of messages of ours that make no sense.
int gst_mvinr_read_sei(mvinr::Bytes nal, GstMvinrSeiCodec codec,
                       const std::function<void(const GstMvinrSeiFragment&)>& found);

/// True if an SEI NAL unit holds nothing but user data (unregistered), as encoders write it to tell
/// their settings.
bool gst_mvinr_is_user_data(mvinr::Bytes nal, GstMvinrSeiCodec codec);

/// Unsigned little-endian integers of 1, 2 and 4 bytes.
void gst_mvinr_append_uint(std::vector<std::byte>& out, uint32_t value, int bytes);
uint32_t gst_mvinr_read_uint(mvinr::Bytes data, size_t offset, int bytes);
