// An Encoder without LibTorch for the tests of mvinrenc: fake_encoder.cpp defines Encoder::create
// and profile_names, and is linked in place of libmvinr-encoder.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "mvinr/encoder.h"

namespace mvinr::fake {

/// A BASE unit, with the decoded pictures of its view and component.
struct BaseUnit {
  int view = 0;
  Component component = Component::texture;
  std::vector<std::byte> payload;
  std::vector<int> samples;  // first sample of each frame, -1 if not added
};

/// What encode_gop was given.
struct Gop {
  int frames = 0;
  double lambda = 0, time_budget = 0;
  double deadline = 0;  // seconds left when encode_gop was called, infinite without one
  /// Index (frame * views + view) * 2 + component: the picture's first sample, -1 if not added.
  std::vector<int> samples;
  std::map<std::pair<int, int>, Pose> poses;  // by frame and view, as added
  std::vector<BaseUnit> units;                // hybrid mode, in the order of add_base_unit
};

struct Log {
  std::vector<SequenceInfo> sequences;
  std::vector<EncoderOptions> options;
  std::vector<Gop> gops;  // finished ones
  int training = 0;       // encode_gop calls that run now
  int alive = 0;          // encoders that exist
};
Log log();

/// First samples of view `view`'s texture in all GOPs, of a sequence of `views` views.
std::vector<int> samples(int view, int views);

/// Lasts until reset(). `seconds`: how long a GOP trains, or less if it `obeys` its deadline.
/// `in_training` runs in encode_gop.
struct Behaviour {
  double seconds = 0;
  bool obeys = true;
  std::function<void()> in_training;
};
void set_behaviour(const Behaviour& behaviour);
void reset();

/// Size in bytes of an access unit: the fake obeys R = a * lambda^-0.6.
size_t access_unit_bytes(double lambda, int frames);

constexpr double kPsnrY = 31.5;
constexpr uint64_t kBytesPerSample = 1000;  // of memory: max_memory below that is refused

}  // namespace mvinr::fake
