#include "train/sampler.h"

#include <algorithm>

namespace mvinr {
namespace {

// std::shuffle is not the same on every standard library.
void shuffle(auto& items, std::mt19937_64& random) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random() % i]);
}

}  // namespace

Sampler::Batch Sampler::next() {
  if (queue_.empty()) refill();
  Batch b = std::move(queue_.back());
  queue_.pop_back();
  return b;
}

void Sampler::refill() {
  for (auto group : groups_) {
    const size_t parts = (group.size() + batch_views_ - 1) / batch_views_;
    for (int t = 0; t < frames_; ++t) {
      if (parts > 1) shuffle(group, random_);
      for (size_t i = 0; i < parts; ++i) {
        std::vector<int64_t> views(group.begin() + ptrdiff_t(group.size() * i / parts),
                                   group.begin() + ptrdiff_t(group.size() * (i + 1) / parts));
        std::sort(views.begin(), views.end());
        queue_.push_back({t, std::move(views)});
      }
    }
  }
  shuffle(queue_, random_);
}

}  // namespace mvinr
