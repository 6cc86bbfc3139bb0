// The properties of mvinrenc: their values, and their description as GObject properties.
#pragma once

#include <gst/gst.h>

#include <string>

#include "mvinr/encoder.h"

namespace mvinr::gst {

/// Hybrid mode: the views that a 2D codec codes, and how.
struct BaseSettings {
  std::string encoder;         // elements as for gst-launch, "": the first that is installed
  int quantiser = -1;          // 0..51 of x265's crf, -1: see base_quantisers
  std::string views = "auto";  // or "0,3"
};

/// What the properties hold. Read and written under the element's object lock.
inline constexpr double kMinLambda = 1e-6, kMaxLambda = 10;

struct Settings {
  EncoderOptions encoder;  // on_progress is not a setting
  guint bitrate = 0;       // kbit/s, 0: lambda decides
  std::string cameras;     // path of a cameras.json, "": none
  BaseSettings base;
};

enum Property : guint {
  kPropMode = 1,
  kPropLambda,
  kPropBitrate,
  kPropEffort,
  kPropGopSize,
  kPropProfile,
  kPropLoss,
  kPropCameras,
  kPropDepthWeight,
  kPropPrune,
  kPropSeed,
  kPropDevice,
  kPropThreads,
  kPropTimeBudget,
  kPropMaxMemory,
  kPropBaseEncoder,
  kPropBaseQuantiser,
  kPropBaseViews,
  kPropMotion,
  kPropStats,
};

/// Installs all properties above.
void install_properties(GObjectClass* klass);

/// False: no property of that number is a setting.
bool set_setting(Settings& settings, guint property, const GValue* value);
bool get_setting(const Settings& settings, guint property, GValue* value);

/// Hybrid mode: the quantiser of x265's scale at which a base view's component is coded when the
/// others are trained with lambda. Rate and lambda halve alike: three steps per factor of two.
int base_quantiser(double lambda, Component component);

/// For texture and depth: the property base-quantiser if it is set; else by lambda if the encoder
/// is chosen automatically; else -1, as base-encoder says.
struct BaseQuantisers {
  int texture = -1, depth = -1;
  bool operator==(const BaseQuantisers&) const = default;
};
BaseQuantisers base_quantisers(const Settings& settings, double lambda);

/// "unknown profile "x"; there are: auto, …" or nothing: what can be told before there are frames.
/// The elements of base-encoder may be missing except in hybrid mode.
Status check_settings(const Settings& settings);

}  // namespace mvinr::gst
