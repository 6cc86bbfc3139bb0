#include "tools/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tools/cli.h"

namespace mvinr::tools {
namespace {

constexpr auto kLineInterval = std::chrono::seconds(5);  // between lines when not on a terminal
constexpr int kBarWidth = 24;

}  // namespace

ProgressLine::ProgressLine(int gops, Style style)
    : gops_(gops), style_(style), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::clear() {
  if (line_open_) std::fputs("\r\033[K", stderr);
  line_open_ = false;
}

void ProgressLine::begin_gop(int gop, uint64_t first_frame, int frames) {
  const std::lock_guard lock(mutex_);
  gop_ = gop;
  last_print_ = std::chrono::steady_clock::now();
  if (style_ == Style::full && !terminal_)
    std::fprintf(stderr, "GOP %d/%d: frames %llu..%llu\n", gop + 1, gops_,
                 (unsigned long long)first_frame, (unsigned long long)first_frame + frames - 1);
}

void ProgressLine::update(const Progress& progress) {
  const std::lock_guard lock(mutex_);
  if (style_ != Style::full) return;
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ && now - last_print_ < kLineInterval) return;
  last_print_ = now;
  const double share =
      progress.steps > 0 ? std::clamp(double(progress.step) / progress.steps, 0.0, 1.0) : 0;
  const std::string numbers =
      format("%-8s step %d/%d  %.2f dB  %s  %s left", progress.phase, progress.step, progress.steps,
             progress.psnr, human_bytes(progress.bits / 8).c_str(),
             human_seconds(progress.seconds_left).c_str());
  if (terminal_) {
    std::string bar(kBarWidth, '.');
    std::fill_n(bar.begin(), int(share * kBarWidth), '#');
    std::fprintf(stderr, "\rGOP %d/%d [%s] %s\033[K", gop_ + 1, gops_, bar.c_str(),
                 numbers.c_str());
    line_open_ = true;
  } else {
    std::fprintf(stderr, "GOP %d/%d  %3.0f%%  %s\n", gop_ + 1, gops_, 100 * share, numbers.c_str());
  }
}

void ProgressLine::end_gop(const GopStats& stats) {
  const std::lock_guard lock(mutex_);
  if (style_ == Style::quiet) return;
  clear();
  std::fprintf(stderr, "GOP %d/%d  %s  texture %.2f dB", gop_ + 1, gops_,
               human_bytes(double(stats.bytes)).c_str(), stats.mean_texture_psnr);
  if (!stats.depth.empty()) std::fprintf(stderr, "  depth %.2f dB", stats.mean_depth_psnr);
  std::fprintf(stderr, "  profile %s  %d steps in %s\n", stats.profile.c_str(), stats.steps,
               human_seconds(stats.train_seconds).c_str());
}

}  // namespace mvinr::tools
