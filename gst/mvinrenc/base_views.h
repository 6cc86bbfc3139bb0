// Hybrid mode in mvinrenc: which views are base views, their pictures of the open GOP, and how
// these become BASE units.
#pragma once

#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "base_coder.h"
#include "messages.h"
#include "mvinr/warp.h"
#include "settings.h"

namespace mvinr::gst {

/// `invalid_argument`: the property base-views names a view that the sequence does not have.
Status check_base_views(const Settings& settings, const SequenceInfo& sequence);

/// The property motion; auto: geometry where the cameras of all views and depth are there.
Motion motion_of(const Settings& settings, const SequenceInfo& sequence);

/// The base views of the property, or without geometry those in the middle of groups of views;
/// empty: to be chosen. `invalid_argument` says what hybrid mode needs and this sequence lacks.
Result<std::vector<int>> find_base_views(const Settings& settings, const SequenceInfo& sequence);

/// Chooses base views by some frames of the first GOP. `invalid_argument` if the cameras cannot be
/// used, or with mode=auto if too little of the other views could be predicted.
Result<std::vector<int>> choose_base_views(const Settings& settings,
                                           std::span<const Instant> instants, double lambda);

class BaseViews {
 public:
  /// `views` as the functions above give them; `time_budget`: seconds for a GOP's base views and
  /// training, 0: as many as it takes. Errors: those of BaseCoder::create.
  static Result<std::unique_ptr<BaseViews>> create(const Settings& settings,
                                                   const SequenceInfo& sequence,
                                                   std::vector<int> views,
                                                   BaseQuantisers quantisers, double time_budget);

  const std::vector<int>& views() const { return views_; }
  /// All views of the sequence are base views.
  bool all_views() const { return all_views_; }
  const std::string& elements() const { return coder_->fragment(); }

  /// Copies a picture of the open GOP if it is a base view's.
  void keep(const PictureId& id, const Picture& picture);
  void forget();

  /// Codes the frames 0..frames-1, in place of what was coded of them before. Errors as
  /// BaseCoder::encode, which names view and component.
  Result<BaseStats> code(int frames, BaseQuantisers quantisers, std::stop_token stop);
  /// Gives what was coded last, units and decoded pictures, to the encoder. The pictures that were
  /// kept are gone.
  Status give(int frames, Encoder& encoder);

 private:
  BaseViews(std::string fragment, std::vector<int> views, bool all_views)
      : fragment_(std::move(fragment)), views_(std::move(views)), all_views_(all_views) {}
  Status make_coder(std::vector<BaseSource> sources, BaseQuantisers quantisers);

  std::string fragment_;
  std::vector<int> views_;
  bool all_views_;
  BaseQuantisers quantisers_;
  std::unique_ptr<BaseCoder> coder_;  // with these quantisers
  std::vector<CodedSource> coded_;
  std::vector<std::vector<OwnedPicture>> pictures_;  // of each of the coder's sources, by frame
};

}  // namespace mvinr::gst
