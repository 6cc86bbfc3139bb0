// A source pad of mvinrdec: one component of one view. Knows its format, asks downstream for
// buffers and keeps the pad's share of quality of service.
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#include <string>
#include <vector>

#include "mvinr/stream.h"

G_BEGIN_DECLS
#define GST_TYPE_MVINR_DEC_PAD (gst_mvinr_dec_pad_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrDecPad, gst_mvinr_dec_pad, GST, MVINR_DEC_PAD, GstPad)
G_END_DECLS

/// "texture_3" or "depth_3". `id` (of the stream-id) sorts like the pads of a viewer's interest:
/// decodebin orders pads of one type by it.
struct GstMvinrDecPadName {
  GstMvinrDecPadName(int view, mvinr::Component component);
  std::string name, id;
};

/// A new pad from the element's template; floating.
GstMvinrDecPad* gst_mvinr_dec_pad_new(GstElement* element, int view, mvinr::Component component);

int gst_mvinr_dec_pad_view(const GstMvinrDecPad* pad);
mvinr::Component gst_mvinr_dec_pad_component(const GstMvinrDecPad* pad);

/// Takes over size, format and camera from the view. True if the caps changed: send them.
bool gst_mvinr_dec_pad_configure(GstMvinrDecPad* pad, const mvinr::ViewInfo& view,
                                 const mvinr::Fraction& rate);
/// The caps of the last configure; a new reference.
GstCaps* gst_mvinr_dec_pad_caps(const GstMvinrDecPad* pad);

/// Somebody takes what this pad pushes: it is linked, and downstream did not say the contrary since
/// it was last reconfigured.
bool gst_mvinr_dec_pad_wanted(GstMvinrDecPad* pad);
/// What it said: GST_FLOW_NOT_LINKED if it is not linked, else the answer to the last push.
GstFlowReturn gst_mvinr_dec_pad_flow(GstMvinrDecPad* pad);
/// Pushes `buffer` and remembers the answer for `wanted`.
GstFlowReturn gst_mvinr_dec_pad_push(GstMvinrDecPad* pad, GstBuffer* buffer);
void gst_mvinr_dec_pad_mark_discont(GstMvinrDecPad* pad);

/// A buffer; waits until there is one. GST_FLOW_FLUSHING after set_flushing. It comes from
/// downstream's pool if this pad is `alone`, the only one that pushes: the query for the pool waits
/// in queues until what is before it is used up, and while one pad waits the others get nothing, so
/// with several pads (in decodebin, before it exposes them) it would wait for ever.
GstFlowReturn gst_mvinr_dec_pad_acquire(GstMvinrDecPad* pad, bool alone, GstBuffer** buffer);
/// Wakes an acquire that waits and makes the next ones fail, or ends that. Any thread.
void gst_mvinr_dec_pad_set_flushing(GstMvinrDecPad* pad, bool flushing);
/// Back to the state before the first buffer: after a flush or a new segment.
void gst_mvinr_dec_pad_reset(GstMvinrDecPad* pad);
/// Gives up the pool: the pad is removed or the element stops.
void gst_mvinr_dec_pad_release(GstMvinrDecPad* pad);

/// Takes a QOS event from downstream. Any thread.
void gst_mvinr_dec_pad_take_qos(GstMvinrDecPad* pad, GstEvent* event);
/// True if a frame with this running time would come too late; counts it and posts the message.
/// Otherwise counts it as rendered.
bool gst_mvinr_dec_pad_too_late(GstMvinrDecPad* pad, const GstSegment* segment, GstClockTime pts,
                                GstClockTime duration);

/// A buffer of a pad, mapped as a picture for the library to write.
class GstMvinrDecFrame {
 public:
  GstMvinrDecFrame(GstMvinrDecPad* pad, GstBuffer* buffer);  // takes the buffer
  ~GstMvinrDecFrame();
  GstMvinrDecFrame(const GstMvinrDecFrame&) = delete;
  GstMvinrDecFrame& operator=(const GstMvinrDecFrame&) = delete;

  bool ok() const { return mapped_; }
  GstMvinrDecPad* pad() const { return pad_; }
  mvinr::MutablePicture* picture() { return &picture_; }
  /// Unmaps and hands the buffer over, after the picture was written.
  GstBuffer* finish();

 private:
  GstMvinrDecPad* pad_;
  GstBuffer* buffer_;
  GstVideoFrame frame_{};
  bool mapped_ = false;
  mvinr::MutablePicture picture_;
  std::vector<std::byte> unpacked_;  // 10-bit depth before it is packed
};
