// Which pictures a training step looks at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace mvinr {

/// Walks over all (frame, batch of views) pairs in random order, again and again. A batch holds
/// views of one group only (see PictureStore::size_groups), about `batch_views` of them.
class Sampler {
 public:
  struct Batch {
    int frame;
    std::vector<int64_t> views;  // of the network, in rising order
  };
  Sampler(std::vector<std::vector<int64_t>> groups, int frames, int batch_views, uint64_t seed)
      : random_(seed), frames_(frames), batch_views_(size_t(batch_views)), groups_(std::move(groups)) {}

  Batch next();

 private:
  void refill();

  std::mt19937_64 random_;
  int frames_;
  size_t batch_views_;
  std::vector<std::vector<int64_t>> groups_;
  std::vector<Batch> queue_;
};

}  // namespace mvinr
