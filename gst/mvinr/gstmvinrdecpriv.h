// The state of mvinrdec, shared by gstmvinrdec.cpp (GObject, states),
// gstmvinrdecstream.cpp (source pads and what goes to all of them), gstmvinrdecrender.cpp (access
// units to pictures) and what that uses (gstmvinrdecgop.h).
#pragma once

#include <gst/base/gstflowcombiner.h>
#include <gst/gst.h>

#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "gstmvinrdec.h"
#include "gstmvinrdecpad.h"
#include "mvinr/decoder.h"

/// Properties, guarded by the object lock.
struct GstMvinrDecSettings {
  guint threads = 0;
  bool ahead = false;
  std::string kernels = "auto";
  gint max_errors = 10;
  gboolean qos = TRUE;
};

/// Guarded by the object lock.
struct GstMvinrDecStats {
  guint64 access_units = 0;  // that came in
  guint64 rendered = 0;      // pictures
  guint64 skipped = 0;       // pictures that would have come too late
  guint64 damaged = 0;       // access units
  guint64 base_units = 0;    // that were decoded
  double seconds = 0;        // of decoding and rendering
};

/// An access unit whose symbols are being decoded while the one before it is shown.
struct GstMvinrDecAhead {
  GstBuffer* buffer;  // owned
  std::future<mvinr::Result<std::unique_ptr<mvinr::PreparedGop>>> gop;

  explicit GstMvinrDecAhead(GstBuffer* b) : buffer(gst_buffer_ref(b)) {}
  ~GstMvinrDecAhead() {
    if (gop.valid()) gop.wait();  // it reads the buffer
    gst_buffer_unref(buffer);
  }
  GstMvinrDecAhead(const GstMvinrDecAhead&) = delete;
  GstMvinrDecAhead& operator=(const GstMvinrDecAhead&) = delete;
};

/// Exists from READY to PAUSED and back. The sink pad's streaming thread owns it; `segment`,
/// `frame_duration` and `last_seek` are changed and read elsewhere under the object lock.
struct GstMvinrDecState {
  std::unique_ptr<mvinr::Decoder> decoder;
  std::optional<mvinr::SequenceInfo> sequence;  // that the pads show
  std::vector<GstMvinrDecPad*> pads;            // by view, texture before depth
  GstFlowCombiner* combiner = nullptr;
  GstSegment segment;
  guint32 segment_seqnum = GST_SEQNUM_INVALID;
  GstClockTime frame_duration = 0;
  guint32 last_seek = GST_SEQNUM_INVALID;
  std::string upstream_id;  // stream-id
  guint group_id = GST_GROUP_ID_INVALID;
  GstTagList* tags = nullptr;        // of the stream, from upstream
  std::vector<GstBuffer*> fragment;  // reverse playback: access units that wait for their turn
  std::optional<bool> live;          // upstream; unknown until asked
  std::unique_ptr<GstMvinrDecAhead> ahead;
  bool first = true;  // nothing of this segment was shown
  bool got_input = false;
  int errors = 0;  // damaged access units in a row

  GstMvinrDecState();
  ~GstMvinrDecState();
  /// Forgets what has not been shown.
  void drop_pending();
};

struct GstMvinrDecPrivate {
  GstMvinrDecSettings settings;
  GstMvinrDecStats stats;
  std::unique_ptr<GstMvinrDecState> state;
  std::mutex stop_mutex;
  std::stop_source stop;  // guarded by stop_mutex: ends the rendering that runs
};

struct _GstMvinrDec {
  GstElement parent;
  GstPad* sink;
  GstMvinrDecPrivate* priv;
};

GST_DEBUG_CATEGORY_EXTERN(mvinrdec_debug);
extern GstStaticPadTemplate gst_mvinr_dec_sink_template;

/* gstmvinrdecevents.cpp */

gboolean gst_mvinr_dec_sink_event(GstPad* pad, GstObject* parent, GstEvent* event);

/* gstmvinrdecstream.cpp, streaming thread only */

/// Makes the pads fit the sequence: new ones appear, changed ones get new caps, others go. Views
/// that are left out of the stream get no pads before they come for the first time.
void gst_mvinr_dec_update_pads(GstMvinrDec* self, const mvinr::SequenceInfo& sequence,
                               const std::vector<bool>& left_out);
/// Removes all pads (when the element stops).
void gst_mvinr_dec_remove_pads(GstMvinrDec* self);
/// Stream-start and collection once more: upstream began another stream.
void gst_mvinr_dec_restart_streams(GstMvinrDec* self);
/// The segment to all pads.
void gst_mvinr_dec_push_segment(GstMvinrDec* self);
/// The codec's and the stream's tags to all pads.
void gst_mvinr_dec_push_tags(GstMvinrDec* self);
gboolean gst_mvinr_dec_src_event(GstPad* pad, GstObject* parent, GstEvent* event);
gboolean gst_mvinr_dec_src_query(GstPad* pad, GstObject* parent, GstQuery* query);

/* gstmvinrdecrender.cpp */

/// The sink pad's chain function: decodes an access unit and pushes its pictures.
GstFlowReturn gst_mvinr_dec_chain(GstPad* pad, GstObject* parent, GstBuffer* buffer);
/// Shows what has been kept back: the access unit that waits for the next one, or in reverse those
/// of the fragment that is being collected, the last one first.
GstFlowReturn gst_mvinr_dec_drain(GstMvinrDec* self);
/// Ends the rendering that runs within milliseconds, and acquires that wait. Any thread.
void gst_mvinr_dec_cancel(GstMvinrDec* self);
/// Ready for data again after a cancel.
void gst_mvinr_dec_resume(GstMvinrDec* self);
