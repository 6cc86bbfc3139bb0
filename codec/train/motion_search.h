// Where learned motion begins: block matching between the network's views and the decoded base
// views.
#pragma once

#include <ATen/ATen.h>

#include <stop_token>
#include <vector>

#include "train/base_store.h"
#include "train/picture_store.h"

namespace mvinr {

struct MotionSearch {
  std::vector<Offset> offsets;      // [view][base]: the median displacement, whole luma samples
  int shift = 0;                    // ModelConfig::flow_shift that reaches what was found
  std::vector<at::Tensor> targets;  // [frame]: float [views][h][w][2 * bases] at the flow stage, in
                                    // units of the flow layer's outputs, offsets taken off
};

/// For motion learned. `views`: Header::network_views(). Error: cancelled.
Result<MotionSearch> search_motion(const ModelConfig& config, const SequenceInfo& sequence,
                                   const PictureStore& pictures, const BaseStore& base,
                                   const std::vector<int>& views, int threads,
                                   std::stop_token stop);

}  // namespace mvinr
