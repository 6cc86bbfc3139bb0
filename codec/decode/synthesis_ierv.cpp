// The layers of the order ierv (docs/bitstream.md 5.6).
#include "base/clones.h"
#include "decode/grids.h"
#include "decode/synthesis_run.h"
#include "kernels/tables.inc"

namespace mvinr {
namespace {

MVINR_CLONES void add_saturated(const int16_t* from, int count, int16_t* to) {
  for (int i = 0; i < count; ++i)
    to[i] = static_cast<int16_t>(std::clamp(to[i] + from[i], -32768, 32767));
}

// Every step-th value of `to`.
void shuffle_row(const int16_t* from, int count, int step, int added, int16_t* to) {
  for (int i = 0; i < count; ++i)
    to[i * step] = static_cast<int16_t>(std::clamp(from[i] + added, -32768, 32767));
}

// Bytes (Q5, every fourth) through the table (Q6) to Q10.
void gelu_row(const uint8_t* from, int count, int16_t* to) {
  for (int i = 0; i < count; ++i)
    to[i] = static_cast<int16_t>((kGeluTable[from[4 * i]] - kGeluZero) * 16);
}

}  // namespace

void SynthesisRun::sum_grids(size_t i) {
  const PlanStep& s = plan_.steps[i];
  const Plane16 out = plane16_at(current_, s.outputs, s.height, s.width);
  const Plane16 own = plane16_at(maps_.planes.data(), s.outputs, s.height, s.width);
  bool has_own = false;
  for (const bool per_view : {false, true}) {
    PlanStep part = s;
    std::erase_if(part.grids, [&](int g) { return plan_.config.grids[g].per_view != per_view; });
    if (per_view) has_own = !part.grids.empty();
    fill_grid_planes(plan_, part, job_.tensors, job_.view, job_.frame, per_view ? own : out);
  }
  if (has_own)
    for (int c = 0; c < s.outputs; ++c)
      add_saturated(own.data + c * own.plane, s.height * s.width, out.data + c * out.plane);
}

void SynthesisRun::convolve(size_t i) {
  const PlanStep& s = plan_.steps[i];
  const int height = s.height / s.scale, width = s.width / s.scale, area = s.scale * s.scale;
  const Plane16 in = plane16_at(current_, s.inputs, height, width);
  const Plane16 normed = plane16_at(other_, s.inputs, height, width);
  const Plane16 shifted = plane16_at(maps_.planes.data(), 9 * s.inputs, height, width);
  const Plane16 wide = plane16_at(depthwise_, s.outputs * area, height, width);
  const Plane16 out = plane16_at(current_, s.outputs, s.height, s.width);
  const auto groups = [&](int rows) {
    return std::min(round_up(std::min(rows, height) * width, kGranule), height * width);
  };
  const int rows = (rows_[i] - 1) / s.scale + 1;
  share(groups(rows + 1), kGranule,
        [&](int begin, int end, int) { kernels_.norm_to_plane(in, normed, begin, end); });
  shift_taps(normed, shifted);
  share(groups(rows), kGranule, [&](int begin, int end, int) {
    kernels_.pointwise16(shifted, packed_[i].wide.layer(), false, wide, begin, end);
  });
  const Plane16 local = plane16_at(maps_.tile_planes.data(), s.outputs, s.scale, s.scale);
  if (!s.grids.empty()) fill_grid_planes(plan_, s, job_.tensors, job_.view, job_.frame, local);
  share(rows_[i], 1, [&](int first, int last, int) {
    for (int c = 0; c < s.outputs; ++c)
      for (int y = first; y < last; ++y)
        for (int phase = 0; phase < s.scale; ++phase) {
          const int place = y % s.scale * s.scale + phase;
          const int added = s.grids.empty() ? 0 : local.data[c * local.plane + place];
          shuffle_row(wide.data + (c * area + place) * wide.plane + y / s.scale * width, width,
                      s.scale, added, out.data + c * out.plane + y * s.width + phase);
        }
  });
}

void SynthesisRun::activate(size_t i) {
  const PlanStep& s = plan_.steps[i];
  const Plane16 map = plane16_at(current_, s.inputs, s.height, s.width);
  const int chunk = chunk_positions(s);
  share_positions(positions(i), chunk, [&](int begin, int count, int lane) {
    const Packed8 narrow = packed_chunk(crew_.lanes[lane].narrow, s.inputs, count, chunk);
    kernels_.norm_to_packed(shift(map, begin), narrow, 0, count);
    for (int c = 0; c < s.inputs; ++c)
      gelu_row(narrow.data + c / 4 * narrow.plane * 4 + c % 4, count,
               map.data + c * map.plane + begin);
  });
}

}  // namespace mvinr
