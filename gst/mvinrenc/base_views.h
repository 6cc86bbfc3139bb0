// Hybrid mode in mvinrenc: which views are base views, their pictures of the open GOP, and how
// these become BASE units.
#pragma once

#include <memory>
#include <stop_token>
#include <vector>

#include "base_coder.h"
#include "messages.h"
#include "settings.h"

namespace mvinr::gst {

/// `invalid_argument`: the property base-views names a view that the sequence does not have.
Status check_base_views(const Settings& settings, const SequenceInfo& sequence);

/// The property motion; auto: geometry where the cameras of all views and depth are there.
Motion motion_of(const Settings& settings, const SequenceInfo& sequence);

/// The base views of the property, or those that suit the cameras best: one of up to six views,
/// else one per six views. `invalid_argument` says what hybrid mode needs and this sequence lacks.
Result<std::vector<int>> find_base_views(const Settings& settings, const SequenceInfo& sequence);

class BaseViews {
 public:
  /// Errors: those of find_base_views and BaseCoder::create.
  static Result<std::unique_ptr<BaseViews>> create(const Settings& settings,
                                                   const SequenceInfo& sequence,
                                                   BaseQuantisers quantisers);

  const std::vector<int>& views() const { return views_; }
  const std::string& elements() const { return coder_->fragment(); }

  /// Copies a picture of the open GOP if it is a base view's.
  void keep(const PictureId& id, const Picture& picture);
  void forget();

  /// Codes the frames 0..frames-1 and gives units and decoded pictures to the encoder; the kept
  /// pictures are gone. Errors as BaseCoder::encode, which names view and component.
  Result<BaseStats> code(int frames, BaseQuantisers quantisers, Encoder& encoder,
                         std::stop_token stop);

 private:
  BaseViews(const Settings& settings, std::vector<int> views)
      : fragment_(settings.base.encoder), views_(std::move(views)) {}
  Status make_coder(std::vector<BaseSource> sources, BaseQuantisers quantisers);

  std::string fragment_;
  std::vector<int> views_;
  BaseQuantisers quantisers_;
  std::unique_ptr<BaseCoder> coder_;                 // with these quantisers
  std::vector<std::vector<OwnedPicture>> pictures_;  // of each of the coder's sources, by frame
};

}  // namespace mvinr::gst
