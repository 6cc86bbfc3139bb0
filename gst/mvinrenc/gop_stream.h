// The inside of mvinrenc: takes buffers from the pads, fills GOPs, trains, pushes access units.
#pragma once

#include <gst/base/gstaggregator.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base_views.h"
#include "collector.h"
#include "gstmvinrencpad.h"
#include "live_time.h"
#include "messages.h"
#include "mvinr/encoder.h"
#include "rate_control.h"
#include "settings.h"

namespace mvinr::gst {

/// Ends a training from another thread.
class Cancel {
 public:
  std::stop_token token();
  void request();        // until rearm(): a flush
  void request_final();  // until restart(): the element stops
  void rearm();
  void restart();

 private:
  std::mutex mutex_;
  std::stop_source source_;
  bool final_ = false;
};

/// A force-key-unit event: the GOP that is open at `running_time` ends there.
struct KeyUnitRequest {
  GstClockTime running_time = GST_CLOCK_TIME_NONE;  // none: at once
  gboolean all_headers = FALSE;
  guint count = 0;
  guint32 seqnum = 0;
};

constexpr gint64 kNoTime = G_MININT64;

/// What other threads touch too.
struct Shared {
  // Under the element's object lock:
  Settings settings;
  TotalStats stats;
  std::vector<KeyUnitRequest> key_units;
  // On their own:
  Cancel cancel;
  std::atomic<bool> discard{false};        // a flush has come: forget everything collected
  std::atomic<bool> encoding{false};       // the pads are fixed
  std::atomic<gint64> next_time{kNoTime};  // running time at which the next set is due
};

/// Only used by the thread of the src pad, and by start() and stop() while that does not run.
class GopStream {
 public:
  GopStream(GstAggregator* element, Shared& shared)
      : element_(element), shared_(shared), live_(element) {}
  ~GopStream() { stop(); }

  void start(const Settings& settings, std::optional<CameraFile> cameras);
  void stop();

  GstFlowReturn aggregate(bool timeout);

  /// A pad has got another format: the GOP ends, and a new sequence begins.
  void caps_changed() { caps_changed_ = true; }

  /// Null until the formats of all pads are known.
  GstCaps* src_caps() const { return caps_.get(); }

 private:
  struct Unref {
    void operator()(GstCaps* caps) const { gst_caps_unref(caps); }
    void operator()(GstBuffer* buffer) const { gst_buffer_unref(buffer); }
    void operator()(GstMvinrEncPad* pad) const { gst_object_unref(pad); }
  };
  using Caps = std::unique_ptr<GstCaps, Unref>;
  using Buffer = std::unique_ptr<GstBuffer, Unref>;

  struct Pad {
    std::unique_ptr<GstMvinrEncPad, Unref> pad;
    PadId id;
    std::string name;
    Buffer last;                    // the picture to repeat
    gint64 next = 0;                // running time of a buffer without timestamp
    int repeated = 0, dropped = 0;  // in the open GOP, for its warning
    guint64 all_dropped = 0;        // since the start, for QoS messages
  };

  void find_pads();
  GstFlowReturn read_heads(std::vector<Head>& heads);
  GstFlowReturn read_head(Pad& pad, Head& head);
  GstFlowReturn take_set(const Decision& decision, std::span<const Head> heads,
                         std::stop_token stop);
  GstFlowReturn add_pictures(std::span<const Action> actions, std::stop_token stop);
  GstFlowReturn add_poses(std::stop_token stop);
  GstFlowReturn add_picture(Pad& pad, int frame);
  void drop_frame(Pad& pad, const Head& head);
  void drop_set(const Decision& decision, std::span<const Head> heads);
  GstFlowReturn finish(std::span<const Head> heads, std::stop_token stop);

  Settings current_settings() const;
  GstFlowReturn begin_sequence();
  bool waits_for_pictures() const;
  std::vector<Instant> instants() const;
  Status create_encoder(const Settings& now);
  Status create_hybrid(const Settings& now, EncoderOptions options);
  Status hand_over();
  void configure_latency(const Settings& now);
  void end_sequence();
  GstFlowReturn close_gop(std::stop_token stop);
  Result<BaseStats> code_base(const Settings& now, double& lambda, double aim,
                              std::stop_token stop);
  Result<EncodedGop> encode_gop(const Settings& now, double aim, BaseStats& base,
                                std::stop_token stop);
  void post_progress(const Progress& progress);
  GstFlowReturn push(EncodedGop gop);
  void forget_gop();
  std::optional<KeyUnitRequest> take_key_unit(GstClockTime running_time);
  void warn_of_steps();
  void warn_of_late_frames();
  GstFlowReturn fail(const Error& error);

  GstAggregator* element_;
  Shared& shared_;
  Settings settings_;  // as they were at the start
  std::optional<CameraFile> cameras_;

  std::vector<Pad> pads_;
  std::optional<Collector> collector_;
  std::vector<guint16> scratch_;
  bool caps_changed_ = false;

  LiveTime live_;
  int late_ = 0;  // frames of all views that were dropped since the last GOP for want of time

  // The sequence.
  bool open_ = false;
  std::unique_ptr<Encoder> encoder_;  // null while waiting_ fills
  std::unique_ptr<BaseViews> base_;   // null in implicit mode
  SequenceInfo sequence_;
  RateControl rate_{1};
  Caps caps_;

  // The open GOP.
  int frames_ = 0;
  std::vector<std::vector<Pose>> poses_;  // of moving cameras: [frame][view]
  // The pictures of a sequence's first GOP, by which its base views are chosen.
  std::vector<std::pair<PictureId, OwnedPicture>> waiting_;
  GstClockTime gop_time_ = 0;  // running time of its first frame
  GstClockTime gop_end_ = 0;   // end of the GOP before it
  bool discont_ = true;
  std::optional<KeyUnitRequest> key_unit_;  // that made it begin
  guint64 gop_index_ = 0;
};

}  // namespace mvinr::gst
