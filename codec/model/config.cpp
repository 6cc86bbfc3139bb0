#include "model/config.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/try.h"

namespace mvinr {
namespace {

// Limits of docs/bitstream.md 3 that no range of a single field expresses.
constexpr int kMaxCanvas = 16384;                       // width and height
constexpr int kMaxHidden = 4096;                        // expansion * channels
constexpr int kMaxStemGridChannels = 1024;              // x 9 taps = 9216 inputs of one sum
constexpr int64_t kMaxPlaneSamples = int64_t{1} << 30;  // channels * width * height of a stage
constexpr int64_t kMaxUnitSymbols = int64_t{1} << 28;
constexpr int64_t kMaxSymbols = int64_t{1} << 30;

Error corrupt(std::string message) { return {ErrorCode::corrupt, std::move(message)}; }

Error limit(const std::string& what, int64_t value, int64_t most) {
  return {ErrorCode::limit_exceeded,
          what + " is " + std::to_string(value) + ", at most " + std::to_string(most)};
}

Status in_range(const std::string& name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return ok();
  return corrupt("model." + name + " is " + std::to_string(value) + ", must be " +
                 std::to_string(low) + ".." + std::to_string(high));
}

int stage_size(const ModelConfig& m, int canvas, int stage) {
  int size = canvas / m.total_scale();
  for (int i = 0; i < stage; ++i) size *= m.stages[i].scale;
  return size;
}

Status check_stages(const ModelConfig& m) {
  MVINR_TRY(in_range("stages", static_cast<int64_t>(m.stages.size()), 1, 6));
  MVINR_TRY(in_range("stem_channels", m.stem_channels, 1, 1024));
  for (size_t i = 0; i < m.stages.size(); ++i) {
    const StageConfig& s = m.stages[i];
    const std::string stage = "stage " + std::to_string(i + 1) + ".";
    MVINR_TRY(in_range(stage + "scale", s.scale, 1, 5));
    MVINR_TRY(in_range(stage + "channels", s.channels, 1, 1024));
    MVINR_TRY(in_range(stage + "depth", s.depth, 0, 8));
    MVINR_TRY(in_range(stage + "expansion", s.expansion, 1, 8));
    MVINR_TRY(in_range(stage + "hidden channels", s.expansion * s.channels, 1, kMaxHidden));
    // Only a block can change the number of channels here.
    if (m.order == StageOrder::hinerv && s.depth == 0 &&
        s.channels != m.stage_channels(static_cast<int>(i)))
      return corrupt("model." + stage + "depth is 0, but its channels differ from its input's");
  }
  return ok();
}

Status check_canvas(const ModelConfig& m) {
  const int scale = m.total_scale();
  const std::array<std::pair<const char*, int>, 2> sides{
      {{"canvas_width", m.canvas_width}, {"canvas_height", m.canvas_height}}};
  for (const auto& [name, value] : sides) {
    MVINR_TRY(in_range(name, value, 1, kMaxCanvas));
    // Even, for the chroma planes of full444.
    if (value % scale != 0 || value % 2 != 0)
      return corrupt(std::string("model.") + name + " is " + std::to_string(value) +
                     ", must be an even multiple of " + std::to_string(scale));
  }
  for (int i = 0; i <= static_cast<int>(m.stages.size()); ++i) {
    const int channels =
        i == 0 ? m.stage_channels(0) : std::max(m.stage_channels(i), m.entry_channels(i));
    const int64_t samples = int64_t{channels} * m.stage_width(i) * m.stage_height(i);
    if (samples > kMaxPlaneSamples)
      return limit("the number of features of stage " + std::to_string(i), samples,
                   kMaxPlaneSamples);
  }
  return ok();
}

/// Stage 0: shared grids and those of the view, side by side of each kind, are added; local grids
/// are added as they are.
Status check_ierv_grids(const ModelConfig& m) {
  for (const bool per_view : {false, true}) {
    const int channels = m.input_channels(per_view);
    if (channels != m.stem_channels && !(per_view && channels == 0))
      return corrupt(std::string("model.grids of stage 0 ") + (per_view ? "per view" : "shared") +
                     " have " + std::to_string(channels) + " channels, the stem " +
                     std::to_string(m.stem_channels));
  }
  for (int i = 1; i <= static_cast<int>(m.stages.size()); ++i) {
    const StageConfig& s = m.stages[static_cast<size_t>(i) - 1];
    const std::string stage = "stage " + std::to_string(i) + ".";
    if (const int local = m.grid_channels(i, true); local != 0 && local != s.channels)
      return corrupt("model." + stage + "local grids have " + std::to_string(local) +
                     " channels, the stage " + std::to_string(s.channels));
  }
  return ok();
}

Status check_grids(const ModelConfig& m) {
  MVINR_TRY(in_range("grids", static_cast<int64_t>(m.grids.size()), 1, 16));
  for (size_t i = 0; i < m.grids.size(); ++i) {
    const GridConfig& g = m.grids[i];
    const std::string grid = "grid " + std::to_string(i) + ".";
    // Not decreasing, and behind the stem for local grids.
    const int lowest = std::max(i == 0 ? 0 : int{m.grids[i - 1].stage}, g.local ? 1 : 0);
    MVINR_TRY(in_range(grid + "stage", g.stage, lowest, static_cast<int64_t>(m.stages.size())));
    MVINR_TRY(in_range(grid + "time_steps", g.time_steps, 1, kMaxGopFrames));
    MVINR_TRY(in_range(grid + "channels", g.channels, 1, 256));
    MVINR_TRY(in_range(grid + "coding", static_cast<int>(g.coding), 0, 1));
  }
  if (m.order == StageOrder::ierv) return check_ierv_grids(m);
  return in_range("channels of the grids of stage 0", m.grid_channels(0, false), 1,
                  kMaxStemGridChannels);
}

Status check_motion(const ModelConfig& m) {
  MVINR_TRY(in_range("motion", static_cast<int>(m.motion), 0, 2));
  MVINR_TRY(in_range("fusion", static_cast<int>(m.fusion), 0, 1));
  if (m.motion != Motion::learned && !m.depth) return corrupt("model.motion geometry needs depth");
  if (!m.has_flow()) return ok();
  MVINR_TRY(in_range("flow_stage", m.flow_stage, 1, static_cast<int64_t>(m.stages.size())));
  MVINR_TRY(in_range("flow_shift", m.flow_shift, 0, kMaxFlowShift));
  MVINR_TRY(in_range("flow_bases", m.flow_bases, 1, kMaxBaseViews));
  const size_t offsets = m.motion == Motion::learned ? size_t{m.views} * m.flow_bases : 0;
  if (m.offsets.size() != offsets)
    return corrupt("model.offsets has " + std::to_string(m.offsets.size()) + " entries, must be " +
                   std::to_string(offsets));
  for (const Offset& o : m.offsets) {
    MVINR_TRY(in_range("offset x", o.x, -kMaxOffset, kMaxOffset));
    MVINR_TRY(in_range("offset y", o.y, -kMaxOffset, kMaxOffset));
  }
  return ok();
}

/// How many symbols each unit holds, without building the list of tensors of 64 views.
Status check_symbols(const ModelConfig& m) {
  ModelConfig one_view = m;
  one_view.views = 1;
  int64_t network = 0, shared = 0, view = 0;
  for (const TensorSpec& t : tensor_specs(one_view)) {
    int64_t& sum = t.unit == UnitType::network  ? network
                   : t.unit == UnitType::shared ? shared
                                                : view;
    sum += t.count();
  }
  const int64_t most = std::max({network, shared, view});
  if (most > kMaxUnitSymbols)
    return limit("the number of symbols of a unit", most, kMaxUnitSymbols);
  const int64_t total = network + shared + view * m.views;
  if (total > kMaxSymbols) return limit("the number of symbols", total, kMaxSymbols);
  return ok();
}

TensorSpec parameter(std::string name, TensorKind kind, std::vector<int> dims) {
  return {
      .name = std::move(name), .kind = kind, .unit = UnitType::network, .dims = std::move(dims)};
}
TensorSpec weight(std::string name, int rows, int columns) {
  return parameter(std::move(name) + ".weight", TensorKind::weight, {rows, columns});
}
TensorSpec bias(std::string name, int outputs) {
  return parameter(std::move(name) + ".bias", TensorKind::bias, {1, outputs});
}

void add_stage(const ModelConfig& m, int stage, std::vector<TensorSpec>& specs) {
  const StageConfig& s = m.stages[stage - 1];
  const std::string name = "stage" + std::to_string(stage) + ".";
  const int entry = m.entry_channels(stage);
  if (m.order == StageOrder::reduce_first) {
    specs.push_back(weight(name + "reduce", s.channels, m.stage_channels(stage - 1)));
    specs.push_back(bias(name + "reduce", s.channels));
  }
  if (m.order == StageOrder::ierv) {
    const int scale = s.scale;
    specs.push_back(
        weight(name + "convolution", s.channels * scale * scale, 9 * m.stage_channels(stage - 1)));
    specs.push_back(bias(name + "convolution", s.channels * scale * scale));
  } else if (const int inputs = m.grid_channels(stage, true); inputs > 0) {
    specs.push_back(weight(name + "local", entry, inputs));
    specs.push_back(bias(name + "local", entry));
  }
  if (const int inputs = m.grid_channels(stage, false); inputs > 0)
    specs.push_back(weight(name + "grid", entry, inputs));
  if (stage == static_cast<int>(m.stages.size()) && m.conditions()) {
    specs.push_back(weight(name + "prediction", entry, m.prediction_planes()));
    specs.push_back(bias(name + "prediction", entry));
  }
  const int hidden = s.expansion * s.channels;
  for (int j = 0; j < s.depth; ++j) {
    const std::string block = name + "block" + std::to_string(j) + ".";
    const int inputs = j == 0 ? entry : int{s.channels};
    specs.push_back(weight(block + "depthwise", inputs, 9));
    // As in HiNeRV no bias stands before a LayerNorm; without the norm the layer has one.
    if (!s.norm && s.bias) specs.push_back(bias(block + "depthwise", inputs));
    specs.push_back(weight(block + "fc1", hidden, inputs));
    if (s.bias) specs.push_back(bias(block + "fc1", hidden));
    specs.push_back(weight(block + "fc2", s.channels, hidden));
    if (s.bias) specs.push_back(bias(block + "fc2", s.channels));
  }
  if (m.has_flow() && stage == m.flow_stage) {
    specs.push_back(weight(name + "flow", m.flow_outputs(), s.channels));
    specs.push_back(bias(name + "flow", m.flow_outputs()));
  }
}

TensorSpec grid(const ModelConfig& m, int index, int view) {
  const GridConfig& g = m.grids[index];
  const int height = g.local ? m.stages[g.stage - 1].scale : m.stage_height(g.stage);
  const int width = g.local ? m.stages[g.stage - 1].scale : m.stage_width(g.stage);
  std::string name = "grid" + std::to_string(index);
  if (view >= 0) name += ".view" + std::to_string(view);
  return {.name = std::move(name),
          .kind = TensorKind::grid,
          .unit = view >= 0 ? UnitType::view : UnitType::shared,
          .view = view,
          .grid = index,
          .dims = {g.time_steps, g.channels, height, width}};
}

}  // namespace

int ModelConfig::total_scale() const {
  int scale = head == HeadKind::shuffle420 ? 2 : 1;
  for (const StageConfig& s : stages) scale *= s.scale;
  return scale;
}

int ModelConfig::stage_width(int stage) const { return stage_size(*this, canvas_width, stage); }
int ModelConfig::stage_height(int stage) const { return stage_size(*this, canvas_height, stage); }

int ModelConfig::stage_channels(int stage) const {
  return stage == 0 ? stem_channels : stages[stage - 1].channels;
}

int ModelConfig::entry_channels(int stage) const {
  return stage_channels(order == StageOrder::hinerv ? stage - 1 : stage);
}

int ModelConfig::grid_channels(int stage, bool local) const {
  int channels = 0;
  for (const GridConfig& g : grids)
    if (g.stage == stage && g.local == local) channels += g.channels;
  return channels;
}

int ModelConfig::input_channels(bool per_view) const {
  int channels = 0;
  for (const GridConfig& g : grids)
    if (g.stage == 0 && g.per_view == per_view) channels += g.channels;
  return channels;
}

int ModelConfig::picture_outputs() const {
  return head == HeadKind::shuffle420 ? 6 + (depth ? 4 : 0) : 3 + (depth ? 1 : 0);
}

int ModelConfig::gate_outputs() const { return prediction ? 4 + (depth ? 1 : 0) : 0; }

int64_t TensorSpec::count() const {
  int64_t count = 1;
  for (int d : dims) count *= d;
  return count;
}

int TensorSpec::step_count() const {
  if (kind == TensorKind::grid) return dims[1];
  return kind == TensorKind::weight && dims[0] >= kMinRowsForRowSteps ? dims[0] : 1;
}

std::vector<TensorSpec> tensor_specs(const ModelConfig& m) {
  std::vector<TensorSpec> specs;
  if (m.views == 0) return specs;
  if (m.order != StageOrder::ierv) {
    specs.push_back(weight("stem", m.stem_channels, m.grid_channels(0, false) * 9));
    specs.push_back(bias("stem", m.stem_channels));
  }
  const int stages = static_cast<int>(m.stages.size());
  for (int stage = 1; stage <= stages; ++stage) add_stage(m, stage, specs);
  specs.push_back(weight("head", m.head_outputs(), m.stage_channels(stages)));
  specs.push_back(bias("head", m.head_outputs()));
  const int grids = static_cast<int>(m.grids.size());
  for (int i = 0; i < grids; ++i)
    if (!m.grids[i].per_view) specs.push_back(grid(m, i, -1));
  for (int view = 0; view < m.views; ++view)
    for (int i = 0; i < grids; ++i)
      if (m.grids[i].per_view) specs.push_back(grid(m, i, view));
  return specs;
}

Status validate(const ModelConfig& m) {
  MVINR_TRY(in_range("frames", m.frames, 1, kMaxGopFrames));
  MVINR_TRY(in_range("views", m.views, 1, kMaxViews));
  MVINR_TRY(in_range("order", static_cast<int>(m.order), 0, 2));
  MVINR_TRY(in_range("head", static_cast<int>(m.head), 0, 1));
  if (m.prediction && m.head != HeadKind::shuffle420)
    return corrupt("model.prediction needs the head shuffle420");
  MVINR_TRY(check_stages(m));
  MVINR_TRY(check_canvas(m));
  MVINR_TRY(check_grids(m));
  if (m.prediction) MVINR_TRY(check_motion(m));
  return check_symbols(m);
}

}  // namespace mvinr
