#include "live_time.h"

#include <algorithm>

#include "glue.h"

namespace mvinr::gst {
namespace {

// How much later than it should a frame may come, beside what its source says: threads of a busy
// machine.
constexpr int64_t kMinPatience = 100 * GST_MSECOND;

int64_t patience(int64_t frame_duration) { return std::max(kMinPatience, 2 * frame_duration); }

}  // namespace

void LiveTime::configure(GstClockTime gop, GstClockTime budget) {
  live_ = GST_CLOCK_TIME_IS_VALID(gst_aggregator_get_latency(element_));
  if (live_ && budget == 0) budget = gop;
  if (gop_ == int64_t(gop) && budget_ == int64_t(budget) && held_ == (live_ ? budget : 0)) return;
  gop_ = int64_t(gop);
  budget_ = int64_t(budget);
  // What the property `latency` says counts in the same way, and makes the pads hold that much.
  hold(live_ ? budget : 0);
  const GstClockTime own = live_ ? gop : gop + budget;
  gst_aggregator_set_latency(element_, own, own);
}

void LiveTime::hold(GstClockTime time) {
  if (time == held_) return;
  guint64 latency = 0;
  g_object_get(element_, "latency", &latency, nullptr);
  g_object_set(element_, "latency", guint64(latency - std::min(latency, held_) + time), nullptr);
  held_ = time;
}

void LiveTime::reset() {
  hold(0);
  live_ = behind_ = false;
  gop_ = budget_ = resumed_ = overhead_ = 0;
}

std::optional<int64_t> LiveTime::now() const {
  if (!live_) return {};
  const ObjectLock lock(element_);
  const auto* element = GST_ELEMENT_CAST(element_);
  if (!element->clock || element->current_state != GST_STATE_PLAYING) return {};
  return int64_t(gst_clock_get_time(element->clock)) - int64_t(element->base_time);
}

int64_t LiveTime::due_after(int64_t time, int64_t frame_duration) const {
  const int64_t due = time + frame_duration;
  if (!live_) return due;
  // GstAggregator adds the whole latency to what it is told.
  const int64_t grace = patience(frame_duration);
  return std::max(due + grace - gop_ - budget_, resumed_ + grace - latency());
}

bool LiveTime::too_late(int64_t time) {
  const std::optional<int64_t> running = now();
  if (!running) return false;
  const int64_t end = time + latency();
  const int64_t left = end - std::max(*running, end - budget_);
  const int64_t needed = std::clamp(overhead_ + overhead_ / 4, budget_ / 4, budget_);
  behind_ = left < (behind_ ? budget_ : needed);
  return behind_;
}

std::chrono::steady_clock::time_point LiveTime::deadline(int64_t time) const {
  const std::optional<int64_t> running = now();
  if (!running) return std::chrono::steady_clock::time_point::max();
  return std::chrono::steady_clock::now() + std::chrono::nanoseconds(time + latency() - *running);
}

void LiveTime::gop_done(double overhead) {
  overhead_ = int64_t(overhead * GST_SECOND);
  resumed_ = now().value_or(resumed_);
}

}  // namespace mvinr::gst
