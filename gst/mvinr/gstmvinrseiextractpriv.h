// The state of mvinrseiextract, shared by gstmvinrseiextract.cpp (GObject, events, queries) and
// gstmvinrseiextractdata.cpp (frames to access units).
#pragma once

#include <optional>

#include "gstmvinr.h"
#include "gstmvinrseicarriage.h"
#include "gstmvinrseiextract.h"

// Guarded by the object lock.
struct GstMvinrSeiExtractLosses {
  guint64 access_units = 0;  // sent on
  guint64 incomplete = 0;    // of these, without some of their units
  guint64 dropped = 0;       // access units of which nothing could be sent on
  guint64 malformed = 0;     // messages that make no sense
};

// Exists from READY to PAUSED and back; only the streaming thread uses it.
struct GstMvinrSeiExtractState {
  GstMvinrSeiCodec codec = GstMvinrSeiCodec::h264;
  int length_bytes = 0;  // see gst_mvinr_nals
  std::optional<GstMvinrSeiAssembly> assembly;
  std::optional<guint16> last;                  // number of the access unit before
  std::optional<mvinr::SequenceInfo> sequence;  // of the caps
  GstClockTime expected = GST_CLOCK_TIME_NONE;  // end of the access unit before
  GstClockTime duration = GST_CLOCK_TIME_NONE;  // of it
  GstSegment segment;                           // of the source pad
  bool discont = true;
  bool sought = true;  // at the start and after a seek, a GOP may be there in part
  bool newer = false;  // messages of another version were reported
  int frames = 0;      // without any message
  bool any = false;    // there were messages
  GstMvinrSeiExtractState() { gst_segment_init(&segment, GST_FORMAT_TIME); }
};

struct _GstMvinrSeiExtract {
  GstElement parent;
  GstPad *sink, *src;
  GstMvinrSeiExtractState* state;
  GstMvinrSeiExtractLosses* losses;
  GstClockTime latency;    // of a GOP; guarded by the object lock
  GstClockTime seek_stop;  // of the last seek, in stream time; guarded by the object lock
  guint32 seek_seqnum;     // of that seek; guarded by the object lock
};

GST_DEBUG_CATEGORY_EXTERN(mvinrseiextract_debug);

/// Takes a frame of the video, and sends on the access unit that it completes.
GstFlowReturn gst_mvinr_sei_extract_take(GstMvinrSeiExtract* self, GstBuffer* frame);
/// Ends the access unit that is being put together: sends it on, or what is left of it.
GstFlowReturn gst_mvinr_sei_extract_finish(GstMvinrSeiExtract* self);
