#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "format/access_unit.h"
#include "mvinr/stream.h"
#include "unit/random_header.h"

namespace mvinr {
namespace {

const std::string kCaps = "video/x-h265, stream-format=(string)byte-stream, alignment=(string)au";

std::vector<std::byte> packet(size_t bytes, int first) {
  std::vector<std::byte> data(bytes);
  for (size_t i = 0; i < bytes; ++i) data[i] = std::byte(first + int(i));
  return data;
}

std::vector<std::byte> example() {
  const auto a = packet(5, 1), b = packet(300, 7), c = packet(1, 9);
  const Bytes packets[] = {a, b, c};
  return *write_base_payload(kCaps, packets);
}

TEST(BasePayload, IsLaidOutAsTheFormatSays) {
  const auto a = packet(2, 0x41), b = packet(1, 0x61);
  const Bytes packets[] = {a, b};
  const auto bytes = write_base_payload("xyz", packets);
  ASSERT_TRUE(bytes) << bytes.error().message;
  const char expected[] = "\3\0xyz\2\0\2\0\0\0AB\1\0\0\0a";
  ASSERT_EQ(bytes->size(), sizeof expected - 1);
  EXPECT_EQ(std::memcmp(bytes->data(), expected, bytes->size()), 0);
}

// The worked example of docs/bitstream.md 6.9.
TEST(BasePayload, TheDocumentedUnitHasTheDocumentedBytes) {
  const auto a = packet(2, 0x41), b = packet(1, 0x61);
  const Bytes packets[] = {a, b};
  const UnitPayload unit{UnitType::base, base_unit_index(3, Component::depth),
                         *write_base_payload("xyz", packets)};
  const auto bytes = write_access_unit(testutil::random_header(1), {&unit, 1});
  ASSERT_TRUE(bytes) << bytes.error().message;
  const char expected[] = "\x04\x07\x12\0\0\0\x67\xBB\x55\xAA\3\0xyz\2\0\2\0\0\0AB\1\0\0\0a";
  constexpr size_t kSize = sizeof expected - 1;
  ASSERT_EQ(kSize, 28u);
  EXPECT_EQ(std::memcmp(bytes->data() + bytes->size() - kSize, expected, kSize), 0);
}

TEST(BasePayload, ComesBackAsWritten) {
  const auto bytes = example();
  const auto base = read_base_payload(bytes);
  ASSERT_TRUE(base) << base.error().message;
  EXPECT_EQ(base->caps, kCaps);
  ASSERT_EQ(base->packets.size(), 3u);
  EXPECT_EQ(base->packets[1].size(), 300u);
  EXPECT_EQ(base->packets[2][0], std::byte{9});
  const auto again = write_base_payload(base->caps, base->packets);
  EXPECT_EQ(*again, bytes);
}

TEST(BasePayload, EveryTruncationIsCorrupt) {
  const auto bytes = example();
  for (size_t n = 0; n < bytes.size(); ++n)
    EXPECT_EQ(read_base_payload(Bytes(bytes).first(n)).error().code, ErrorCode::corrupt) << n;
}

TEST(BasePayload, BytesBehindItAreCorrupt) {
  auto bytes = example();
  bytes.push_back(std::byte{0});
  EXPECT_EQ(read_base_payload(bytes).error().code, ErrorCode::corrupt);
}

TEST(BasePayload, AFlippedBitIsReadAsWrittenOrRefused) {
  const auto bytes = example();
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= std::byte(1 << bit % 8);
    const auto base = read_base_payload(damaged);
    if (base) {
      EXPECT_EQ(*write_base_payload(base->caps, base->packets), damaged);
    } else {
      EXPECT_EQ(base.error().code, ErrorCode::corrupt);
    }
  }
}

TEST(BasePayload, RandomBytesNeverDoHarm) {
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::byte> bytes(random() % 40);
    for (std::byte& b : bytes) b = std::byte(random() % 4);
    const auto base = read_base_payload(bytes);
    if (!base) {
      EXPECT_EQ(base.error().code, ErrorCode::corrupt);
    }
  }
}

TEST(BasePayload, LimitsHoldForReaderAndWriter) {
  const auto one = packet(1, 1);
  EXPECT_FALSE(write_base_payload("", std::vector<Bytes>(1, one)));
  EXPECT_TRUE(write_base_payload(std::string(4096, 'c'), std::vector<Bytes>(1024, one)));
  EXPECT_FALSE(write_base_payload(std::string(4097, 'c'), std::vector<Bytes>(1, one)));
  EXPECT_FALSE(write_base_payload("c", std::vector<Bytes>(1025, one)));
  EXPECT_FALSE(write_base_payload("c", {}));
  EXPECT_EQ(write_base_payload("c", std::vector<Bytes>(1)).error().code,
            ErrorCode::invalid_argument);
  auto bytes = *write_base_payload("c", std::vector<Bytes>(1, one));
  for (const auto [offset, low, high] : {std::array{0, 0, 0}, {0, 1, 16}, {3, 0, 0}, {3, 1, 4}}) {
    auto wrong = bytes;
    wrong[size_t(offset)] = std::byte(low);
    wrong[size_t(offset) + 1] = std::byte(high);
    const auto base = read_base_payload(wrong);
    ASSERT_FALSE(base) << offset << " " << low << " " << high;
    EXPECT_EQ(base.error().code, ErrorCode::corrupt);
  }
}

}  // namespace
}  // namespace mvinr
