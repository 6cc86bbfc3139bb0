// Runs buffers through a chain of elements, in the calling thread and without a main loop:
//   appsrc ! elements ! appsink
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "gst_ptr.h"
#include "mvinr/types.h"

namespace mvinr::gst {

struct PipelineRun {
  const GstCaps* input_caps = nullptr;
  std::vector<GstPtr<GstElement>> elements;  // linked in this order; never used before
  const GstCaps* output_caps = nullptr;      // what the chain may put out

  size_t inputs = 0;
  /// The buffer `index`, asked for in order when the chain wants more.
  std::function<Result<GstPtr<GstBuffer>>(size_t index)> input;
  /// Called for every buffer that comes out; an error ends the run.
  std::function<Status(GstSample*)> output;
  /// Looks at the caps that reach the last element, in a streaming thread and possibly after the
  /// run ended: it must own what it needs. Anything but "" ends the run with that text.
  std::function<std::string(const GstCaps*)> check_caps;

  /// The longest time without any output; 0: for ever.
  std::chrono::milliseconds stall_limit{0};
};

enum class PipelineEnd {
  complete,  // everything went in and came out
  stopped,   // by the stop token
  refused,   // by `input`, `output` or `check_caps`
  broken,    // an element posted an error
  stalled    // stall_limit
};
struct PipelineResult {
  PipelineEnd end = PipelineEnd::complete;
  Error error;  // `refused`: of the callback; otherwise only its message counts
};

/// Returns soon after a stop or an error even where an element does not: what is left of the
/// pipeline is then taken down in a thread of GStreamer's.
PipelineResult run_pipeline(PipelineRun run, std::stop_token stop);

}  // namespace mvinr::gst
