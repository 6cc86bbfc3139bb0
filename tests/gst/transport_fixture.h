// A sender and a receiver in one process, with a wire between them that can lose packets.
#pragma once

#include <gst/gst.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "gst_testutil.h"

namespace mvinr::testutil {

/// An access unit that came out at the other end.
struct Arrival {
  size_t bytes;
  uint32_t crc;
  GstClockTime pts;
  bool operator==(const Arrival&) const = default;
};
Arrival arrival_of(const Data& data, GstClockTime pts = GST_CLOCK_TIME_NONE);

/// A port of 127.0.0.1 that was free a moment ago.
int free_port(bool udp);

/// `sender` gets an appsrc in front of it. What comes into the receiver's element `out` is noted;
/// pictures of an mvinrdec named `d` as in Pipeline. Without a receiver, both are one pipeline.
class Transport {
 public:
  explicit Transport(const std::string& sender, const std::string& receiver = "",
                     const std::string& record = "");
  ~Transport();

  Pipeline& sender() { return *sender_; }
  Pipeline& receiver() { return receiver_ ? *receiver_ : *sender_; }

  /// Packets at the sink pad of the sender's element `wire` are lost with this probability, always
  /// the same ones for the same seed. `keep`: packets that are never lost.
  void lose(
      double probability, uint32_t seed,
      std::function<bool(GstBuffer*)> keep = [](GstBuffer*) { return false; });
  /// The sender waits while more than `most` packets are between `wire` and the receiver's element
  /// `in`, so that no queue of the system ever overflows.
  void pace(int most);

  /// Starts both; an empty string or what went wrong.
  std::string start();
  /// Sends an access unit; waits while the sender's queue is full.
  void push(const Data& data, GstClockTime pts, GstClockTime duration);
  /// No more access units. Waits for the receiver's end, or until `count` have arrived, or nothing
  /// has for `idle_seconds`.
  void finish(size_t count, int idle_seconds = 10);

  std::vector<Arrival> arrivals();
  std::vector<Arrival> take_arrivals();  // those since the last call
  size_t lost() const { return lost_; }  // packets
  size_t sent() const { return sent_; }

 private:
  static GstPadProbeReturn at_wire(GstPad*, GstPadProbeInfo*, gpointer);
  static GstPadProbeReturn behind_wire(GstPad*, GstPadProbeInfo*, gpointer);
  static GstPadProbeReturn at_out(GstPad*, GstPadProbeInfo*, gpointer);
  void watch_wire();

  std::unique_ptr<Pipeline> sender_, receiver_;
  std::mutex mutex_;
  std::vector<Arrival> arrivals_;
  std::mt19937 random_;
  double probability_ = 0;
  std::function<bool(GstBuffer*)> keep_;
  bool watching_ = false;
  int most_ = 0;
  std::atomic<size_t> sent_ = 0, lost_ = 0, got_ = 0;
};

}  // namespace mvinr::testutil
