// mvinr-warp: raw multi-view video with depth -> the same scene from other cameras.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "mvinr/warp.h"
#include "tools/cli.h"
#include "tools/encode_input.h"

namespace mvinr::tools {
namespace {

struct Options {
  InputOptions input;
  std::vector<std::string> targets;
  std::string output = ".", pattern = kDefaultPattern;
  int64_t start_frame = 0, frames = 0;
  int threads = 0;
  bool no_texture = false, no_depth = false, quiet = false;
};

std::optional<int> parse(int argc, char** argv, Options& options) {
  CLI::App app{
      "Renders cameras of a cameras.json, or cameras half-way between two of them, from the\n"
      "texture and depth of other cameras (depth-image-based warping).\n"
      "\nExamples:\n"
      "  mvinr-warp --input-dir clip --cameras clip/cameras.json --views v1 --target v0 -o out\n"
      "  mvinr-warp --input-dir clip --cameras clip/cameras.json --views v0,v1 --target v0:v1",
      "mvinr-warp"};
  const CLI::Validator non_negative = CLI::Validator(CLI::NonNegativeNumber).description("");
  app.set_version_flag("--version", MVINR_VERSION);
  InputOptions& input = options.input;
  app.add_option("--cameras", input.cameras, "cameras.json (MPEG Immersive Video style)")
      ->type_name("FILE")
      ->required();
  app.add_option("--views", input.views, "base views, for example v0,v2")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->required();
  app.add_option("--target", options.targets,
                 "cameras to render; v0:v1 is half-way between v0 and v1")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->required();
  app.add_option("--input-dir", input.directory, "folder of the raw files")->type_name("DIR");
  app.add_option("--texture", input.texture,
                 std::string("texture files: one per base view, or one pattern; default ") +
                     kDefaultPattern)
      ->type_name("FILE|PATTERN")
      ->allow_extra_args(false);
  app.add_option("--depth", input.depth, "depth files, likewise")
      ->type_name("FILE|PATTERN")
      ->allow_extra_args(false);
  app.add_option("--size", input.size, "size of the pictures, if not that of the cameras")
      ->type_name("WxH");
  app.add_option("--texture-format", input.texture_format, "yuv420p or yuv420p10le")
      ->type_name("NAME");
  app.add_option("--depth-format", input.depth_format,
                 "gray, gray10le, gray16le, or yuv420p, yuv420p10le, yuv420p16le")
      ->type_name("NAME");
  app.add_option("--start-frame", options.start_frame, "first frame (0)")
      ->type_name("N")
      ->check(non_negative);
  app.add_option("--frames", options.frames, "number of frames (0: all)")
      ->type_name("N")
      ->check(non_negative);
  app.add_option("--threads", options.threads, "0: one per core")
      ->type_name("N")
      ->check(non_negative);
  app.add_option("-o,--output", options.output, "folder for the raw files (.)")->type_name("DIR");
  app.add_option("--pattern", options.pattern, "their names, in that folder")
      ->type_name("PATTERN")
      ->capture_default_str();
  app.add_flag("--no-texture", options.no_texture, "write depth only");
  app.add_flag("--no-depth", options.no_depth, "write texture only");
  app.add_flag("-q,--quiet", options.quiet, "do not list the files");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kExitOk : kExitUsage;
  }
  return std::nullopt;
}

size_t find_camera(const CameraFile& file, const std::string& name) {
  for (size_t i = 0; i < file.cameras.size(); ++i)
    if (file.cameras[i].name == name) return i;
  fail_usage("--target: the camera file has no camera \"" + name + "\"");
}

/// The camera at a frame, for pictures of width x height.
Camera camera_at(const CameraFile& file, size_t index, int64_t frame, int width, int height) {
  CameraFileEntry entry = file.cameras[index];
  if (!file.poses.empty()) {
    if (frame >= int64_t(file.poses.size()))
      fail(format("poses.json has %zu frames, none for frame %lld", file.poses.size(),
                  (long long)frame));
    entry.camera = file.poses[size_t(frame)][index];
  }
  return value_or_fail(camera_for_size(entry, width, height), "");
}

float half_way(float a, float b) { return a + (b - a) / 2; }

/// Means of everything; of angles along the shorter way.
Camera half_way(const Camera& a, const Camera& b) {
  Camera c;
  for (size_t i = 0; i < 2; ++i) {
    c.focal[i] = half_way(a.focal[i], b.focal[i]);
    c.principal_point[i] = half_way(a.principal_point[i], b.principal_point[i]);
  }
  c.depth_range = {std::min(a.depth_range[0], b.depth_range[0]),
                   std::max(a.depth_range[1], b.depth_range[1])};
  for (size_t i = 0; i < 3; ++i) {
    c.position[i] = half_way(a.position[i], b.position[i]);
    c.rotation[i] = a.rotation[i] + std::remainder(b.rotation[i] - a.rotation[i], 360.0f) / 2;
  }
  return c;
}

struct Target {
  std::string name;
  size_t first = 0, second = 0;  // cameras of the file; the same, if it is one of them
  std::unique_ptr<OutputFile> texture, depth;
  PictureBuffer texture_buffer, depth_buffer;
};

Target open_target(const Options& options, const CameraFile& file, const ViewInfo& format,
                   const std::string& text, int index) {
  Target target;
  const size_t colon = text.find(':');
  target.first = find_camera(file, text.substr(0, colon));
  target.second =
      colon == std::string::npos ? target.first : find_camera(file, text.substr(colon + 1));
  target.name = text;
  std::replace(target.name.begin(), target.name.end(), ':', '-');
  const auto open = [&](Component component, SampleFormat samples) {
    const std::string path =
        (std::filesystem::path(options.output) /
         expand_pattern(options.pattern, {target.name, index, component, format.width,
                                          format.height, raw_format_name(samples)}))
            .string();
    if (!options.quiet) std::printf("%s\n", path.c_str());
    return std::make_unique<OutputFile>(path);
  };
  if (!options.no_texture) target.texture = open(Component::texture, format.texture);
  if (!options.no_depth) target.depth = open(Component::depth, format.depth);
  target.texture_buffer = PictureBuffer(format.texture, format.width, format.height);
  target.depth_buffer = PictureBuffer(format.depth, format.width, format.height);
  return target;
}

int warp(int argc, char** argv) {
  Options options;
  if (const auto code = parse(argc, argv, options)) return *code;
  if (options.no_texture && options.no_depth)
    fail_usage("--no-texture and --no-depth leave nothing to write");
  const CameraFile file = value_or_fail(read_camera_file(options.input.cameras), "");
  Input input = open_input(options.input);
  std::vector<ViewInfo> bases = input.sequence.views;
  for (size_t i = 0; i < bases.size(); ++i)
    if (!input.views[i].depth) fail_usage("--depth: every base view needs a depth file");
  if (options.start_frame >= input.frames || options.frames > input.frames - options.start_frame)
    fail_usage(
        format("--start-frame, --frames: the input has %lld frames", (long long)input.frames));
  const int64_t end = options.frames > 0 ? options.start_frame + options.frames : input.frames;

  std::filesystem::create_directories(options.output);
  std::vector<Target> targets;
  for (const std::string& text : options.targets)
    targets.push_back(open_target(options, file, bases[0], text, int(targets.size())));
  std::vector<std::unique_ptr<Warper>> warpers(targets.size());
  for (int64_t frame = options.start_frame; frame < end; ++frame) {
    std::vector<Picture> textures, depths;
    for (InputView& view : input.views) {
      textures.push_back(view.texture->read(frame).picture());
      depths.push_back(view.depth->read(frame).picture());
    }
    for (size_t i = 0; i < targets.size(); ++i) {
      Target& target = targets[i];
      if (warpers[i] == nullptr || !file.poses.empty()) {
        ViewInfo view = bases[0];
        const auto camera = [&](size_t index) {
          return camera_at(file, index, frame, view.width, view.height);
        };
        view.camera = target.first == target.second
                          ? camera(target.first)
                          : half_way(camera(target.first), camera(target.second));
        for (size_t b = 0; b < bases.size(); ++b)
          bases[b].camera = camera_at(file, find_camera(file, input.views[b].name), frame,
                                      bases[b].width, bases[b].height);
        warpers[i] = value_or_fail(Warper::create(bases, view, options.threads), target.name);
      }
      const MutablePicture texture = target.texture_buffer.mutable_picture(),
                           depth = target.depth_buffer.mutable_picture();
      value_or_fail(warpers[i]->render(textures, depths, target.texture ? &texture : nullptr,
                                       target.depth ? &depth : nullptr),
                    target.name);
      if (target.texture) target.texture->write(target.texture_buffer.picture());
      if (target.depth) target.depth->write(target.depth_buffer.picture());
    }
  }
  for (Target& target : targets)
    for (OutputFile* output : {target.texture.get(), target.depth.get()})
      if (output != nullptr) output->flush();
  return kExitOk;
}

}  // namespace
}  // namespace mvinr::tools

int main(int argc, char** argv) {
  return mvinr::tools::run_tool("mvinr-warp", mvinr::tools::warp, argc, argv);
}
