#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/crc32.h"
#include "format/access_unit.h"
#include "format/header.h"
#include "unit/bad_header.h"
#include "unit/random_header.h"

namespace mvinr {
namespace {

using testutil::BadHeader;
using testutil::expect_refused;
using testutil::random_header;

std::vector<UnitPayload> example_units() {
  const auto payload = [](size_t bytes, int seed) {
    std::vector<std::byte> data(bytes);
    for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>(i * 31 + seed);
    return data;
  };
  return {{UnitType::network, 0, payload(50, 1)},
          {UnitType::shared, 0, payload(20, 2)},
          {UnitType::view, 0, payload(0, 3)},
          {UnitType::view, 1, payload(33, 4)}};
}

/// A header of a few hundred bytes: tests that change every bit of it stay fast.
Header small_header(uint32_t seed) {
  Header header = random_header(seed);
  while (header.sequence.views.size() > 4) header = random_header(seed += 1000);
  return header;
}

/// Writes the right CRC over the header of an access unit whose bytes were changed.
void repair_header_crc(std::vector<std::byte>& unit) {
  const size_t header_bytes =
      std::to_integer<size_t>(unit[6]) + (std::to_integer<size_t>(unit[7]) << 8);
  const Bytes all(unit);
  const uint32_t crc = crc32(all.subspan(16, header_bytes), crc32(all.first(12)));
  for (int i = 0; i < 4; ++i) unit[12 + i] = static_cast<std::byte>(crc >> (8 * i));
}

TEST(Header, ReadsWhatWasWritten) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    const Header header = random_header(seed);
    const auto bytes = write_header(header);
    ASSERT_TRUE(bytes) << seed << ": " << bytes.error().message;
    const auto read = read_header(*bytes);
    ASSERT_TRUE(read) << seed << ": " << read.error().message;
    ASSERT_EQ(*read, header) << seed;
  }
}

TEST(Header, EveryTruncationIsAnError) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const auto unit = write_access_unit(small_header(seed), {});
    ASSERT_TRUE(unit);
    for (size_t bytes = 0; bytes < unit->size(); ++bytes) {
      const auto parsed = parse_access_unit(Bytes(*unit).first(bytes));
      ASSERT_FALSE(parsed);
      EXPECT_EQ(parsed.error().code, ErrorCode::truncated) << parsed.error().message;
      // The header alone, cut: the prefix has said how long it is.
      if (bytes < kAccessUnitPrefixBytes) continue;
      const auto header = read_header(Bytes(*unit).subspan(16, bytes - 16));
      ASSERT_FALSE(header);
      EXPECT_EQ(header.error().code, ErrorCode::corrupt) << header.error().message;
    }
  }
}

TEST(Header, EveryBitFlipIsAnErrorThatIsNotInternal) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    std::vector<std::byte> unit = *write_access_unit(small_header(seed), {});
    for (size_t bit = 0; bit < unit.size() * 8; ++bit) {
      const std::byte mask{static_cast<unsigned char>(1u << (bit % 8))};
      unit[bit / 8] ^= mask;
      const auto parsed = parse_access_unit(unit);
      ASSERT_FALSE(parsed) << "seed " << seed << " bit " << bit;
      ASSERT_NE(parsed.error().code, ErrorCode::internal) << parsed.error().message;
      unit[bit / 8] ^= mask;
    }
  }
}

TEST(Header, BitFlipsUnderARightCrcGiveAnErrorOrAValidHeader) {
  int errors = 0, valid = 0;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const std::vector<std::byte> good = *write_access_unit(small_header(seed), {});
    for (size_t bit = 8 * 8; bit < good.size() * 8; ++bit) {
      std::vector<std::byte> unit = good;
      unit[bit / 8] ^= std::byte{static_cast<unsigned char>(1u << (bit % 8))};
      repair_header_crc(unit);
      const auto parsed = parse_access_unit(unit);
      if (!parsed) {
        ++errors;
        ASSERT_TRUE(parsed.error().code == ErrorCode::corrupt ||
                    parsed.error().code == ErrorCode::limit_exceeded)
            << to_string(parsed.error().code) << ": " << parsed.error().message;
        continue;
      }
      ++valid;
      // What was accepted can be written again, and is the same bytes.
      const auto again = write_header(parsed->header);
      ASSERT_TRUE(again) << again.error().message;
      ASSERT_TRUE(std::equal(again->begin(), again->end(), unit.begin() + 16, unit.end()));
      ASSERT_FALSE(describe_header(parsed->header).empty());
    }
  }
  EXPECT_GT(errors, 1000);
  EXPECT_GT(valid, 1000);
}

TEST(Header, RandomBytesNeverParseIntoAnInvalidHeader) {
  testutil::Random random(7);
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::byte> data(random.between(0, 200));
    for (std::byte& b : data)
      b = static_cast<std::byte>(random.coin() ? random.between(0, 4) : random.between(0, 255));
    if (const auto header = read_header(data)) {
      EXPECT_TRUE(validate(*header));
    } else {
      ASSERT_NE(header.error().code, ErrorCode::internal);
    }
  }
}

TEST(Header, BytesBehindTheLastFieldAreCorrupt) {
  auto bytes = *write_header(random_header(1));
  bytes.push_back(std::byte{0});
  const auto read = read_header(bytes);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::corrupt);
  EXPECT_NE(read.error().message.find("behind the last field"), std::string::npos);
}

TEST(Header, WritingRefusesWhatReadingWouldRefuse) {
  const BadHeader cases[] = {
      {"frames is 0, must be 1..256", [](auto& h) { h.frames = 0; }},
      {"frames is 257", [](auto& h) { h.frames = 257; }},
      {"frame_rate_den is 0", [](auto& h) { h.sequence.frame_rate.den = 0; }},
      {"number of views is 0", [](auto& h) { h.sequence.views.clear(); }},
      {"number of views is 65", [](auto& h) { h.sequence.views.resize(65, h.sequence.views[0]); }},
      {"view 0: width is 0", [](auto& h) { h.sequence.views[0].width = 0; }},
      {"view 0: height is -1", [](auto& h) { h.sequence.views[0].height = -1; }},
      {"view 0: height is 8193", [](auto& h) { h.sequence.views[0].height = 8193; }},
      {"view 0: texture is 3", [](auto& h) { h.sequence.views[0].texture = SampleFormat::gray_8; }},
      {"view 0: depth is 1", [](auto& h) { h.sequence.views[0].depth = SampleFormat::yuv420_8; }},
      {"view 0: position is not a finite number",
       [](auto& h) {
         h.sequence.views[0].camera.emplace().position[2] = std::numeric_limits<float>::quiet_NaN();
       }},
      {"view 0: focal is not a finite number",
       [](auto& h) {
         h.sequence.views[0].camera.emplace().focal[0] = std::numeric_limits<float>::infinity();
       }},
      {"larger than the canvas", [](auto& h) { h.sequence.views[0].width = 8000; }},
      {"the model has depth, but no view has", [](auto& h) { h.model.depth = true; }},
      {"a view has depth, but the model has none",
       [](auto& h) { h.sequence.views[0].depth = SampleFormat::gray_10; }},
      {"the model is for", [](auto& h) { ++h.model.frames; }},
      {"the model is for", [](auto& h) { ++h.model.views; }},
      {"stage 1: scale is 9", [](auto& h) { h.model.stages[0].scale = 9; }},
      {"grid 0: channels is 300", [](auto& h) { h.model.grids[0].channels = 300; }},
      {"multiple", [](auto& h) { ++h.model.canvas_width; }},
  };
  uint32_t seed = 0;
  while (random_header(seed).model.depth) ++seed;
  expect_refused(random_header(seed), cases);
}

TEST(AccessUnit, ReadsTheUnitsThatWereWritten) {
  const Header header = random_header(3);
  const auto units = example_units();
  std::vector<std::byte> bytes = *write_access_unit(header, units);
  const size_t size = bytes.size();
  bytes.resize(size + 5);  // the beginning of something else
  const auto parsed = parse_access_unit(bytes);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->header, header);
  EXPECT_EQ(parsed->bytes, size);
  ASSERT_EQ(parsed->units.size(), units.size());
  size_t offset = parsed->header_bytes;
  for (size_t i = 0; i < units.size(); ++i) {
    const UnitView& u = parsed->units[i];
    EXPECT_EQ(u.type, units[i].type);
    EXPECT_EQ(u.index, units[i].index);
    EXPECT_TRUE(u.intact);
    EXPECT_EQ(u.offset, offset);
    EXPECT_EQ(u.bytes, kUnitHeaderBytes + units[i].payload.size());
    EXPECT_TRUE(std::equal(u.payload.begin(), u.payload.end(), units[i].payload.begin(),
                           units[i].payload.end()));
    offset += u.bytes;
  }
  EXPECT_EQ(offset, size);
  EXPECT_EQ(parsed->find(UnitType::view, 1), &parsed->units[3]);
  EXPECT_EQ(parsed->find(UnitType::view, 2), nullptr);
}

TEST(AccessUnit, ADamagedUnitIsListedAndTheOthersStayIntact) {
  const auto units = example_units();
  const std::vector<std::byte> good = *write_access_unit(random_header(3), units);
  const AccessUnit reference = *parse_access_unit(good);
  for (size_t damaged = 0; damaged < units.size(); ++damaged) {
    const UnitView& unit = reference.units[damaged];
    for (size_t i = 0; i < unit.bytes; ++i) {
      if (i >= 2 && i < 6) continue;  // the size: see below
      std::vector<std::byte> bytes = good;
      bytes[unit.offset + i] ^= std::byte{0x10};
      const auto parsed = parse_access_unit(bytes);
      ASSERT_TRUE(parsed);
      ASSERT_EQ(parsed->units.size(), units.size());
      for (size_t u = 0; u < units.size(); ++u)
        EXPECT_EQ(parsed->units[u].intact, u != damaged) << damaged << " byte " << i;
      EXPECT_EQ(parsed->find(unit.type, unit.index), nullptr);
    }
  }
}

TEST(AccessUnit, ADamagedUnitSizeKeepsTheUnitsBeforeItAndStaysInBounds) {
  const auto units = example_units();
  const std::vector<std::byte> good = *write_access_unit(random_header(3), units);
  const AccessUnit reference = *parse_access_unit(good);
  for (size_t damaged = 0; damaged < units.size(); ++damaged)
    for (int bit = 0; bit < 32; ++bit) {
      std::vector<std::byte> bytes = good;
      bytes[reference.units[damaged].offset + 2 + bit / 8] ^=
          std::byte{static_cast<unsigned char>(1u << (bit % 8))};
      const auto parsed = parse_access_unit(bytes);
      ASSERT_TRUE(parsed);
      ASSERT_GT(parsed->units.size(), damaged);
      for (size_t u = 0; u < damaged; ++u) EXPECT_TRUE(parsed->units[u].intact);
      EXPECT_FALSE(parsed->units[damaged].intact);
      size_t end = parsed->header_bytes;
      for (const UnitView& u : parsed->units) {
        EXPECT_EQ(u.offset, end);
        end += u.bytes;
      }
      EXPECT_EQ(end, bytes.size());
    }
}

TEST(AccessUnit, AMissingTailLeavesTheUnitsBeforeIt) {
  const auto units = example_units();
  const std::vector<std::byte> good = *write_access_unit(random_header(3), units);
  const AccessUnit reference = *parse_access_unit(good);
  for (size_t bytes = reference.header_bytes; bytes < good.size(); ++bytes) {
    const auto parsed = parse_access_unit(Bytes(good).first(bytes));
    ASSERT_TRUE(parsed);
    for (size_t u = 0; u < parsed->units.size(); ++u) {
      const UnitView& unit = reference.units[u];
      EXPECT_EQ(parsed->units[u].intact, unit.offset + unit.bytes <= bytes);
    }
    EXPECT_EQ(parsed->bytes, good.size());
  }
}

TEST(AccessUnit, UnknownTypesAreListedForTheCallerToSkip) {
  auto units = example_units();
  units.insert(units.begin() + 1, {static_cast<UnitType>(200), 9, {std::byte{1}}});
  const auto parsed = parse_access_unit(*write_access_unit(random_header(3), units));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(static_cast<int>(parsed->units[1].type), 200);
  EXPECT_TRUE(parsed->units[1].intact);
  EXPECT_NE(parsed->find(UnitType::view, 1), nullptr);
}

TEST(AccessUnit, TooManyUnitsAreRefusedByBothSides) {
  const Header header = random_header(3);
  const std::vector<UnitPayload> many(kMaxUnits + 1, {UnitType::view, 0, {}});
  EXPECT_EQ(write_access_unit(header, many).error().code, ErrorCode::limit_exceeded);
  EXPECT_TRUE(write_access_unit(header, std::span(many).first(kMaxUnits)));
  // Units of 10 bytes each, made by hand.
  std::vector<std::byte> bytes = *write_beginning(header, many.size() * kUnitHeaderBytes);
  bytes.resize(bytes.size() + many.size() * kUnitHeaderBytes);
  const auto parsed = parse_access_unit(bytes);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::corrupt);
}

TEST(AccessUnit, WhatCannotBeWrittenIsRefused) {
  const Header header = random_header(3);
  const UnitPayload bad_index{UnitType::view, 256, {}};
  EXPECT_EQ(write_access_unit(header, {&bad_index, 1}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(write_beginning(header, kMaxAccessUnitBytes).error().code, ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace mvinr
