// Coded models with random content, and the access units made of them.
#pragma once

#include <vector>

#include "format/coded_model.h"
#include "mvinr/stream.h"

namespace mvinr::testutil {

enum class Content {
  natural,  // activations of ordinary size, pictures with structure
  extreme,  // any step and symbol: saturation and wrap-around everywhere
};

/// The same for the same arguments. Views refer to earlier views now and then.
CodedModel random_coded_model(const ModelConfig& config, uint32_t seed,
                              Content content = Content::natural);

/// A sequence of `config.views` views whose sizes and formats vary and fit the canvas.
SequenceInfo sequence_for(const ModelConfig& config);

/// Ends the process if the model cannot be written: a bug of the test.
std::vector<std::byte> access_unit_of(const CodedModel& model, const SequenceInfo& sequence);

/// Small architectures that together use every feature of the format.
struct NamedConfig {
  const char* name;
  ModelConfig config;
};
std::vector<NamedConfig> test_configs();

}  // namespace mvinr::testutil
