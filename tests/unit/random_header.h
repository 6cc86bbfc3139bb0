// Valid random headers, from a seed.
#pragma once

#include <algorithm>
#include <random>

#include "format/access_unit.h"

namespace mvinr::testutil {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int between(int low, int high) {
    return low + static_cast<int>(engine_() % static_cast<uint32_t>(high - low + 1));
  }
  bool coin() { return between(0, 1) == 1; }
  float number() { return static_cast<float>(between(-100000, 100000)) / 97.0f; }
  uint64_t bits() { return uint64_t{engine_()} << 32 | engine_(); }

 private:
  std::mt19937 engine_;
};

inline Camera random_camera(Random& random) {
  Camera camera;
  for (auto* values : {&camera.focal, &camera.principal_point, &camera.depth_range})
    for (float& value : *values) value = random.number();
  for (auto* values : {&camera.position, &camera.rotation})
    for (float& value : *values) value = random.number();
  return camera;
}

inline ViewInfo random_view(Random& random, bool depth) {
  ViewInfo view{.width = random.between(1, 300), .height = random.between(1, 200)};
  view.texture = random.coin() ? SampleFormat::yuv420_8 : SampleFormat::yuv420_10;
  if (depth)
    view.depth = static_cast<SampleFormat>(
        random.between(int(SampleFormat::gray_8), int(SampleFormat::gray_16)));
  if (random.coin()) view.camera = random_camera(random);
  return view;
}

/// Makes some of the views base views, and gives every view what hybrid mode asks for.
inline void choose_bases(Random& random, Header& header) {
  auto& views = header.sequence.views;
  const int most = std::min(static_cast<int>(views.size()) - 1, kMaxBaseViews);
  const int bases = random.between(1, most);
  for (int v = 0; v < static_cast<int>(views.size()); ++v) {
    ViewInfo& view = views[static_cast<size_t>(v)];
    if (!view.camera) view.camera = random_camera(random);
    const int left = static_cast<int>(views.size()) - v;
    const int wanted = bases - static_cast<int>(header.base_views.size());
    if (wanted == 0 || random.between(1, left) > wanted) continue;
    header.base_views.push_back(v);
    if (view.depth == SampleFormat::none) view.depth = SampleFormat::gray_16;
  }
}

inline Header random_header(uint32_t seed) {
  Random random(seed);
  Header header;
  header.first_frame = random.bits();
  header.frames = random.between(1, kMaxGopFrames);
  header.sequence.frame_rate = {static_cast<uint32_t>(random.between(0, 240000)),
                                static_cast<uint32_t>(random.between(1, 1001))};
  const bool depth = random.coin();
  const int views = random.between(1, random.coin() ? 3 : kMaxViews);
  int width = 1, height = 1;
  for (int v = 0; v < views; ++v) {
    // Depth may be missing in all views but one.
    const ViewInfo view = random_view(random, depth && (v == 0 || random.coin()));
    header.sequence.views.push_back(view);
    width = std::max(width, view.width);
    height = std::max(height, view.height);
  }

  if (depth && views > 1 && random.coin()) choose_bases(random, header);

  ModelConfig& model = header.model;
  model.frames = static_cast<uint16_t>(header.frames);
  model.views = static_cast<uint8_t>(header.network_views().size());
  model.depth = depth;
  model.prediction = !header.base_views.empty();
  model.order = random.coin() ? StageOrder::reduce_first : StageOrder::hinerv;
  model.head = model.prediction || random.coin() ? HeadKind::shuffle420 : HeadKind::full444;
  model.stem_channels = static_cast<uint16_t>(random.between(1, 40));
  const int stages = random.between(1, 4);
  for (int i = 0; i < stages; ++i)
    model.stages.push_back({.scale = static_cast<uint8_t>(random.between(1, 3)),
                            .channels = static_cast<uint16_t>(random.between(1, 40)),
                            .depth = static_cast<uint8_t>(random.between(1, 3)),
                            .expansion = static_cast<uint8_t>(random.between(1, 4)),
                            .norm = random.coin(),
                            .bias = random.coin()});
  const int step = model.total_scale() * (model.total_scale() % 2 == 0 ? 1 : 2);
  model.canvas_width = static_cast<uint16_t>((width + step - 1) / step * step);
  model.canvas_height = static_cast<uint16_t>((height + step - 1) / step * step);
  const int grids = random.between(1, 6);
  for (int i = 0, stage = 0; i < grids; ++i) {
    if (i > 0) stage = std::min(stages, stage + random.between(0, 2));
    model.grids.push_back({.stage = static_cast<uint8_t>(stage),
                           .local = stage > 0 && random.coin(),
                           .per_view = random.coin(),
                           .time_steps = static_cast<uint16_t>(random.between(1, 32)),
                           .channels = static_cast<uint16_t>(random.between(1, 8)),
                           .nearest = random.coin(),
                           .coding = random.coin() ? GridCoding::context : GridCoding::factorised});
  }
  if (model.prediction) {
    model.fusion = random.coin() ? Fusion::gates : Fusion::softmax;
    model.motion = stages > 1 ? static_cast<Motion>(random.between(0, 2)) : Motion::geometry;
  }
  if (model.has_flow()) {
    const bool learned = model.motion == Motion::learned;
    model.flow_stage = static_cast<uint8_t>(random.between(1, stages - 1));
    model.flow_shift = static_cast<uint8_t>(random.between(0, kMaxFlowShift));
    model.flow_bases = static_cast<uint8_t>(learned ? header.base_views.size() : 1);
    for (int i = 0; learned && i < model.views * model.flow_bases; ++i)
      model.offsets.push_back({static_cast<int16_t>(random.between(-kMaxOffset, kMaxOffset)),
                               static_cast<int16_t>(random.between(-kMaxOffset, kMaxOffset))});
    if (learned && random.coin()) header.sequence.views[0].camera.reset();
  }
  return header;
}

}  // namespace mvinr::testutil
