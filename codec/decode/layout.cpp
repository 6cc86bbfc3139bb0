#include "decode/layout.h"

#include "decode/grids.h"
#include "decode/synthesis.h"

namespace mvinr {
namespace {

Error no_memory() { return {ErrorCode::limit_exceeded, "not enough memory for feature maps"}; }

size_t plane_values(int channels, int height, int width) {
  return size_t(channels) * plane_stride(height, width);
}

bool is_still(const Plan& plan, const PlanStep& step) {
  if (step.kind != StepKind::stem && step.kind != StepKind::inject) return false;
  return std::all_of(step.grids.begin(), step.grids.end(),
                     [&](int g) { return plan.config.grids[g].time_steps == 1; });
}

}  // namespace

void fill_grid_planes(const Plan& plan, const PlanStep& step, std::span<const CodedTensor> tensors,
                      int view, int frame, const Plane16& out) {
  Plane16 part = out;
  for (const int g : step.grids) {
    part.channels = plan.config.grids[g].channels;
    const int tensor = plan.grid_tensor[g][view];
    grid_to_planes(plan.tensors[tensor], tensors[tensor], frame, plan.config.frames,
                   plan.config.grids[g].nearest, part);
    part.data += part.channels * part.plane;
  }
}

Result<StaticPlanes> make_static_planes(const Plan& plan, std::span<const CodedTensor> tensors,
                                        int view) {
  StaticPlanes result;
  result.steps.resize(plan.steps.size());
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& s = plan.steps[i];
    if (!is_still(plan, s)) continue;
    AlignedArray<int16_t>& values = result.steps[i];
    if (!values.allocate(plane_values(s.grid_channels, s.height, s.width))) return no_memory();
    const Plane16 planes = plane16_at(values.data(), s.grid_channels, s.height, s.width);
    fill_grid_planes(plan, s, tensors, view, 0, planes);
    if (s.kind != StepKind::stem) continue;
    AlignedArray<int16_t> shifted;
    if (!shifted.allocate(plane_values(9 * s.grid_channels, s.height, s.width))) return no_memory();
    shift_taps(planes, plane16_at(shifted.data(), 9 * s.grid_channels, s.height, s.width));
    values = std::move(shifted);
  }
  return result;
}

MemoryNeed memory_need(const Plan& plan) {
  MemoryNeed need;
  const auto at_least = [](size_t& value, size_t other) { value = std::max(value, other); };
  for (const PlanStep& s : plan.steps) {
    const size_t chunk = chunk_plane(chunk_positions(s));
    switch (s.kind) {
      case StepKind::stem:
        at_least(need.map, plane_values(s.outputs, s.height, s.width));
        if (is_still(plan, s)) break;
        at_least(need.raw, plane_values(s.grid_channels, s.height, s.width));
        at_least(need.planes, plane_values(9 * s.grid_channels, s.height, s.width));
        break;
      case StepKind::sum_grids:
        at_least(need.map, plane_values(s.outputs, s.height, s.width));
        at_least(need.planes, plane_values(s.outputs, s.height, s.width));
        break;
      case StepKind::convolve: {
        const int h = s.height / s.scale, w = s.width / s.scale, area = s.scale * s.scale;
        at_least(need.map, plane_values(s.inputs, h, w));
        at_least(need.map, plane_values(s.outputs * area, h, w));
        at_least(need.map, plane_values(s.outputs, s.height, s.width));
        at_least(need.planes, plane_values(9 * s.inputs, h, w));
        at_least(need.tile_planes, plane_values(s.outputs, s.scale, s.scale));
        break;
      }
      case StepKind::activate:
        at_least(need.narrow, round_up(s.inputs, 4) * chunk);
        break;
      case StepKind::norm_reduce:
        at_least(need.narrow, round_up(s.inputs, 4) * chunk);
        [[fallthrough]];
      case StepKind::norm:
        at_least(need.map, plane_values(s.outputs, s.height, s.width));
        break;
      case StepKind::upsample:
        at_least(need.map, plane_values(s.outputs, s.height, s.width));
        if (s.grids.empty()) break;
        at_least(need.planes, plane_values(s.grid_channels, s.scale, s.scale));
        at_least(need.tile_planes, plane_values(s.outputs, s.scale, s.scale));
        at_least(need.tile, size_t(s.outputs) * s.scale * s.scale);
        break;
      case StepKind::inject:
        if (!is_still(plan, s))
          at_least(need.planes, plane_values(s.grid_channels, s.height, s.width));
        break;
      case StepKind::flow:
        at_least(need.flow, plane_values(s.outputs, plan.head().height, plan.head().width));
        at_least(need.prediction, plane_values(plan.config.prediction_planes(), plan.head().height,
                                               plan.head().width));
        break;
      case StepKind::predict:
        at_least(need.prediction, plane_values(s.inputs, s.height, s.width));
        break;
      case StepKind::block:
        at_least(need.map, plane_values(std::max(s.inputs, s.outputs), s.height, s.width));
        at_least(need.narrow, round_up(s.inputs, 4) * chunk);
        at_least(need.hidden, round_up(s.hidden, 4) * chunk);
        break;
      case StepKind::head: {
        const int strip = head_strip_rows(s, head_row_group(plan.config.head, s.width));
        at_least(need.head, size_t(s.outputs) * head_plane(s, strip));
        break;
      }
    }
  }
  return need;
}

size_t MemoryNeed::map_bytes() const {
  return sizeof(int16_t) * (3 * map + planes + raw + tile + tile_planes + prediction + 2 * flow);
}
size_t MemoryNeed::lane_bytes() const { return narrow + hidden + sizeof(int32_t) * head; }

bool allocate(const MemoryNeed& need, Maps& maps) {
  for (AlignedArray<int16_t>& map : maps.map)
    if (!map.allocate(need.map)) return false;
  return maps.planes.allocate(need.planes) && maps.raw.allocate(need.raw) &&
         maps.tile.allocate(need.tile) && maps.tile_planes.allocate(need.tile_planes) &&
         maps.prediction.allocate(need.prediction) && maps.flow[0].allocate(need.flow) &&
         maps.flow[1].allocate(need.flow);
}

bool allocate(const MemoryNeed& need, LaneMemory& lane) {
  return lane.narrow.allocate(need.narrow) && lane.hidden.allocate(need.hidden) &&
         lane.head.allocate(need.head);
}

}  // namespace mvinr
