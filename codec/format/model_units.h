// CodedModel <-> payloads of the network, shared and view units (docs/bitstream.md 5.7, 6).
#pragma once

#include <string>
#include <vector>

#include "format/access_unit.h"
#include "format/coded_model.h"

namespace mvinr {

/// Where the bits of a unit went: one entry per coded tensor ("stage1.block0.fc1.weight",
/// "grid2.view3"), per context model ("grid2.context") and per view's "reference".
struct TensorBits {
  std::string name;
  UnitType unit = UnitType::network;
  int view = -1;        // of a view unit
  int64_t symbols = 0;  // coded integers
  double bits = 0;
};

/// A model of this architecture whose lists have the right sizes and whose tensors are empty: what
/// the decode functions fill. The configuration must be valid.
CodedModel empty_model(const ModelConfig& config);

/// All units of a model, in the order of an access unit. `invalid_argument` names the tensor whose
/// sizes, symbols or weights do not fit. Appends to `accounting` if given.
Result<std::vector<UnitPayload>> encode_model(const CodedModel& model,
                                              std::vector<TensorBits>* accounting = nullptr);

/// Makes the context models cheaper where that saves more than it costs: drops contexts and hidden
/// units and rounds weights, by the bits of model and grids together. It looks at a sample of the
/// views, about `max_symbols` symbols per grid and trial, some 60 trials per grid.
void refine_context_models(CodedModel& model, int64_t max_symbols = 1 << 16);

/// Decode one payload each into a model made by empty_model: the network first, then the shared
/// grids, then views. On error (`corrupt`) the tensors concerned stay empty.
Status decode_network(Bytes payload, CodedModel& model,
                      std::vector<TensorBits>* accounting = nullptr);
Status decode_shared(Bytes payload, CodedModel& model,
                     std::vector<TensorBits>* accounting = nullptr);
/// Different views may be decoded by different threads, each after its reference view
/// (`invalid_argument` if that is still empty).
Status decode_view(int view, Bytes payload, CodedModel& model,
                   std::vector<TensorBits>* accounting = nullptr);

/// The view that this view's unit refers to (< view), or -1, without decoding the rest.
Result<int> reference_of(int view, Bytes payload);

/// For comparison with other codecs: bits of HiNeRV's per-tensor histogram coding of all tensors,
/// steps counted as 8 bits each.
double histogram_bits(const CodedModel& model);

}  // namespace mvinr
