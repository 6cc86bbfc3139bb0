// Hybrid mode at the decoder's surface: base units, base pictures, what is refused.
#include <gtest/gtest.h>

#include <algorithm>

#include "base_pictures.h"
#include "decode/gop.h"
#include "format/access_unit.h"
#include "format/header.h"
#include "mvinr/decoder.h"
#include "random_model.h"
#include "tools/picture_buffer.h"

namespace mvinr {
namespace {

using testutil::BasePictures;
using tools::PictureBuffer;

// Views 0 and 2 are base views; the network renders views 1 and 3, view 3 refers to view 1.
struct Stream {
  ModelConfig config;
  SequenceInfo sequence;
  std::vector<std::byte> bytes;

  Stream() {
    for (const auto& named : testutil::test_configs())
      if (std::string(named.name) == "hybrid_reduce_first") config = named.config;
    sequence = testutil::sequence_for(config);
    CodedModel model = testutil::random_coded_model(config, 3);
    model.references[1].view = 0;
    bytes = testutil::access_unit_of(model, sequence);
  }
};

const Stream& stream() {
  static const Stream instance;
  return instance;
}

std::unique_ptr<Decoder> make_decoder() {
  auto decoder = Decoder::create({.threads = 2});
  EXPECT_TRUE(decoder.has_value());
  return std::move(*decoder);
}

struct Rendered {
  PictureBuffer texture, depth;
};

Result<Rendered> render(Decoder& decoder, int view, int frame = 0) {
  const ViewInfo& info = stream().sequence.views[size_t(view)];
  Rendered out{{info.texture, info.width, info.height}, {info.depth, info.width, info.height}};
  MutablePicture t = out.texture.mutable_picture(), d = out.depth.mutable_picture();
  const RenderJob job{.frame = frame,
                      .view = view,
                      .texture = &t,
                      .depth = info.depth == SampleFormat::none ? nullptr : &d};
  const Status status = decoder.render({&job, 1});
  if (!status) return status.error();
  return out;
}

// The access unit with one unit changed: nothing is taken away if `change` returns true.
template <typename F>
std::vector<std::byte> rewritten(F&& change) {
  AccessUnit unit = *parse_access_unit(stream().bytes);
  std::vector<UnitPayload> units;
  for (const UnitView& u : unit.units) {
    UnitPayload payload{u.type, u.index, {u.payload.begin(), u.payload.end()}};
    if (change(payload, unit.header)) units.push_back(payload);
  }
  return *write_access_unit(unit.header, units);
}

#define EXPECT_ERROR(status, expected_code, part)                            \
  do {                                                                       \
    const auto& result = (status);                                           \
    ASSERT_FALSE(result.has_value());                                        \
    EXPECT_EQ(result.error().code, expected_code) << result.error().message; \
    EXPECT_NE(result.error().message.find(part), std::string::npos)          \
        << "\"" << result.error().message << "\" lacks \"" << part << "\"";  \
  } while (false)

constexpr ErrorCode kInvalid = ErrorCode::invalid_argument;

TEST(Hybrid, TheGopSaysItsBaseViewsAndItsBaseUnits) {
  const auto decoder = make_decoder();
  EXPECT_TRUE(decoder->base_units().empty());
  const auto gop = decoder->start_gop(stream().bytes);
  ASSERT_TRUE(gop.has_value()) << gop.error().message;
  EXPECT_EQ(gop->base_views, (std::vector<int>{0, 2}));
  EXPECT_EQ(read_gop_info(stream().bytes)->base_views, gop->base_views);
  const auto units = decoder->base_units();
  ASSERT_EQ(units.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(units[i].view, i < 2 ? 0 : 2);
    EXPECT_EQ(units[i].component, Component(i % 2));
    const auto payload = read_base_payload(units[i].payload);
    ASSERT_TRUE(payload.has_value()) << payload.error().message;
    EXPECT_EQ(payload->caps, "video/x-test");
    EXPECT_EQ(payload->packets[1][0], std::byte(base_unit_index(units[i].view, Component(i % 2))));
  }
}

TEST(Hybrid, ImplicitStreamsHaveNoBaseUnits) {
  const ModelConfig config = testutil::test_configs()[0].config;
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(testutil::access_unit_of(
      testutil::random_coded_model(config, 1), testutil::sequence_for(config)));
  ASSERT_TRUE(gop.has_value());
  EXPECT_TRUE(gop->base_views.empty());
  EXPECT_TRUE(decoder->base_units().empty());
  const PictureBuffer picture(SampleFormat::yuv420_8, 48, 40);
  EXPECT_ERROR(decoder->set_base({0, 0, Component::texture}, picture.picture()), kInvalid,
               "view 0 is not a base view");
}

TEST(Hybrid, DamagedOrMissingBaseUnitsAreNotListedAndCostNothingElse) {
  const AccessUnit unit = *parse_access_unit(stream().bytes);
  std::vector<std::byte> bytes = stream().bytes;
  const UnitView* depth = unit.find(UnitType::base, base_unit_index(0, Component::depth));
  ASSERT_NE(depth, nullptr);
  bytes[depth->offset + depth->bytes - 1] ^= std::byte{1};
  bytes.pop_back();  // the end of the last unit, the depth of view 2
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(bytes);
  ASSERT_TRUE(gop.has_value()) << gop.error().message;
  const auto units = decoder->base_units();
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[0].component, Component::texture);
  EXPECT_EQ(units[1].view, 2);
  EXPECT_EQ(units[1].component, Component::texture);
  BasePictures(*gop, 2).give_to(*decoder);
  EXPECT_TRUE(render(*decoder, 1).has_value());
}

TEST(Hybrid, SetBaseNamesWhatIsWrong) {
  const auto decoder = make_decoder();
  const ViewInfo& info = stream().sequence.views[2];
  const PictureBuffer texture(info.texture, info.width, info.height);
  const PictureBuffer depth(info.depth, info.width, info.height);
  const auto set = [&](PictureId id, Picture picture) { return decoder->set_base(id, picture); };
  constexpr Component kTexture = Component::texture, kDepth = Component::depth;
  EXPECT_ERROR(set({0, 2, kTexture}, texture.picture()), kInvalid, "start_gop");
  ASSERT_TRUE(decoder->start_gop(stream().bytes).has_value());
  EXPECT_TRUE(set({0, 2, kTexture}, texture.picture()).has_value());
  EXPECT_TRUE(set({2, 2, kDepth}, depth.picture()).has_value());
  EXPECT_ERROR(set({0, 1, kTexture}, texture.picture()), kInvalid, "view 1 is not a base view");
  EXPECT_ERROR(set({0, -1, kTexture}, texture.picture()), kInvalid, "view -1 is not");
  EXPECT_ERROR(set({0, 99, kTexture}, texture.picture()), kInvalid, "view 99 is not");
  EXPECT_ERROR(set({-1, 2, kTexture}, texture.picture()), kInvalid, "frame -1 of a GOP of 3");
  EXPECT_ERROR(set({3, 2, kTexture}, texture.picture()), kInvalid, "frame 3 of a GOP of 3");
  EXPECT_ERROR(set({0, 2, kDepth}, texture.picture()), kInvalid, "depth of view 2, frame 0");
  EXPECT_ERROR(set({0, 2, kTexture}, depth.picture()), kInvalid, "texture of view 2, frame 0");
  Picture wrong = texture.picture();
  wrong.width += 2;
  EXPECT_ERROR(set({1, 2, kTexture}, wrong), kInvalid, "texture of view 2, frame 1");
  wrong = texture.picture();
  wrong.data[1] = nullptr;
  EXPECT_ERROR(set({1, 2, kTexture}, wrong), kInvalid, "plane 1");
  wrong = texture.picture();
  wrong.stride[0] = 3;
  EXPECT_ERROR(set({1, 2, kTexture}, wrong), kInvalid, "plane 0");
}

TEST(Hybrid, RenderNamesTheBasePictureThatIsMissing) {
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(stream().bytes);
  ASSERT_TRUE(gop.has_value());
  const BasePictures bases(*gop, 2);
  const auto give = [&](const PictureId& id) {
    ASSERT_TRUE(decoder->set_base(id, bases.at(id).picture()).has_value());
  };
  EXPECT_ERROR(render(*decoder, 1), kInvalid, "the texture of view 0, frame 0");
  EXPECT_ERROR(render(*decoder, 0, 1), kInvalid, "the texture of view 0, frame 1");
  give({0, 0, Component::texture});
  EXPECT_ERROR(render(*decoder, 1), kInvalid, "the depth of view 0, frame 0");
  give({0, 0, Component::depth});
  EXPECT_TRUE(render(*decoder, 0).has_value());
  EXPECT_ERROR(render(*decoder, 3), kInvalid, "the texture of view 2, frame 0");
  give({0, 2, Component::texture});
  give({0, 2, Component::depth});
  EXPECT_TRUE(render(*decoder, 3).has_value());
  EXPECT_ERROR(render(*decoder, 3, 2), kInvalid, "frame 2");  // the others are still missing
  // The next GOP begins without base pictures, one that is refused does not.
  EXPECT_FALSE(decoder->start_gop(Bytes(stream().bytes).first(30)).has_value());
  EXPECT_TRUE(render(*decoder, 3).has_value());
  ASSERT_TRUE(decoder->start_gop(stream().bytes).has_value());
  EXPECT_ERROR(render(*decoder, 3), kInvalid, "the texture of view 0, frame 0");
}

TEST(Hybrid, ABaseViewIsItsPictureWhateverTheStrides) {
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(stream().bytes);
  ASSERT_TRUE(gop.has_value());
  const BasePictures bases(*gop, 3);
  bases.give_to(*decoder);
  for (const int view : gop->base_views)
    for (int frame = 0; frame < gop->frames; ++frame) {
      const auto out = render(*decoder, view, frame);
      ASSERT_TRUE(out.has_value()) << out.error().message;
      EXPECT_TRUE(std::ranges::equal(out->texture.bytes(),
                                     bases.at({frame, view, Component::texture}).samples()));
      EXPECT_TRUE(std::ranges::equal(out->depth.bytes(),
                                     bases.at({frame, view, Component::depth}).samples()));
    }
  // Rows with padding, in and out.
  const ViewInfo& info = gop->sequence.views[0];
  const ptrdiff_t stride = info.width * 2 + 20;  // 16 bit
  std::vector<std::byte> in(size_t(stride * info.height), std::byte{7}), out = in;
  for (size_t i = 0; i < in.size(); i += 3) in[i] = std::byte(i);
  Picture padded{.format = info.depth, .width = info.width, .height = info.height};
  padded.data[0] = in.data();
  padded.stride[0] = stride;
  ASSERT_TRUE(decoder->set_base({1, 0, Component::depth}, padded).has_value());
  MutablePicture to{.format = info.depth, .width = info.width, .height = info.height};
  to.data[0] = out.data();
  to.stride[0] = stride;
  const RenderJob job{.frame = 1, .depth = &to};
  ASSERT_TRUE(decoder->render({&job, 1}).has_value());
  for (int y = 0; y < info.height; ++y) {
    const auto row = [&](const std::vector<std::byte>& bytes) {
      return std::span(bytes).subspan(size_t(y * stride), size_t(info.width) * 2);
    };
    ASSERT_TRUE(std::ranges::equal(row(in), row(out))) << y;
    EXPECT_EQ(out[size_t((y + 1) * stride) - 1], std::byte{7});
  }
}

TEST(Hybrid, BasePicturesAreCopiedAndMayBeReplaced) {
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(stream().bytes);
  ASSERT_TRUE(gop.has_value());
  const auto bytes_with = [&](uint32_t seed) {
    BasePictures(*gop, seed).give_to(*decoder);  // gone before the rendering
    const auto out = render(*decoder, 1, 1);
    EXPECT_TRUE(out.has_value());
    return std::vector<std::byte>(out->texture.bytes().begin(), out->texture.bytes().end());
  };
  const auto first = bytes_with(2);
  EXPECT_NE(bytes_with(4), first);
  EXPECT_EQ(bytes_with(2), first);
}

TEST(Hybrid, ADamagedViewUnitIsNamedByItsView) {
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(rewritten(
      [](UnitPayload& u, const Header&) { return u.type != UnitType::view || u.index != 1; }));
  ASSERT_TRUE(gop.has_value()) << gop.error().message;
  BasePictures(*gop, 2).give_to(*decoder);
  EXPECT_TRUE(render(*decoder, 0).has_value());
  EXPECT_ERROR(render(*decoder, 1), ErrorCode::corrupt, "the unit of view 1");
  EXPECT_ERROR(render(*decoder, 3), ErrorCode::corrupt, "view 3 refers to view 1");
}

TEST(Hybrid, CamerasThatCannotBeWarpedAreCorruptAndNamed) {
  const auto with = [](auto change) {
    return rewritten([&](UnitPayload&, Header& h) {
      change(*h.sequence.views[1].camera);
      return true;
    });
  };
  const auto decoder = make_decoder();
  for (const auto& bytes : {with([](Camera& c) { c.focal[0] = 0; }), with([](Camera& c) {
                              c.depth_range = {3, 2};
                            }),
                            with([](Camera& c) {
                              c.depth_range = {-1, 2};
                            })})
    EXPECT_ERROR(decoder->start_gop(bytes), ErrorCode::corrupt, "no warp from view 0 to view 1");
}

TEST(Hybrid, TheMemoryLimitCountsThePrediction) {
  ModelConfig config = stream().config;
  const auto plan = make_plan(config);
  ASSERT_TRUE(plan.has_value());
  const MemoryNeed need = memory_need(*plan);
  const size_t samples = size_t(config.canvas_width / 2 * (config.canvas_height / 2));
  EXPECT_GE(need.prediction, 14 * samples);
  MemoryNeed without = need;
  without.prediction = 0;
  EXPECT_EQ(need.map_bytes() - without.map_bytes(), sizeof(int16_t) * need.prediction);
  EXPECT_TRUE(check_limits(*plan, need, {}).has_value());
  // A limit between what is needed with it and without it.
  MemoryNeed large = without;
  const GopLimits limits{.max_samples = 48 * 40 * 2, .workers = 1};  // 64 MiB
  large.raw = (size_t{64} << 20) / 2 - 3 * large.map - large.planes - large.lane_bytes() - 20000;
  EXPECT_TRUE(check_limits(*plan, large, limits).has_value());
  large.prediction = 40000 + large.lane_bytes();
  EXPECT_ERROR(check_limits(*plan, large, limits), ErrorCode::limit_exceeded, "MiB of memory");
  // So do the base views' pictures: 256 frames of 8192x8192 are 60 GB.
  Header header{.frames = kMaxGopFrames, .base_views = {0}};
  header.sequence.views.assign(2, {.width = 8192,
                                   .height = 8192,
                                   .texture = SampleFormat::yuv420_8,
                                   .depth = SampleFormat::gray_16});
  EXPECT_GT(base_memory(header, 1), uint64_t{8192} * 8192 * 256 * 7 / 2);
  EXPECT_ERROR(check_limits(*plan, need, limits, base_memory(header, 1)), ErrorCode::limit_exceeded,
               "MiB of memory");
  header.base_views.clear();
  EXPECT_EQ(base_memory(header, 1), 0u);
}

TEST(Hybrid, EveryTruncationGivesAnErrorOrTheViewsThatAreThere) {
  const std::vector<std::byte>& bytes = stream().bytes;
  int rendered = 0;
  for (size_t size = 0; size < bytes.size(); size += size < 500 ? 1 : 11) {
    const std::vector<std::byte> part(bytes.begin(), bytes.begin() + ptrdiff_t(size));
    const auto decoder = make_decoder();
    const auto gop = decoder->start_gop(part);
    if (!gop) {
      EXPECT_TRUE(gop.error().code == ErrorCode::truncated ||
                  gop.error().code == ErrorCode::corrupt)
          << gop.error().message;
      continue;
    }
    BasePictures(*gop, 2).give_to(*decoder);
    for (const int view : {1, 3}) {
      const auto out = render(*decoder, view);
      rendered += out.has_value();
      if (!out) {
        EXPECT_EQ(out.error().code, ErrorCode::corrupt) << out.error().message;
      }
    }
  }
  EXPECT_GT(rendered, 0);
}

TEST(Hybrid, AHeaderWhoseViewsAreAllBaseViewsHasNoModel) {
  Header header{.sequence = stream().sequence, .frames = 3};
  for (int v = 0; v < int(header.sequence.views.size()); ++v) {
    header.base_views.push_back(v);
    header.sequence.views[size_t(v)].depth = SampleFormat::gray_16;
  }
  header.model = no_network(3);
  std::vector<UnitPayload> units;
  for (int i = 0; i < int(2 * header.base_views.size()); ++i)
    units.push_back({UnitType::base, i, std::vector<std::byte>(20)});
  const auto bytes = write_access_unit(header, units);
  ASSERT_TRUE(bytes) << bytes.error().message;
  const auto read = parse_access_unit(*bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->header, header);
  const auto decoder = make_decoder();
  const auto info = decoder->start_gop(*bytes);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(decoder->base_units().size(), units.size());
  EXPECT_EQ(info->base_views, header.base_views);
  const auto states = view_states(*bytes);
  ASSERT_TRUE(states);
  EXPECT_EQ(std::count(states->begin(), states->end(), ViewState::there),
            std::ssize(header.sequence.views));
  // One byte more or less, and it is no header.
  for (const size_t cut : {1u, 2u, 5u})
    EXPECT_FALSE(
        read_header(Bytes(*write_header(header)).first(write_header(header)->size() - cut)));
}

}  // namespace
}  // namespace mvinr
