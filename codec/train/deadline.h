// A live encoder's time: what a GOP has left until its deadline, and which part of it training
// gets.
#pragma once

#include <algorithm>
#include <chrono>

namespace mvinr {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  /// Of the next GOP; max(): none.
  void set(Clock::time_point end) { end_ = end; }
  bool exists() const { return end_ != Clock::time_point::max(); }

  /// Seconds until the deadline, negative behind it.
  double left() const { return std::chrono::duration<double>(end_ - Clock::now()).count(); }

  /// Seconds that training may last from now on, so that there is time for the export and for the
  /// verification of `frames` frames: as long as they took in the GOP before, with some reserve.
  /// The verification gets a tenth at most, since it can measure fewer frames; and training keeps
  /// its least share, since one slow export does not mean that the next one is slow.
  double training(int frames) const {
    const double all = left();
    const double verification = std::min(frames * frame_seconds_, kMostVerification * all);
    const double after = export_seconds_ < 0 ? kFirstExport * all : kReserve * export_seconds_;
    return std::max({all - after - verification, kLeastTraining * all, 1e-9});
  }

  /// How many of `frames` more frames there is time to verify if each takes `seconds`.
  int verifiable(int frames, double seconds) const {
    if (!exists()) return frames;
    return int(std::clamp(left() / std::max(seconds, 1e-9), 0.0, double(frames)));
  }

  /// What the GOP took from the end of training's time to the verification, and per verified frame.
  /// A slow GOP counts at once, quick ones by halves.
  void learn(double export_seconds, double frame_seconds) {
    const auto follow = [](double old, double now) { return std::max(now, 0.5 * (old + now)); };
    export_seconds_ = follow(export_seconds_, export_seconds);
    frame_seconds_ = follow(frame_seconds_, frame_seconds);
  }

 private:
  static constexpr double kReserve = 1.25, kFirstExport = 0.2, kMostVerification = 0.1,
                          kLeastTraining = 0.3;

  Clock::time_point end_ = Clock::time_point::max();
  double export_seconds_ = -1;  // not known yet
  double frame_seconds_ = 0;
};

}  // namespace mvinr
