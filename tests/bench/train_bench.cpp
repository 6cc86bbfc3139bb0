#include <ATen/Parallel.h>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include "../train/fixture.h"
#include "train/trainer.h"
#include "train/ops/ops.h"
using namespace mvinr;
using namespace mvinr::train_test;
static double cpu() { timespec t; clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
static double wall() { timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
int main(int argc, char** argv) {
  std::string profile = argv[1]; int w = atoi(argv[2]), h = atoi(argv[3]); bool hybrid = atoi(argv[4]);
  int steps = atoi(argv[5]); int threads = argc > 6 ? atoi(argv[6]) : 1;
  at::set_num_threads(1); ops::set_threads(threads);
  auto clip = testutil::make_clip({.views = 4, .frames = 32, .width = w, .height = h});
  std::vector<int> base = hybrid ? std::vector<int>{1} : std::vector<int>{};
  PictureStore store = store_of(clip, network_views(clip, base));
  BaseStore bs = base_store_of(clip, base);
  ModelConfig config = profile_for(clip, profile, base);
  Network net = make_network(config, 1, at::kCPU);
  double c = cpu(), t = wall();
  auto r = train(net, store, bs, {.lambda = 0.004, .steps = steps}, {});
  c = cpu() - c; t = wall() - t;
  auto& p = r->times; double k = 1e3 / steps;
  printf("values %.3f forward %.3f loss %.3f rate %.3f backward %.3f update %.3f ms\n", p.values*k, p.forward*k, p.loss*k, p.rate*k, p.backward*k, p.update*k);
  printf("%s %dx%d %s: %.1f steps/s wall, %.3f ms/step cpu\n", profile.c_str(), w, h, hybrid ? "hybrid" : "implicit", steps / t, c / steps * 1e3);
}
