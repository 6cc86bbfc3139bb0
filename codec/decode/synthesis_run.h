// The layers of one picture: what synthesise() runs.
#pragma once

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "decode/layout.h"
#include "decode/synthesis.h"

namespace mvinr {

class SynthesisRun {
 public:
  SynthesisRun(const Plan& plan, std::span<const PackedStep> packed, const Kernels& kernels,
               const SynthesisJob& job, Maps& maps, const Crew& crew, std::stop_token stop)
      : plan_(plan),
        packed_(packed),
        kernels_(kernels),
        job_(job),
        maps_(maps),
        crew_(crew),
        stop_(std::move(stop)),
        rows_(rows_needed(plan, job.height)),
        current_(maps.map[0].data()),
        other_(maps.map[1].data()),
        depthwise_(maps.map[2].data()) {}

  Status run();

 private:
  // Splits [0, total) at multiples of `granule` among the crew: fn(begin, end, lane).
  template <typename F>
  void share(int total, int granule, F&& fn) {
    const int pieces = std::min(crew_.size(), (total + granule - 1) / granule);
    if (crew_.pool == nullptr || pieces <= 1) {
      fn(0, total, 0);
      return;
    }
    const int granules = (total + granule - 1) / granule;
    // Layer after layer, each member takes the same piece if it can: it has its rows in its cache.
    taken_.assign(size_t(pieces), false);
    std::mutex mutex;
    crew_.pool->parallel_for(pieces, [&](int, int worker) {
      int piece = worker % pieces;
      {
        std::lock_guard lock(mutex);
        while (taken_[size_t(piece)]) piece = (piece + 1) % pieces;
        taken_[size_t(piece)] = true;
      }
      const int begin = static_cast<int>(int64_t{granules} * piece / pieces) * granule;
      const int end = static_cast<int>(int64_t{granules} * (piece + 1) / pieces) * granule;
      fn(begin, std::min(end, total), worker);
    });
  }

  // The same for positions, in chunks whose temporary values stay in the cache.
  template <typename F>
  void share_positions(int total, int chunk, F&& fn) {
    share(total, kGranule, [&](int begin, int end, int lane) {
      for (int at = begin; at < end && !stop_.stop_requested(); at += chunk)
        fn(at, std::min(chunk, end - at), lane);
    });
  }

  Packed8 packed_chunk(AlignedArray<uint8_t>& memory, int channels, int count, int chunk) const {
    return {memory.data(), channels, 1, count, chunk_plane(chunk)};
  }

  // Positions of a step's output that are computed: whole groups of 64, so that no kernel has to
  // stop in the middle of one.
  int positions(size_t i) const { return whole_groups(plan_.steps[i], rows_[i]); }
  static int whole_groups(const PlanStep& s, int rows) {
    return std::min(round_up(rows * s.width, kGranule), s.height * s.width);
  }

  // Input planes of a step with grids: from the cache, or of this frame.
  Plane16 grid_planes(size_t i);
  // The local grids' 1x1 layer on its scale x scale positions: [channel][y][x].
  const int16_t* tile(size_t i);
  void stem(size_t i);
  void norm_reduce(size_t i);
  void norm(size_t i);
  void upsample(size_t i, bool with_inject);
  void inject(size_t i);
  void predict(size_t i);
  void block(size_t i);
  void head(size_t i);
  // The order ierv (synthesis_ierv.cpp).
  void sum_grids(size_t i);
  void convolve(size_t i);
  void activate(size_t i);
  // synthesis_flow.cpp
  // The displacements, enlarged to the trunk's resolution, and the prediction that they make
  // (docs/bitstream.md 8).
  void flow(size_t i);

  const Plan& plan_;
  std::span<const PackedStep> packed_;
  const Kernels& kernels_;
  const SynthesisJob& job_;
  Maps& maps_;
  const Crew& crew_;
  std::stop_token stop_;
  std::vector<int> rows_;
  std::vector<bool> taken_;  // pieces of the layer at work
  int16_t* current_;         // the feature map
  int16_t* other_;           // where a step that cannot work in place writes
  int16_t* depthwise_;       // inside a block
};

}  // namespace mvinr
