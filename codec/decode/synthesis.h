// Runs a plan for one frame of one view: grids and packed weights in, samples out
// (docs/bitstream.md chapter 5).
#pragma once

#include <span>
#include <stop_token>
#include <vector>

#include "base/memory.h"
#include "base/thread_pool.h"
#include "decode/pack.h"
#include "format/coded_model.h"
#include "geometry/displace.h"
#include "kernels/kernels.h"
#include "model/plan.h"
#include "mvinr/types.h"

namespace mvinr {

/// The input planes of the steps of one view whose grids do not change with time: [step], empty
/// where a step has no grids or some that move. For the stem: the nine shifted copies.
struct StaticPlanes {
  std::vector<AlignedArray<int16_t>> steps;
};
/// `tensors` in the order of plan.tensors. Error: limit_exceeded (no memory).
Result<StaticPlanes> make_static_planes(const Plan& plan, std::span<const CodedTensor> tensors,
                                        int view);

/// Feature maps of one picture that is being computed. Reused from picture to picture.
struct Maps {
  AlignedArray<int16_t> map[3];
  AlignedArray<int16_t> planes;       // grids of one step, at one frame
  AlignedArray<int16_t> raw;          // the stem's grids before the shifts
  AlignedArray<int16_t> tile;         // [channels][scale][scale]
  AlignedArray<int16_t> tile_planes;  // the tile before it is made compact
  AlignedArray<int16_t> prediction;   // hybrid mode: the planes warped from the base views
  AlignedArray<int16_t> flow[2];      // displacements, before and after an enlargement
};

/// What one thread needs for a part of a layer.
struct LaneMemory {
  AlignedArray<uint8_t> narrow;  // Packed8 in front of a 1x1 layer
  AlignedArray<uint8_t> hidden;  // Packed8 behind the GELU
  AlignedArray<int32_t> head;    // head outputs of some rows
};

/// Sizes in values; what Maps and LaneMemory of this plan need.
struct MemoryNeed {
  size_t map = 0, planes = 0, raw = 0, tile = 0, tile_planes = 0, prediction = 0, flow = 0;
  size_t narrow = 0, hidden = 0, head = 0;
  bool operator==(const MemoryNeed&) const = default;
  size_t map_bytes() const;   // of one Maps
  size_t lane_bytes() const;  // of one LaneMemory
};
MemoryNeed memory_need(const Plan& plan);
bool allocate(const MemoryNeed& need, Maps& maps);
bool allocate(const MemoryNeed& need, LaneMemory& lane);

/// Who computes one picture: the calling thread alone, or all threads of the pool.
struct Crew {
  ThreadPool* pool = nullptr;   // null: the calling thread alone
  std::span<LaneMemory> lanes;  // one per worker of the pool; alone: one
  int size() const { return static_cast<int>(lanes.size()); }
};

struct SynthesisJob {
  int frame = 0, view = 0;
  std::span<const CodedTensor> tensors;  // all, in the order of plan.tensors
  const StaticPlanes* still = nullptr;   // of the view
  int width = 0, height = 0;             // of the view
  // Hybrid mode: the warped prediction, at the trunk's resolution:
  // ModelConfig::prediction_planes(). With displacements it is written here, made of the pictures
  // `displaced`.
  Plane16 prediction;
  std::span<const DisplaceBase> displaced;
  const MutablePicture* texture = nullptr;
  const MutablePicture* depth = nullptr;
};

/// Errors: cancelled.
Status synthesise(const Plan& plan, std::span<const PackedStep> packed, const Kernels& kernels,
                  const SynthesisJob& job, Maps& maps, const Crew& crew, std::stop_token stop);

}  // namespace mvinr
