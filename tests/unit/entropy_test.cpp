// Range coder, distributions and tensors (docs/bitstream.md 6.1 to 6.4).
#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <random>

#include "entropy/side_info.h"
#include "entropy/tensor_coder.h"

namespace mvinr {
namespace {

std::vector<int16_t> draw(Shape shape, double scale, size_t count, int limit, uint32_t seed) {
  std::mt19937 random(seed);
  std::exponential_distribution<double> magnitude(1 / scale);
  std::normal_distribution<double> normal(0, scale);
  std::vector<int16_t> symbols(count);
  for (int16_t& s : symbols) {
    const double value = shape == Shape::gaussian ? normal(random)
                         : random() & 1           ? magnitude(random)
                                                  : -magnitude(random);
    s = static_cast<int16_t>(std::clamp(std::lround(value), -long{limit}, long{limit}));
  }
  return symbols;
}

TEST(RangeCoder, ReadsBackSymbolsBitsAndExpGolombInAnyMixture) {
  std::mt19937 random(1);
  struct Item {
    int kind, a, value;
    Distribution distribution;
  };
  std::vector<Item> items;
  for (int i = 0; i < 20000; ++i) {
    const int max = random() % 4 == 0 ? kMaxSymbol : static_cast<int>(random() % 40);
    const Distribution d(random() & 1 ? Shape::laplace : Shape::gaussian, max,
                         static_cast<int>(random() % (32u * max + 1)) - 16 * max,
                         static_cast<int>(random() % kScales));
    const int kind = static_cast<int>(random() % 3);
    const int a = static_cast<int>(random() % (kind == 1 ? 17 : 8));
    const int value = kind == 0   ? static_cast<int>(random() % (2u * max + 1)) - max
                      : kind == 1 ? static_cast<int>(random() & ((1u << a) - 1))
                                  : static_cast<int>(random() % (1u << random() % 16));
    items.push_back({kind, a, value, d});
  }
  auto code = [&](auto& coder, auto&& each) {
    for (Item& item : items) {
      int value = item.value;
      if (item.kind == 0) coder.symbol(item.distribution, value);
      if (item.kind == 1) coder.bits(value, item.a);
      if (item.kind == 2) coder.exp_golomb(value, item.a);
      each(item, value);
    }
  };
  RangeEncoder encoder;
  CostCounter cost;
  code(encoder, [](const Item&, int) {});
  code(cost, [](const Item&, int) {});
  ASSERT_FALSE(encoder.failed());
  const double position = encoder.position();
  const std::vector<std::byte> bytes = encoder.finish();
  EXPECT_NEAR(position, cost.total(), 0.0001 * cost.total());
  EXPECT_LE(8.0 * static_cast<double>(bytes.size()), position + 32);
  RangeDecoder decoder(bytes);
  code(decoder, [](const Item& item, int value) { ASSERT_EQ(value, item.value); });
  EXPECT_TRUE(decoder.finished());
  EXPECT_NEAR(decoder.position(), position, 1e-6 * position);
}

TEST(RangeCoder, CarriesThroughLongRunsOfFullBytes) {
  // The topmost symbol again and again drives the codeword to all ones; a lower one then carries.
  const Distribution wide(Shape::laplace, 1000, 16000, 40);
  for (int length = 0; length < 200; ++length) {
    std::vector<int> values(static_cast<size_t>(length), 1000);
    for (const int v : {1000, 999, 0, -1000, 1000}) values.push_back(v);
    RangeEncoder encoder;
    for (const int v : values) encoder.symbol(wide, v);
    const std::vector<std::byte> bytes = encoder.finish();
    RangeDecoder decoder(bytes);
    for (const int v : values) {
      int read = 0;
      decoder.symbol(wide, read);
      ASSERT_EQ(read, v);
    }
    ASSERT_TRUE(decoder.finished());
  }
}

TEST(RangeCoder, CostsNothingForNothing) {
  RangeEncoder encoder;
  EXPECT_TRUE(encoder.finish().empty());
  EXPECT_TRUE(RangeDecoder({}).finished());
}

TEST(RangeCoder, NoticesMissingAndSurplusBytes) {
  const Distribution d(Shape::laplace, 20, 0, 40);
  const std::vector<int16_t> symbols = draw(Shape::laplace, 2, 5000, 20, 2);
  RangeEncoder encoder;
  for (const int s : symbols) encoder.symbol(d, s);
  std::vector<std::byte> bytes = encoder.finish();
  auto finished = [&](Bytes data) {
    RangeDecoder decoder(data);
    int s;
    for (size_t i = 0; i < symbols.size(); ++i) decoder.symbol(d, s);
    return decoder.finished();
  };
  EXPECT_TRUE(finished(bytes));
  for (size_t n = 0; n + 5 <= bytes.size(); n += 7) EXPECT_FALSE(finished(Bytes(bytes).first(n)));
  bytes.resize(bytes.size() + 5);
  EXPECT_FALSE(finished(bytes));
}

TEST(Distribution, GivesEverySymbolAFrequency) {
  for (const Shape shape : {Shape::laplace, Shape::gaussian})
    for (int scale = 0; scale < kScales; ++scale)
      for (const int max : {0, 1, 2, 7, 127, 500, kMaxSymbol})
        for (const int mean : {-16 * max, -7, 0, 1, 8, 16 * max}) {
          if (std::abs(mean) > 16 * max) continue;
          const Distribution d(shape, max, mean, scale);
          ASSERT_EQ(d.cumulative(-max), 0u);
          ASSERT_EQ(d.cumulative(max + 1), 1u << kProbabilityBits);
          for (int k = -max; k <= max; ++k) ASSERT_LT(d.cumulative(k), d.cumulative(k + 1));
        }
}

TEST(Distribution, FollowsTheFormulasOfTheTrainer) {
  for (const Shape shape : {Shape::laplace, Shape::gaussian})
    for (int scale = 0; scale < kScales; ++scale)
      for (const int mean : {0, 5, -24, 160}) {
        const int max = 300;
        const Distribution d(shape, max, mean, scale);
        const double s = std::exp2(scale / 8.0 - 4);
        auto below = [&](double x) {
          if (shape == Shape::gaussian) return 0.5 * std::erfc(-x / s / std::sqrt(2.0));
          return x < 0 ? 0.5 * std::exp(x / s) : 1 - 0.5 * std::exp(-x / s);
        };
        const double total = 1 << kProbabilityBits;
        for (int k = -max + 1; k <= max; ++k) {
          const double wanted = below(k - 0.5 - mean / 16.0) * (total - 2 * max - 1) + k + max;
          // Linear interpolation with 32 steps per sigma or octave and 1024 within each is right
          // within 6e-5.
          ASSERT_NEAR(d.cumulative(k), wanted, 1 + 6e-5 * total) << scale << " " << k;
        }
      }
}

TEST(TensorCoder, ReadsBackRandomAndExtremeTensors) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 300; ++trial) {
    TensorLayout layout{.rows = 1 + static_cast<int>(random() % 80),
                        .columns = 1 + static_cast<int>(random() % 40)};
    if (trial % 3 == 0) layout.rows = 1;
    if (layout.rows >= 64) layout.steps = layout.rows;
    const size_t count = static_cast<size_t>(layout.rows * layout.columns);
    std::vector<int16_t> symbols =
        draw(trial & 1 ? Shape::laplace : Shape::gaussian, std::exp2(random() % 14 - 4.0), count,
             kMaxSymbol, random());
    if (trial % 7 == 0) symbols.back() = -kMaxSymbol;
    if (trial % 7 == 1) std::fill(symbols.begin(), symbols.end(), int16_t{kMaxSymbol});
    symbols[0] = 1;
    std::vector<int8_t> steps(static_cast<size_t>(layout.steps));
    for (int8_t& step : steps) step = static_cast<int8_t>(trial % 5 ? random() % 8 : random());
    RangeEncoder encoder;
    write_tensor(encoder, layout, symbols, steps);
    ASSERT_FALSE(encoder.failed());
    const double position = encoder.position();
    const std::vector<std::byte> bytes = encoder.finish();
    RangeDecoder decoder(bytes);
    std::vector<int16_t> read(symbols.size());
    std::vector<int8_t> read_steps(steps.size());
    read_tensor(decoder, layout, read, read_steps);
    ASSERT_TRUE(decoder.finished());
    ASSERT_EQ(read, symbols);
    ASSERT_EQ(read_steps, steps);
    EXPECT_NEAR(tensor_bits(layout, symbols, steps), position, 0.005 * position);
  }
}

TEST(TensorCoder, WritesTheWorkedExampleOfTheSpecification) {
  RangeEncoder encoder;
  write_tensor(encoder, {.rows = 1, .columns = 4}, std::vector<int16_t>{3, 0, -1, 2},
               std::vector<int8_t>{-20});
  const std::vector<std::byte> wanted{std::byte{0x6D}, std::byte{0x84}, std::byte{0xFD},
                                      std::byte{0xCE}};
  EXPECT_EQ(encoder.finish(), wanted);
}

TEST(TensorCoder, CostsAlmostNothingForZeros) {
  const TensorLayout layout{.rows = 64, .columns = 64, .steps = 64};
  RangeEncoder encoder;
  write_tensor(encoder, layout, std::vector<int16_t>(64 * 64), std::vector<int8_t>(64, 5));
  EXPECT_LE(encoder.position(), 4);
  const std::vector<std::byte> bytes = encoder.finish();
  RangeDecoder decoder(bytes);
  std::vector<int16_t> symbols(64 * 64, 9);
  std::vector<int8_t> steps(64, 9);
  read_tensor(decoder, layout, symbols, steps);
  EXPECT_TRUE(decoder.finished());
  EXPECT_EQ(symbols, std::vector<int16_t>(64 * 64));
  EXPECT_EQ(steps, std::vector<int8_t>(64));
}

TEST(TensorCoder, StaysWithinOnePercentOfTheEntropyOfItsSources) {
  const TensorLayout layout{.rows = 128, .columns = 512};
  for (const Shape shape : {Shape::laplace, Shape::gaussian})
    for (const double scale : {0.15, 0.3, 1.0, 3.0, 10.0, 40.0}) {
      const auto symbols = draw(shape, scale, 128 * 512, kMaxSymbol, 4);
      const double entropy = Histogram(symbols).entropy();
      if (entropy < 1000) continue;  // narrow Gaussian: hardly a symbol but 0
      EXPECT_LT(tensor_bits(layout, symbols, std::vector<int8_t>(1)), 1.01 * entropy) << scale;
    }
}

TEST(TensorCoder, FollowsRowsAndColumnsThatDiffer) {
  // Magnitudes are the product of a row's and a column's, as in networks whose channels differ.
  std::mt19937 random(5);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> row(96), column(64);
  for (double& r : row) r = std::exp2(0.6 * normal(random));
  for (double& c : column) c = std::exp2(0.6 * normal(random));
  std::vector<int16_t> symbols;
  double ideal = 0;  // -log2 P under the true distributions
  for (const double r : row)
    for (const double c : column) {
      const double sigma = 3 * r * c;
      const long s = std::clamp(std::lround(sigma * normal(random)), -127l, 127l);
      symbols.push_back(static_cast<int16_t>(s));
      const double x = static_cast<double>(s) / sigma / std::sqrt(2),
                   half = 0.5 / sigma / std::sqrt(2);
      ideal -= std::log2(0.5 * (std::erfc(std::abs(x) - half) - std::erfc(std::abs(x) + half)));
    }
  const std::vector<int8_t> step(1);
  const double bits = tensor_bits({.rows = 96, .columns = 64}, symbols, step);
  EXPECT_LT(bits, 1.03 * ideal);
  EXPECT_LT(bits, 0.95 * tensor_bits({.rows = 1, .columns = 96 * 64}, symbols, step));
}

TEST(TensorCoder, RefusesWhatDoesNotFit) {
  const TensorLayout layout{.rows = 2, .columns = 2, .limit = 127};
  const std::vector<int8_t> steps(1);
  auto failed = [&](std::vector<int16_t> symbols, std::span<const int8_t> s) {
    RangeEncoder encoder;
    write_tensor(encoder, layout, symbols, s);
    return encoder.failed();
  };
  EXPECT_FALSE(failed({1, 2, 3, 127}, steps));
  EXPECT_TRUE(failed({1, 2, 3, 128}, steps));
  EXPECT_TRUE(failed({1, 2, -32768, 4}, steps));
  EXPECT_TRUE(failed({1, 2, 3}, steps));
  EXPECT_TRUE(failed({1, 2, 3, 4}, std::vector<int8_t>(2)));
}

TEST(TensorCoder, SurvivesAnyBytes) {
  std::mt19937 random(6);
  const TensorLayout layout{.rows = 64, .columns = 30, .steps = 64, .limit = 127};
  std::vector<int16_t> symbols(64 * 30);
  std::vector<int8_t> steps(64);
  int rejected = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<std::byte> bytes(random() % 600);
    for (std::byte& b : bytes) b = static_cast<std::byte>(trial % 4 ? random() : 0xFF);
    RangeDecoder decoder(bytes);
    read_tensor(decoder, layout, symbols, steps);
    rejected += !decoder.finished();
    for (const int s : symbols) ASSERT_LE(std::abs(s), 127);
  }
  EXPECT_GT(rejected, 1900);
}

TEST(TensorCoder, PrintsItsSpeedAndTheGainOverHistograms) {
  const TensorLayout layout{.rows = 128, .columns = 64};
  const auto symbols = draw(Shape::laplace, 3, 128 * 64, 127, 7);
  const std::vector<int8_t> steps(1, -20);
  RangeEncoder encoder;
  write_tensor(encoder, layout, symbols, steps);
  const std::vector<std::byte> bytes = encoder.finish();
  std::vector<int16_t> read(symbols.size());
  std::vector<int8_t> read_steps(1);
  const std::clock_t begin = std::clock();  // CPU time: other programs do not count
  for (int i = 0; i < 20; ++i) {
    RangeDecoder decoder(bytes);
    read_tensor(decoder, layout, read, read_steps);
  }
  const double ns = 1e9 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  const double count = static_cast<double>(symbols.size());
  const double ours = 8.0 * static_cast<double>(bytes.size());
  std::printf("weights: %.3f bits per parameter, histogram coding %.3f; %.1f ns per symbol\n",
              ours / count, histogram_bits(symbols) / count, ns / (20 * count));
  EXPECT_EQ(read, symbols);
  EXPECT_LT(ours, histogram_bits(symbols));
}

}  // namespace
}  // namespace mvinr
