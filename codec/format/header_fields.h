// The header's fields in their order (docs/bitstream.md 3), described once: the archives of
// header.cpp read, write and print with the same visit().
//
// An archive has
//   kReads                                    true if it changes what it visits
//   integer(name, value, bytes, low, high)    an unsigned integer in a range
//   choice(name, value, choices)              one byte, one of the listed values
//   flags(names, bool&...)                    one byte, bit i is the i-th bool
//   numbers(name, array)                      finite binary32 numbers
//   list(what, first, items, low, high, f)    one byte: how many; then f(item) for each, named
//                                             "what first", "what first+1", ...
//   group(name, f)                            fields that belong together
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "base/try.h"
#include "format/access_unit.h"

namespace mvinr {

struct Choice {
  uint8_t value;
  const char* text;
};

// The enumerators' values are those of the bitstream.
static_assert(int(SampleFormat::yuv420_8) == 1 && int(SampleFormat::yuv420_10) == 2 &&
              int(SampleFormat::gray_8) == 3 && int(SampleFormat::gray_10) == 4 &&
              int(SampleFormat::gray_16) == 5);
inline constexpr Choice kTextureFormats[] = {{1, "4:2:0 8 bit"}, {2, "4:2:0 10 bit"}};
inline constexpr Choice kDepthFormats[] = {{0, "none"}, {3, "8 bit"}, {4, "10 bit"}, {5, "16 bit"}};
inline constexpr Choice kNoYes[] = {{0, "no"}, {1, "yes"}};
inline constexpr Choice kCameras[] = {{0, "no"}, {1, "yes"}, {2, "moving"}};
inline constexpr Choice kOrders[] = {{0, "reduce_first"}, {1, "hinerv"}, {2, "ierv"}};
inline constexpr Choice kHeads[] = {{0, "shuffle420"}, {1, "full444"}};

template <class Archive, class C>
Status visit_camera(Archive& a, C& camera, bool moving) {
  MVINR_TRY(a.numbers("focal", camera.focal));
  MVINR_TRY(a.numbers("principal_point", camera.principal_point));
  MVINR_TRY(a.numbers("depth_range", camera.depth_range));
  if (moving) return ok();  // the access unit has a pose for every frame
  MVINR_TRY(a.numbers("position", camera.position));
  return a.numbers("rotation", camera.rotation);
}

template <class Archive, class V>
Status visit_view(Archive& a, V& view) {
  MVINR_TRY(a.integer("width", view.width, 2, 1, kMaxPictureSize));
  MVINR_TRY(a.integer("height", view.height, 2, 1, kMaxPictureSize));
  MVINR_TRY(a.choice("texture", view.texture, kTextureFormats));
  MVINR_TRY(a.choice("depth", view.depth, kDepthFormats));
  int camera = !view.camera ? 0 : view.moving ? 2 : 1;
  MVINR_TRY(a.choice("camera", camera, kCameras));
  if constexpr (Archive::kReads) {
    view.moving = camera == 2;
    if (camera != 0) view.camera.emplace();
  }
  return view.camera ? visit_camera(a, *view.camera, view.moving) : ok();
}

template <class Archive, class S>
Status visit_sequence(Archive& a, S& sequence) {
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  MVINR_TRY(a.integer("frame_rate_num", sequence.frame_rate.num, 4, 0, kMost));
  MVINR_TRY(a.integer("frame_rate_den", sequence.frame_rate.den, 4, 1, kMost));
  return a.list("view", 0, sequence.views, 1, kMaxViews,
                [&](auto& view) { return visit_view(a, view); });
}

template <class Archive, class S>
Status visit_stage(Archive& a, S& stage) {
  MVINR_TRY(a.integer("scale", stage.scale, 1, 1, 5));
  MVINR_TRY(a.integer("channels", stage.channels, 2, 1, 1024));
  MVINR_TRY(a.integer("depth", stage.depth, 1, 0, 8));
  MVINR_TRY(a.integer("expansion", stage.expansion, 1, 1, 8));
  return a.flags({"norm", "bias"}, stage.norm, stage.bias);
}

template <class Archive, class G>
Status visit_grid(Archive& a, G& grid) {
  MVINR_TRY(a.integer("stage", grid.stage, 1, 0, 6));
  bool context = grid.coding == GridCoding::context;
  MVINR_TRY(a.flags({"local", "per_view", "context", "nearest"}, grid.local, grid.per_view, context,
                    grid.nearest));
  if constexpr (Archive::kReads)
    grid.coding = context ? GridCoding::context : GridCoding::factorised;
  MVINR_TRY(a.integer("time_steps", grid.time_steps, 2, 1, kMaxGopFrames));
  return a.integer("channels", grid.channels, 2, 1, 256);
}

template <class Archive, class M>
Status visit_model(Archive& a, M& model) {
  MVINR_TRY(a.group("model", [&]() -> Status {
    MVINR_TRY(a.integer("canvas_width", model.canvas_width, 2, 1, 16384));
    MVINR_TRY(a.integer("canvas_height", model.canvas_height, 2, 1, 16384));
    MVINR_TRY(a.choice("depth", model.depth, kNoYes));
    MVINR_TRY(a.choice("order", model.order, kOrders));
    MVINR_TRY(a.choice("head", model.head, kHeads));
    return a.integer("stem_channels", model.stem_channels, 2, 1, 1024);
  }));
  MVINR_TRY(a.list("stage", 1, model.stages, 1, 6, [&](auto& s) { return visit_stage(a, s); }));
  return a.list("grid", 0, model.grids, 1, 16, [&](auto& g) { return visit_grid(a, g); });
}

inline constexpr Choice kMotions[] = {{0, "geometry"}, {1, "learned"}, {2, "refined"}};
inline constexpr Choice kFusions[] = {{0, "gates"}, {1, "softmax"}};

/// A number in -kMaxOffset..kMaxOffset.
template <class Archive, class T>
Status visit_offset(Archive& a, const char* name, T& value) {
  int biased = value + kMaxOffset;
  MVINR_TRY(a.integer(name, biased, 2, 0, 2 * kMaxOffset));
  if constexpr (Archive::kReads) value = static_cast<int16_t>(biased - kMaxOffset);
  return ok();
}

/// Hybrid mode: behind the model's other fields.
template <class Archive, class H>
Status visit_motion(Archive& a, H& header) {
  auto& model = header.model;
  return a.group("motion", [&]() -> Status {
    MVINR_TRY(a.choice("kind", model.motion, kMotions));
    MVINR_TRY(a.choice("fusion", model.fusion, kFusions));
    if (model.motion == Motion::geometry) return ok();
    const bool learned = model.motion == Motion::learned;
    MVINR_TRY(a.integer("flow_stage", model.flow_stage, 1, 1, 6));
    MVINR_TRY(a.integer("flow_shift", model.flow_shift, 1, 0, kMaxFlowShift));
    if constexpr (Archive::kReads) {
      model.flow_bases = static_cast<uint8_t>(learned ? header.base_views.size() : 1);
      if (learned) model.offsets.resize(size_t{model.views} * model.flow_bases);
    }
    for (auto& offset : model.offsets) {
      MVINR_TRY(visit_offset(a, "offset_x", offset.x));
      MVINR_TRY(visit_offset(a, "offset_y", offset.y));
    }
    return ok();
  });
}

/// H is Header or const Header.
template <class Archive, class H>
Status visit(Archive& a, H& header) {
  MVINR_TRY(a.integer("first_frame", header.first_frame, 8, 0, UINT64_MAX));
  MVINR_TRY(a.integer("frames", header.frames, 2, 1, kMaxGopFrames));
  MVINR_TRY(visit_sequence(a, header.sequence));
  MVINR_TRY(a.list("base view", 0, header.base_views, 0, kMaxBaseViews,
                   [&](auto& view) { return a.integer("view", view, 1, 0, kMaxViews - 1); }));
  if constexpr (Archive::kReads) {
    header.model.frames = static_cast<uint16_t>(header.frames);
    header.model.views = static_cast<uint8_t>(header.network_views().size());
    header.model.prediction = !header.base_views.empty() && header.model.views > 0;
  }
  if (header.model.views == 0) return ok();
  MVINR_TRY(visit_model(a, header.model));
  return header.base_views.empty() ? ok() : visit_motion(a, header);
}

}  // namespace mvinr
