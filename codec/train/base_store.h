// Hybrid mode: the decoded pictures of the open GOP's base views, their coded bytes, and the
// predictions of the other views that are warped from them.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <stop_token>
#include <vector>

#include "base/owned_picture.h"
#include "format/access_unit.h"
#include "geometry/displace.h"
#include "geometry/rig.h"
#include "model/config.h"

namespace mvinr {

class BaseStore {
 public:
  BaseStore(const SequenceInfo& sequence, std::vector<int> base_views)
      : sequence_(sequence), base_views_(std::move(base_views)) {}

  const std::vector<int>& views() const { return base_views_; }

  /// Errors: invalid_argument (not a base view, wrong format or size).
  Status add(const PictureId& id, const Picture& picture);
  Status add_unit(int view, Component component, std::vector<std::byte> payload);
  void clear();

  /// Names the first picture or unit of frames 0..frames-1 that is missing.
  Status complete(int frames) const;
  const OwnedPicture& at(const PictureId& id) const { return pictures_.at(key(id)); }
  /// The BASE units in the order of an access unit.
  std::vector<UnitPayload> units() const;

  /// Warps all frames to the views of the network (`views`: Header::network_views()) with the
  /// cameras of `poses`, as a decoder reads them, or with displacements prepares what they move.
  /// Errors: invalid_argument (cameras that cannot be used), cancelled.
  Status predict(const ModelConfig& config, const std::vector<int>& views, Poses poses,
                 std::stop_token stop = {});
  /// After predict(): int16 [N][h][w][planes] in Q10 (1024 times sample / 2^bits, mask 0..1) of
  /// views of the network; undefined in implicit mode and with displacements.
  at::Tensor prediction(int frame, const std::vector<int64_t>& views, at::Device device) const;
  /// Motion learned and refined, after predict(): what displacements move, [view][base].
  std::vector<DisplaceBase> displaced(const ModelConfig& config, int frame,
                                      const std::vector<int64_t>& views) const;

 private:
  Status prepare_bases(const ModelConfig& config, std::stop_token stop);  // motion learned

  using Key = std::tuple<int, int, int>;  // component, view, frame
  static Key key(const PictureId& id) { return {int(id.component), id.view, id.frame}; }

  SequenceInfo sequence_;
  std::vector<int> base_views_;
  std::map<Key, OwnedPicture> pictures_;
  std::map<std::pair<int, int>, std::vector<std::byte>> units_;  // view, component
  std::vector<std::vector<DisplacedPicture>> displaced_;  // [frame][base], refined: [frame][view]
  std::vector<at::Tensor> predictions_;  // [frame]: kShort [views][h][w][planes], Q10
};

}  // namespace mvinr
