#include "program.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tools/raw_video.h"

namespace mvinr::testutil {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

ProgramResult run_shell(const std::string& command) {
  const TemporaryFolder folder;
  const char* tools = std::getenv("MVINR_TOOLS");
  const std::string line = "TOOL='" + std::string(tools ? tools : ".") + "'; { " + command +
                           "; } >'" + folder.path("out") + "' 2>'" + folder.path("err") + "'";
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, folder.read("out"), folder.read("err")};
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "mvinr-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path_); }

void TemporaryFolder::write(const std::string& name, const std::string& content) const {
  std::ofstream(path_ / name, std::ios::binary) << content;
}

std::string TemporaryFolder::read(const std::string& name) const { return read_file(path_ / name); }

void write_raw(const Clip& clip, const TemporaryFolder& folder) {
  std::string cameras;
  for (size_t v = 0; v < clip.sequence.views.size(); ++v) {
    const ViewInfo& view = clip.sequence.views[v];
    for (const Component component : {Component::texture, Component::depth}) {
      const SampleFormat format = component == Component::texture ? view.texture : view.depth;
      if (format == SampleFormat::none) continue;
      const std::string name = tools::expand_pattern(
          tools::kDefaultPattern, {"v" + std::to_string(v), int(v), component, view.width,
                                   view.height, tools::raw_format_name(format)});
      std::ofstream file(folder.path(name), std::ios::binary);
      for (int t = 0; t < clip.frames; ++t) {
        const auto bytes = clip.at(t, int(v), component).bytes();
        file.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
      }
    }
    if (!view.camera) continue;
    const auto list = [](const auto& values) {
      std::string text;
      for (const float value : values) text += (text.empty() ? "[" : ", ") + std::to_string(value);
      return text + "]";
    };
    const Camera& camera = *view.camera;
    cameras += std::string(cameras.empty() ? "" : ",\n") + R"({"Name": "v)" + std::to_string(v) +
               R"(", "Resolution": [)" + std::to_string(view.width) + ", " +
               std::to_string(view.height) +
               R"(], "Projection": "Perspective", "BitDepthColor": )" +
               std::to_string(bit_depth(view.texture)) + R"(, "BitDepthDepth": )" +
               std::to_string(bit_depth(view.depth)) + R"(, "Focal": )" + list(camera.focal) +
               R"(, "Principle_point": )" + list(camera.principal_point) + R"(, "Depth_range": )" +
               list(camera.depth_range) + R"(, "Position": )" + list(camera.position) +
               R"(, "Rotation": )" + list(camera.rotation) + "}";
  }
  folder.write("cameras.json", R"({"Version": "4.0", "Content_name": "test", "Fps": 30, )"
                               R"("Frames_number": )" +
                                   std::to_string(clip.frames) + ", \"cameras\": [\n" + cameras +
                                   "]}\n");
}

}  // namespace mvinr::testutil
