#include "tools/encode_input.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tools/cli.h"

namespace mvinr::tools {
namespace {

struct Size {
  int width = 0, height = 0;
};

Size parse_size(const std::string& text) {
  Size size;
  char end = 0;
  if (std::sscanf(text.c_str(), "%dx%d%c", &size.width, &size.height, &end) != 2 ||
      size.width < 1 || size.height < 1 || size.width > kMaxPictureSize ||
      size.height > kMaxPictureSize)
    fail_usage("--size \"" + text + "\" is not WIDTHxHEIGHT, each 1.." +
               std::to_string(kMaxPictureSize));
  return size;
}

// What the options and the cameras.json say about one view before its files are opened.
struct ViewPlan {
  std::string name;
  Size size;
  std::string texture_format, depth_format;
  std::optional<Camera> camera;
  size_t entry = 0;  // of the cameras.json
};

std::vector<ViewPlan> plan_from_cameras(const CameraFile& file, const InputOptions& options) {
  std::vector<const CameraFileEntry*> entries;
  for (const std::string& name : options.views) {
    const auto found =
        std::find_if(file.cameras.begin(), file.cameras.end(),
                     [&](const CameraFileEntry& entry) { return entry.name == name; });
    if (found == file.cameras.end())
      fail_usage("--views: " + options.cameras + " has no camera \"" + name + "\"");
    entries.push_back(&*found);
  }
  if (options.views.empty())
    for (const CameraFileEntry& entry : file.cameras) entries.push_back(&entry);

  std::vector<ViewPlan> plans;
  for (const CameraFileEntry* entry : entries) {
    ViewPlan plan{.name = entry->name, .size = {entry->width, entry->height}};
    if (!options.size.empty()) plan.size = parse_size(options.size);
    plan.texture_format = entry->texture_bits > 8 ? "yuv420p10le" : "yuv420p";
    plan.depth_format = entry->depth_bits > 10  ? "gray16le"
                        : entry->depth_bits > 8 ? "gray10le"
                                                : "gray";
    plan.camera = value_or_fail(camera_for_size(*entry, plan.size.width, plan.size.height),
                                options.cameras + ": camera " + entry->name);
    plan.entry = size_t(entry - file.cameras.data());
    if (!file.poses.empty()) plan.camera->position = plan.camera->rotation = {};
    plans.push_back(std::move(plan));
  }
  return plans;
}

bool is_pattern(const std::vector<std::string>& files) {
  return files.size() == 1 && files[0].find('{') != std::string::npos;
}

std::vector<ViewPlan> plan_from_options(const InputOptions& options) {
  if (options.size.empty()) fail_usage("give --cameras FILE, or --size WxH");
  const Size size = parse_size(options.size);
  std::vector<ViewPlan> plans;
  const bool pattern = options.texture.empty() || is_pattern(options.texture);
  if (pattern && options.views.empty())
    fail_usage("without --cameras give one --texture FILE per view, or --views NAME,NAME,...");
  const size_t count = pattern ? options.views.size() : options.texture.size();
  if (!options.views.empty() && options.views.size() != count)
    fail_usage(format("--views names %zu views, but there are %zu --texture files",
                      options.views.size(), count));
  for (size_t v = 0; v < count; ++v)
    plans.push_back({.name = options.views.empty() ? "v" + std::to_string(v) : options.views[v],
                     .size = size,
                     .texture_format = "yuv420p",
                     .depth_format = "gray16le"});
  return plans;
}

std::string file_of_view(const std::vector<std::string>& files, const std::string& directory,
                         const ViewPlan& plan, size_t view, Component component) {
  std::string path;
  if (files.empty() || is_pattern(files)) {
    path =
        expand_pattern(files.empty() ? kDefaultPattern : files[0],
                       {plan.name, int(view), component, plan.size.width, plan.size.height,
                        component == Component::texture ? plan.texture_format : plan.depth_format});
  } else {
    path = files[view];
  }
  return directory.empty() ? path : (std::filesystem::path(directory) / path).string();
}

void check_count(const std::vector<std::string>& files, size_t views, const char* option) {
  if (!files.empty() && !is_pattern(files) && files.size() != views)
    fail_usage(format("%zu %s files for %zu views: give one per view, or one pattern with {name}",
                      files.size(), option, views));
}

}  // namespace

Fraction parse_frame_rate(const std::string& text) {
  double a = 0, b = 1;
  char end = 0;
  const int fields = std::sscanf(text.c_str(), "%lf/%lf%c", &a, &b, &end);
  const bool number = std::sscanf(text.c_str(), "%lf%c", &a, &end) == 1;
  const auto whole = [](double x) { return x >= 1 && x <= 1e6 && x == std::floor(x); };
  if (fields == 2 && whole(a) && whole(b)) return {uint32_t(a), uint32_t(b)};
  if (number && whole(a)) return {uint32_t(a), 1};
  if (number && a > 0 && a <= 1000) {
    const double ntsc = a * 1001 / 1000;  // 29.97 means 30000/1001
    if (std::abs(ntsc - std::round(ntsc)) < 0.003)
      return {uint32_t(std::lround(ntsc)) * 1000, 1001};
    return {uint32_t(std::lround(a * 1000)), 1000};
  }
  fail_usage("--fps \"" + text + "\" is not a frame rate such as 30, 29.97 or 30000/1001");
}

Input open_input(const InputOptions& options) {
  std::vector<ViewPlan> plans;
  Input input;
  if (!options.cameras.empty()) {
    const CameraFile file = value_or_fail(read_camera_file(options.cameras), "");
    plans = plan_from_cameras(file, options);
    for (const std::vector<Camera>& frame : file.poses) {
      std::vector<Pose>& poses = input.poses.emplace_back();
      for (const ViewPlan& plan : plans)
        poses.push_back({frame[plan.entry].position, frame[plan.entry].rotation});
    }
    if (file.fps > 0) input.sequence.frame_rate = parse_frame_rate(format("%.6g", file.fps));
  } else {
    plans = plan_from_options(options);
  }
  if (!options.fps.empty()) input.sequence.frame_rate = parse_frame_rate(options.fps);

  // Named files for textures, and no word about depth: there is none.
  const bool explicit_texture = !options.texture.empty() && !is_pattern(options.texture);
  const bool with_depth = !options.no_depth && (!options.depth.empty() || !explicit_texture);
  check_count(options.texture, plans.size(), "--texture");
  check_count(options.depth, plans.size(), "--depth");

  input.frames = INT64_MAX;
  for (size_t v = 0; v < plans.size(); ++v) {
    ViewPlan& plan = plans[v];
    if (!options.texture_format.empty()) plan.texture_format = options.texture_format;
    if (!options.depth_format.empty()) plan.depth_format = options.depth_format;
    const RawFormat texture = parse_raw_format(plan.texture_format, Component::texture);
    InputView view{.name = plan.name};
    view.texture = std::make_unique<RawVideoReader>(
        file_of_view(options.texture, options.directory, plan, v, Component::texture), texture,
        plan.size.width, plan.size.height);
    input.frames = std::min(input.frames, view.texture->frames());
    ViewInfo info{.width = plan.size.width,
                  .height = plan.size.height,
                  .texture = texture.samples,
                  .camera = plan.camera,
                  .moving = !input.poses.empty()};
    if (with_depth) {
      const RawFormat depth = parse_raw_format(plan.depth_format, Component::depth);
      view.depth = std::make_unique<RawVideoReader>(
          file_of_view(options.depth, options.directory, plan, v, Component::depth), depth,
          plan.size.width, plan.size.height);
      input.frames = std::min(input.frames, view.depth->frames());
      info.depth = depth.samples;
    }
    input.sequence.views.push_back(info);
    input.views.push_back(std::move(view));
  }
  value_or_fail(validate(input.sequence), "input");
  return input;
}

}  // namespace mvinr::tools
