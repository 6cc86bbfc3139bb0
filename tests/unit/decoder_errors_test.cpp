// What the decoder says to wrong arguments and to damaged streams.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "base_pictures.h"
#include "format/access_unit.h"
#include "format/model_units.h"
#include "mvinr/decoder.h"
#include "random_model.h"
#include "tools/picture_buffer.h"

namespace mvinr {
namespace {

using testutil::random_coded_model;
using testutil::test_configs;
using tools::PictureBuffer;

// A small GOP whose views have grids of their own; view 2 refers to view 1, view 1 to none.
struct Stream {
  ModelConfig config = test_configs()[0].config;
  SequenceInfo sequence = testutil::sequence_for(config);
  std::vector<std::byte> bytes;

  Stream() {
    CodedModel model = random_coded_model(config, 11);
    for (int v = 0; v < 3; ++v) {
      ViewReference& r = model.references[size_t(v)];
      r.view = int8_t(v == 2 ? 1 : -1);
      std::fill(r.dx.begin(), r.dx.end(), int8_t{0});
      std::fill(r.dy.begin(), r.dy.end(), int8_t{0});
    }
    bytes = testutil::access_unit_of(model, sequence);
  }
  AccessUnit parsed() const { return *parse_access_unit(bytes); }
};

const Stream& stream() {
  static const Stream instance;
  return instance;
}

std::unique_ptr<Decoder> make_decoder(DecoderOptions options = {.threads = 1}) {
  auto decoder = Decoder::create(options);
  EXPECT_TRUE(decoder.has_value());
  return std::move(*decoder);
}

// Renders the texture (and depth) of a view into memory of the right size.
Status render_view(Decoder& decoder, const GopInfo& gop, int view, int frame = 0,
                   std::stop_token stop = {}) {
  const ViewInfo& info = gop.sequence.views[size_t(view)];
  PictureBuffer texture(info.texture, info.width, info.height);
  PictureBuffer depth(info.depth, info.width, info.height);
  MutablePicture t = texture.mutable_picture(), d = depth.mutable_picture();
  const RenderJob job{.frame = frame,
                      .view = view,
                      .texture = &t,
                      .depth = info.depth == SampleFormat::none ? nullptr : &d};
  return decoder.render({&job, 1}, stop);
}

std::vector<std::byte> damaged(const UnitView& unit) {
  std::vector<std::byte> bytes = stream().bytes;
  bytes[unit.offset + kUnitHeaderBytes + unit.payload.size() / 2] ^= std::byte{1};
  return bytes;
}

#define EXPECT_ERROR(status, expected_code, part)                            \
  do {                                                                       \
    const auto& result = (status);                                           \
    ASSERT_FALSE(result.has_value());                                        \
    EXPECT_EQ(result.error().code, expected_code) << result.error().message; \
    EXPECT_NE(result.error().message.find(part), std::string::npos)          \
        << "\"" << result.error().message << "\" lacks \"" << part << "\"";  \
  } while (false)

TEST(DecoderArguments, UnknownKernelsAreNamedWithTheKnownOnes) {
  const auto decoder = Decoder::create({.kernels = "mmx"});
  EXPECT_ERROR(decoder, ErrorCode::invalid_argument, "\"mmx\"");
  EXPECT_NE(decoder.error().message.find("reference"), std::string::npos);
}

TEST(DecoderArguments, ThreadsAndLimitsHaveRanges) {
  EXPECT_ERROR(Decoder::create({.threads = -1}), ErrorCode::invalid_argument, "threads is -1");
  EXPECT_ERROR(Decoder::create({.threads = 257}), ErrorCode::invalid_argument, "257");
  EXPECT_ERROR(Decoder::create({.max_samples = 0}), ErrorCode::invalid_argument, "max_samples");
}

TEST(DecoderArguments, RenderNeedsAGop) {
  const auto decoder = make_decoder();
  EXPECT_ERROR(decoder->render({}), ErrorCode::invalid_argument, "start_gop");
}

TEST(DecoderArguments, WrongJobsAreRefusedAndSayWhatIsWrong) {
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(stream().bytes);
  ASSERT_TRUE(gop.has_value()) << gop.error().message;
  const ViewInfo& info = gop->sequence.views[1];  // 47x37, 10 bit texture, 8 bit depth
  PictureBuffer texture(info.texture, info.width, info.height);
  PictureBuffer depth(info.depth, info.width, info.height);
  const auto attempt = [&](auto change) {
    MutablePicture t = texture.mutable_picture(), d = depth.mutable_picture();
    RenderJob job{.frame = 1, .view = 1, .texture = &t, .depth = &d};
    change(job);
    return decoder->render({&job, 1});
  };
  EXPECT_TRUE(attempt([](RenderJob&) {}).has_value());
  constexpr ErrorCode kInvalid = ErrorCode::invalid_argument;
  EXPECT_ERROR(attempt([](RenderJob& j) { j.frame = -1; }), kInvalid, "frame -1");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.frame = 5; }), kInvalid, "frame 5");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.view = 3; }), kInvalid, "view 3 of 3");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.view = -1; }), kInvalid, "view -1");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.texture->format = SampleFormat::yuv420_8; }), kInvalid,
               "yuv420_8");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.depth->format = SampleFormat::gray_16; }), kInvalid,
               "gray_16");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.texture->width += 1; }), kInvalid, "48x37");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.depth->height -= 1; }), kInvalid, "47x36");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.texture->data[2] = nullptr; }), kInvalid, "plane 2");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.texture->stride[0] = 92; }), kInvalid, "needs 94");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.texture->stride[1] = 0; }), kInvalid, "plane 1");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.texture->stride[0] = -94; }), kInvalid, "-94");
  EXPECT_ERROR(attempt([](RenderJob& j) { j.texture->data[0] += 1; }), kInvalid, "aligned");
}

TEST(DecoderArguments, DepthOfAViewWithoutDepthIsRefused) {
  const ModelConfig config = test_configs()[1].config;
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(
      testutil::access_unit_of(random_coded_model(config, 1), testutil::sequence_for(config)));
  ASSERT_TRUE(gop.has_value());
  PictureBuffer depth(SampleFormat::gray_16, config.canvas_width, config.canvas_height);
  MutablePicture d = depth.mutable_picture();
  const RenderJob job{.depth = &d};
  EXPECT_ERROR(decoder->render({&job, 1}), ErrorCode::invalid_argument, "depth of view 0");
}

TEST(DecoderArguments, AJobWithoutPicturesDoesNothing) {
  const auto decoder = make_decoder();
  ASSERT_TRUE(decoder->start_gop(stream().bytes).has_value());
  const RenderJob job{};
  EXPECT_TRUE(decoder->render({&job, 1}).has_value());
}

TEST(DecoderLimits, MoreSamplesThanAllowedAreRefusedBeforeAnythingIsAllocated) {
  const ModelConfig& config = stream().config;
  const uint64_t samples = uint64_t{config.canvas_width} * config.canvas_height * config.views;
  EXPECT_TRUE(
      make_decoder({.threads = 1, .max_samples = samples})->start_gop(stream().bytes).has_value());
  EXPECT_ERROR(make_decoder({.threads = 1, .max_samples = samples - 1})->start_gop(stream().bytes),
               ErrorCode::limit_exceeded, std::to_string(samples));
}

TEST(DecoderLimits, MemoryFollowsFromTheSamplesThatAreAllowed) {
  // 64 views of 512x512 with 1024 channels at full size: gigabytes of feature maps.
  ModelConfig config;
  config.canvas_width = config.canvas_height = 512;
  config.head = HeadKind::full444;
  config.stages = {{.scale = 2, .channels = 1024, .depth = 1, .expansion = 1}};
  config.grids = {{.stage = 0, .channels = 1}};
  Header header;
  header.model = config;
  header.sequence.views = {{.width = 512, .height = 512, .texture = SampleFormat::yuv420_8}};
  const auto bytes = write_access_unit(header, {});
  ASSERT_TRUE(bytes.has_value()) << bytes.error().message;
  EXPECT_ERROR(make_decoder({.threads = 2, .max_samples = 512 * 512})->start_gop(*bytes),
               ErrorCode::limit_exceeded, "MiB of memory");
}

TEST(DecoderDamage, ADamagedNetworkOrSharedUnitKeepsThePreviousGop) {
  const AccessUnit unit = stream().parsed();
  for (const UnitType type : {UnitType::network, UnitType::shared}) {
    const auto decoder = make_decoder();
    const auto gop = decoder->start_gop(stream().bytes);
    ASSERT_TRUE(gop.has_value());
    EXPECT_ERROR(decoder->start_gop(damaged(*unit.find(type))), ErrorCode::corrupt, "damaged");
    EXPECT_TRUE(render_view(*decoder, *gop, 0).has_value());
  }
}

TEST(DecoderDamage, ADamagedViewCostsItselfAndTheViewsThatReferToIt) {
  const AccessUnit unit = stream().parsed();
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(damaged(*unit.find(UnitType::view, 1)));
  ASSERT_TRUE(gop.has_value());
  for (int repeat = 0; repeat < 2; ++repeat) {
    EXPECT_TRUE(render_view(*decoder, *gop, 0).has_value());
    EXPECT_ERROR(render_view(*decoder, *gop, 1), ErrorCode::corrupt, "view 1");
    EXPECT_ERROR(render_view(*decoder, *gop, 2), ErrorCode::corrupt, "refers to view 1");
  }
}

TEST(DecoderDamage, OtherJobsOfTheSameCallAreStillRendered) {
  const AccessUnit unit = stream().parsed();
  const auto whole = make_decoder();
  ASSERT_TRUE(whole->start_gop(stream().bytes).has_value());
  const auto decoder = make_decoder({.threads = 2});
  const auto gop = decoder->start_gop(damaged(*unit.find(UnitType::view, 1)));
  ASSERT_TRUE(gop.has_value());
  const ViewInfo &one = gop->sequence.views[1], &zero = gop->sequence.views[0];
  PictureBuffer bad(one.texture, one.width, one.height);
  PictureBuffer good(zero.texture, zero.width, zero.height), expected = good;
  MutablePicture b = bad.mutable_picture(), g = good.mutable_picture(),
                 e = expected.mutable_picture();
  const RenderJob jobs[] = {{.view = 1, .texture = &b}, {.view = 0, .texture = &g}};
  EXPECT_ERROR(decoder->render(jobs), ErrorCode::corrupt, "view 1");
  const RenderJob job{.texture = &e};
  ASSERT_TRUE(whole->render({&job, 1}).has_value());
  EXPECT_TRUE(std::ranges::equal(good.bytes(), expected.bytes()));
}

TEST(DecoderDamage, EveryTruncationGivesAnErrorOrTheViewsThatAreThere) {
  const std::vector<std::byte>& bytes = stream().bytes;
  int rendered = 0;
  for (size_t size = 0; size < bytes.size(); size += size < 400 ? 1 : 7) {
    // A copy of exactly this size, so that the address sanitizer sees every read behind it.
    const std::vector<std::byte> part(bytes.begin(), bytes.begin() + ptrdiff_t(size));
    const auto decoder = make_decoder();
    const auto gop = decoder->start_gop(part);
    if (!gop) {
      EXPECT_TRUE(gop.error().code == ErrorCode::truncated ||
                  gop.error().code == ErrorCode::corrupt)
          << size << ": " << to_string(gop.error().code) << ", " << gop.error().message;
      continue;
    }
    for (int view = 0; view < 3; ++view) {
      const Status status = render_view(*decoder, *gop, view);
      rendered += status.has_value();
      if (!status) {
        EXPECT_EQ(status.error().code, ErrorCode::corrupt) << status.error().message;
      }
    }
  }
  EXPECT_GT(rendered, 0);
}

TEST(DecoderDamage, FlippedBitsNeverCauseAnInternalError) {
  const std::vector<std::byte>& bytes = stream().bytes;
  std::mt19937 random(5);
  int started = 0;
  for (int i = 0; i < 600; ++i) {
    std::vector<std::byte> copy = bytes;
    copy[random() % copy.size()] ^= std::byte(1u << random() % 8);
    const auto decoder = make_decoder({.threads = 1, .max_samples = 1 << 20});
    const auto gop = decoder->start_gop(copy);
    if (!gop) {
      EXPECT_NE(gop.error().code, ErrorCode::internal) << gop.error().message;
      continue;
    }
    ++started;
    const Status status = render_view(*decoder, *gop, i % 3, i % gop->frames);
    if (!status) {
      EXPECT_NE(status.error().code, ErrorCode::internal) << status.error().message;
    }
  }
  EXPECT_GT(started, 0);
}

// The damage reaches the layers below the CRC.
TEST(DecoderDamage, DamageBehindARightCrcNeverCausesAnInternalError) {
  const AccessUnit unit = stream().parsed();
  std::mt19937 random(6);
  int started = 0, rendered = 0;
  for (int i = 0; i < 600; ++i) {
    std::vector<UnitPayload> units;
    for (const UnitView& u : unit.units)
      units.push_back({u.type, u.index, {u.payload.begin(), u.payload.end()}});
    std::vector<std::byte>& payload = units[random() % units.size()].payload;
    switch (random() % 3) {
      case 0:
        payload[random() % payload.size()] ^= std::byte(1u << random() % 8);
        break;
      case 1:
        payload.resize(random() % payload.size());
        break;
      default:
        for (std::byte& b : payload)
          if (random() % 16 == 0) b = std::byte(random());
    }
    const auto copy = write_access_unit(unit.header, units);
    ASSERT_TRUE(copy.has_value());
    const auto decoder = make_decoder();
    const auto gop = decoder->start_gop(*copy);
    if (!gop) {
      EXPECT_EQ(gop.error().code, ErrorCode::corrupt) << gop.error().message;
      continue;
    }
    ++started;
    for (int view = 0; view < 3; ++view) {
      const Status status = render_view(*decoder, *gop, view, i % gop->frames);
      rendered += status.has_value();
      if (!status) {
        EXPECT_EQ(status.error().code, ErrorCode::corrupt) << status.error().message;
      }
    }
  }
  EXPECT_GT(started, 0);
  EXPECT_GT(rendered, 0);
}

TEST(DecoderDamage, MissingUnitsAreNamed) {
  const AccessUnit unit = stream().parsed();
  const auto without = [&](UnitType type, int index) {
    std::vector<UnitPayload> units;
    for (const UnitView& u : unit.units)
      if (u.type != type || u.index != index)
        units.push_back({u.type, u.index, {u.payload.begin(), u.payload.end()}});
    return *write_access_unit(unit.header, units);
  };
  const auto decoder = make_decoder();
  EXPECT_ERROR(decoder->start_gop(without(UnitType::network, 0)), ErrorCode::corrupt, "network");
  EXPECT_ERROR(decoder->start_gop(without(UnitType::shared, 0)), ErrorCode::corrupt, "shared");
  const auto gop = decoder->start_gop(without(UnitType::view, 0));
  ASSERT_TRUE(gop.has_value());
  EXPECT_ERROR(render_view(*decoder, *gop, 0), ErrorCode::corrupt, "view 0");
  EXPECT_TRUE(render_view(*decoder, *gop, 2).has_value());
}

TEST(DecoderStop, AStoppedRenderIsCancelledAndTheDecoderStaysUsable) {
  const auto decoder = make_decoder({.threads = 2});
  const auto gop = decoder->start_gop(stream().bytes);
  ASSERT_TRUE(gop.has_value());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_ERROR(render_view(*decoder, *gop, 0, 0, stop.get_token()), ErrorCode::cancelled, "stop");
  EXPECT_TRUE(render_view(*decoder, *gop, 0).has_value());
}

TEST(DecoderGops, TheNextGopMayHaveAnotherArchitecture) {
  const auto decoder = make_decoder({.threads = 2});
  for (int round = 0; round < 2; ++round) {
    for (const auto& [name, config] : test_configs()) {
      const auto gop = decoder->start_gop(
          testutil::access_unit_of(random_coded_model(config, 2), testutil::sequence_for(config)));
      ASSERT_TRUE(gop.has_value()) << gop.error().message;
      EXPECT_EQ(gop->frames, config.frames);
      testutil::BasePictures(*gop, 2).give_to(*decoder);
      const int last = int(gop->sequence.views.size()) - 1;
      EXPECT_TRUE(render_view(*decoder, *gop, last, config.frames - 1).has_value());
    }
  }
}

TEST(DecoderGops, BytesBehindTheAccessUnitAreIgnored) {
  std::vector<std::byte> bytes = stream().bytes;
  bytes.insert(bytes.end(), 100, std::byte{0x4d});
  const auto gop = make_decoder()->start_gop(bytes);
  ASSERT_TRUE(gop.has_value());
  EXPECT_EQ(gop->bytes, stream().bytes.size());
}

}  // namespace
}  // namespace mvinr
