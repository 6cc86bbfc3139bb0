// ModelConfig: the integers that fix a network's architecture, and tensor_specs(): the ordered list
// of its coded tensors. The trainer and the decoder meet only here (docs/overview.md).
#pragma once

#include <string>
#include <vector>

#include "mvinr/stream.h"
#include "mvinr/types.h"

namespace mvinr {

/// Where the 1x1 convolution that changes the number of channels stands.
enum class StageOrder : uint8_t {
  // LN -> 1x1 (C_prev -> C) -> bilinear -> + grids -> residual blocks: the real-time profiles.
  reduce_first = 0,
  // LN -> bilinear -> + local grids -> blocks, the first of which maps C_prev -> C without residual
  // (HiNeRV, arXiv 2306.09818, section 3).
  hinerv = 1,
  // LN -> 3x3 convolution -> pixel shuffle -> + grids -> LN -> GELU (-> blocks): IERV (arXiv
  // 2311.17350), with LayerNorm for its InstanceNorm, which needs the whole frame at once.
  ierv = 2,
};

enum class HeadKind : uint8_t {
  // Trunk at half resolution; 1x1 to 4 Y + 1 U + 1 V (+ 4 depth) and pixel shuffle; clamp.
  shuffle420 = 0,
  // Trunk at full resolution; 1x1 to 3 (+ 1 depth) and sigmoid; U and V averaged 2x2 (HiNeRV).
  full444 = 1,
};

/// How a grid's symbols are entropy coded.
enum class GridCoding : uint8_t { factorised = 0, context = 1 };

/// One feature grid: [time_steps][channels][h][w] values, interpolated linearly in time.
struct GridConfig {
  uint8_t stage = 0;        // 0: input of the stem; i: added after the upsampling of stage i
  bool local = false;       // h = w = scale of the stage, repeated over the picture
                            // (HiNeRV's local grids); else h, w = resolution of the stage
  bool per_view = false;    // one grid per view, or one shared by all views
  uint16_t time_steps = 1;  // 1: static
  uint16_t channels = 1;
  bool nearest = false;  // in time: no interpolation
  GridCoding coding = GridCoding::context;
  bool operator==(const GridConfig&) const = default;
};

struct StageConfig {
  uint8_t scale = 2;       // upsampling factor, 1..5
  uint16_t channels = 16;  // C of the stage's output
  uint8_t depth = 1;       // ConvNeXt blocks
  uint8_t expansion = 4;   // hidden channels of a block = expansion * channels
  bool norm = true;        // LayerNorm inside the blocks
  bool bias = true;        // biases of the blocks' layers (HiNeRV: none)
  bool operator==(const StageConfig&) const = default;
};

/// Hybrid mode: how the head joins the prediction and the network's own picture.
enum class Fusion : uint8_t {
  // picture = network + gate * prediction, gate = clamp(mask + head output) (bitstream.md 5.8)
  gates = 0,
  // picture = (1 - w) * network + w * prediction, w = sigmoid(head output): the softmax over two
  // logits of IERV (arXiv 2311.17350)
  softmax = 1,
};

/// A displacement in whole luma samples that is added to what the network yields.
struct Offset {
  int16_t x = 0, y = 0;
  bool operator==(const Offset&) const = default;
};
inline constexpr int kMaxOffset = 4096;
inline constexpr int kMaxFlowShift = 3;
inline constexpr int kFlowOutputs = 3;  // per base view: x, y, confidence

struct ModelConfig {
  uint16_t canvas_width = 0;  // multiples of total_scale(); every view is cropped from this canvas
  uint16_t canvas_height = 0;
  uint16_t frames = 1;  // T
  uint8_t views = 1;    // views that the network renders (hybrid: all but the base views)
  bool depth = false;   // the head has depth outputs
  // Hybrid mode: the prediction warped from the base views enters the last stage, and the head adds
  // to it (docs/bitstream.md 5.8). Only with shuffle420.
  bool prediction = false;
  Motion motion = Motion::geometry;
  Fusion fusion = Fusion::gates;
  // Motion learned and refined (docs/bitstream.md 8). The stage, 1 .. stages, whose output the flow
  // layer reads (behind the last one the prediction meets the head alone); its Q10 outputs times
  // 2^flow_shift are displacements in 1/256 luma samples.
  uint8_t flow_stage = 0;
  uint8_t flow_shift = 0;
  uint8_t flow_bases = 0;       // pictures that are displaced: learned: base views, refined: 1
  std::vector<Offset> offsets;  // [view][base]; learned only
  StageOrder order = StageOrder::reduce_first;
  HeadKind head = HeadKind::shuffle420;
  uint16_t stem_channels = 32;
  std::vector<StageConfig> stages;  // 1..6
  std::vector<GridConfig>
      grids;  // 1..16, ordered by stage: a grid's context may look at the ones before it
  bool operator==(const ModelConfig&) const = default;

  int total_scale() const;           // product of scales, x2 for shuffle420
  int stage_width(int stage) const;  // resolution after stage `stage` (0: base)
  int stage_height(int stage) const;
  int stage_channels(int stage) const;  // 0: stem_channels
  /// Channels of the feature map just after the upsampling of stage i >= 1.
  int entry_channels(int stage) const;             // hinerv: channels of i - 1; else of i
  int grid_channels(int stage, bool local) const;  // sum over the grids of that kind
  int input_channels(bool per_view) const;         // of the grids of stage 0 of that kind
  int picture_outputs() const;                     // of the head: Y U V (depth)
  int gate_outputs() const;  // of the head, behind those: 4 luma, 1 depth (if any); hybrid mode
  int head_outputs() const { return picture_outputs() + gate_outputs(); }
  /// The prediction enters the last stage.
  bool conditions() const { return prediction && !(has_flow() && flow_stage == stages.size()); }
  bool has_flow() const { return prediction && motion != Motion::geometry; }
  int flow_outputs() const { return has_flow() ? kFlowOutputs * flow_bases : 0; }
  /// Planes of the warped prediction at the trunk's resolution: 4 Y, U, V, (4 depth,) 4 mask.
  int prediction_planes() const { return prediction ? picture_outputs() + 4 : 0; }
};

/// Of a GOP whose views are all base views: there is no network.
inline ModelConfig no_network(int frames) {
  ModelConfig config;
  config.frames = static_cast<uint16_t>(frames);
  config.views = 0;
  return config;
}

/// Refuses what a decoder must not be asked to run: `corrupt` (impossible) or `limit_exceeded`.
Status validate(const ModelConfig& config);

enum class TensorKind : uint8_t { weight, bias, grid };
enum class UnitType : uint8_t { network = 1, shared = 2, view = 3, base = 4, cameras = 5 };

/// One coded tensor. Weights are [rows][columns] (row = output channel); biases [1][n];
/// grids [time_steps][channels][h][w].
struct TensorSpec {
  std::string name;  // "stage1.block0.fc1.weight", "grid2.view3"
  TensorKind kind = TensorKind::weight;
  UnitType unit = UnitType::network;
  int view = -1;  // of a view's grid
  int grid = -1;  // index into ModelConfig::grids
  std::vector<int> dims;
  int rows() const { return dims[0]; }  // weights
  int64_t count() const;
  int step_count() const;  // grids: one step per channel; else one per tensor or per row, see below
};

/// Quantisation step of index s: kStepMantissa[s & 7] / 512 * 2^(s >> 3), s in [-128, 127]:
/// eight steps per octave whose 9-bit mantissas make requantisation exact (docs/bitstream.md 5.2).
inline constexpr int kStepMantissa[8] = {256, 279, 304, 332, 362, 395, 431, 470};

/// Steps per row if a weight tensor has at least this many rows... otherwise one for the tensor.
inline constexpr int kMinRowsForRowSteps = 64;

/// Network first (in the order of evaluation), then shared grids, then the grids of view 0, 1, ...
std::vector<TensorSpec> tensor_specs(const ModelConfig& config);

/// Names and definitions of the built-in profiles. `auto` picks by samples and views.
std::vector<std::string> model_profile_names();
/// `network_views`: those that the network renders (hybrid mode: without the base views); empty:
/// all. `motion`: hybrid mode; offsets of displacements are 0.
Result<ModelConfig> make_profile(const std::string& name, const SequenceInfo& sequence, int frames,
                                 const std::vector<int>& network_views = {},
                                 Motion motion = Motion::geometry);

}  // namespace mvinr
