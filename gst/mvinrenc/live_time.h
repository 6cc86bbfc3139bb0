// Keeps mvinrenc in time in a live pipeline. In any other it only reports the latency.
#pragma once

#include <gst/base/gstaggregator.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace mvinr::gst {

/// A GOP whose first frame has the running time t is complete at t + GOP and is promised for
/// t + GOP + budget: that is the latency, and the deadline of its training. A GOP that finds itself
/// late trains for less, and the next one is in time again. One that could not even be written in
/// what is left is not begun: its frames are dropped until there is a whole budget again.
class LiveTime {
 public:
  explicit LiveTime(GstAggregator* element) : element_(element) {}

  /// At the start of a sequence and whenever the budget changes: reports the latency. Live, the
  /// pads get room for the frames that come while a GOP trains, and no budget means that of a GOP's
  /// duration.
  void configure(GstClockTime gop, GstClockTime budget);
  /// Takes that room back.
  void reset();

  bool live() const { return live_; }
  /// Seconds for the base views and the training of a GOP; 0: as many as it takes.
  double budget() const { return 1e-9 * double(budget_); }
  /// Running time by the clock; none if not live or not playing.
  std::optional<int64_t> now() const;

  /// For get_next_time: when the frame after the one of `time` is given up. The element's own
  /// latency is for the GOP and its training; a pad without a frame is waited for much shorter. Can
  /// be negative.
  int64_t due_after(int64_t time, int64_t frame_duration) const;

  /// Must the frame of this running time, which would begin a GOP, be dropped?
  bool too_late(int64_t time);

  /// When the GOP that began at `time` should be out; time_point::max(): whenever.
  std::chrono::steady_clock::time_point deadline(int64_t time) const;

  /// A GOP is out: what it took beside training, in seconds.
  void gop_done(double overhead);

 private:
  void hold(GstClockTime time);
  int64_t latency() const { return int64_t(gst_aggregator_get_latency(element_)); }

  GstAggregator* element_;
  bool live_ = false;
  bool behind_ = false;
  int64_t gop_ = 0, budget_ = 0;  // ns
  GstClockTime held_ = 0;         // our part of the property `latency`
  int64_t resumed_ = 0;           // running time of the last gop_done()
  int64_t overhead_ = 0;
};

}  // namespace mvinr::gst
