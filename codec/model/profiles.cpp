// The built-in architectures (docs/training.md, "Profiles").
#include <algorithm>
#include <cmath>

#include "base/try.h"
#include "model/config.h"

namespace mvinr {
namespace {

struct RealTime {
  const char* name;
  int stem;
  int channels[3];  // at 1/8, 1/4, 1/2 of the canvas
  int depth[3];
  int expansion[3];
  int time_channels, view_channels;  // of the time grid and of the time x view grid at the base
};

constexpr RealTime kRealTime[] = {
    {"xxs", 32, {32, 16, 16}, {1, 1, 1}, {3, 3, 2}, 4, 2},
    {"xs", 64, {64, 32, 16}, {2, 2, 1}, {3, 3, 2}, 6, 3},
    {"s", 96, {96, 48, 24}, {2, 2, 1}, {3, 3, 2}, 8, 4},
    {"m", 128, {128, 64, 32}, {2, 2, 1}, {4, 3, 2}, 12, 6},
    {"l", 192, {192, 96, 48}, {3, 2, 1}, {4, 3, 2}, 16, 8},
};

struct HiNerv {
  const char* name;
  int channels;        // of the stem; halved by every stage
  int base_channels;   // of the first base grid level; the second has twice as many
  int local_channels;  // of the first local grid level of stage 1
};

constexpr HiNerv kHiNerv[] = {
    {"mv-hinerv-xxs", 48, 2, 2}, {"mv-hinerv-xs", 136, 2, 4}, {"mv-hinerv-s", 280, 2, 4},
    {"mv-hinerv-m", 400, 4, 8},  {"mv-hinerv-l", 560, 8, 16},
};

constexpr uint8_t kFlowStage = 1;  // displacements are made at 1/8 of the canvas

struct Ierv {
  const char* name;
  int grid_channels;  // C of the paper's "fea_hw_dim"
};
constexpr Ierv kIerv[] = {{"ierv-s", 20}, {"ierv-m", 40}, {"ierv-l", 80}};

int round_up(int v, int multiple) { return (v + multiple - 1) / multiple * multiple; }
int divide_up(int v, int by) { return (v + by - 1) / by; }

/// Canvas of the largest view, padded to the total scale that the stages give.
void set_canvas(ModelConfig& config, int width, int height) {
  const int scale = config.total_scale();
  config.canvas_width = uint16_t(round_up(width, scale));
  config.canvas_height = uint16_t(round_up(height, scale));
}

uint16_t steps_of(int frames, int divisor) {
  return uint16_t(std::max(1, divide_up(frames, divisor)));
}

/// MV-MGINR's split of the base grid (time, time x view), HiNeRV's local grids shared by the views
/// plus IERV's stage grid per view, and static latents per view at 1/8, 1/4 and 1/2.
void real_time(const RealTime& p, int width, int frames, ModelConfig& c) {
  c.order = StageOrder::reduce_first;
  c.head = HeadKind::shuffle420;
  c.stem_channels = uint16_t(p.stem);
  const int first_scale = width > 320 ? 4 : 2;
  for (int i = 0; i < 3; ++i)
    c.stages.push_back({.scale = uint8_t(i == 0 ? first_scale : 2),
                        .channels = uint16_t(p.channels[i]),
                        .depth = uint8_t(p.depth[i]),
                        .expansion = uint8_t(p.expansion[i]),
                        .norm = i < 2});
  auto add = [&](int stage, bool local, bool per_view, int time_steps, int channels) {
    c.grids.push_back({.stage = uint8_t(stage),
                       .local = local,
                       .per_view = per_view,
                       .time_steps = uint16_t(time_steps),
                       .channels = uint16_t(channels)});
  };
  add(0, false, false, steps_of(frames, 2), p.time_channels);
  add(0, false, true, steps_of(frames, 4), p.view_channels);
  add(1, false, true, 1, 4);
  add(1, true, false, frames, 2);
  add(2, false, true, 1, 2);
  add(2, true, false, frames, 1);
  add(3, false, true, 1, 1);
}

/// HiNeRV's layers and sizes (arXiv 2306.09818, table of configurations) with all grids per view.
void hinerv(const HiNerv& p, int width, int height, int frames, ModelConfig& c) {
  c.order = StageOrder::hinerv;
  c.head = HeadKind::full444;
  c.stem_channels = uint16_t(p.channels);
  // The published scales 5 3 2 2 (base map 32 x 18 at 1080p), or smaller ones for smaller pictures.
  const bool large = width >= 960 || height >= 540;
  const int scales[4] = {large ? 5 : 2, large ? 3 : 2, 2, 2};
  const int depth[4] = {3, 3, 3, 1}, expansion[4] = {4, 4, 4, 1};
  int channels = p.channels;
  for (int i = 0; i < 4; ++i) {
    if (i > 0) channels /= 2;
    c.stages.push_back({.scale = uint8_t(scales[i]),
                        .channels = uint16_t(channels),
                        .depth = uint8_t(depth[i]),
                        .expansion = uint8_t(expansion[i]),
                        .norm = true,
                        .bias = false});
  }
  auto add = [&](int stage, bool local, int time_steps, int channels) {
    c.grids.push_back({.stage = uint8_t(stage),
                       .local = local,
                       .per_view = true,
                       .time_steps = uint16_t(time_steps),
                       .channels = uint16_t(channels),
                       .coding = GridCoding::factorised});
  };
  add(0, false, steps_of(frames, 4), p.base_channels);
  add(0, false, steps_of(frames, 8), 2 * p.base_channels);
  for (int i = 0; i < 4; ++i) {
    const int ce = std::max(1, p.local_channels >> i);
    for (int level = 0; level < 3; ++level)
      add(i + 1, true, steps_of(frames, 1 << level), ce << level);
  }
}

/// IERV (arXiv 2311.17350): time grids and a view grid that are added, stages of convolution, pixel
/// shuffle and a grid per view, softmax fusion. The last of its five enlargements is the head's.
void ierv(const Ierv& p, int width, int height, int frames, ModelConfig& c) {
  constexpr int kExpansion = 8, kLeast = 24;  // its "expansion" and "lower_width"
  c.order = StageOrder::ierv;
  c.head = HeadKind::shuffle420;
  c.stem_channels = uint16_t(p.grid_channels);
  const bool large = width >= 960 || height >= 540;
  const int scales[4] = {large ? 5 : 2, large ? 3 : 2, 2, 2};
  int channels = p.grid_channels * kExpansion;
  for (int i = 0; i < 4; ++i, channels = std::max(channels / 2, kLeast))
    c.stages.push_back(
        {.scale = uint8_t(scales[i]), .channels = uint16_t(channels), .depth = 0, .expansion = 1});
  const auto add = [&](int stage, bool local, bool per_view, int time_steps, int channels) {
    c.grids.push_back({.stage = uint8_t(stage),
                       .local = local,
                       .per_view = per_view,
                       .time_steps = uint16_t(time_steps),
                       .channels = uint16_t(channels),
                       .nearest = true});
  };
  add(0, false, false, frames, p.grid_channels / 2);
  add(0, false, false, steps_of(frames, 2), p.grid_channels / 2);
  add(0, false, true, 1, p.grid_channels);
  for (int i = 1; i <= 4; ++i) add(i, true, true, 1, c.stages[size_t(i) - 1].channels);
}

void set_motion(Motion motion, int bases, ModelConfig& c) {
  c.motion = motion;
  if (c.order == StageOrder::ierv) c.fusion = Fusion::softmax;
  if (!c.has_flow()) return;
  // IERV's flow head reads the last feature map.
  c.flow_stage = c.order == StageOrder::ierv ? uint8_t(c.stages.size()) : kFlowStage;
  c.flow_bases = uint8_t(motion == Motion::learned ? bases : 1);
  if (motion == Motion::learned) c.offsets.resize(size_t(c.views) * size_t(bases));
}

/// About 0.1 to 0.4 weights per canvas sample and frame pay off in minutes of training. Hybrid
/// mode: xs is no better than xxs after the same steps, and each takes 1.5 times as long.
std::string automatic(const std::vector<ViewInfo>& views, int frames, bool hybrid) {
  double samples = 0;
  for (const ViewInfo& v : views) samples += double(v.width) * v.height * frames;
  if (hybrid && samples < 24e6) return "xxs";
  return samples < 0.4e6 ? "xxs" : samples < 24e6 ? "xs" : samples < 150e6 ? "s" : "m";
}

}  // namespace

std::vector<std::string> model_profile_names() {
  std::vector<std::string> names = {"auto"};
  for (const RealTime& p : kRealTime) names.push_back(p.name);
  for (const HiNerv& p : kHiNerv) names.push_back(p.name);
  for (const Ierv& p : kIerv) names.push_back(p.name);
  return names;
}

Result<ModelConfig> make_profile(const std::string& name, const SequenceInfo& sequence, int frames,
                                 const std::vector<int>& network_views, Motion motion) {
  MVINR_TRY(validate(sequence));
  std::vector<ViewInfo> views;
  for (const int v : network_views) views.push_back(sequence.views[static_cast<size_t>(v)]);
  if (views.empty()) views = sequence.views;
  if (frames < 1 || frames > kMaxGopFrames)
    return Error{ErrorCode::invalid_argument, "a GOP has 1 to " + std::to_string(kMaxGopFrames) +
                                                  " frames, not " + std::to_string(frames)};
  const std::string wanted =
      name == "auto" ? automatic(views, frames, views.size() < sequence.views.size()) : name;
  int width = 0, height = 0;
  ModelConfig c;
  c.frames = uint16_t(frames);
  c.views = uint8_t(views.size());
  c.prediction = views.size() < sequence.views.size();
  for (const ViewInfo& v : sequence.views) c.depth = c.depth || v.depth != SampleFormat::none;
  for (const ViewInfo& v : views) {
    width = std::max(width, v.width);
    height = std::max(height, v.height);
  }
  for (const RealTime& p : kRealTime)
    if (wanted == p.name) real_time(p, width, frames, c);
  for (const HiNerv& p : kHiNerv)
    if (wanted == p.name) hinerv(p, width, height, frames, c);
  for (const Ierv& p : kIerv)
    if (wanted == p.name) ierv(p, width, height, frames, c);
  if (c.stages.empty()) {
    std::string all;
    for (const std::string& n : model_profile_names()) all += (all.empty() ? "" : ", ") + n;
    return Error{ErrorCode::invalid_argument,
                 "unknown profile '" + name + "' (known: " + all + ")"};
  }
  if (c.prediction) set_motion(motion, int(sequence.views.size() - views.size()), c);
  set_canvas(c, width, height);
  MVINR_TRY(validate(c));
  return c;
}

}  // namespace mvinr
