// One GOP that is being played: its units, decoded as far as they are needed.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "decode/pack.h"
#include "decode/synthesis.h"
#include "format/access_unit.h"
#include "format/coded_model.h"
#include "model/plan.h"

namespace mvinr {

struct GopLimits {
  uint64_t max_samples = 1ull << 32;  // canvas samples x views; memory follows from it
  int workers = 1;                    // threads of the decoder
};

class Gop {
 public:
  /// Copies the bytes, decodes the network and the shared grids. Errors: those of
  /// parse_access_unit; truncated or corrupt (one of these units is damaged), limit_exceeded.
  static Result<std::unique_ptr<Gop>> open(Bytes access_unit, const GopLimits& limits);

  const GopInfo& info() const { return info_; }
  const ViewInfo& view_info(int view) const { return info_.sequence.views[view]; }
  const Plan& plan() const { return plan_; }
  std::span<const PackedStep> packed() const { return packed_; }
  std::span<const CodedTensor> tensors() const { return model_.tensors; }
  const MemoryNeed& memory() const { return memory_; }

  /// Decodes what a view needs, at the first call; safe to call from several threads. The same
  /// error at each call: corrupt (its unit, or that of a view that it refers to, is damaged or
  /// missing) or limit_exceeded.
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

  Status decode_base();
  Status decode_symbols(int view);
  Status read_view_unit(int view);
  Error damaged(const std::string& what) const;

  std::vector<std::byte> bytes_;  // of the access unit: the payloads point here
  AccessUnit unit_;
  GopInfo info_;
  Plan plan_;
  CodedModel model_;
  std::vector<PackedStep> packed_;
  MemoryNeed memory_;
  std::unique_ptr<View[]> views_;
};

/// Three quarters of the machine's memory: beyond it, a stream is not worth the swapping.
uint64_t memory_of_this_machine();

/// Refuses what would need more memory than the limits, or than this machine has, allow, if one
/// picture is computed at a time.
Status check_limits(const Plan& plan, const MemoryNeed& need, const GopLimits& limits);

}  // namespace mvinr
