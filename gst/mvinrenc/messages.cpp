#include "messages.h"

#include <cmath>

namespace mvinr::gst {
namespace {

template <typename Items, typename Get>
void set_array(GstStructure* structure, const char* name, const Items& items, Get get) {
  GValue array = G_VALUE_INIT;
  g_value_init(&array, GST_TYPE_ARRAY);
  for (const auto& item : items) {
    GValue value = G_VALUE_INIT;
    g_value_init(&value, G_TYPE_DOUBLE);
    g_value_set_double(&value, get(item));
    gst_value_array_append_and_take_value(&array, &value);
  }
  gst_structure_take_value(structure, name, &array);
}

void set_base(GstStructure* structure, const BaseStats& base) {
  GValue views = G_VALUE_INIT;
  g_value_init(&views, GST_TYPE_ARRAY);
  for (const int view : base.views) {
    GValue value = G_VALUE_INIT;
    g_value_init(&value, G_TYPE_INT);
    g_value_set_int(&value, view);
    gst_value_array_append_and_take_value(&views, &value);
  }
  gst_structure_set(structure, "mode", G_TYPE_STRING, base.views.empty() ? "implicit" : "hybrid",
                    "base-bytes", G_TYPE_UINT64, guint64(base.bytes), "base-seconds", G_TYPE_DOUBLE,
                    base.seconds, nullptr);
  gst_structure_take_value(structure, "base-views", &views);
}

}  // namespace

GstStructure* progress_structure(guint64 gop, const Progress& p) {
  return gst_structure_new("mvinrenc-progress", "gop", G_TYPE_UINT64, gop, "step", G_TYPE_INT,
                           p.step, "steps", G_TYPE_INT, p.steps, "psnr", G_TYPE_DOUBLE, p.psnr,
                           "bits", G_TYPE_DOUBLE, p.bits, "seconds", G_TYPE_DOUBLE, p.seconds,
                           "seconds-left", G_TYPE_DOUBLE, p.seconds_left, "phase", G_TYPE_STRING,
                           p.phase ? p.phase : "", nullptr);
}

GstStructure* gop_structure(guint64 gop, GstClockTime running_time, double lambda,
                            const GopStats& s, const BaseStats& base) {
  GstStructure* structure = gst_structure_new(
      "mvinrenc-gop", "gop", G_TYPE_UINT64, gop, "first-frame", G_TYPE_UINT64,
      guint64(s.first_frame), "frames", G_TYPE_INT, s.frames, "verified-frames", G_TYPE_INT,
      s.verified_frames, "running-time", G_TYPE_UINT64, guint64(running_time), "bytes",
      G_TYPE_UINT64, guint64(s.bytes), "estimated-bits", G_TYPE_DOUBLE, s.estimated_bits, "lambda",
      G_TYPE_DOUBLE, lambda, "train-seconds", G_TYPE_DOUBLE, s.train_seconds, "verify-seconds",
      G_TYPE_DOUBLE, s.verify_seconds, "steps", G_TYPE_INT, s.steps, "profile", G_TYPE_STRING,
      s.profile.c_str(), "mean-texture-psnr", G_TYPE_DOUBLE, s.mean_texture_psnr, "mean-depth-psnr",
      G_TYPE_DOUBLE, s.mean_depth_psnr, nullptr);
  set_base(structure, base);
  set_array(structure, "texture-psnr-y", s.texture, [](const PictureStats& p) { return p.psnr_y; });
  set_array(structure, "texture-psnr-u", s.texture, [](const PictureStats& p) { return p.psnr_u; });
  set_array(structure, "texture-psnr-v", s.texture, [](const PictureStats& p) { return p.psnr_v; });
  set_array(structure, "depth-psnr", s.depth, [](const PictureStats& p) { return p.psnr_y; });
  return structure;
}

void TotalStats::MeanError::add(double psnr, int n) {
  sum += std::pow(10, -psnr / 10) * n;
  frames += n;
}

double TotalStats::MeanError::psnr() const {
  return frames > 0 ? -10 * std::log10(sum / frames) : 0;
}

void TotalStats::add(const GopStats& s, const BaseStats& base, double lambda) {
  ++gops_;
  frames_ += guint64(s.frames);
  bytes_ += s.bytes;
  estimated_bits_ += s.estimated_bits;
  train_seconds_ += s.train_seconds;
  verify_seconds_ += s.verify_seconds;
  lambda_ = lambda;
  base_.views = base.views;
  base_.bytes += base.bytes;
  base_.seconds += base.seconds;
  auto add_all = [&s](std::vector<View>& views, const std::vector<PictureStats>& pictures) {
    if (views.size() < pictures.size()) views.resize(pictures.size());
    for (size_t v = 0; v < pictures.size(); ++v) {
      views[v].y.add(pictures[v].psnr_y, s.frames);
      views[v].u.add(pictures[v].psnr_u, s.frames);
      views[v].v.add(pictures[v].psnr_v, s.frames);
    }
  };
  add_all(texture_, s.texture);
  add_all(depth_, s.depth);
}

GstStructure* TotalStats::structure() const {
  GstStructure* structure = gst_structure_new(
      "mvinrenc-stats", "gops", G_TYPE_UINT64, gops_, "frames", G_TYPE_UINT64, frames_,
      "dropped-frames", G_TYPE_UINT64, dropped_, "bytes", G_TYPE_UINT64, bytes_, "estimated-bits",
      G_TYPE_DOUBLE, estimated_bits_, "train-seconds", G_TYPE_DOUBLE, train_seconds_,
      "verify-seconds", G_TYPE_DOUBLE, verify_seconds_, "lambda", G_TYPE_DOUBLE, lambda_, nullptr);
  set_base(structure, base_);
  set_array(structure, "texture-psnr-y", texture_, [](const View& v) { return v.y.psnr(); });
  set_array(structure, "texture-psnr-u", texture_, [](const View& v) { return v.u.psnr(); });
  set_array(structure, "texture-psnr-v", texture_, [](const View& v) { return v.v.psnr(); });
  set_array(structure, "depth-psnr", depth_, [](const View& v) { return v.y.psnr(); });
  return structure;
}

}  // namespace mvinr::gst
