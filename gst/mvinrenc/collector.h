// Pairs the frames of all pads by running time, so that one set of pictures shows one instant.
// Plain C++: the element tells what waits at the head of each pad and is told what to do with it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace mvinr::gst {

/// What waits at the head of a pad's queue. Times are running times in nanoseconds.
struct Head {
  enum class State : uint8_t {
    empty,  // nothing yet
    frame,
    gap,    // the source says that nothing changes from `time` to `end`
    ended,  // nothing, and nothing will come
  };
  State state = State::empty;
  int64_t time = 0;
  int64_t end = 0;  // gaps only
};

/// What to do with one pad.
struct Action {
  enum class Use : uint8_t {
    none,
    head,  // the head is the pad's picture of this set
    last,  // the pad's previous picture is repeated: no frame came in time
    gap,   // the same, because the source sent a gap
  };
  Use use = Use::none;
  bool pop = false;  // remove the head; with use none: a frame is dropped
};

struct Decision {
  enum class Kind : uint8_t {
    wait,     // more data is needed
    discard,  // nothing but pops: ask again with the new heads
    set,      // every action has a use
    ended,    // a pad has ended: there will be no more set
  };
  Kind kind = Kind::wait;
  std::vector<Action> actions;  // per pad; for discard and set
  int64_t time = 0;             // of the set: the earliest of its frames
  int64_t missing = 0;          // instants between the last set and this one without any frame
};

/// The rules. The first set begins when every pad has a frame: earlier frames of the pads that
/// began too early are dropped. After that the earliest waiting frame sets the time; pads whose
/// frame is at most half a frame duration later take part, the others repeat their last picture.
/// A frame less than half a duration after the last set came too late and is dropped.
class Collector {
 public:
  Collector(size_t pads, int64_t frame_duration) : pads_(pads), duration_(frame_duration) {}

  size_t pads() const { return pads_; }
  int64_t frame_duration() const { return duration_; }

  /// Time of the last set; none before the first.
  std::optional<int64_t> last() const { return last_; }

  /// heads.size() == pads(). With `timeout` (live sources) a pad without a frame repeats its last
  /// picture instead of being waited for.
  Decision next(std::span<const Head> heads, bool timeout);

 private:
  Decision first(std::span<const Head> heads) const;

  size_t pads_;
  int64_t duration_;
  std::optional<int64_t> last_;
};

}  // namespace mvinr::gst
