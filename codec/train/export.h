// From trained floats to the integers that are written.
#pragma once

#include "format/coded_model.h"
#include "train/network.h"

namespace mvinr {

CodedModel export_model(const Network& network);

/// Replaces the network's context models by those of `model` (that were refined after export).
void adopt_contexts(Network& network, const CodedModel& model);

}  // namespace mvinr
