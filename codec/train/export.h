// From trained floats to the integers that are written.
#pragma once

#include "format/access_unit.h"
#include "format/coded_model.h"
#include "train/network.h"

namespace mvinr {

CodedModel export_model(const Network& network);

/// The exported model with refined context models, and the units that it becomes (views: those of
/// the network).
struct CodedUnits {
  CodedModel model;
  std::vector<UnitPayload> units;
  uint64_t bytes() const;  // of the payloads
};
Result<CodedUnits> code_units(const Network& network);

/// Replaces the network's context models by those of `model` (that were refined after export).
void adopt_contexts(Network& network, const CodedModel& model);

}  // namespace mvinr
