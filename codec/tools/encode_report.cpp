#include "tools/encode_report.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/cli.h"

namespace mvinr::tools {
namespace {

constexpr double kLosslessPsnr = 100;  // dB, stands for no difference at all

// Averages PSNRs as mean squared errors.
class MeanError {
 public:
  void add(double psnr, double weight) {
    sum_ += weight * std::pow(10.0, -psnr / 10);
    weight_ += weight;
  }
  double psnr() const {
    if (weight_ == 0 || sum_ <= 0) return kLosslessPsnr;
    return std::min(kLosslessPsnr, -10 * std::log10(sum_ / weight_));
  }

 private:
  double sum_ = 0, weight_ = 0;
};

nlohmann::json to_json(const PictureStats& stats, Component component) {
  if (component == Component::depth) return {{"psnr", stats.psnr_y}};
  return {{"psnr_y", stats.psnr_y}, {"psnr_u", stats.psnr_u}, {"psnr_v", stats.psnr_v}};
}

nlohmann::json to_json(const GopStats& gop) {
  nlohmann::json entry{{"first_frame", gop.first_frame},
                       {"frames", gop.frames},
                       {"bytes", gop.bytes},
                       {"estimated_bits", gop.estimated_bits},
                       {"train_seconds", gop.train_seconds},
                       {"verify_seconds", gop.verify_seconds},
                       {"steps", gop.steps},
                       {"profile", gop.profile},
                       {"mean_texture_psnr", gop.mean_texture_psnr}};
  if (!gop.depth.empty()) entry["mean_depth_psnr"] = gop.mean_depth_psnr;
  for (const PictureStats& stats : gop.texture)
    entry["texture"].push_back(to_json(stats, Component::texture));
  return entry;
}

}  // namespace

std::string gop_to_json(const GopStats& gop) {
  nlohmann::json entry = to_json(gop);
  for (const PictureStats& stats : gop.depth)
    entry["depth"].push_back(to_json(stats, Component::depth));
  return entry.dump() + "\n";
}

GopStats gop_from_json(const std::string& text, const std::string& where) {
  try {
    const auto json = nlohmann::json::parse(text);
    GopStats gop{.first_frame = json.at("first_frame"),
                 .frames = json.at("frames"),
                 .bytes = json.at("bytes"),
                 .estimated_bits = json.at("estimated_bits"),
                 .train_seconds = json.at("train_seconds"),
                 .verify_seconds = json.at("verify_seconds"),
                 .steps = json.at("steps"),
                 .profile = json.at("profile"),
                 .mean_texture_psnr = json.at("mean_texture_psnr"),
                 .mean_depth_psnr = json.value("mean_depth_psnr", 0.0)};
    for (const auto& view : json.at("texture"))
      gop.texture.push_back({view.at("psnr_y"), view.at("psnr_u"), view.at("psnr_v")});
    if (json.contains("depth"))
      for (const auto& view : json.at("depth")) gop.depth.push_back({.psnr_y = view.at("psnr")});
    return gop;
  } catch (const nlohmann::json::exception& error) {
    fail(where + ": " + error.what());
  }
}

EncodeReport::EncodeReport(SequenceInfo sequence, std::vector<std::string> view_names)
    : sequence_(std::move(sequence)), names_(std::move(view_names)) {}

void EncodeReport::add(const GopStats& stats) { gops_.push_back(stats); }

PictureStats EncodeReport::total(size_t view, Component component) const {
  MeanError y, u, v;
  for (const GopStats& gop : gops_) {
    const auto& list = component == Component::texture ? gop.texture : gop.depth;
    if (view >= list.size()) continue;
    y.add(list[view].psnr_y, gop.frames);
    u.add(list[view].psnr_u, gop.frames);
    v.add(list[view].psnr_v, gop.frames);
  }
  return {y.psnr(), u.psnr(), v.psnr()};
}

int64_t EncodeReport::frames() const {
  int64_t sum = 0;
  for (const GopStats& gop : gops_) sum += gop.frames;
  return sum;
}

uint64_t EncodeReport::bytes() const {
  uint64_t sum = 0;
  for (const GopStats& gop : gops_) sum += gop.bytes;
  return sum;
}

double EncodeReport::bits_per_pixel() const {
  double pixels = 0;
  for (const ViewInfo& view : sequence_.views) pixels += double(view.width) * view.height;
  return 8 * double(bytes()) / (pixels * double(frames()));
}

std::string EncodeReport::table() const {
  std::string text =
      format("%-10s %10s %10s %10s %10s\n", "view", "Y dB", "U dB", "V dB", "depth dB");
  double texture_sum = 0, depth_sum = 0;
  int depth_views = 0;
  for (size_t v = 0; v < names_.size(); ++v) {
    const PictureStats texture = total(v, Component::texture);
    text += format("%-10s %10.2f %10.2f %10.2f", names_[v].c_str(), texture.psnr_y, texture.psnr_u,
                   texture.psnr_v);
    texture_sum += texture.psnr_y;
    if (sequence_.views[v].depth != SampleFormat::none) {
      const double depth = total(v, Component::depth).psnr_y;
      text += format(" %10.2f\n", depth);
      depth_sum += depth;
      ++depth_views;
    } else {
      text += format(" %10s\n", "-");
    }
  }
  text += format("%-10s %10.2f %10s %10s", "mean", texture_sum / double(names_.size()), "", "");
  text += depth_views > 0 ? format(" %10.2f\n", depth_sum / depth_views) : format(" %10s\n", "-");
  const double rate = double(sequence_.frame_rate.num) / sequence_.frame_rate.den;
  text += format("%llu bytes, %.4f bits per pixel, %lld frames of %zu views",
                 (unsigned long long)bytes(), bits_per_pixel(), (long long)frames(), names_.size());
  if (rate > 0) text += format(", %.1f kbit/s", 8e-3 * double(bytes()) * rate / double(frames()));
  return text + "\n";
}

std::string EncodeReport::json() const {
  nlohmann::json root{
      {"bytes", bytes()}, {"frames", frames()}, {"bits_per_pixel", bits_per_pixel()}};
  for (size_t v = 0; v < names_.size(); ++v) {
    nlohmann::json view{{"name", names_[v]},
                        {"width", sequence_.views[v].width},
                        {"height", sequence_.views[v].height},
                        {"texture", to_json(total(v, Component::texture), Component::texture)}};
    if (sequence_.views[v].depth != SampleFormat::none)
      view["depth"] = to_json(total(v, Component::depth), Component::depth);
    root["views"].push_back(view);
  }
  for (const GopStats& gop : gops_) {
    nlohmann::json entry = to_json(gop);
    for (size_t v = 0; v < gop.depth.size(); ++v)
      entry["depth"].push_back(sequence_.views[v].depth == SampleFormat::none
                                   ? nlohmann::json()
                                   : to_json(gop.depth[v], Component::depth));
    root["gops"].push_back(entry);
  }
  return root.dump(1) + "\n";
}

}  // namespace mvinr::tools
