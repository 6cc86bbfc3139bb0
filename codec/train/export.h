// From trained floats to the integers that are written.
#pragma once

#include "format/coded_model.h"
#include "train/network.h"

namespace mvinr {

CodedModel export_model(const Network& network);

}  // namespace mvinr
