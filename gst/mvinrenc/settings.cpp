#include "settings.h"

#include <algorithm>
#include <cmath>

#include "base_coder.h"
#include "encoder_table.h"

namespace mvinr::gst {
namespace {

constexpr double kMaxTimeBudget = 1e6;  // seconds

GType mode_type() {
  static const GEnumValue values[] = {
      {int(Mode::automatic),
       "hybrid where the input and the installed elements allow it, else implicit", "auto"},
      {int(Mode::implicit), "One network and feature grids for all views (MV-HiNeRV)", "implicit"},
      {int(Mode::hybrid),
       "Base views by a 2D codec; the others warped from them and completed by a network",
       "hybrid"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstMvinrEncMode", values);
  return type;
}

// The library's values and one more: auto is the absence of one.
constexpr int kAutomaticMotion = -1;
GType motion_type() {
  static const GEnumValue values[] = {
      {kAutomaticMotion, "geometry where cameras and depth allow it, else learned", "auto"},
      {int(Motion::geometry), "By cameras and the depth of the base views", "geometry"},
      {int(Motion::learned), "By displacements that the network yields; needs neither", "learned"},
      {int(Motion::refined), "geometry, whose result the network's displacements move", "refined"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstMvinrEncMotion", values);
  return type;
}

GType loss_type() {
  static const GEnumValue values[] = {
      {int(Loss::psnr), "Mean squared error, Y:U:V weighted 6:1:1", "psnr"},
      {int(Loss::ssim), "0.7 L1 + 0.3 (1 - MS-SSIM)", "ssim"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstMvinrEncLoss", values);
  return type;
}

std::string profile_list() {
  std::string list;
  for (const std::string& name : profile_names()) list += (list.empty() ? "" : ", ") + name;
  return list;
}

std::string base_encoder_list() {
  std::string list;
  for (const std::string& name : known_base_encoders()) list += (list.empty() ? "" : ", ") + name;
  return list;
}

std::string to_std(const GValue* value) {
  const gchar* text = g_value_get_string(value);
  return text ? text : "";
}

}  // namespace

void install_properties(GObjectClass* klass) {
  const auto ready =
      GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
  const auto playing =
      GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
  // The defaults are those of the library, so that gst-inspect cannot disagree with it.
  const Settings d;
  const EncoderOptions& e = d.encoder;
  auto install = [klass](Property id, GParamSpec* spec) {
    g_object_class_install_property(klass, id, spec);
  };

  install(kPropMode, g_param_spec_enum("mode", "Mode",
                                       "How the views are coded. hybrid needs at least two views, "
                                       "the cameras of all (property cameras), depth of the base "
                                       "views, and an installed base encoder with its decoder",
                                       mode_type(), int(e.mode), ready));
  install(kPropLambda,
          g_param_spec_double(
              "lambda", "Lambda",
              "Weight of the rate in distortion + lambda x rate: smaller gives "
              "better quality and more bytes; useful are 0.0005 (high quality) to "
              "0.02 (small), a doubling is one rate point. With bitrate > 0 only where the "
              "first GOP begins. Read at every GOP",
              kMinLambda, kMaxLambda, e.lambda, playing));
  install(kPropBitrate,
          g_param_spec_uint("bitrate", "Bitrate",
                            "Target of all views together in kbit/s (0 = by lambda). While a GOP "
                            "is coded, base quantisers and lambda are led to its share, usually "
                            "within 5 %; later GOPs pay back what it missed. Read at every GOP",
                            0, G_MAXUINT / 1024, d.bitrate, playing));
  install(kPropEffort, g_param_spec_int("effort", "Effort",
                                        "How long a GOP trains, from 1 (seconds) to 9 (hours); "
                                        "time-budget can cut it short",
                                        1, 9, e.effort, ready));
  install(kPropGopSize,
          g_param_spec_uint("gop-size", "GOP size",
                            "Frames per access unit. Larger GOPs cost fewer bytes per frame, and "
                            "more memory and latency; every access unit is a sync point",
                            1, kMaxGopFrames, guint(e.gop_frames), ready));
  static const std::string profile_blurb =
      "Size and kind of the network (auto = by picture size and views). There are: " +
      profile_list();
  install(kPropProfile, g_param_spec_string("profile", "Profile", profile_blurb.c_str(),
                                            e.profile.c_str(), ready));
  install(kPropLoss, g_param_spec_enum("loss", "Loss", "The distortion that training minimises",
                                       loss_type(), int(e.loss), ready));
  install(kPropCameras, g_param_spec_string(
                            "cameras", "Cameras",
                            "Path of a MIV-style cameras.json whose n-th entry is the camera of "
                            "view n (none = no cameras in the stream). The property camera of a "
                            "pad comes first. Entries of another resolution are scaled, another "
                            "aspect ratio is an error. \"Moving_cameras\": true: poses.json beside "
                            "it has their place at each frame, by stream time",
                            nullptr, ready));
  install(kPropDepthWeight,
          g_param_spec_double("depth-weight", "Depth weight",
                              "Weight of the distortion of depth against that of texture (0 = "
                              "depth is not trained)",
                              0, 100, e.depth_weight, ready));
  install(kPropPrune,
          g_param_spec_double("prune", "Prune",
                              "Share of the network's weights that is set to zero before the last "
                              "phases of training (the papers use 0.15 and 0.6)",
                              0, 0.95, e.prune, ready));
  install(kPropSeed, g_param_spec_uint64("seed", "Seed",
                                         "Of all random numbers of the training; the same seed on "
                                         "the same machine gives the same stream, unless "
                                         "time-budget cuts the training short",
                                         0, G_MAXUINT64, e.seed, ready));
  install(kPropDevice,
          g_param_spec_string("device", "Device",
                              "Where training runs: auto (the first CUDA device, else the CPU), "
                              "cpu, or cuda:N",
                              e.device.c_str(), ready));
  install(kPropThreads,
          g_param_spec_int("threads", "Threads", "CPU threads of the training (0 = one per core)",
                           0, 1024, e.threads, ready));
  install(kPropTimeBudget,
          g_param_spec_double("time-budget", "Time budget",
                              "Seconds of training per GOP (0 = by effort). In a live pipeline: "
                              "seconds from the last frame of a GOP to its access unit, for all "
                              "that has to be done (0 = the duration of a GOP); latency is the "
                              "duration of a GOP plus this. Read at every GOP",
                              0, kMaxTimeBudget, e.time_budget, playing));
  install(
      kPropMaxMemory,
      g_param_spec_uint64("max-memory", "Maximum memory",
                          "Bytes that the encoder may use (0 = three quarters of what is free). "
                          "A GOP that needs more is refused before training",
                          0, G_MAXUINT64, e.max_memory, ready));
  static const std::string base_encoder_blurb =
      "Hybrid mode: elements in the notation of gst-launch that turn raw video into the packets of "
      "a base view, such as \"x265enc speed-preset=slow\". Raw video is I420, I420_10LE or gray, "
      "depth of 16 bits is reduced to 10. Empty: the first that is installed of " +
      base_encoder_list() + ", with slow settings tuned for PSNR";
  install(kPropBaseEncoder,
          g_param_spec_string("base-encoder", "Base encoder", base_encoder_blurb.c_str(),
                              d.base.encoder.c_str(), ready));
  install(kPropBaseQuantiser,
          g_param_spec_int("base-quantiser", "Base quantiser",
                           "Hybrid mode: quality of the base views from 0 (best) to 51, as crf of "
                           "x265enc and x264enc; constant QP of the nv, va and openh264 encoders, "
                           "times 63/51 the quantizer of av1enc (-1 = by lambda if base-encoder is "
                           "empty, else as base-encoder says). Read at every GOP",
                           -1, kMaxQuantiser, d.base.quantiser, playing));
  install(kPropBaseViews,
          g_param_spec_string("base-views", "Base views",
                              "Hybrid mode: the views that base-encoder codes: auto (those whose "
                              "depth in the first GOP shows most of the other views, and those "
                              "that cannot be predicted well), or their numbers with commas, "
                              "such as 0,3",
                              d.base.views.c_str(), ready));
  install(kPropMotion,
          g_param_spec_enum("motion", "Motion",
                            "Hybrid mode: how the other views are predicted from the base views. "
                            "geometry and refined need the cameras of all views and depth of the "
                            "base views; the profiles ierv are learned unless told otherwise",
                            motion_type(), kAutomaticMotion, ready));
  install(kPropStats,
          g_param_spec_boxed(
              "stats", "Statistics",
              "Totals since the start, measured on decoded pictures: gops, frames, "
              "dropped-frames (of all views, by a live encoder for want of time), "
              "bytes, base-bytes (those of BASE units), estimated-bits, "
              "train-seconds, base-seconds, verify-seconds; lambda, mode and "
              "base-views of the last GOP; and arrays over the views in dB: texture-psnr-y, "
              "texture-psnr-u, texture-psnr-v, depth-psnr",
              GST_TYPE_STRUCTURE, GParamFlags(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
  gst_type_mark_as_plugin_api(mode_type(), GstPluginAPIFlags(0));
  gst_type_mark_as_plugin_api(motion_type(), GstPluginAPIFlags(0));
  gst_type_mark_as_plugin_api(loss_type(), GstPluginAPIFlags(0));
}

bool set_setting(Settings& s, guint property, const GValue* value) {
  EncoderOptions& e = s.encoder;
  switch (property) {
    case kPropMode:
      e.mode = Mode(g_value_get_enum(value));
      return true;
    case kPropLambda:
      e.lambda = g_value_get_double(value);
      return true;
    case kPropBitrate:
      s.bitrate = g_value_get_uint(value);
      return true;
    case kPropEffort:
      e.effort = g_value_get_int(value);
      return true;
    case kPropGopSize:
      e.gop_frames = int(g_value_get_uint(value));
      return true;
    case kPropProfile:
      e.profile = to_std(value);
      return true;
    case kPropLoss:
      e.loss = Loss(g_value_get_enum(value));
      return true;
    case kPropCameras:
      s.cameras = to_std(value);
      return true;
    case kPropDepthWeight:
      e.depth_weight = g_value_get_double(value);
      return true;
    case kPropPrune:
      e.prune = g_value_get_double(value);
      return true;
    case kPropSeed:
      e.seed = g_value_get_uint64(value);
      return true;
    case kPropDevice:
      e.device = to_std(value);
      return true;
    case kPropThreads:
      e.threads = g_value_get_int(value);
      return true;
    case kPropTimeBudget:
      e.time_budget = g_value_get_double(value);
      return true;
    case kPropMaxMemory:
      e.max_memory = g_value_get_uint64(value);
      return true;
    case kPropBaseEncoder:
      s.base.encoder = to_std(value);
      return true;
    case kPropBaseQuantiser:
      s.base.quantiser = g_value_get_int(value);
      return true;
    case kPropBaseViews:
      s.base.views = to_std(value);
      return true;
    case kPropMotion:
      e.motion.reset();
      if (const int motion = g_value_get_enum(value); motion != kAutomaticMotion)
        e.motion = Motion(motion);
      return true;
    default:
      return false;
  }
}

bool get_setting(const Settings& s, guint property, GValue* value) {
  const EncoderOptions& e = s.encoder;
  switch (property) {
    case kPropMode:
      g_value_set_enum(value, int(e.mode));
      return true;
    case kPropLambda:
      g_value_set_double(value, e.lambda);
      return true;
    case kPropBitrate:
      g_value_set_uint(value, s.bitrate);
      return true;
    case kPropEffort:
      g_value_set_int(value, e.effort);
      return true;
    case kPropGopSize:
      g_value_set_uint(value, guint(e.gop_frames));
      return true;
    case kPropProfile:
      g_value_set_string(value, e.profile.c_str());
      return true;
    case kPropLoss:
      g_value_set_enum(value, int(e.loss));
      return true;
    case kPropCameras:
      g_value_set_string(value, s.cameras.empty() ? nullptr : s.cameras.c_str());
      return true;
    case kPropDepthWeight:
      g_value_set_double(value, e.depth_weight);
      return true;
    case kPropPrune:
      g_value_set_double(value, e.prune);
      return true;
    case kPropSeed:
      g_value_set_uint64(value, e.seed);
      return true;
    case kPropDevice:
      g_value_set_string(value, e.device.c_str());
      return true;
    case kPropThreads:
      g_value_set_int(value, e.threads);
      return true;
    case kPropTimeBudget:
      g_value_set_double(value, e.time_budget);
      return true;
    case kPropMaxMemory:
      g_value_set_uint64(value, e.max_memory);
      return true;
    case kPropBaseEncoder:
      g_value_set_string(value, s.base.encoder.c_str());
      return true;
    case kPropBaseQuantiser:
      g_value_set_int(value, s.base.quantiser);
      return true;
    case kPropBaseViews:
      g_value_set_string(value, s.base.views.c_str());
      return true;
    case kPropMotion:
      g_value_set_enum(value, e.motion ? int(*e.motion) : kAutomaticMotion);
      return true;
    default:
      return false;
  }
}

int base_quantiser(double lambda, Component component) {
  // Found by measurement (docs/training.md, "Hybrid mode"). Depth is coded more coarsely: its
  // errors move pixels by little, and the network sees them.
  constexpr double kLambda = 0.004, kCrf = 29, kDepthOffset = 7;
  const double crf =
      kCrf + 3 * std::log2(lambda / kLambda) + (component == Component::depth ? kDepthOffset : 0);
  return int(std::lround(std::clamp(crf, 10.0, 51.0)));
}

BaseQuantisers base_quantisers(const Settings& settings, double lambda) {
  const BaseSettings& base = settings.base;
  if (base.quantiser >= 0) return {base.quantiser, base.quantiser};
  if (!base.encoder.empty()) return {};
  return {base_quantiser(lambda, Component::texture), base_quantiser(lambda, Component::depth)};
}

Status check_settings(const Settings& settings) {
  const std::vector<std::string> names = profile_names();
  const std::string& profile = settings.encoder.profile;
  if (std::find(names.begin(), names.end(), profile) == names.end())
    return Error{ErrorCode::invalid_argument,
                 "unknown profile \"" + profile + "\"; there are: " + profile_list()};
  if (auto views = parse_base_views(settings.base.views); !views) return views.error();
  const Mode mode = settings.encoder.mode;
  if (mode == Mode::hybrid && settings.base.encoder.empty())
    if (auto found = automatic_base_encoder(); !found) return found.error();
  if (mode != Mode::implicit && !settings.base.encoder.empty())
    if (auto made = make_base_encoder(settings.base.encoder, settings.base.quantiser); !made)
      if (mode == Mode::hybrid || made.error().code != ErrorCode::unsupported) return made.error();
  return ok();
}

}  // namespace mvinr::gst
