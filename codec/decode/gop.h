// One GOP that is being played: its units, decoded as far as they are needed.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "base/owned_picture.h"
#include "decode/pack.h"
#include "decode/synthesis.h"
#include "format/access_unit.h"
#include "format/coded_model.h"
#include "geometry/rig.h"
#include "geometry/warp.h"
#include "model/plan.h"
#include "mvinr/decoder.h"

namespace mvinr {

struct GopLimits {
  uint64_t max_samples = 1ull << 32;  // canvas samples x views; memory follows from it
  int workers = 1;                    // threads of the decoder
};

class Gop final : public PreparedGop {
 public:
  /// Copies the bytes, decodes the network and the shared grids. Errors: those of
  /// parse_access_unit; truncated or corrupt (one of these units is damaged), limit_exceeded.
  static Result<std::unique_ptr<Gop>> open(Bytes access_unit, const GopLimits& limits);

  const GopInfo& info() const override { return info_; }
  const ViewInfo& view_info(int view) const { return info_.sequence.views[view]; }
  const Plan& plan() const { return plan_; }
  std::span<const PackedStep> packed() const { return packed_; }
  std::span<const CodedTensor> tensors() const { return model_.tensors; }
  const MemoryNeed& memory() const { return memory_; }
  /// Index of a view among those that the network renders; -1: a base view.
  int network_view(int view) const { return network_view_[static_cast<size_t>(view)]; }

  std::vector<BaseUnit> base_units() const;
  /// Of a base view, in its format and size.
  void set_base(const PictureId& id, const Picture& picture);
  /// nullptr if it has not been set.
  const OwnedPicture* base_picture(const PictureId& id) const;
  /// What the warp to `view` at an instant starts from. Errors: invalid_argument (a picture is
  /// missing), corrupt (the unit of the moving cameras is damaged or missing).
  Result<std::vector<BaseInput>> base_inputs(int frame, int view) const;
  /// The pictures of base view number `base` at an instant; a depth without format: there is none.
  /// Error: invalid_argument (a picture is missing).
  struct BasePair {
    Picture texture, depth;
  };
  Result<BasePair> base_pair(int frame, size_t base) const;
  /// After base_inputs() without an error.
  PlacedCamera placed_camera(int frame, int view) const { return rig_.placed(frame, view); }

  /// Decodes what a view of the network needs, at the first call; safe to call from several
  /// threads. The same error at each call: corrupt (its unit, or that of a view that it refers to,
  /// is damaged or missing) or limit_exceeded.
  Status prepare(int view);
  /// Of a prepared view.
  const StaticPlanes& still(int view) const { return views_[view].still; }

 private:
  struct View {
    std::mutex mutex;
    bool decoded = false, prepared = false;
    Status decode_status = ok(), status = ok();
    StaticPlanes still;
  };

  Status decode_network_and_shared();
  Status make_rig();
  Status decode_symbols(int view);
  Status read_view_unit(int view);
  Error damaged(const std::string& what) const;
  size_t base_slot(const PictureId& id) const;

  std::vector<std::byte> bytes_;  // of the access unit: the payloads point here
  AccessUnit unit_;
  GopInfo info_;
  Plan plan_;
  CodedModel model_;
  std::vector<PackedStep> packed_;
  MemoryNeed memory_;
  std::unique_ptr<View[]> views_;  // of the network
  std::vector<int> network_view_;
  std::vector<OwnedPicture> base_[2];  // [component][base view * frames + frame]
  Rig rig_;                            // of hybrid mode
  Status rig_status_ = ok();           // poses that cannot be had cost the network views
};

/// Three quarters of the machine's memory: beyond it, a stream is not worth the swapping.
uint64_t memory_of_this_machine();

/// Refuses what would need more memory than the limits, or than this machine has, allow, if one
/// picture is computed at a time.
/// `other`: bytes besides, see base_memory().
Status check_limits(const Plan& plan, const MemoryNeed& need, const GopLimits& limits,
                    uint64_t other = 0);

/// Hybrid mode: bytes of the base views' pictures and of the warps of `workers` threads.
uint64_t base_memory(const Header& header, int workers);

}  // namespace mvinr
