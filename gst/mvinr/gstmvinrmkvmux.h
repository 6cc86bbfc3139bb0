#pragma once

#include <gst/base/gstaggregator.h>

#include <optional>
#include <string>

#include "mkvwriter.h"

G_BEGIN_DECLS
#define GST_TYPE_MVINR_MKV_MUX (gst_mvinr_mkv_mux_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrMkvMux, gst_mvinr_mkv_mux, GST, MVINR_MKV_MUX, GstAggregator)
#define GST_TYPE_MVINR_MKV_MUX_PAD (gst_mvinr_mkv_mux_pad_get_type())
G_DECLARE_FINAL_TYPE(GstMvinrMkvMuxPad, gst_mvinr_mkv_mux_pad, GST, MVINR_MKV_MUX_PAD,
                     GstAggregatorPad)
G_END_DECLS

/// What a pad has told so far. Only the streaming thread of the source pad uses it.
struct GstMvinrMkvStream {
  bool video = false;
  std::optional<mvinr::mkv::Track> track;  // audio: from the caps
  std::string language = "und";
  int number = -1;  // index in the file; -1: not in it
};

struct _GstMvinrMkvMuxPad {
  GstAggregatorPad parent;
  GstMvinrMkvStream* stream;
};

struct GstMvinrMkvSettings {
  bool streamable = false, offset_to_zero = false;
  std::string writing_app;
};

/// One file. Exists between start and stop; only the streaming thread of the source pad uses it.
class GstMvinrMkvFile {
 public:
  GstMvinrMkvFile(GstAggregator* element, GstMvinrMkvSettings settings);
  ~GstMvinrMkvFile();
  /// Writes what is the earliest now; called when every pad has something or, live, when it is
  /// time.
  GstFlowReturn aggregate();
  /// Running time of the earliest buffer that waits.
  GstClockTime next_time() const;
  bool started() const { return started_; }
  void flush();

 private:
  struct Waiting {
    GstBuffer* buffer;  // an audio block that its cluster still lacks
    mvinr::mkv::Block block;
  };
  struct Head;
  std::optional<Head> earliest() const;
  bool drop_gaps();
  GstFlowReturn begin();
  GstFlowReturn write_video(const Head& head);
  GstFlowReturn keep_audio(const Head& head);
  GstFlowReturn write_audio();
  GstFlowReturn finish();
  GstFlowReturn push(mvinr::mkv::Chunk chunk, GstClockTime time, guint flags);
  GstFlowReturn fail(const mvinr::Error& error);
  guint64 ticks(gint64 running_time) const;

  GstAggregator* element_;
  GstMvinrMkvSettings settings_;
  mvinr::mkv::Writer writer_;
  std::vector<Waiting> audio_;
  size_t audio_bytes_ = 0;
  bool started_ = false, streamable_ = false, warned_ = false;
  gint64 offset_ = 0;     // running time of the file's time 0
  guint64 end_ = 0;       // ticks
  guint64 position_ = 0;  // bytes
};
