// Feature grids and their context models (docs/bitstream.md 6.5, 6.6).
#include "entropy/grid_coder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <random>

namespace mvinr {
namespace {

struct Grid {
  int T, C, H, W;
  std::vector<int16_t> symbols;
  std::vector<int8_t> steps;

  Grid(int t, int c, int h, int w)
      : T(t),
        C(c),
        H(h),
        W(w),
        symbols(static_cast<size_t>(t * c * h * w)),
        steps(static_cast<size_t>(c)) {}
  GridView view() const { return {symbols.data(), T, C, H, W}; }
  int at(int t, int c, int y, int x) const {  // clamped as a context, 0 outside
    if (t < 0 || c < 0 || y < 0 || x < 0 || y >= H || x >= W) return 0;
    return std::clamp<int>(symbols[static_cast<size_t>(((t * C + c) * H + y) * W + x)], -127, 127);
  }
  void fill(std::mt19937& random, int limit) {
    for (int16_t& s : symbols)
      s = static_cast<int16_t>(static_cast<int>(random() % (2u * limit + 1)) - limit);
    for (int8_t& s : steps) s = static_cast<int8_t>(random());
  }
};

ContextModel random_model(std::mt19937& random, int limit) {
  ContextModel m;
  auto weight = [&] {
    return static_cast<int16_t>(static_cast<int>(random() % (2u * limit + 1)) - limit);
  };
  for (auto& row : m.hidden_weight)
    for (int16_t& w : row) w = weight();
  for (int16_t& w : m.hidden_bias) w = weight();
  for (auto& row : m.out_weight)
    for (int16_t& w : row) w = weight();
  for (auto& row : m.skip_weight)
    for (int16_t& w : row) w = weight();
  for (int16_t& w : m.out_bias) w = weight();
  return m;
}

/// A model made by hand: plane prediction, and a scale that grows with the gradients around.
ContextModel plane_predictor(double scale) {
  ContextModel m;
  m.skip_weight[0][0] = m.skip_weight[0][1] = 200;  // W, N
  m.skip_weight[0][2] = -160;                       // NW
  for (int h = 0; h < 4; ++h) {
    const int16_t sign = h & 1 ? -64 : 64;
    m.hidden_weight[h][h / 2] = sign;
    m.hidden_weight[h][2] = static_cast<int16_t>(-sign);
    m.out_weight[1][h] = 16;
  }
  m.out_bias[1] = static_cast<int16_t>(std::lround(256 * std::log2(scale)));
  return m;
}

/// Smooth data: a separable autoregressive process with innovations of deviation `sigma`.
Grid smooth_grid(int t, int c, int h, int w, double sigma, uint32_t seed) {
  Grid grid(t, c, h, w);
  std::mt19937 random(seed);
  std::normal_distribution<double> noise(0, sigma);
  std::vector<double> value(grid.symbols.size());
  for (size_t i = 0; i < value.size(); ++i) {
    const size_t x = i % static_cast<size_t>(w), y = i / static_cast<size_t>(w) % h;
    const double west = x > 0 ? value[i - 1] : 0, north = y > 0 ? value[i - w] : 0;
    const double corner = x > 0 && y > 0 ? value[i - w - 1] : 0;
    value[i] = 0.8 * west + 0.8 * north - 0.64 * corner + noise(random);
    grid.symbols[i] = static_cast<int16_t>(std::lround(value[i]));
  }
  return grid;
}

std::vector<std::byte> written(const Grid& grid, const ContextModel* model,
                               const GridNeighbours& neighbours = {}) {
  RangeEncoder encoder;
  write_grid(encoder, grid.view(), grid.steps, model, neighbours);
  EXPECT_FALSE(encoder.failed());
  return encoder.finish();
}

bool read(Bytes bytes, Grid& grid, const ContextModel* model,
          const GridNeighbours& neighbours = {}) {
  RangeDecoder decoder(bytes);
  read_grid(decoder, grid.view(), grid.symbols, grid.steps, model, neighbours);
  return decoder.finished();
}

TEST(GridCoder, ReadsBackAnyGridWithAnyModelAndNeighbours) {
  std::mt19937 random(1);
  auto size = [&](int most) { return 1 + static_cast<int>(random() % most); };
  for (int trial = 0; trial < 200; ++trial) {
    Grid grid(size(4), size(4), size(9), size(17));
    grid.fill(random, trial % 3 == 0 ? kMaxSymbol : size(200));
    Grid below(size(4), size(4), size(9), size(9)), reference = grid;
    below.fill(random, 300);
    reference.fill(random, 20);
    const GridView below_view = below.view(), reference_view = reference.view();
    GridNeighbours neighbours;
    if (random() & 1) neighbours.below = &below_view;
    if (random() & 1) neighbours.reference = &reference_view;
    neighbours.dx = static_cast<int>(random() % 256) - 128;
    neighbours.dy = static_cast<int>(random() % 9) - 4;
    const ContextModel model = random_model(random, trial % 2 ? kMaxContextWeight : 100);
    const ContextModel* context = trial % 5 ? &model : nullptr;
    // One channel may be empty; its step is not kept.
    if (grid.C > 1) {
      for (int t = 0; t < grid.T; ++t)
        for (int i = 0; i < grid.H * grid.W; ++i)
          grid.symbols[static_cast<size_t>((t * grid.C + 1) * grid.H * grid.W + i)] = 0;
      grid.steps[1] = 0;
    }
    for (int c = 0; c < grid.C; ++c)
      if (c != 1) grid.symbols[static_cast<size_t>(c * grid.H * grid.W)] = 1;
    const std::vector<std::byte> bytes = written(grid, context, neighbours);
    Grid copy(grid.T, grid.C, grid.H, grid.W);
    std::fill(copy.symbols.begin(), copy.symbols.end(), int16_t{99});
    ASSERT_TRUE(read(bytes, copy, context, neighbours));
    ASSERT_EQ(copy.symbols, grid.symbols);
    ASSERT_EQ(copy.steps, grid.steps);
    const double bits = 8.0 * static_cast<double>(bytes.size());
    EXPECT_NEAR(grid_bits(grid.view(), grid.steps, context, neighbours), bits, 0.005 * bits + 32);
  }
}

TEST(GridCoder, GathersTheContextsOfTheSpecification) {
  std::mt19937 random(2);
  Grid grid(3, 3, 6, 7), below(2, 2, 3, 4), reference(3, 3, 6, 7);
  for (Grid* g : {&grid, &below, &reference}) g->fill(random, 400);
  const GridView below_view = below.view(), reference_view = reference.view();
  for (const auto& [dx, dy] : {std::pair{0, 0}, {2, -1}, {-3, 4}, {127, -128}}) {
    std::vector<int16_t> out(grid.symbols.size() * kContexts);
    gather_contexts(grid.view(), {&below_view, &reference_view, dx, dy}, out.data());
    const int16_t* c16 = out.data();
    for (int t = 0; t < 3; ++t)
      for (int c = 0; c < 3; ++c)
        for (int y = 0; y < 6; ++y)
          for (int x = 0; x < 7; ++x, c16 += kContexts) {
            auto own = [&](int dt, int dc, int oy, int ox) {
              return grid.at(t + dt, c + dc, y + oy, x + ox);
            };
            auto other = [&](int oy, int ox) {
              return reference.at(t, c, y + dy + oy, x + dx + ox);
            };
            const int wanted[kContexts] = {
                own(0, 0, 0, -1),  own(0, 0, -1, 0),
                own(0, 0, -1, -1), own(0, 0, -1, 1),
                own(0, 0, 0, -2),  own(0, 0, -2, 0),
                own(-1, 0, 0, 0),  own(-1, 0, 0, 1),
                own(-1, 0, 1, 0),  below.at(t * 2 / 3, std::min(c, 1), y * 3 / 6, x * 4 / 7),
                other(0, 0),       own(0, -1, 0, 0),
                other(0, 1),       other(0, -1),
                other(1, 0),       own(0, -1, 0, 1)};
            for (int i = 0; i < kContexts; ++i)
              ASSERT_EQ(c16[i], wanted[i]) << i << " at " << t << c << y << x;
          }
  }
}

TEST(GridCoder, PredictsByTheFormulaOfTheSpecification) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 2000; ++trial) {
    const ContextModel m = random_model(random, trial % 2 ? kMaxContextWeight : 60);
    int16_t c[kContexts];
    for (int16_t& v : c) v = static_cast<int16_t>(static_cast<int>(random() % 255) - 127);
    int64_t out[2];
    for (int o = 0; o < 2; ++o) {
      int64_t sum = 0;
      for (int h = 0; h < kContextHidden; ++h) {
        int64_t unit = m.hidden_bias[h];
        for (int i = 0; i < kContexts; ++i) unit += m.hidden_weight[h][i] * c[i];
        sum += m.out_weight[o][h] * std::clamp<int64_t>(unit, 0, 32767);
      }
      out[o] = (sum >> 8) + m.out_bias[o];
      for (int i = 0; i < kContexts; ++i) out[o] += m.skip_weight[o][i] * c[i];
    }
    const int max = 1 + static_cast<int>(random() % 100);
    const Prediction p = predict(m, c, max);
    ASSERT_EQ(p.mean, std::clamp<int64_t>((out[0] + 8) >> 4, -16 * max, 16 * max));
    ASSERT_EQ(p.scale, std::clamp<int64_t>(((out[1] + 16) >> 5) + 32, 0, 79));
  }
}

TEST(GridCoder, SavesBitsByContext) {
  const Grid grid = smooth_grid(2, 4, 48, 64, 1.5, 4);
  const ContextModel model = plane_predictor(1.2);
  const double factorised = 8.0 * written(grid, nullptr).size();
  const double context = 8.0 * written(grid, &model).size() + context_model_bits(model);
  EXPECT_LT(context, 0.85 * factorised);
  // The innovations are Gaussian with deviation 1.5, then rounded.
  const double innovation = std::log2(1.5 * std::sqrt(2 * M_PI * M_E));
  EXPECT_LT(context, 1.1 * innovation * static_cast<double>(grid.symbols.size()));
}

TEST(GridCoder, SavesBitsByTheReferenceView) {
  const Grid reference = smooth_grid(1, 2, 40, 60, 3, 5);
  Grid grid(1, 2, 40, 60);
  std::mt19937 random(6);
  for (int c = 0; c < 2; ++c)
    for (int y = 0; y < 40; ++y)
      for (int x = 0; x < 60; ++x)
        grid.symbols[static_cast<size_t>((c * 40 + y) * 60 + x)] =
            static_cast<int16_t>(reference.at(0, c, y, x + 3) + static_cast<int>(random() % 3) - 1);
  ContextModel model;
  model.skip_weight[0][10] = 256;
  const GridView view = reference.view();
  const double without = grid_bits(grid.view(), grid.steps, nullptr, {});
  EXPECT_LT(grid_bits(grid.view(), grid.steps, &model, {nullptr, &view, 3, 0}), 0.6 * without);
}

TEST(GridCoder, CostsAlmostNothingForZeros) {
  const Grid grid(8, 16, 36, 64);
  const ContextModel model = plane_predictor(1);
  EXPECT_LE(written(grid, nullptr).size(), 2u);
  EXPECT_LE(written(grid, &model).size(), 2u);
}

TEST(GridCoder, RefusesWhatDoesNotFit) {
  Grid grid(1, 2, 3, 3);
  ContextModel model;
  auto failed = [&](const Grid& g, const ContextModel* context) {
    RangeEncoder encoder;
    write_grid(encoder, g.view(), g.steps, context, {});
    return encoder.failed();
  };
  grid.symbols[4] = kMaxSymbol;
  EXPECT_FALSE(failed(grid, &model));
  model.skip_weight[1][3] = kMaxContextWeight + 1;
  EXPECT_TRUE(failed(grid, &model));
  grid.symbols[4] = -kMaxSymbol - 1;
  EXPECT_TRUE(failed(grid, nullptr));
  grid.symbols[4] = 1;
  grid.steps.pop_back();
  EXPECT_TRUE(failed(grid, nullptr));
}

TEST(GridCoder, SurvivesAnyBytes) {
  std::mt19937 random(7);
  const Grid good = smooth_grid(2, 3, 12, 16, 2, 8);
  const ContextModel model = random_model(random, kMaxContextWeight);
  const std::vector<std::byte> bytes[2] = {written(good, nullptr), written(good, &model)};
  Grid grid = good;
  for (int trial = 0; trial < 4000; ++trial) {
    std::vector<std::byte> damaged = bytes[trial & 1];
    if (trial % 3 == 0) damaged.resize(random() % damaged.size());
    for (int n = trial % 3; n > 0 && !damaged.empty(); --n)
      damaged[random() % damaged.size()] ^= static_cast<std::byte>(1u << random() % 8);
    if (trial % 8 == 7)
      for (std::byte& b : damaged) b = static_cast<std::byte>(random());
    read(damaged, grid, trial & 1 ? &model : nullptr);
    for (const int s : grid.symbols) ASSERT_LE(std::abs(s), kMaxSymbol);
  }
}

TEST(ContextModelCoder, ReadsBackModels) {
  std::mt19937 random(9);
  for (int trial = 0; trial < 300; ++trial) {
    int shift[kContextParts];
    for (int& s : shift) s = static_cast<int>(random() % (kMaxContextShift + 1));
    ContextModel model = random_model(random, 1 + static_cast<int>(random() % kMaxContextWeight));
    if (trial % 2)
      for (auto& row : model.out_weight) row[3] = row[5] = 0;  // two units without effect
    model = coarsen(model, shift);
    RangeEncoder encoder;
    write_context_model(encoder, model);
    ASSERT_FALSE(encoder.failed());
    EXPECT_NEAR(encoder.position(), context_model_bits(model), 1);
    const std::vector<std::byte> bytes = encoder.finish();
    RangeDecoder decoder(bytes);
    ASSERT_EQ(read_context_model(decoder), model);
    ASSERT_TRUE(decoder.finished());
  }
}

TEST(ContextModelCoder, CostsLittleForLittle) {
  EXPECT_LE(context_model_bits({}), 40);
  const ContextModel fine = plane_predictor(1.3);
  EXPECT_LE(context_model_bits(fine), 250);
  std::mt19937 random(10);
  const ContextModel model = random_model(random, 500);
  EXPECT_LT(context_model_bits(coarsen(model, {4, 4, 4, 4, 4})), 0.7 * context_model_bits(model));
}

TEST(ContextModelCoder, SurvivesAnyBytes) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 3000; ++trial) {
    std::vector<std::byte> bytes(random() % 300);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    RangeDecoder decoder(bytes);
    const ContextModel model = read_context_model(decoder);
    EXPECT_GE(context_model_bits(model), 0);  // all weights are in range
  }
}

TEST(GridCoder, PrintsItsSpeed) {
  const Grid grid = smooth_grid(8, 4, 72, 128, 0.8, 12);
  std::mt19937 random(13);
  ContextModel model = random_model(random, 3);  // every weight is at work
  for (int o = 0; o < 2; ++o)
    for (int i = 0; i < kContexts; ++i)
      model.skip_weight[o][i] =
          static_cast<int16_t>(model.skip_weight[o][i] + plane_predictor(0.8).skip_weight[o][i]);
  for (const ContextModel* context :
       {static_cast<const ContextModel*>(nullptr), static_cast<const ContextModel*>(&model)}) {
    const std::vector<std::byte> bytes = written(grid, context);
    Grid copy = grid;
    const std::clock_t begin = std::clock();  // CPU time: other programs do not count
    ASSERT_TRUE(read(bytes, copy, context));
    const double ns = 1e9 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    const double count = static_cast<double>(grid.symbols.size());
    std::printf("grid, %s: %.2f bits and %.1f ns per symbol\n", context ? "context" : "factorised",
                8.0 * static_cast<double>(bytes.size()) / count, ns / count);
    EXPECT_EQ(copy.symbols, grid.symbols);
  }
}

}  // namespace
}  // namespace mvinr
