// Decoded pictures per second of every profile, on the models of random content that the tests use
// (the time does not depend on the content).
//   decode-bench [--seconds S] [--kernels NAME] [--profile NAME] [--size WxH] [--views N]
//                [--frames N]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include "model/config.h"
#include "model/plan.h"
#include "mvinr/decoder.h"
#include "tools/picture_buffer.h"
#include "unit/random_model.h"

namespace mvinr {
namespace {

using Clock = std::chrono::steady_clock;
using tools::PictureBuffer;

struct Options {
  double seconds = 1;
  std::string kernels = "auto", profile;
  int width = 0, height = 0;  // 0: the two sizes of the table
  int views = 2, frames = 8;  // of the GOP
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Largest resident memory since the last reset. (getrusage also counts the program that started
/// this one.)
void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }
double peak_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::atof(line.c_str() + 6) / 1000;
  return 0;
}

double cpu_seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }

// Syntheses (texture and depth of one view at one instant) per second of time and per second of
// processor time, each in the best tenth of a second (at least two calls), so that other programs
// on the machine count less.
struct Speed {
  double wall = 0, cpu = 0;  // 0: failed
};
Speed measure(const std::vector<std::byte>& bytes, const SequenceInfo& sequence, int threads,
              int jobs_per_call, const Options& options) {
  auto decoder = Decoder::create({.threads = threads, .kernels = options.kernels});
  if (!decoder || !(*decoder)->start_gop(bytes)) return {};
  const ViewInfo& view = sequence.views[0];
  std::vector<PictureBuffer> buffers;
  for (int i = 0; i < jobs_per_call; ++i) {
    buffers.emplace_back(view.texture, view.width, view.height);
    buffers.emplace_back(view.depth, view.width, view.height);
  }
  std::vector<MutablePicture> pictures;
  for (PictureBuffer& b : buffers) pictures.push_back(b.mutable_picture());
  const auto render = [&](int frame) {
    std::vector<RenderJob> jobs;
    for (int i = 0; i < jobs_per_call; ++i)
      jobs.push_back({.frame = frame % options.frames,
                      .view = i % options.views,
                      .texture = &pictures[2 * size_t(i)],
                      .depth = &pictures[2 * size_t(i) + 1]});
    return (*decoder)->render(jobs).has_value();
  };
  for (int i = 0; i < 2; ++i)
    if (!render(i)) return {};
  Speed best;
  const auto start = Clock::now();
  do {
    const auto window = Clock::now();
    const double cpu = cpu_seconds();
    int frames = 0;
    while (frames < 2 || seconds_since(window) < 0.1)
      if (!render(frames++)) return {};
    best.wall = std::max(best.wall, frames * jobs_per_call / seconds_since(window));
    best.cpu = std::max(best.cpu, frames * jobs_per_call / (cpu_seconds() - cpu));
  } while (seconds_since(start) < options.seconds);
  return best;
}

bool bench(const std::string& profile, int width, int height, const Options& options) {
  reset_peak_memory();
  SequenceInfo sequence;
  sequence.views.assign(size_t(options.views), {.width = width,
                                                .height = height,
                                                .texture = SampleFormat::yuv420_8,
                                                .depth = SampleFormat::gray_16});
  const auto config = make_profile(profile, sequence, options.frames);
  if (!config) {
    std::fprintf(stderr, "%s: %s\n", profile.c_str(), config.error().message.c_str());
    return false;
  }
  const auto plan = make_plan(*config);
  const auto bytes = testutil::access_unit_of(testutil::random_coded_model(*config, 1), sequence);
  const double macs = plan ? double(multiply_adds(*plan)) : 0;
  const Speed one = measure(bytes, sequence, 1, 1, options);
  const Speed two = measure(bytes, sequence, 2, 2, options);
  const Speed shared = measure(bytes, sequence, 2, 1, options);
  std::printf(
      "| %-13s | %4dx%-4d | %9.0f | %9.1f | %9.1f | %9.1f | %9.1f | %9.1f | %9.1f | %6.1f | %5.0f "
      "|\n",
      profile.c_str(), width, height, macs / (width * height), one.cpu, one.wall, two.wall, two.cpu,
      shared.wall, shared.cpu, one.cpu * macs / 1e9, peak_megabytes());
  std::fflush(stdout);
  return one.wall > 0 && two.wall > 0 && shared.wall > 0;
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--seconds") options.seconds = std::atof(value.c_str());
    if (name == "--kernels") options.kernels = value;
    if (name == "--profile") options.profile = value;
    if (name == "--views") options.views = std::atoi(value.c_str());
    if (name == "--frames") options.frames = std::atoi(value.c_str());
    if (name == "--size" &&
        std::sscanf(value.c_str(), "%dx%d", &options.width, &options.height) != 2)
      return 2;
  }
  std::printf(
      "Syntheses (texture and depth of one view at one instant) per second, kernels: %s\n",
      options.kernels == "auto" ? available_kernels().back().c_str() : options.kernels.c_str());
  std::printf(
      "on 1 thread; on 2 threads, 2 pictures at once; on 2 threads that share each picture; each "
      "also per second of processor time\n\n");
  std::printf(
      "| profile       | size      | MAC/pixel | 1, CPU s  | 1 thread  | 2 threads | 2, CPU s  "
      "| shared    | sh, CPU s | GMAC/s | MB    "
      "|\n|---|---|---|---|---|---|---|---|---|---|---|\n");
  bool ok = true;
  for (const std::string& profile : model_profile_names()) {
    if (profile == "auto" || (!options.profile.empty() && profile != options.profile)) continue;
    if (options.width > 0) {
      ok = bench(profile, options.width, options.height, options) && ok;
    } else {
      ok = bench(profile, 256, 144, options) && ok;
      ok = bench(profile, 512, 288, options) && ok;
    }
  }
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace mvinr

int main(int argc, char** argv) { return mvinr::run(argc, argv); }
