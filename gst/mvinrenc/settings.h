// The properties of mvinrenc: their values, and their description as GObject properties.
#pragma once

#include <gst/gst.h>

#include <string>

#include "mvinr/encoder.h"

namespace mvinr::gst {

/// What the properties hold. Read and written under the element's object lock.
struct Settings {
  EncoderOptions encoder;  // on_progress is not a setting
  guint bitrate = 0;       // kbit/s, 0: lambda decides
  std::string cameras;     // path of a cameras.json, "": none
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
  kPropStats,
};

/// Installs all properties above.
void install_properties(GObjectClass* klass);

/// False: no property of that number is a setting.
bool set_setting(Settings& settings, guint property, const GValue* value);
bool get_setting(const Settings& settings, guint property, GValue* value);

/// "unknown profile "x"; there are: auto, …" or nothing: what can be told before there are frames.
Status check_settings(const Settings& settings);

}  // namespace mvinr::gst
