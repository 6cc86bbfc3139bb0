#include "mvinr/stream.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "format/access_unit.h"
#include "format/header.h"
#include "format/model_units.h"
#include "unit/random_header.h"

namespace mvinr {
namespace {

std::vector<std::byte> example(uint32_t seed = 5) {
  const UnitPayload units[] = {{UnitType::network, 0, std::vector<std::byte>(100)},
                               {UnitType::view, 0, std::vector<std::byte>(60)}};
  return *write_access_unit(testutil::random_header(seed), units);
}

TEST(ReadGopInfo, TellsWhatTheHeaderSays) {
  const Header header = testutil::random_header(5);
  const auto info = read_gop_info(example(5));
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->sequence, header.sequence);
  EXPECT_EQ(info->first_frame, header.first_frame);
  EXPECT_EQ(info->frames, header.frames);
  EXPECT_EQ(info->bytes, example(5).size());
}

TEST(ReadGopInfo, NeedsTheHeaderOnly) {
  const auto unit = example();
  const size_t header_end = kAccessUnitPrefixBytes + std::to_integer<size_t>(unit[6]) +
                            (std::to_integer<size_t>(unit[7]) << 8);
  EXPECT_TRUE(read_gop_info(Bytes(unit).first(header_end)));
  for (size_t bytes = 0; bytes < header_end; ++bytes)
    EXPECT_EQ(read_gop_info(Bytes(unit).first(bytes)).error().code, ErrorCode::truncated);
}

TEST(ReadGopInfo, AnotherVersionIsUnsupportedAndNamed) {
  auto unit = example();
  unit[4] = std::byte{1};
  for (const auto& error : {read_gop_info(unit).error(), access_unit_bytes(unit).error(),
                            read_gop_info(Bytes(unit).first(5)).error()}) {
    EXPECT_EQ(error.code, ErrorCode::unsupported);
    EXPECT_NE(error.message.find("version 1"), std::string::npos) << error.message;
  }
}

TEST(ReadGopInfo, UnknownFlagsAreUnsupported) {
  auto unit = example();
  unit[5] = std::byte{0x80};
  EXPECT_EQ(read_gop_info(unit).error().code, ErrorCode::unsupported);
}

TEST(ReadGopInfo, GarbageIsCorruptAsSoonAsItCannotBeTheMagic) {
  for (const char* garbage : {"X", "MW", "MVNX", "RIFFxxxxWAVEfmt zzz"}) {
    const auto info = read_gop_info(std::as_bytes(std::span(garbage, std::strlen(garbage))));
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().code, ErrorCode::corrupt) << garbage;
  }
  EXPECT_EQ(read_gop_info({}).error().code, ErrorCode::truncated);
}

TEST(AccessUnitBytes, AreKnownFromThePrefixAlone) {
  const auto unit = example();
  EXPECT_EQ(*access_unit_bytes(Bytes(unit).first(kAccessUnitPrefixBytes)), unit.size());
  EXPECT_EQ(access_unit_bytes(Bytes(unit).first(15)).error().code, ErrorCode::truncated);
}

TEST(AccessUnitBytes, ImpossibleSizesAreCorrupt) {
  auto unit = example();
  for (const uint32_t size : {0u, 16u, (256u << 20) + 1, 0xFFFFFFFFu}) {
    for (int i = 0; i < 4; ++i) unit[8 + i] = static_cast<std::byte>(size >> (8 * i));
    const auto bytes = access_unit_bytes(unit);
    ASSERT_FALSE(bytes) << size;
    EXPECT_EQ(bytes.error().code, ErrorCode::corrupt);
  }
}

TEST(FindAccessUnit, FindsEveryStartAcrossGarbage) {
  testutil::Random random(11);
  std::vector<std::byte> stream;
  std::vector<size_t> starts;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    // Garbage with many beginnings of the magic, but never the whole of it.
    for (int i = random.between(0, 300); i > 0; --i)
      stream.push_back(static_cast<std::byte>("MVN-"[random.between(0, 3)]));
    starts.push_back(stream.size());
    const auto unit = example(seed);
    stream.insert(stream.end(), unit.begin(), unit.end());
  }
  std::vector<size_t> found;
  for (size_t at = find_access_unit(stream); at < stream.size();) {
    const auto info = read_gop_info(Bytes(stream).subspan(at));
    if (info) found.push_back(at);
    at = find_access_unit(stream, info ? at + info->bytes : at + 1);
  }
  EXPECT_EQ(found, starts);
}

TEST(FindAccessUnit, ReportsABeginningOfTheMagicAtTheEnd) {
  const auto find = [](std::string_view text, size_t from = 0) {
    return find_access_unit(std::as_bytes(std::span(text)), from);
  };
  EXPECT_EQ(find(""), 0u);
  EXPECT_EQ(find("abcM"), 3u);
  EXPECT_EQ(find("abcMV"), 3u);
  EXPECT_EQ(find("MMVN"), 1u);
  EXPECT_EQ(find("MVMVNRxx"), 2u);
  EXPECT_EQ(find("MVMVNRxx", 3), 8u);
  EXPECT_EQ(find("abc", 99), 3u);
}

TEST(ValidateSequence, NamesTheViewAndTheField) {
  SequenceInfo sequence;
  EXPECT_NE(validate(sequence).error().message.find("number of views is 0"), std::string::npos);
  sequence.views.assign(
      3, {.width = 64, .height = 48, .texture = SampleFormat::yuv420_8, .depth = {}});
  EXPECT_TRUE(validate(sequence));
  sequence.views[2].texture = SampleFormat::none;
  const Status status = validate(sequence);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(status.error().message.find("view 2: texture is 0"), std::string::npos)
      << status.error().message;
}

/// The worked example of docs/bitstream.md 3.
Header documented_header() {
  Header h;
  h.first_frame = 32;
  h.frames = 16;
  h.sequence.frame_rate = {30, 1};
  h.sequence.views = {{.width = 60,
                       .height = 44,
                       .texture = SampleFormat::yuv420_8,
                       .depth = SampleFormat::gray_16,
                       .camera = Camera{.focal = {64, 64},
                                        .principal_point = {30, 22},
                                        .depth_range = {1, 8},
                                        .position = {0, -0.5, 0},
                                        .rotation = {0, 0, 0}}},
                      {.width = 60,
                       .height = 44,
                       .texture = SampleFormat::yuv420_8,
                       .depth = SampleFormat::none,
                       .camera = std::nullopt}};
  h.model = {.canvas_width = 64, .canvas_height = 48, .frames = 16, .views = 2, .depth = true};
  h.model.stem_channels = 32;
  h.model.stages = {{.scale = 4, .channels = 32, .depth = 2, .expansion = 4},
                    {.scale = 2, .channels = 16, .depth = 1, .expansion = 2, .norm = false}};
  h.model.grids = {{.stage = 0, .per_view = false, .time_steps = 8, .channels = 4},
                   {.stage = 2,
                    .per_view = true,
                    .time_steps = 1,
                    .channels = 1,
                    .coding = GridCoding::factorised}};
  return h;
}

constexpr const char* kDocumentedBytes =
    "4D564E5204007500850000009900689D200000000000000010001E00000001000000023C002C0001"
    "050100008042000080420000F0410000B0410000803F0000004100000000000000BF000000000000"
    "000000000000000000003C002C000100000040003000010000200002042000020403021000010202"
    "02000408000400020201000100";

TEST(Header, TheDocumentedExampleHasTheDocumentedBytes) {
  const auto unit = write_access_unit(documented_header(), {});
  ASSERT_TRUE(unit) << unit.error().message;
  std::string hex;
  for (const std::byte b : *unit) {
    char text[4];
    std::snprintf(text, sizeof text, "%02X", std::to_integer<unsigned>(b));
    hex += text;
  }
  EXPECT_EQ(hex, kDocumentedBytes);
}

/// A model whose symbols and steps are random.
CodedModel random_model(const ModelConfig& config, uint32_t seed) {
  testutil::Random random(seed);
  CodedModel model = empty_model(config);
  const auto specs = tensor_specs(config);
  for (size_t i = 0; i < specs.size(); ++i) {
    for (int64_t n = specs[i].count(); n > 0; --n)
      model.tensors[i].symbols.push_back(static_cast<int16_t>(random.between(-9, 9)));
    for (int n = specs[i].step_count(); n > 0; --n)
      model.tensors[i].steps.push_back(static_cast<int8_t>(random.between(-30, -20)));
  }
  return model;
}

TEST(DescribeAccessUnit, NamesEveryFieldAndWhereTheBytesWent) {
  const Header header = documented_header();
  const auto units = encode_model(random_model(header.model, 1));
  ASSERT_TRUE(units) << units.error().message;
  const auto bytes = *write_access_unit(header, *units);
  const auto text = describe_access_unit(bytes);
  ASSERT_TRUE(text) << text.error().message;
  for (const char* words :
       {"access unit: version 4, flags 0", "first_frame 32, frames 16", "frame_rate_num 30",
        "views 2\n", "view 0: width 60, height 44, texture 4:2:0 8 bit, depth 16 bit, camera yes",
        "focal 64 64, principal_point 30 22, depth_range 1 8, position 0 -0.5 0, rotation 0 0 0",
        "view 1: width 60, height 44, texture 4:2:0 8 bit, depth none, camera no", "base views 0\n",
        "model: canvas_width 64, canvas_height 48, depth yes, order reduce_first, head shuffle420",
        "stage 2: scale 2, channels 16, depth 1, expansion 2, norm no, bias yes",
        "grid 1: stage 2, local no, per_view yes, context no, nearest no, time_steps 1, channels 1",
        "total", "1 x 1 x 24 x 32", "stage1.block0.fc1.weight", "128 x 32", "grid0.context"})
    EXPECT_NE(text->find(words), std::string::npos) << "no \"" << words << "\" in\n" << *text;
  EXPECT_EQ(text->find("DAMAGED"), std::string::npos) << *text;

  // The rows of the table add up to the whole.
  unsigned long sum = 0;
  for (const std::string name :
       {"prefix and header", "network", "shared grids", "grids of view 0", "grids of view 1"}) {
    const size_t at = text->find("\n  " + name + " ");
    ASSERT_NE(at, std::string::npos) << name;
    sum += std::stoul(text->substr(at + 3 + name.size()));
  }
  EXPECT_EQ(sum, bytes.size());

  // So do the tensors of a unit, but for the few bytes that end a payload.
  double tensor_bytes = 0;
  for (size_t at = text->find("tensors:"); (at = text->find('\n', at)) + 1 < text->size(); ++at)
    tensor_bytes += std::stod(text->substr(text->find_first_not_of(' ', at + 35)));
  double payload_bytes = 0;
  for (const UnitPayload& unit : *units) payload_bytes += double(unit.payload.size());
  EXPECT_NEAR(tensor_bytes, payload_bytes, 8.0 * double(units->size())) << *text;
}

TEST(DescribeAccessUnit, MarksWhatIsDamagedOrMissing) {
  const Header header = documented_header();
  auto units = *encode_model(random_model(header.model, 1));
  auto bytes = *write_access_unit(header, units);
  EXPECT_NE(describe_access_unit(Bytes(bytes).first(bytes.size() - 20))->find("MISSING"),
            std::string::npos);
  bytes.back() ^= std::byte{1};  // in the last view's unit
  const std::string damaged = *describe_access_unit(bytes);
  EXPECT_NE(damaged.find("DAMAGED\n"), std::string::npos) << damaged;
  EXPECT_NE(damaged.find("grid1.view1                               ?         768"),
            std::string::npos)
      << damaged;
  // The CRC is right, the content is not.
  units[0].payload.assign(3, std::byte{0x55});
  EXPECT_NE(describe_access_unit(*write_access_unit(header, units))->find("network: DAMAGED"),
            std::string::npos);
  EXPECT_EQ(describe_access_unit(Bytes(bytes).first(20)).error().code, ErrorCode::truncated);
}

}  // namespace
}  // namespace mvinr
