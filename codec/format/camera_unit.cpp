#include "format/camera_unit.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/try.h"
#include "entropy/side_info.h"

namespace mvinr {
namespace {

constexpr int kStepBits = 5, kMaxStep = 24;                 // a step is 2^-n
constexpr int kValueBits = 25;                              // of a first value
constexpr int64_t kMaxValue = (1 << (kValueBits - 1)) - 1;  // a float holds it exactly
constexpr int kLowBits = 4;

/// One number of one view's pose over the frames, as multiples of a step.
using Track = std::vector<int64_t>;

/// Steps of positions (metres) and rotations (degrees): 2^-n.
struct Steps {
  int position = 0, rotation = 0;
};

/// What is predicted of value t, from those before it.
int64_t predicted(const Track& track, size_t t, bool linear) {
  return linear && t > 1 ? 2 * track[t - 1] - track[t - 2] : track[t - 1];
}

/// How the differences from the prediction are written: the low bits as they are, the rest as
/// symbols.
struct TrackModel {
  bool linear = false;
  int low_bits = 0, max_symbol = 0, scale = 0;
};

template <class Coder>
void code_first(Coder& coder, int64_t& value) {
  int high = static_cast<int>((value + kMaxValue + 1) >> 16);
  int low = static_cast<int>((value + kMaxValue + 1) & 0xFFFF);
  coder.bits(high, kValueBits - 16);
  coder.bits(low, 16);
  value = (int64_t{high} << 16 | low) - kMaxValue - 1;
}

template <class Coder>
void code_track(Coder& coder, Track& track, TrackModel model) {
  code_first(coder, track[0]);
  if (std::abs(track[0]) > kMaxValue) return coder.fail();
  if (track.size() > 1) {
    coder.bits(model.linear, 1);
    coder.bits(model.low_bits, kLowBits);
    coder.exp_golomb(model.max_symbol, 2);
    if (model.max_symbol > kMaxSymbol) return coder.fail();
    if (model.max_symbol > 0) coder.bits(model.scale, kScaleBits);
    if (model.scale >= kScales) return coder.fail();
  }
  const Distribution distribution(Shape::laplace, model.max_symbol, 0, model.scale);
  for (size_t t = 1; t < track.size(); ++t) {
    const int64_t prediction = predicted(track, t, model.linear);
    const int64_t difference = track[t] - prediction;
    int high = static_cast<int>(difference >> model.low_bits);
    int low = static_cast<int>(difference & ((int64_t{1} << model.low_bits) - 1));
    if (model.max_symbol > 0)
      coder.symbol(distribution, high);
    else
      high = 0;
    coder.bits(low, model.low_bits);
    if constexpr (Coder::kReads) track[t] = prediction + ((int64_t{high} << model.low_bits) | low);
    if (std::abs(track[t]) > kMaxValue) return coder.fail();
  }
}

TrackModel choose_model(Track& track) {
  TrackModel best;
  double least = std::numeric_limits<double>::max();
  for (const bool linear : {false, true}) {
    TrackModel model{.linear = linear};
    int64_t largest = 0;
    for (size_t t = 1; t < track.size(); ++t)
      largest = std::max(largest, std::abs(track[t] - predicted(track, t, linear)));
    // One more than the shift needs: the shifted values are rounded towards minus infinity.
    while (largest >> model.low_bits >= kMaxSymbol) ++model.low_bits;
    if (model.low_bits >= 1 << kLowBits) continue;
    std::vector<int16_t> symbols;
    for (size_t t = 1; t < track.size(); ++t)
      symbols.push_back(
          static_cast<int16_t>((track[t] - predicted(track, t, linear)) >> model.low_bits));
    const Histogram histogram(symbols);
    model.max_symbol = histogram.max_symbol();
    model.scale = histogram.best_scale(Shape::laplace, model.max_symbol);
    CostCounter cost;
    code_track(cost, track, model);
    if (cost.total() >= least) continue;
    least = cost.total();
    best = model;
  }
  return best;
}

/// Indices of the views whose cameras move.
std::vector<size_t> moving_views(const SequenceInfo& sequence) {
  std::vector<size_t> views;
  for (size_t v = 0; v < sequence.views.size(); ++v)
    if (is_moving(sequence.views[v])) views.push_back(v);
  return views;
}

/// The least n for which 2^-n is at most `step`.
int exponent_of(double step) {
  return std::isfinite(step) && step > 0
             ? std::clamp(static_cast<int>(std::ceil(-std::log2(step))), 0, kMaxStep)
             : kMaxStep;
}

/// The track of number `i` (position 0-2, rotation 3-5) of a view, in steps of 2^-step.
Track track_of(const Poses& poses, size_t view, size_t i, int step) {
  Track track;
  const int64_t turn = int64_t{360} << step;
  for (const auto& frame : poses) {
    const double number = i < 3 ? frame[view].position[i] : frame[view].rotation[i - 3];
    int64_t value = std::llround(std::ldexp(number, step));
    if (i >= 3 && !track.empty()) {  // the nearest of the same angles
      const int64_t ahead = value - track.back();
      value -= (ahead + (ahead < 0 ? -turn / 2 : turn / 2)) / turn * turn;
    }
    track.push_back(value);
  }
  return track;
}

/// Lowers `step` until all values of the three numbers from `first` on fit.
void make_fit(const Poses& poses, size_t view, size_t first, int& step) {
  for (size_t i = first; i < first + 3; ++i)
    while (step > 0 && std::ranges::any_of(track_of(poses, view, i, step), [](int64_t value) {
             return std::abs(value) > kMaxValue;
           }))
      --step;
}

/// Half a step moves the nearest points by 1/32 of a pixel, unless values would become too large.
Steps choose_steps(const SequenceInfo& sequence, const Poses& poses) {
  constexpr double kDegree = 3.14159265358979 / 180;
  Steps steps;
  for (const size_t v : moving_views(sequence)) {
    const Camera& camera = *sequence.views[v].camera;
    const double focal = std::max(camera.focal[0], camera.focal[1]);
    steps.position = std::max(steps.position, exponent_of(camera.depth_range[0] / focal / 16));
    steps.rotation = std::max(steps.rotation, exponent_of(1 / (focal * kDegree) / 16));
  }
  for (const size_t v : moving_views(sequence)) {
    make_fit(poses, v, 0, steps.position);
    make_fit(poses, v, 3, steps.rotation);
  }
  return steps;
}

Status check(const SequenceInfo& sequence, const Poses& poses) {
  for (size_t t = 0; t < poses.size(); ++t)
    for (const size_t v : moving_views(sequence))
      for (const auto& numbers : {poses[t][v].position, poses[t][v].rotation})
        for (const float number : numbers)
          // Below that, a step of 1 does for any number and any turning.
          if (!(std::abs(number) <= float{1 << 23}))
            return Error{ErrorCode::invalid_argument,
                         "the pose of view " + std::to_string(v) + ", frame " + std::to_string(t) +
                             " has a number that is not finite or beyond 2^23"};
  return ok();
}

}  // namespace

Result<std::vector<std::byte>> write_poses(const SequenceInfo& sequence, const Poses& poses) {
  MVINR_TRY(check(sequence, poses));
  const Steps steps = choose_steps(sequence, poses);
  RangeEncoder coder;
  coder.bits(steps.position, kStepBits);
  coder.bits(steps.rotation, kStepBits);
  for (const size_t v : moving_views(sequence))
    for (size_t i = 0; i < 6; ++i) {
      Track track = track_of(poses, v, i, i < 3 ? steps.position : steps.rotation);
      code_track(coder, track, choose_model(track));
    }
  if (coder.failed()) return Error{ErrorCode::internal, "poses cannot be written"};
  return coder.finish();
}

Result<Poses> read_poses(const SequenceInfo& sequence, int frames, Bytes payload) {
  const Error corrupt{ErrorCode::corrupt, "the unit of the moving cameras is not valid"};
  RangeDecoder coder(payload);
  Steps steps;
  coder.bits(steps.position, kStepBits);
  coder.bits(steps.rotation, kStepBits);
  if (std::max(steps.position, steps.rotation) > kMaxStep) return corrupt;
  Poses poses(static_cast<size_t>(frames), std::vector<Pose>(sequence.views.size()));
  Track track(static_cast<size_t>(frames));
  for (const size_t v : moving_views(sequence))
    for (size_t i = 0; i < 6; ++i) {
      code_track(coder, track, {});
      if (coder.failed()) return corrupt;
      for (size_t t = 0; t < track.size(); ++t) {
        Pose& pose = poses[t][v];
        (i < 3 ? pose.position[i] : pose.rotation[i - 3]) = static_cast<float>(
            std::ldexp(static_cast<double>(track[t]), i < 3 ? -steps.position : -steps.rotation));
      }
    }
  if (!coder.finished()) return corrupt;
  return poses;
}

Result<Poses> poses_of(const AccessUnit& unit, size_t available) {
  if (!has_moving_cameras(unit.header.sequence)) return Poses{};
  if (const UnitView* cameras = unit.find(UnitType::cameras))
    return read_poses(unit.header.sequence, unit.header.frames, cameras->payload);
  if (available < unit.bytes)
    return Error{ErrorCode::truncated, "the unit of the moving cameras is missing: of " +
                                           std::to_string(unit.bytes) + " bytes " +
                                           std::to_string(available) + " are there"};
  return Error{ErrorCode::corrupt, "the unit of the moving cameras is damaged or missing"};
}

Result<std::vector<FrameCameras>> read_cameras(Bytes access_unit) {
  MVINR_ASSIGN(const AccessUnit unit, parse_access_unit(access_unit));
  MVINR_ASSIGN(Poses poses, poses_of(unit, access_unit.size()));
  const Rig rig(unit.header.sequence, std::move(poses));
  std::vector<FrameCameras> cameras(static_cast<size_t>(unit.header.frames));
  for (int frame = 0; frame < unit.header.frames; ++frame)
    for (int view = 0; view < static_cast<int>(unit.header.sequence.views.size()); ++view)
      cameras[static_cast<size_t>(frame)].push_back(rig.camera(frame, view));
  return cameras;
}

}  // namespace mvinr
