// Every kernel set that this machine can run equals the reference, bit by bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "cases.h"
#include "kernels/buffers.h"

namespace mvinr::test {
namespace {

std::vector<const Kernels*> fast_sets() {
  const auto all = available_kernel_sets();
  return {all.begin() + 1, all.end()};
}

void expect_equal(const std::vector<Case>& list) {
  for (const Case& c : list) {
    Operands reference(c);
    reference.run(kReferenceKernels);
    ASSERT_EQ(reference.check_untouched(), "") << "reference: " << c.name();
    Operands fast(c);
    for (const Kernels* set : fast_sets()) {
      fast.reset();
      fast.run(*set);
      ASSERT_EQ(fast.compare(reference), "") << set->name << ": " << c.name();
      ASSERT_EQ(fast.check_untouched(), "") << set->name << ": " << c.name();
    }
  }
}

class EachOperation : public testing::TestWithParam<Operation> {};

TEST_P(EachOperation, EqualsTheReferenceForEveryWidth) {
  expect_equal(cases(GetParam(), Vary::width));
}
TEST_P(EachOperation, EqualsTheReferenceForEveryNumberOfChannels) {
  expect_equal(cases(GetParam(), Vary::channels));
}
TEST_P(EachOperation, EqualsTheReferenceForEveryScale) {
  expect_equal(cases(GetParam(), Vary::scale));
}
TEST_P(EachOperation, LeavesPositionsOutsideItsRangeAlone) {
  expect_equal(cases(GetParam(), Vary::part));
}
TEST_P(EachOperation, EqualsTheReferenceOnExtremeValues) {
  expect_equal(cases(GetParam(), Vary::extremes));
}
TEST_P(EachOperation, EqualsTheReferenceOnRealSizes) {
  expect_equal(cases(GetParam(), Vary::real_sizes));
}
TEST_P(EachOperation, EqualsTheReferenceForTheLargestLayers) {
  expect_equal(cases(GetParam(), Vary::largest_layers));
}

INSTANTIATE_TEST_SUITE_P(Kernels, EachOperation, testing::ValuesIn(all_operations()),
                         [](const auto& info) { return std::string(to_string(info.param)); });

// All 2^16 values go through requantisation and the GELU table.
TEST(Kernels, EqualTheReferenceForEveryValueOfTheGelu) {
  constexpr int kHeight = 256, kWidth = 256;
  const int8_t weight[4] = {1, 16, 127, 127};
  const int32_t acc_init = -32768;
  const Requant requant{.left = 0, .right = 0, .mantissa = 256, .bias = 0};
  const Requant doubled{.left = 1, .right = 0, .mantissa = 511, .bias = -100};
  std::vector<uint8_t> input(bytes_for_packed8(4, kHeight, kWidth) + 64);
  std::vector<uint8_t> output(bytes_for_packed8(1, kHeight, kWidth) + 64);
  const auto aligned = [](std::vector<uint8_t>& v) {
    return v.data() + (64 - reinterpret_cast<uintptr_t>(v.data()) % 64) % 64;
  };
  const Packed8 in = packed8_at(aligned(input), 4, kHeight, kWidth);
  const Packed8 out = packed8_at(aligned(output), 1, kHeight, kWidth);
  for (int p = 0; p < kHeight * kWidth; ++p) {
    in.data[p * 4] = static_cast<uint8_t>(p % 16);
    in.data[p * 4 + 1] = static_cast<uint8_t>(p / 16 % 256);
    in.data[p * 4 + 2] = static_cast<uint8_t>(p / 4096 * 9);
    in.data[p * 4 + 3] = static_cast<uint8_t>(p / 256);
  }
  for (const Requant& r : {requant, doubled}) {
    const Pointwise8 layer{4, 1, weight, &acc_init, &r};
    std::vector<uint8_t> expected;
    for (const Kernels* set : available_kernel_sets()) {
      set->pointwise_gelu(in, layer, out, 0, kHeight * kWidth);
      std::vector<uint8_t> result;
      for (int p = 0; p < kHeight * kWidth; ++p) result.push_back(out.data[p * 4]);
      if (expected.empty()) expected = result;
      EXPECT_TRUE(result == expected) << set->name;
    }
    EXPECT_EQ(*std::min_element(expected.begin(), expected.end()), 0);
    EXPECT_EQ(*std::max_element(expected.begin(), expected.end()), 255);
  }
}

// V just below a power of four: where a conversion to float would round up to the next exponent.
TEST(Kernels, EqualTheReferenceWhereTheVarianceIsJustBelowAPowerOfFour) {
  constexpr int kWidth = 96;
  std::vector<int16_t> in(bytes_for_plane16(4, 1, kWidth) / 2), out(in.size());
  const Plane16 a = plane16_at(in.data(), 4, 1, kWidth), b = plane16_at(out.data(), 4, 1, kWidth);
  std::mt19937 random(11);
  int found = 0;
  for (int attempt = 0; attempt < 10'000'000 && found < kWidth; ++attempt) {
    const int64_t power = found % 2 == 0 ? int64_t{1} << 30 : int64_t{1} << 28;
    const int range = found % 2 == 0 ? 30000 : 15000;
    const int x = static_cast<int>(random() % range), y = -static_cast<int>(random() % range);
    const int rest = -x - y;  // the other two: rest / 2 + t and rest / 2 - t
    const double t2 =
        (2.0 * static_cast<double>(power) - 1.0 * x * x - 1.0 * y * y - 0.5 * rest * rest) / 2;
    if (t2 <= 0 || t2 > 1e9) continue;
    const int t = static_cast<int>(std::sqrt(t2)), z = rest / 2 + t, w = rest - z;
    const int64_t v =
        1 + ((int64_t{x} * x + int64_t{y} * y) >> 1) + ((int64_t{z} * z + int64_t{w} * w) >> 1);
    if (v >= power || v < power - power / (1 << 25) || z > 32767 || w < -32768) continue;
    const int values[4] = {x, y, z, w};
    for (int c = 0; c < 4; ++c) a.data[c * a.plane + found] = static_cast<int16_t>(values[c]);
    ++found;
  }
  ASSERT_EQ(found, kWidth);
  std::vector<int16_t> expected;
  for (const Kernels* set : available_kernel_sets()) {
    set->norm_to_plane(a, b, 0, kWidth);
    std::vector<int16_t> result;
    for (int c = 0; c < 4; ++c) {
      result.insert(result.end(), b.data + c * b.plane, b.data + c * b.plane + kWidth);
    }
    if (expected.empty()) expected = result;
    EXPECT_TRUE(result == expected) << set->name;
  }
}

TEST(Kernels, NormToPlaneWorksInPlace) {
  constexpr int kChannels = 13, kHeight = 7, kWidth = 31;
  std::vector<std::vector<int16_t>> results;
  for (const Kernels* set : available_kernel_sets()) {
    for (const bool in_place : {false, true}) {
      const size_t bytes = bytes_for_plane16(kChannels, kHeight, kWidth);
      std::vector<int16_t> a(bytes / 2 + 32), b(bytes / 2 + 32);
      std::mt19937 random(5);
      for (int16_t& x : a) x = static_cast<int16_t>(random() % 5000);
      const Plane16 in = plane16_at(a.data(), kChannels, kHeight, kWidth);
      const Plane16 out = in_place ? in : plane16_at(b.data(), kChannels, kHeight, kWidth);
      set->norm_to_plane(in, out, 0, kHeight * kWidth);
      std::vector<int16_t> result;
      for (int c = 0; c < kChannels; ++c) {
        result.insert(result.end(), out.data + c * out.plane,
                      out.data + c * out.plane + kHeight * kWidth);
      }
      results.push_back(result);
    }
  }
  for (const auto& result : results) EXPECT_TRUE(result == results[0]);
}

TEST(Reference, NormGivesMeanZeroAndUnitVariance) {
  constexpr int kChannels = 32;
  std::vector<int16_t> in(bytes_for_plane16(kChannels, 1, 1) / 2), out(in.size());
  std::mt19937 random(3);
  for (const int spread : {100, 3000, 32000}) {
    const Plane16 a = plane16_at(in.data(), kChannels, 1, 1);
    const Plane16 b = plane16_at(out.data(), kChannels, 1, 1);
    for (int c = 0; c < kChannels; ++c) {
      a.data[c * a.plane] = static_cast<int16_t>(static_cast<int>(random() % spread) - spread / 2);
    }
    kReferenceKernels.norm_to_plane(a, b, 0, 1);
    double sum = 0, squares = 0;
    for (int c = 0; c < kChannels; ++c) {
      const double x = b.data[c * b.plane] / 1024.0;
      sum += x;
      squares += x * x;
    }
    EXPECT_NEAR(sum / kChannels, 0, 0.02) << spread;
    EXPECT_NEAR(squares / kChannels, 1, 0.02) << spread;
  }
}

TEST(Reference, UpsampleKeepsAConstantAndInterpolatesARamp) {
  std::vector<int16_t> in(bytes_for_plane16(1, 4, 8) / 2), out(bytes_for_plane16(1, 20, 40) / 2);
  const Plane16 a = plane16_at(in.data(), 1, 4, 8);
  for (int i = 0; i < 32; ++i) a.data[i] = static_cast<int16_t>(i % 8 * 1000);
  for (int scale = 1; scale <= 5; ++scale) {
    const Plane16 b = plane16_at(out.data(), 1, 4 * scale, 8 * scale);
    kReferenceKernels.upsample(a, scale, nullptr, b, 0, b.height);
    for (int x = scale; x < 7 * scale; ++x) {
      const double expected = ((x + 0.5) / scale - 0.5) * 1000;
      EXPECT_NEAR(b.data[b.width + x], expected, 3) << scale << " " << x;
    }
    EXPECT_EQ(b.data[0], 0);
    EXPECT_EQ(b.data[b.width - 1], 7000);
  }
}

TEST(Dispatch, ListsTheReferenceFirstAndFindsSetsByName) {
  const auto sets = available_kernel_sets();
  ASSERT_FALSE(sets.empty());
  EXPECT_EQ(sets[0], &kReferenceKernels);
  for (const Kernels* set : sets) EXPECT_EQ(find_kernels(set->name), set);
  EXPECT_EQ(find_kernels("auto"), sets.back());
  EXPECT_EQ(find_kernels("no such set"), nullptr);
  EXPECT_EQ(find_kernels(""), nullptr);
}

}  // namespace
}  // namespace mvinr::test
