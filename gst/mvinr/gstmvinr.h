// Shared by the files of libgstmvinr.so: names of the stream in caps, and the guard that keeps C++
// exceptions away from GLib.
#pragma once

#include <gst/gst.h>

#include <algorithm>
#include <exception>
#include <new>
#include <vector>

#include "mvinr/stream.h"

G_BEGIN_DECLS
GST_ELEMENT_REGISTER_DECLARE(mvinrparse);
GST_ELEMENT_REGISTER_DECLARE(mvinrdec);
GST_ELEMENT_REGISTER_DECLARE(mvinrmkvmux);
GST_ELEMENT_REGISTER_DECLARE(mvinrfilter);
GST_ELEMENT_REGISTER_DECLARE(mvinrviewselect);
GST_ELEMENT_REGISTER_DECLARE(mvinrseiinsert);
GST_ELEMENT_REGISTER_DECLARE(mvinrseiextract);
GST_ELEMENT_REGISTER_DECLARE(rtpmvinrpay);
GST_ELEMENT_REGISTER_DECLARE(rtpmvinrdepay);
GST_TYPE_FIND_REGISTER_DECLARE(mvinr);
G_END_DECLS

// What the elements call an MV-INR stream.
#define GST_MVINR_MEDIA_TYPE "video/x-mvinr"
// GST_MAKE_FOURCC('m', 'v', 'n', 'r'): the sample entry in MP4 and MOV files.
#define GST_MVINR_FOURCC 1919841901u
#define GST_MVINR_FOURCC_STRING "1919841901"

// What demuxers make of a stream whose codec they do not know: qtdemux, matroskademux (CodecID
// V_MVINR, or FFmpeg's way to store a fourcc) and avidemux. A buffer is one access unit.
#define GST_MVINR_CONTAINER_CAPS                                                             \
  "video/x-gst-fourcc-mvnr; "                                                                \
  "video/x-unknown, codec-id = (string) V_MVINR; "                                           \
  "video/x-unknown, codec-id = (string) V_MS/VFW/FOURCC, fourcc = (string) { mvnr, MVNR }; " \
  "video/x-avi-unknown, fourcc = (int) " GST_MVINR_FOURCC_STRING

/// A mapped buffer as the library's bytes; unmapped at the end of its scope.
class GstMvinrMap {
 public:
  explicit GstMvinrMap(GstBuffer* buffer) : buffer_(buffer) {
    mapped_ = gst_buffer_map(buffer, &info_, GST_MAP_READ);
  }
  ~GstMvinrMap() {
    if (mapped_) gst_buffer_unmap(buffer_, &info_);
  }
  GstMvinrMap(const GstMvinrMap&) = delete;
  GstMvinrMap& operator=(const GstMvinrMap&) = delete;
  explicit operator bool() const { return mapped_; }
  mvinr::Bytes bytes() const {
    return {reinterpret_cast<const std::byte*>(info_.data), mapped_ ? info_.size : 0};
  }

 private:
  GstBuffer* buffer_;
  GstMapInfo info_{};
  bool mapped_;
};

/// A buffer of these bytes, which it takes over without a copy.
inline GstBuffer* gst_mvinr_buffer_new(std::vector<std::byte> data) {
  auto* bytes = new std::vector<std::byte>(std::move(data));
  return gst_buffer_new_wrapped_full(
      GstMemoryFlags(0), bytes->data(), bytes->size(), 0, bytes->size(), bytes,
      [](gpointer owned) { delete static_cast<std::vector<std::byte>*>(owned); });
}

/// Time of frame `index` at this frame rate; GST_CLOCK_TIME_NONE if the rate is 0 or the time is
/// beyond what a GstClockTime can hold.
inline GstClockTime gst_mvinr_frame_time(guint64 index, const mvinr::Fraction& rate) {
  if (rate.num == 0) return GST_CLOCK_TIME_NONE;
  return gst_util_uint64_scale(index, guint64{rate.den} * GST_SECOND, rate.num);
}

/// How far a container moves a timestamp at most: Matroska counts in milliseconds.
constexpr GstClockTime kGstMvinrRounding = GST_MSECOND;

/// True if the pad gets what matroskademux makes of a codec that it does not know.
inline bool gst_mvinr_is_from_matroska(GstPad* pad) {
  GstCaps* caps = gst_pad_get_current_caps(pad);
  const bool from =
      caps && gst_structure_has_name(gst_caps_get_structure(caps, 0), "video/x-unknown");
  if (caps) gst_caps_unref(caps);
  return from;
}

/// The time of a frame that a container rounded to milliseconds: the nearest n/fps. Nothing if that
/// is too far away to be what was rounded.
inline std::optional<GstClockTime> gst_mvinr_unrounded(GstClockTime time,
                                                       const mvinr::Fraction& rate) {
  if (!GST_CLOCK_TIME_IS_VALID(time) || rate.num == 0) return {};
  const guint64 index = gst_util_uint64_scale_round(time, rate.num, guint64{rate.den} * GST_SECOND);
  const auto exact = gst_mvinr_frame_time(index, rate);
  if (!GST_CLOCK_TIME_IS_VALID(exact)) return {};
  const auto moved = exact > time ? exact - time : time - exact;
  if (moved >= kGstMvinrRounding) return {};
  return exact;
}

/// Duration of a GOP as the difference of frame times, so that GOPs follow without gap or overlap.
inline GstClockTime gst_mvinr_gop_duration(const mvinr::GopInfo& gop) {
  const auto start = gst_mvinr_frame_time(gop.first_frame, gop.sequence.frame_rate);
  const auto end =
      gst_mvinr_frame_time(gop.first_frame + guint64(gop.frames), gop.sequence.frame_rate);
  const bool known = GST_CLOCK_TIME_IS_VALID(start) && GST_CLOCK_TIME_IS_VALID(end) && end > start;
  return known ? end - start : GST_CLOCK_TIME_NONE;
}

/// Adds what `video/x-mvinr` caps say about a sequence, frame rate and size apart.
inline void gst_mvinr_caps_set_views(GstCaps* caps, const mvinr::SequenceInfo& sequence) {
  const auto count = [&](auto member) {
    return int(std::count_if(sequence.views.begin(), sequence.views.end(), [&](const auto& view) {
      return view.*member != mvinr::SampleFormat::none;
    }));
  };
  gst_caps_set_simple(caps, "parsed", G_TYPE_BOOLEAN, TRUE, "version", G_TYPE_INT,
                      mvinr::kBitstreamVersion, "views", G_TYPE_INT, int(sequence.views.size()),
                      "textures", G_TYPE_INT, count(&mvinr::ViewInfo::texture), "depths",
                      G_TYPE_INT, count(&mvinr::ViewInfo::depth), nullptr);
}

/// Adds the size of the first view and the frame rate, if it is known.
inline void gst_mvinr_caps_set_video(GstCaps* caps, const mvinr::SequenceInfo& sequence) {
  const auto& first = sequence.views.front();
  const auto& rate = sequence.frame_rate;
  gst_caps_set_simple(caps, "width", G_TYPE_INT, first.width, "height", G_TYPE_INT, first.height,
                      nullptr);
  if (rate.num > 0 && rate.num <= G_MAXINT && rate.den <= G_MAXINT)
    gst_caps_set_simple(caps, "framerate", GST_TYPE_FRACTION, int(rate.num), int(rate.den),
                        nullptr);
}

/// change_state of an element whose `state` lives from READY on upwards: made before the parent's
/// way up, after `reset()` (under the object lock), deleted after its way down.
template <typename State, typename Reset>
GstStateChangeReturn gst_mvinr_change_state(GstElementClass* parent, GstElement* element,
                                            GstStateChange transition, State*& state,
                                            Reset&& reset) {
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    state = new State;
    GST_OBJECT_LOCK(element);
    reset();
    GST_OBJECT_UNLOCK(element);
  }
  const GstStateChangeReturn result = parent->change_state(element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
      (transition == GST_STATE_CHANGE_READY_TO_PAUSED && result == GST_STATE_CHANGE_FAILURE)) {
    delete state;
    state = nullptr;
  }
  return result;
}

/// Runs `body` and returns its value. An exception becomes an element error and `failed`: none may
/// unwind through GLib's C code, so every virtual function of the elements goes through here.
template <typename Element, typename R, typename Body>
R gst_mvinr_guard(Element* element, R failed, Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    GST_ELEMENT_ERROR(element, RESOURCE, NO_SPACE_LEFT, ("Out of memory."), (NULL));
  } catch (const std::exception& e) {
    GST_ELEMENT_ERROR(element, LIBRARY, FAILED, (NULL), ("exception: %s", e.what()));
  }
  return failed;
}
