// Coded models with random content, and the access units made of them.
#pragma once

#include <vector>

#include "format/coded_model.h"
#include "geometry/rig.h"
#include "mvinr/stream.h"

namespace mvinr::testutil {

enum class Content {
  natural,  // activations of ordinary size, pictures with structure
  extreme,  // any step and symbol: saturation and wrap-around everywhere
};

/// The same for the same arguments. Views refer to earlier views now and then.
CodedModel random_coded_model(const ModelConfig& config, uint32_t seed,
                              Content content = Content::natural);

/// Hybrid models: two base views among the views of sequence_for(); else none.
std::vector<int> base_views_for(const ModelConfig& config);

/// A sequence of `config.views` views, and of the base views, whose sizes and formats vary and fit
/// the canvas. With cameras side by side for hybrid models.
SequenceInfo sequence_for(const ModelConfig& config);

/// The same, with cameras that move, and where they are at each frame.
SequenceInfo moving(SequenceInfo sequence);
Poses poses_for(const SequenceInfo& sequence, int frames);

/// With a CAMERAS unit of poses_for() if cameras move, and BASE units of a few bytes if there are
/// base views. Ends the process if the model cannot be written: a bug of the test.
std::vector<std::byte> access_unit_of(const CodedModel& model, const SequenceInfo& sequence);

/// Small architectures that together use every feature of the format.
struct NamedConfig {
  const char* name;
  ModelConfig config;
};
std::vector<NamedConfig> test_configs();

}  // namespace mvinr::testutil
