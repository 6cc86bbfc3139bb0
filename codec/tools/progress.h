// Shows how an encode proceeds: one line that renews itself on a terminal, lines elsewhere.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "mvinr/encoder.h"

namespace mvinr::tools {

class ProgressLine {
 public:
  enum class Style { full, finished_gops, quiet };
  /// `gops`: how many will be encoded, for the numbering.
  ProgressLine(int gops, Style style);
  ~ProgressLine();

  void begin_gop(int gop, uint64_t first_frame, int frames);
  void update(const Progress& progress);  // from any thread
  void end_gop(const GopStats& stats);

 private:
  void clear();

  std::mutex mutex_;
  const int gops_;
  const Style style_;
  const bool terminal_;
  bool line_open_ = false;
  int gop_ = 0;
  std::chrono::steady_clock::time_point last_print_;
};

}  // namespace mvinr::tools
