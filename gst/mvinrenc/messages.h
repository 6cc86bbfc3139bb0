// What mvinrenc tells the application: the structures of its element messages and of `stats`.
#pragma once

#include <gst/gst.h>

#include <vector>

#include "mvinr/encoder.h"

namespace mvinr::gst {

/// "mvinrenc-progress": gop, step, steps (int), psnr (dB), bits, seconds, seconds-left (double),
/// phase (string: "base" while base views are coded, then that of the training).
GstStructure* progress_structure(guint64 gop, const Progress& progress);

/// What the base views of a GOP took; no views in implicit mode.
struct BaseStats {
  std::vector<int> views;
  uint64_t bytes = 0;  // of the BASE units' payloads
  double seconds = 0;
};

/// "mvinrenc-gop": gop, first-frame, bytes, base-bytes (uint64), frames, verified-frames (those
/// whose quality was measured; live there may be no time for all), steps (int), running-time
/// (uint64, ns), lambda, estimated-bits, train-seconds, base-seconds, verify-seconds,
/// mean-texture-psnr, mean-depth-psnr (double), profile, mode (string: "implicit" or "hybrid"),
/// base-views (array of int), and per view arrays of double (dB): texture-psnr-y, texture-psnr-u,
/// texture-psnr-v, depth-psnr (empty without depth).
GstStructure* gop_structure(guint64 gop, GstClockTime running_time, double lambda,
                            const GopStats& stats, const BaseStats& base);

/// Totals over the GOPs. PSNR values are those of the mean squared error over all frames.
class TotalStats {
 public:
  void add(const GopStats& stats, const BaseStats& base, double lambda);
  /// A frame of all views, for which there was no time.
  void add_dropped() { ++dropped_; }

  /// "mvinrenc-stats", as the property `stats` describes it.
  GstStructure* structure() const;

  guint64 gops() const { return gops_; }
  guint64 frames() const { return frames_; }

 private:
  struct MeanError {
    double sum = 0;  // squared error relative to the peak, times frames
    double frames = 0;
    void add(double psnr, int frames);
    double psnr() const;
  };
  struct View {
    MeanError y, u, v;
  };
  guint64 gops_ = 0, frames_ = 0, dropped_ = 0, bytes_ = 0;
  double estimated_bits_ = 0, train_seconds_ = 0, verify_seconds_ = 0, lambda_ = 0;
  BaseStats base_;  // views: of the last GOP
  std::vector<View> texture_, depth_;
};

}  // namespace mvinr::gst
