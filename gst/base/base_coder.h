// All base views of a GOP at once: what the elements call.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base_decoder.h"
#include "base_encoder.h"

namespace mvinr::gst {

/// "auto" (the encoder chooses: empty), or view numbers with commas: "0,3". `invalid_argument`
/// names what is no view, and a view that comes twice. Ascending.
Result<std::vector<int>> parse_base_views(const std::string& text);

/// One component of one base view.
struct BaseSource {
  int view = 0;
  Component component = Component::texture;
  BaseFormat format;
};
/// "view 2 depth", for messages.
std::string source_name(const BaseSource& source);
/// Texture and, if it has depth, depth of these views, in this order. `invalid_argument` names a
/// view that the sequence does not have.
Result<std::vector<BaseSource>> base_sources(const SequenceInfo& sequence,
                                             std::span<const int> views);

struct CodedSource {
  int view = 0;
  Component component = Component::texture;
  CodedBase coded;
};

/// Codes the base views of a sequence, every source in a thread of its own. Errors name the view
/// and the component; the first one stops the others.
class BaseCoder {
 public:
  /// See BaseEncoder::create for fragment and quantisers.
  static Result<std::unique_ptr<BaseCoder>> create(const std::string& fragment,
                                                   int texture_quantiser, int depth_quantiser,
                                                   std::vector<BaseSource> sources);

  /// The picture that was asked for, valid until encode returns. Called in the calling thread.
  using PictureOf = std::function<Result<Picture>(const PictureId&)>;

  /// One GOP; the result is in the order of the sources.
  Result<std::vector<CodedSource>> encode(int frames, const PictureOf& picture_of,
                                          std::stop_token stop = {}) const;

  const std::vector<BaseSource>& sources() const { return sources_; }
  /// The elements that code, of all sources the same.
  const std::string& fragment() const { return encoders_[0]->fragment(); }

 private:
  std::vector<BaseSource> sources_;
  std::vector<std::unique_ptr<BaseEncoder>> encoders_;  // of each source
};

/// A BASE unit of a GOP that is to be decoded.
struct BaseJob {
  BaseSource source;
  Bytes payload;
};
/// Decodes them in parallel. One result per job: damage of one does not stop the others.
std::vector<Result<std::vector<OwnedPicture>>> decode_bases(std::span<const BaseJob> jobs,
                                                            int frames, std::stop_token stop = {},
                                                            const BaseDecodeOptions& options = {});

}  // namespace mvinr::gst
