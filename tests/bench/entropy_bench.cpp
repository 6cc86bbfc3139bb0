// Speed of the entropy coder, and its bits against per-tensor histogram coding.
//
//   entropy-bench               ns per symbol, by bits per symbol
//   entropy-bench FILE.mvinr    bits per symbol of each unit, next to histogram coding (HiNeRV's
//   way)
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <random>

#include "entropy/tensor_coder.h"
#include "format/model_units.h"

namespace mvinr {
namespace {

/// CPU seconds of this program: other programs on the machine do not count.
double now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Runs `work` for at least a fifth of a second; seconds per call, the fastest.
template <class Work>
double fastest(Work work) {
  double best = 1e9;
  for (const double end = now() + 0.2; now() < end;) {
    const double begin = now();
    work();
    best = std::min(best, now() - begin);
  }
  return best;
}

/// Smooth in space, with innovations of deviation `sigma`.
std::vector<int16_t> smooth(int planes, int height, int width, double sigma) {
  std::mt19937 random(1);
  std::normal_distribution<double> noise(0, sigma);
  std::vector<int16_t> symbols;
  std::vector<double> value;
  for (int i = 0; i < planes * height * width; ++i) {
    const int x = i % width, y = i / width % height;
    const size_t n = value.size();
    const double west = x > 0 ? value[n - 1] : 0, north = y > 0 ? value[n - width] : 0;
    const double corner = x > 0 && y > 0 ? value[n - width - 1] : 0;
    value.push_back(0.8 * west + 0.8 * north - 0.64 * corner + noise(random));
    symbols.push_back(static_cast<int16_t>(std::lround(value.back())));
  }
  return symbols;
}

void print_speed() {
  constexpr int kTimes = 4, kChannels = 4, kHeight = 72, kWidth = 128;
  ContextModel model;
  for (auto& row : model.hidden_weight)  // every weight is at work
    for (int i = 0; i < kContexts; ++i) row[i] = static_cast<int16_t>(i % 3 - 1);
  model.skip_weight[0][0] = model.skip_weight[0][1] = 200;
  model.skip_weight[0][2] = -160;
  std::printf("coding        bits/symbol   write ns   read ns (per symbol)\n");
  for (const double sigma : {0.1, 0.3, 0.8, 2.0, 6.0, 20.0})
    for (const int coding : {0, 1, 2}) {
      const std::vector<int16_t> symbols =
          smooth(kTimes * kChannels, kHeight, kWidth, coding == 1 ? sigma : sigma * 0.7);
      std::vector<int16_t> read(symbols.size());
      std::vector<int8_t> steps(coding == 2 ? 1 : kChannels);
      model.out_bias[1] = static_cast<int16_t>(std::lround(256 * std::log2(sigma)));
      const GridView grid{symbols.data(), kTimes, kChannels, kHeight, kWidth};
      const GridView grid_read{read.data(), kTimes, kChannels, kHeight, kWidth};
      const TensorLayout layout{.rows = kTimes * kChannels * kHeight, .columns = kWidth};
      const ContextModel* context = coding == 1 ? &model : nullptr;
      std::vector<std::byte> bytes;
      const double write = fastest([&] {
        RangeEncoder coder;
        coding == 2 ? write_tensor(coder, layout, symbols, steps)
                    : write_grid(coder, grid, steps, context, {});
        bytes = coder.finish();
      });
      const double seconds = fastest([&] {
        RangeDecoder coder(bytes);
        coding == 2 ? read_tensor(coder, layout, read, steps)
                    : read_grid(coder, grid_read, read, steps, context, {});
      });
      const double count = static_cast<double>(symbols.size());
      const char* names[] = {"factorised", "context", "weights"};
      std::printf("%-12s %12.3f %10.1f %9.1f\n", names[coding],
                  8.0 * static_cast<double>(bytes.size()) / count, 1e9 * write / count,
                  1e9 * seconds / count);
    }
}

Status print_comparison(Bytes data) {
  std::printf("unit           symbols   bits/symbol   histogram coding\n");
  while (!data.empty()) {
    const Result<AccessUnit> unit = parse_access_unit(data);
    if (!unit) return unit.error();
    CodedModel model = empty_model(unit->header.model);
    const std::vector<TensorSpec> specs = tensor_specs(model.config);
    for (const UnitView& u : unit->units) {
      std::vector<TensorBits> accounting;
      const Status status =
          u.type == UnitType::network  ? decode_network(u.payload, model, &accounting)
          : u.type == UnitType::shared ? decode_shared(u.payload, model, &accounting)
          : u.type == UnitType::view   ? decode_view(u.index, u.payload, model, &accounting)
                                       : ok();
      if (!status) return status.error();
      double ours = 0, histogram = 0, count = 0;
      for (const TensorBits& tensor : accounting) {
        ours += tensor.bits;
        count += static_cast<double>(tensor.symbols);
      }
      for (size_t i = 0; i < specs.size(); ++i)
        if (specs[i].unit == u.type && std::max(specs[i].view, 0) == u.index)
          histogram += histogram_bits(std::span<const int16_t>(model.tensors[i].symbols)) +
                       8.0 * static_cast<double>(model.tensors[i].steps.size());
      std::printf("%d.%-4d %15.0f %13.3f %18.3f\n", static_cast<int>(u.type), u.index, count,
                  ours / count, histogram / count);
    }
    data = data.subspan(std::min<size_t>(unit->bytes, data.size()));
  }
  return ok();
}

}  // namespace
}  // namespace mvinr

int main(int argc, char** argv) {
  if (argc < 2) {
    mvinr::print_speed();
    return 0;
  }
  std::ifstream file(argv[1], std::ios::binary);
  const std::vector<char> data((std::istreambuf_iterator<char>(file)), {});
  const mvinr::Status status = mvinr::print_comparison(std::as_bytes(std::span<const char>(data)));
  if (!status) std::fprintf(stderr, "%s: %s\n", argv[1], status.error().message.c_str());
  return status ? 0 : 1;
}
