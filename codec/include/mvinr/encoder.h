// Encodes GOPs by training a network per GOP (library libmvinr-encoder, which uses LibTorch).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

#include "mvinr/stream.h"
#include "mvinr/types.h"

namespace mvinr {

enum class Mode : uint8_t { automatic, implicit, hybrid };
enum class Loss : uint8_t { psnr, ssim };  // YUV 6:1:1 MSE | the papers' 0.7 L1 + 0.3 (1 - MS-SSIM)

/// Sent about four times a second while a GOP trains.
struct Progress {
  int step = 0, steps = 0;
  double psnr = 0;          // dB, estimate of the current Y-PSNR over the views
  double bits = 0;          // estimate of the access unit's size
  double seconds = 0;       // since the GOP's training began
  double seconds_left = 0;  // estimate
  const char* phase = "";   // "float", "noise", "quantise", "verify"
};

struct EncoderOptions {
  Mode mode = Mode::automatic;
  Loss loss = Loss::psnr;
  double lambda = 0.004;         // rate weight in D + lambda R, see docs/training.md; (0, 10]
  int effort = 5;                // 1 (seconds) … 9 (hours): steps
  double time_budget = 0;        // seconds of training per GOP, 0: by effort
  int gop_frames = 32;           // 1..kMaxGopFrames
  std::string profile = "auto";  // see profile_names()
  // Hybrid mode: the views that another codec codes; their decoded pictures come through
  // add_base(), their coded bytes through add_base_unit(). Motion geometry and refined need cameras
  // of all views and depth of the base views.
  std::vector<int> base_views;
  std::optional<Motion> motion;  // hybrid mode; none: as automatic_motion() says
  double depth_weight = 1.0;     // weight of depth distortion; [0, 100]
  // Training of a GOP begins with the network of the one before, where it is of the same shape. The
  // decoder does not see it: every GOP still stands alone. Then the bytes of a GOP depend on the
  // GOPs that this Encoder has coded before.
  bool warm_start = false;
  double prune = 0;  // share of weights set to zero, [0, 0.95] (papers: 0.15, 0.60)
  uint64_t seed = 1;
  std::string device = "auto";  // "auto", "cpu", "cuda:N"
  int threads = 0;              // 0: one per core
  uint64_t max_memory = 0;      // bytes, 0: three quarters of what the machine has free
  std::function<void(const Progress&)> on_progress;
};

/// Measured on the real decoder's output.
struct PictureStats {
  double psnr_y = 0, psnr_u = 0, psnr_v = 0;  // dB over the GOP's frames (mean MSE); depth: psnr_y
};
struct GopStats {
  uint64_t first_frame = 0;
  int frames = 0;
  uint64_t bytes = 0;
  double estimated_bits = 0;  // what training believed, all units
  double lambda = 0;          // at the end of the training
  double train_seconds = 0, verify_seconds = 0;
  int verified_frames = 0;  // whose pictures were measured: all but with a deadline
  int steps = 0;
  std::string profile;
  std::vector<PictureStats> texture;  // per view
  std::vector<PictureStats> depth;    // per view; empty if no view has depth
  double mean_texture_psnr = 0;       // Y, mean over views
  double mean_depth_psnr = 0;
};
struct EncodedGop {
  std::vector<std::byte> bytes;  // one access unit
  GopStats stats;
};

/// "auto", "xxs", "xs", "s", "m", "l", "mv-hinerv-xxs", …
MVINR_API std::vector<std::string> profile_names();

class MVINR_API Encoder {
 public:
  /// Errors: invalid_argument (an option out of its range, named), no_device, limit_exceeded (a GOP
  /// of this size does not fit into max_memory; says how much it needs), unsupported.
  static Result<std::unique_ptr<Encoder>> create(const SequenceInfo& sequence,
                                                 const EncoderOptions& options);
  virtual ~Encoder() = default;

  /// Copies the picture into the open GOP. `id.frame` counts from the open GOP's start.
  virtual Status add(const PictureId& id, const Picture& picture) = 0;

  /// Where a moving camera (ViewInfo::moving) is at a frame of the open GOP: needed for every frame
  /// of each of them before encode_gop(), in any mode. It is rounded as read_cameras() says.
  virtual Status add_pose(int frame, int view, const Pose& pose) = 0;

  /// Hybrid mode: a decoded picture of a base view, as every decoder of its BASE unit makes it, and
  /// the payload of a BASE unit (see BasePayload in mvinr/stream.h) of the open GOP. All pictures
  /// and units of all base views are needed before encode_gop().
  virtual Status add_base(const PictureId& id, const Picture& picture) = 0;
  virtual Status add_base_unit(int view, Component component, std::vector<std::byte> payload) = 0;

  /// The index in the sequence of the open GOP's frame 0. Without a call: what follows the last
  /// GOP. GOPs do not depend on each other, so that several encoders may share a sequence.
  virtual void set_first_frame(uint64_t frame) = 0;

  /// Trains, writes and verifies the frames 0..frames-1 added since the last call. A stop is obeyed
  /// within 100 ms (cancelled) and drops the GOP. A missing picture is invalid_argument.
  virtual Result<EncodedGop> encode_gop(int frames, std::stop_token stop = {}) = 0;

  /// Forgets the pictures of the open GOP.
  virtual void reset() = 0;

  /// lambda and time budget may change between GOPs.
  virtual Status set_lambda(double lambda) = 0;
  virtual Status set_time_budget(double seconds) = 0;

  /// Bytes that the next access units shall have, all units together; 0: as lambda says. The
  /// training then leads lambda, from set_lambda()'s on, so that the network fills what the BASE
  /// units leave.
  virtual Status set_target_bytes(uint64_t bytes) = 0;

  /// Live: when encode_gop() should return from now on (max(): whenever it likes). Training is as
  /// long as fits, after export and verification, in place of `effort` and within `time_budget`;
  /// the verification measures evenly spaced frames if there is no time for all, at least one.
  virtual void set_deadline(std::chrono::steady_clock::time_point deadline) = 0;
};

}  // namespace mvinr
