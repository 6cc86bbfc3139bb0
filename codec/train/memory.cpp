#include "train/memory.h"

#include <algorithm>

#include "train/picture_store.h"

namespace mvinr {

uint64_t memory_needed(const SequenceInfo& sequence, const ModelConfig& config, int batch_samples) {
  uint64_t parameters = 0;
  for (const TensorSpec& spec : tensor_specs(config)) parameters += uint64_t(spec.count());
  const uint64_t canvas = uint64_t(config.canvas_width) * config.canvas_height;
  double floats = 40;  // output, targets, loss
  for (int i = 1; i <= int(config.stages.size()); ++i) {
    const double area = double(config.stage_width(i)) * config.stage_height(i) / double(canvas);
    const StageConfig& s = config.stages[size_t(i) - 1];
    floats += area * config.entry_channels(i) * (6 + s.depth * (4 + 2 * s.expansion));
  }
  const double batch = double(std::max<uint64_t>(canvas, uint64_t(batch_samples)));
  return PictureStore::bytes(sequence, config.frames) + parameters * 4 * 30 +
         uint64_t(batch * floats * 4) + (300u << 20);
}

}  // namespace mvinr
