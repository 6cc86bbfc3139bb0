#include "random_model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "format/access_unit.h"
#include "format/camera_unit.h"
#include "format/model_units.h"
#include "mvinr/stream.h"

namespace mvinr::testutil {
namespace {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  // The standard's distributions differ between libraries; this does not.
  int uniform(int low, int high) { return low + int(engine_() % uint32_t(high - low + 1)); }
  int bell(int most) { return (uniform(-most, most) + uniform(-most, most)) / 2; }

 private:
  std::mt19937 engine_;
};

// The step index nearest to a step width.
int step_for(double width) {
  return std::clamp(int(std::lround((std::log2(width) + 1) * 8)), -128, 127);
}

// `grey`: the head's outputs are pictures of their own, not what is added to a prediction.
void fill_natural(const TensorSpec& spec, CodedTensor& tensor, bool grey, Random& random) {
  const bool head = spec.name.starts_with("head.");
  if (spec.kind == TensorKind::weight) {
    const double columns = double(spec.count()) / spec.rows();
    for (int16_t& s : tensor.symbols) s = int16_t(random.bell(127));
    for (int8_t& s : tensor.steps)
      s = int8_t(step_for((head || spec.name.ends_with("flow.weight") ? 0.15 : 1.7) /
                          (52 * std::sqrt(columns))) +
                 random.uniform(-2, 2));
  } else if (spec.kind == TensorKind::bias) {
    for (int16_t& s : tensor.symbols) s = int16_t(random.bell(64) + (head && grey ? 128 : 0));
    for (int8_t& s : tensor.steps) s = int8_t(step_for(1.0 / 256));
  } else {
    for (int16_t& s : tensor.symbols) s = int16_t(random.uniform(0, 3) ? random.bell(6) : 0);
    for (int8_t& s : tensor.steps) s = int8_t(step_for(0.4) + random.uniform(-4, 4));
  }
}

void fill_extreme(const TensorSpec& spec, CodedTensor& tensor, Random& random) {
  const int limit = spec.kind == TensorKind::weight ? 127 : 2047;
  const bool ends = random.uniform(0, 2) == 0;
  for (int16_t& s : tensor.symbols)
    s = int16_t(ends ? (random.uniform(0, 1) ? limit : -limit) : random.uniform(-limit, limit));
  const bool wild = random.uniform(0, 1) == 0;
  const int centre = spec.kind == TensorKind::weight ? -56 : -8;
  for (int8_t& s : tensor.steps)
    s = int8_t(wild ? random.uniform(-128, 127) : centre + random.uniform(-16, 40));
}

ModelConfig base_config(int width, int height, int frames, int views, bool depth) {
  ModelConfig m;
  m.canvas_width = uint16_t(width);
  m.canvas_height = uint16_t(height);
  m.frames = uint16_t(frames);
  m.views = uint8_t(views);
  m.depth = depth;
  return m;
}

GridConfig grid(int stage, bool local, bool per_view, int time_steps, int channels,
                GridCoding coding = GridCoding::context) {
  return {.stage = uint8_t(stage),
          .local = local,
          .per_view = per_view,
          .time_steps = uint16_t(time_steps),
          .channels = uint16_t(channels),
          .coding = coding};
}

}  // namespace

CodedModel random_coded_model(const ModelConfig& config, uint32_t seed, Content content) {
  Random random(seed);
  CodedModel model = empty_model(config);
  const std::vector<TensorSpec> specs = tensor_specs(config);
  for (size_t i = 0; i < specs.size(); ++i) {
    CodedTensor& tensor = model.tensors[i];
    tensor.symbols.resize(size_t(specs[i].count()));
    tensor.steps.resize(size_t(specs[i].step_count()));
    if (content == Content::natural)
      fill_natural(specs[i], tensor, !config.prediction, random);
    else
      fill_extreme(specs[i], tensor, random);
    // The format gives a tensor without symbols the step 0.
    if (std::all_of(tensor.symbols.begin(), tensor.symbols.end(), [](int s) { return s == 0; }))
      tensor.symbols[0] = 1;
  }
  for (int v = 0; v < config.views; ++v) {
    ViewReference& reference = model.references[size_t(v)];
    reference.view = int8_t(random.uniform(-1, v - 1));
    if (reference.view < 0) continue;
    for (size_t g = 0; g < config.grids.size(); ++g) {
      if (!config.grids[g].per_view || config.grids[g].coding != GridCoding::context) continue;
      reference.dx[g] = int8_t(random.uniform(-2, 2));
      reference.dy[g] = int8_t(random.uniform(-1, 1));
    }
  }
  return model;
}

std::vector<int> base_views_for(const ModelConfig& config) {
  return config.prediction ? std::vector<int>{0, 2} : std::vector<int>{};
}

SequenceInfo sequence_for(const ModelConfig& config) {
  constexpr SampleFormat kDepths[] = {SampleFormat::gray_16, SampleFormat::gray_8,
                                      SampleFormat::gray_10};
  SequenceInfo sequence;
  const int views = config.views + int(base_views_for(config).size());
  for (int v = 0; v < views; ++v) {
    ViewInfo view;
    view.width = config.canvas_width - v % 8;  // odd sizes, and rows and columns that are cropped
    view.height = config.canvas_height - 3 * v % 11;
    view.texture = v % 2 == 0 ? SampleFormat::yuv420_8 : SampleFormat::yuv420_10;
    if (config.depth) view.depth = kDepths[v % 3];
    // Learned motion needs neither cameras nor depth of all bases.
    if (config.prediction && config.motion == Motion::learned) {
      if (v == 2) view.depth = SampleFormat::none;
    } else if (config.prediction) {
      const float width = float(view.width), height = float(view.height);
      view.camera = Camera{.focal = {width, width},
                           .principal_point = {width / 2, height / 2},
                           .depth_range = {1, 6},
                           .position = {0, -0.15f * float(v), 0.02f * float(v % 2)},
                           .rotation = {0.5f * float(v), 0, 0}};
      // The warp's target may do without depth.
      if (v == views - 1 && v > 2) view.depth = SampleFormat::none;
    }
    sequence.views.push_back(view);
  }
  return sequence;
}

SequenceInfo moving(SequenceInfo sequence) {
  for (ViewInfo& view : sequence.views) {
    if (!view.camera) continue;
    view.moving = true;
    view.camera->position = view.camera->rotation = {};
  }
  return sequence;
}

Poses poses_for(const SequenceInfo& sequence, int frames) {
  Poses poses;
  for (int t = 0; t < frames; ++t) {
    std::vector<Pose>& frame = poses.emplace_back();
    for (int v = 0; v < int(sequence.views.size()); ++v)
      frame.push_back({{0.01f * float(t), -0.15f * float(v) + 0.03f * float(t * t), 0.02f},
                       {179.5f + 0.4f * float(v) + 0.3f * float(t), -0.2f * float(t), 1}});
  }
  return poses;
}

std::vector<std::byte> access_unit_of(const CodedModel& model, const SequenceInfo& sequence) {
  auto units = encode_model(model);
  Header header;
  header.sequence = sequence;
  header.frames = model.config.frames;
  header.base_views = base_views_for(model.config);
  header.model = model.config;
  const auto check = [](bool ok, const Error& error) {
    if (ok) return;
    std::fprintf(stderr, "access_unit_of: %s\n", error.message.c_str());
    std::abort();
  };
  check(units.has_value(), units ? Error{} : units.error());
  const std::vector<int> views = header.network_views();
  for (UnitPayload& unit : *units)
    if (unit.type == UnitType::view) unit.index = views[size_t(unit.index)];
  for (const int view : header.base_views)
    for (const Component component : {Component::texture, Component::depth}) {
      const int index = base_unit_index(view, component);
      const std::vector<std::byte> packet(size_t(5 + index), std::byte(index));
      const auto payload = write_base_payload("video/x-test", std::vector<Bytes>(2, packet));
      check(payload.has_value(), payload ? Error{} : payload.error());
      units->push_back({UnitType::base, index, *payload});
    }
  if (has_moving_cameras(sequence)) {
    const auto payload = write_poses(sequence, poses_for(sequence, header.frames));
    check(payload.has_value(), payload ? Error{} : payload.error());
    units->push_back({UnitType::cameras, 0, *payload});
  }
  auto bytes = write_access_unit(header, *units);
  check(bytes.has_value(), bytes ? Error{} : bytes.error());
  return std::move(*bytes);
}

std::vector<NamedConfig> test_configs() {
  std::vector<NamedConfig> configs;
  {  // The order of the real-time profiles: every kind of grid, with and without norm and bias.
    ModelConfig m = base_config(48, 40, 5, 3, true);
    m.stem_channels = 12;
    m.stages = {{.scale = 2, .channels = 10, .depth = 1, .expansion = 3},
                {.scale = 2, .channels = 7, .depth = 2, .expansion = 2, .norm = false}};
    m.grids = {grid(0, false, false, 3, 3),
               grid(0, false, true, 2, 2),
               grid(1, true, false, 5, 2),
               grid(1, false, true, 1, 2),
               grid(2, true, true, 2, 1, GridCoding::factorised),
               grid(2, false, true, 1, 1)};
    configs.push_back({"reduce_first_shuffle420", m});
  }
  {  // Static everywhere, texture only, one view; a plane narrower than a group of positions.
    ModelConfig m = base_config(30, 20, 2, 1, false);
    m.stem_channels = 5;
    m.stages = {
        {.scale = 5, .channels = 6, .depth = 1, .expansion = 4, .norm = false, .bias = false}};
    m.grids = {grid(0, false, true, 1, 2), grid(1, false, false, 1, 1)};
    configs.push_back({"static_texture", m});
  }
  {  // A stage without blocks, a scale of 1, wide layers with one step per row.
    ModelConfig m = base_config(64, 32, 4, 2, true);
    m.stem_channels = 66;
    m.stages = {{.scale = 4, .channels = 33, .depth = 1, .expansion = 2},
                {.scale = 1, .channels = 16, .depth = 0},
                {.scale = 2, .channels = 16, .depth = 2, .expansion = 4, .norm = false}};
    m.grids = {grid(0, false, false, 2, 4), grid(0, false, true, 4, 2), grid(2, false, true, 2, 1),
               grid(3, false, true, 1, 1)};
    configs.push_back({"wide_reduce_first", m});
  }
  {  // HiNeRV's order: first blocks without residual, no biases, sigmoid head at full size.
    ModelConfig m = base_config(36, 24, 4, 2, true);
    m.order = StageOrder::hinerv;
    m.head = HeadKind::full444;
    m.stem_channels = 12;
    m.stages = {
        {.scale = 3, .channels = 12, .depth = 2, .expansion = 4, .norm = true, .bias = false},
        {.scale = 2, .channels = 6, .depth = 2, .expansion = 3, .norm = true, .bias = false}};
    m.grids = {grid(0, false, true, 2, 4), grid(0, false, true, 1, 8), grid(1, true, true, 4, 2),
               grid(1, true, true, 2, 3), grid(2, true, true, 4, 1)};
    configs.push_back({"hinerv_full444", m});
  }
  {  // The other two pairs of order and head.
    ModelConfig m = base_config(40, 24, 3, 2, false);
    m.order = StageOrder::hinerv;
    m.stem_channels = 9;
    m.stages = {{.scale = 2, .channels = 5, .depth = 1, .expansion = 2},
                {.scale = 2, .channels = 5, .depth = 1, .expansion = 3, .norm = false}};
    m.grids = {grid(0, false, false, 3, 2), grid(1, false, true, 1, 1), grid(2, true, false, 1, 2)};
    configs.push_back({"hinerv_shuffle420", m});
    m.order = StageOrder::reduce_first;
    m.head = HeadKind::full444;
    m.depth = true;
    configs.push_back({"reduce_first_full444", m});
  }
  {  // Hybrid mode: the prediction behind the grids of the last stage, or where there are none.
    ModelConfig m = base_config(48, 40, 3, 2, true);
    m.prediction = true;
    m.stem_channels = 8;
    m.stages = {{.scale = 2, .channels = 9, .depth = 1, .expansion = 3},
                {.scale = 2, .channels = 6, .depth = 1, .expansion = 2, .norm = false}};
    m.grids = {grid(0, false, true, 2, 3), grid(1, false, true, 1, 1), grid(2, true, false, 3, 1),
               grid(2, false, true, 1, 2)};
    configs.push_back({"hybrid_reduce_first", m});
    m.order = StageOrder::hinerv;
    m.views = 1;
    m.frames = 2;
    m.grids = {grid(0, false, true, 2, 2), grid(1, true, true, 2, 1, GridCoding::factorised)};
    configs.push_back({"hybrid_hinerv", m});
  }
  {  // Displacements: of two base views, of the warp, and with the other fusion.
    ModelConfig m = base_config(48, 32, 3, 2, true);
    m.prediction = true;
    m.motion = Motion::learned;
    m.flow_stage = 1;
    m.flow_shift = 1;
    m.flow_bases = 2;
    m.offsets = {{3, -1}, {-4, 0}, {kMaxOffset, -kMaxOffset}, {0, 2}};
    m.stem_channels = 8;
    m.stages = {{.scale = 2, .channels = 9, .depth = 1, .expansion = 3},
                {.scale = 2, .channels = 7, .depth = 0, .expansion = 2},
                {.scale = 2, .channels = 6, .depth = 1, .expansion = 2, .norm = false}};
    m.grids = {grid(0, false, true, 2, 3), grid(1, false, true, 1, 2), grid(3, false, true, 1, 2)};
    configs.push_back({"learned", m});
    m.depth = false;
    m.flow_stage = 2;
    m.flow_shift = 0;
    m.fusion = Fusion::softmax;
    configs.push_back({"learned_softmax_texture", m});
    m.depth = true;
    m.motion = Motion::refined;
    m.flow_bases = 1;
    m.offsets.clear();
    m.frames = 2;
    m.views = 1;
    configs.push_back({"refined_softmax", m});
    m.fusion = Fusion::gates;
    m.flow_shift = kMaxFlowShift;
    configs.push_back({"refined", m});
  }
  {  // IERV's order: grids that are added, one of them per view, convolutions, displacements at the
     // end.
    ModelConfig m = base_config(48, 24, 5, 2, false);
    m.order = StageOrder::ierv;
    m.prediction = true;
    m.motion = Motion::learned;
    m.fusion = Fusion::softmax;
    m.flow_stage = 2;
    m.flow_bases = 2;
    m.offsets = {{1, 0}, {0, 0}, {-2, 1}, {0, 0}};
    m.stem_channels = 6;
    m.stages = {{.scale = 3, .channels = 9, .depth = 0, .expansion = 1},
                {.scale = 2, .channels = 5, .depth = 1, .expansion = 2}};
    m.grids = {grid(0, false, false, 5, 3), grid(0, false, false, 3, 3),
               grid(0, false, true, 1, 6),  grid(1, true, true, 1, 9),
               grid(2, true, true, 2, 5),   grid(2, false, true, 1, 2)};
    m.grids[0].nearest = m.grids[1].nearest = m.grids[4].nearest = true;
    configs.push_back({"ierv", m});
    m.prediction = false;
    m.motion = Motion::geometry;
    m.fusion = Fusion::gates;
    m.flow_stage = m.flow_bases = 0;
    m.offsets.clear();
    m.grids.erase(m.grids.begin() + 2, m.grids.begin() + 4);
    m.grids[1].nearest = false;
    configs.push_back({"ierv_implicit", m});
  }
  return configs;
}

}  // namespace mvinr::testutil
