// The pictures of the open GOP, kept as 8- or 16-bit samples in the layout of the network's output:
// [h][w][6] texture (four luma samples of a 2x2 block, U, V) and [h][w][4] depth, at half the
// canvas.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "model/config.h"
#include "mvinr/types.h"
#include "train/ops/ops.h"

namespace mvinr {

/// What the network shall output for a batch of views of one size at one instant.
struct Targets {
  at::Tensor texture;  // float [N][h][w][6], sample / 2^bits
  at::Tensor depth;    // float [N][h][w][4], undefined without depth
  at::Tensor mask;     // float [h][w][10]: 0 outside the picture; undefined if all inside
};

class PictureStore {
 public:
  /// `views`: those that the network renders (Header::network_views()); empty: all.
  explicit PictureStore(const SequenceInfo& sequence, std::vector<int> views = {});

  Status add(const PictureId& id, const Picture& picture);
  void clear();
  /// Names the first missing picture of frames 0..frames-1.
  Status complete(int frames) const;

  /// `views` are indices of the network's; all have the same size (see size_groups).
  Targets targets(int frame, const std::vector<int64_t>& views, const ModelConfig& config,
                  at::Device device) const;
  /// The same as they are kept.
  ops::HeadTargets packed(int frame, const std::vector<int64_t>& views) const;
  /// Views of the network that can share a batch: same size and formats.
  std::vector<std::vector<int64_t>> size_groups() const;

  /// A picture's samples again, as they were added: planes one after another (for measuring PSNR).
  std::vector<uint16_t> samples(const PictureId& id) const;

  /// Bytes that `frames` frames of this sequence take.
  static uint64_t bytes(const SequenceInfo& sequence, int frames);

 private:
  struct Packed {
    at::Tensor data;
  };  // [h2][w2][6 or 4] kByte or kUInt16 at ceil(size / 2)
  const SequenceInfo sequence_;
  std::vector<int> views_;                        // of the network
  std::vector<std::vector<Packed>> pictures_[2];  // [component][view][frame]
};

}  // namespace mvinr
