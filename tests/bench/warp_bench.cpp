// Warps per second: texture and depth of one target from one and from two base views.
//   warp-bench [--seconds S] [--size WxH] [--threads N]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "geometry/warp.h"
#include "testutil/clip.h"

namespace mvinr {
namespace {

using Clock = std::chrono::steady_clock;

// Per second of time and of processor time, in the best tenth of a second.
bool bench(const testutil::Clip& clip, int bases, int threads, double seconds) {
  const auto placed = [&](int v) {
    const ViewInfo& view = clip.sequence.views[size_t(v)];
    return PlacedCamera{*view.camera, view.width, view.height, view.texture, view.depth};
  };
  const PlacedCamera target = placed(1);
  std::vector<ViewMap> maps;
  for (int b = 0; b < bases; ++b) {
    const auto map = make_view_map(placed(2 * b), target);
    if (!map) return false;
    maps.push_back(*map);
  }
  std::vector<BaseInput> inputs;
  for (int b = 0; b < bases; ++b)
    inputs.push_back({&maps[size_t(b)], clip.at(0, 2 * b, Component::texture).picture(),
                      clip.at(0, 2 * b, Component::depth).picture()});
  const int width = (target.width + 1) / 2, height = (target.height + 1) / 2;
  std::vector<int16_t> planes(size_t(kWarpPlanes) * size_t(width) * size_t(height));
  WarpMemory memory;
  ThreadPool pool(threads);
  double best = 0, best_cpu = 0;
  const auto start = Clock::now();
  const auto since = [](Clock::time_point t) {
    return std::chrono::duration<double>(Clock::now() - t).count();
  };
  do {
    const auto window = Clock::now();
    const std::clock_t cpu = std::clock();
    int count = 0;
    for (; count < 2 || since(window) < 0.1; ++count)
      if (!warp(inputs, target, {planes.data(), ptrdiff_t{width} * height, width, height}, memory,
                threads > 1 ? &pool : nullptr))
        return false;
    best = std::max(best, count / since(window));
    best_cpu = std::max(best_cpu, count * double(CLOCKS_PER_SEC) / double(std::clock() - cpu));
  } while (since(start) < seconds);
  std::printf("| %4dx%-4d | %d | %d | %8.1f | %8.1f |\n", target.width, target.height, bases,
              threads, best, best_cpu);
  return true;
}

int run(int argc, char** argv) {
  double seconds = 1;
  int width = 512, height = 288, threads = 2;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--seconds") seconds = std::atof(value.c_str());
    if (name == "--threads") threads = std::atoi(value.c_str());
    if (name == "--size" && std::sscanf(value.c_str(), "%dx%d", &width, &height) != 2) return 2;
  }
  const testutil::Clip clip =
      testutil::make_clip({.views = 3, .frames = 1, .width = width, .height = height});
  std::printf("| size | bases | threads | pictures/s | per CPU s |\n|---|---|---|---|---|\n");
  bool ok = true;
  for (const int bases : {1, 2})
    for (const int t : {1, threads}) ok = bench(clip, bases, t, seconds) && ok;
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace mvinr

int main(int argc, char** argv) { return mvinr::run(argc, argv); }
