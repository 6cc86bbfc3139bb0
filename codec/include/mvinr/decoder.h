// Decodes access units: integers only, the same pictures on every machine.
//
//   auto decoder = Decoder::create({});
//   auto gop = (*decoder)->start_gop(bytes);            // parses, keeps a copy of what it needs
//   RenderJob job{.frame = 3, .view = 0, .texture = &picture};
//   (*decoder)->render({&job, 1});                      // any frame, any view, any order
#pragma once

#include <memory>
#include <stop_token>

#include "mvinr/stream.h"
#include "mvinr/types.h"

namespace mvinr {

struct DecoderOptions {
  int threads = 0;                    // 0: one per core
  uint64_t max_samples = 1ull << 32;  // limit for canvas samples x views; limit_exceeded beyond
  std::string kernels = "auto";  // "auto" or a name of available_kernels(): "reference", "avx2", …
};

/// One synthesis: both components of one view at one instant. A null picture is not computed.
/// The pictures' format and size must be those of the view.
struct RenderJob {
  int frame = 0;
  int view = 0;
  MutablePicture* texture = nullptr;
  MutablePicture* depth = nullptr;
};

/// Hybrid mode: what another codec has made of one component of a base view, for the whole GOP (see
/// BasePayload in mvinr/stream.h).
struct BaseUnit {
  int view = 0;
  Component component = Component::texture;
  Bytes payload;  // valid until the next start_gop
};

/// The kernel sets that this machine can run, slowest ("reference") first.
MVINR_API std::vector<std::string> available_kernels();

/// An access unit that Decoder::prepare_gop() has read.
class MVINR_API PreparedGop {
 public:
  virtual ~PreparedGop() = default;
  virtual const GopInfo& info() const = 0;

 private:
  friend class Gop;
  PreparedGop() = default;
};

class MVINR_API Decoder {
 public:
  static Result<std::unique_ptr<Decoder>> create(const DecoderOptions& options);
  virtual ~Decoder() = default;

  /// Makes this access unit the current GOP. On error the previous GOP stays current. Views' own
  /// units are decoded when first rendered.
  virtual Result<GopInfo> start_gop(Bytes access_unit) = 0;

  /// The same in two steps, so that a player decodes the next GOP's symbols while it shows this
  /// one: prepare_gop() may run on another thread beside any other call, render() included. It
  /// decodes on the calling thread the network, the shared grids and the units of `views`; an error
  /// in one of those comes when the view is rendered. Errors: those of start_gop(), cancelled.
  virtual Result<std::unique_ptr<PreparedGop>> prepare_gop(Bytes access_unit,
                                                           std::span<const int> views,
                                                           std::stop_token stop = {}) const = 0;
  /// `gop`: of this decoder, or of one with the same options. invalid_argument if it is null.
  virtual Result<GopInfo> start_gop(std::unique_ptr<PreparedGop> gop) = 0;

  /// Hybrid mode: the intact BASE units of the current GOP. Whoever has a decoder for them gives
  /// the pictures to set_base(); without those, every render() is invalid_argument.
  virtual std::vector<BaseUnit> base_units() const = 0;

  /// Copies a decoded picture of a base view, in the format and size of its view. Both components
  /// of all base views at an instant are needed to render any other view at that instant.
  virtual Status set_base(const PictureId& id, const Picture& picture) = 0;

  /// Renders the jobs, in parallel on the decoder's threads. Not to be called from two threads at
  /// once. Errors: invalid_argument (no GOP, wrong size, format, frame or view), corrupt (the unit
  /// of that view is damaged; other views still decode), cancelled.
  virtual Status render(std::span<const RenderJob> jobs, std::stop_token stop = {}) = 0;
};

}  // namespace mvinr
