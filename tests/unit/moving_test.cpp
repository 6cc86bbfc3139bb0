// Moving cameras: poses in and out of the CAMERAS unit, and pictures warped with one camera per
// frame.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base_pictures.h"
#include "format/camera_unit.h"
#include "mvinr/decoder.h"
#include "random_header.h"
#include "random_model.h"
#include "tools/picture_buffer.h"

namespace mvinr {
namespace {

using tools::PictureBuffer;

constexpr double kDegree = 3.14159265358979 / 180;

SequenceInfo sequence_of(int views, float focal = 500, float near = 0.5f) {
  ViewInfo view{.width = 512, .height = 288, .texture = SampleFormat::yuv420_8};
  view.camera =
      Camera{.focal = {focal, focal}, .principal_point = {256, 144}, .depth_range = {near, 20}};
  view.moving = true;
  return {.views = std::vector<ViewInfo>(size_t(views), view)};
}

/// A hand that holds the cameras: smooth, with a tremble.
Poses walk(int views, int frames, uint32_t seed) {
  testutil::Random random(seed);
  const auto tremble = [&](double size) { return size * random.between(-1000, 1000) / 1000; };
  Poses poses;
  for (int t = 0; t < frames; ++t) {
    std::vector<Pose>& frame = poses.emplace_back();
    for (int v = 0; v < views; ++v)
      frame.push_back({{float(0.05 * t + tremble(0.01)), float(-0.1 * v + tremble(0.01)), 1.5f},
                       {float(170 + 2 * t + tremble(0.3)), float(tremble(0.3)), -179.9f}});
  }
  return poses;
}

double difference(float a, float b) { return std::abs(std::remainder(double{a} - b, 360)); }

TEST(Poses, AreRoundedByAThirtySecondOfAPixelAndComeBackTheSame) {
  for (const auto& [focal, near] : {std::pair(500.f, 0.5f), {4000.f, 0.1f}, {60.f, 10.f}}) {
    const SequenceInfo sequence = sequence_of(3, focal, near);
    const Poses poses = walk(3, 32, 1);
    const auto payload = write_poses(sequence, poses);
    ASSERT_TRUE(payload) << payload.error().message;
    const auto read = read_poses(sequence, 32, *payload);
    ASSERT_TRUE(read) << read.error().message;
    for (size_t t = 0; t < 32; ++t)
      for (size_t v = 0; v < 3; ++v)
        for (size_t i = 0; i < 3; ++i) {
          const Pose &a = poses[t][v], &b = (*read)[t][v];
          EXPECT_LE(std::abs(double{a.position[i]} - b.position[i]) * focal / near, 1.001 / 32);
          EXPECT_LE(difference(a.rotation[i], b.rotation[i]) * kDegree * focal, 1.001 / 32);
        }
    EXPECT_EQ(*read_poses(sequence, 32, *write_poses(sequence, *read)), *read);
    std::printf("focal %g: %.1f bytes per view and frame\n", focal,
                double(payload->size()) / (32 * 3));
    EXPECT_LT(payload->size(), size_t{32 * 3 * 20}) << "24 bytes are the numbers as floats";
  }
}

TEST(Poses, CostNextToNothingWhereNothingMoves) {
  const SequenceInfo sequence = sequence_of(2);
  const Poses poses(64, walk(2, 1, 3)[0]);
  EXPECT_LT(write_poses(sequence, poses)->size(), 60u);
  EXPECT_LT(write_poses(sequence, Poses(1, poses[0]))->size(), 45u) << "one frame";
}

TEST(Poses, MayTurnRoundAndRoundAndBeFarAway) {
  const SequenceInfo sequence = sequence_of(1, 8000, 0.01f);
  Poses poses;
  for (int t = 0; t < 256; ++t)
    poses.push_back(
        {{{1e6f, -1e6f, float(t)}, {float(std::remainder(170.0 * t, 360)), -90, float(-t % 360)}}});
  const auto payload = write_poses(sequence, poses);
  ASSERT_TRUE(payload) << payload.error().message;
  const auto read = read_poses(sequence, 256, *payload);
  ASSERT_TRUE(read) << read.error().message;
  for (size_t t = 0; t < poses.size(); ++t)
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(poses[t][0].position[i], (*read)[t][0].position[i], 0.1);
      EXPECT_LT(difference(poses[t][0].rotation[i], (*read)[t][0].rotation[i]), 0.01);
    }
  EXPECT_LT(payload->size(), 1200u);
}

TEST(Poses, RandomNumbersOfAnySizeComeBackNear) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    testutil::Random random(seed);
    const int frames = random.between(1, 20), views = random.between(1, 3);
    SequenceInfo sequence = sequence_of(views);
    sequence.views[size_t(views) - 1].moving = views == 1;  // one may stand still
    const double size = std::exp2(random.between(-10, 23));
    Poses poses(static_cast<size_t>(frames), std::vector<Pose>(static_cast<size_t>(views)));
    for (auto& frame : poses)
      for (Pose& pose : frame)
        for (size_t i = 0; i < 3; ++i) {
          pose.position[i] = float(size * random.between(-1000, 1000) / 1000);
          pose.rotation[i] = float(random.between(-360000, 360000)) / 1000;
        }
    const auto payload = write_poses(sequence, poses);
    ASSERT_TRUE(payload) << payload.error().message;
    const auto read = read_poses(sequence, frames, *payload);
    ASSERT_TRUE(read) << read.error().message;
    for (size_t t = 0; t < poses.size(); ++t)
      for (size_t v = 0; v < size_t(std::max(views - 1, 1)); ++v)
        for (size_t i = 0; i < 3; ++i) {
          EXPECT_NEAR(poses[t][v].position[i], (*read)[t][v].position[i], size / 1e6 + 1e-4);
          EXPECT_LT(difference(poses[t][v].rotation[i], (*read)[t][v].rotation[i]), 0.01);
        }
  }
}

TEST(Poses, NumbersThatCannotBeWrittenAreNamed) {
  const SequenceInfo sequence = sequence_of(2);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), 1e30f, -std::numeric_limits<float>::infinity()}) {
    Poses poses = walk(2, 4, 1);
    poses[2][1].rotation[1] = bad;
    const auto payload = write_poses(sequence, poses);
    ASSERT_FALSE(payload);
    EXPECT_EQ(payload.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(payload.error().message.find("view 1, frame 2"), std::string::npos);
  }
}

TEST(Poses, DamagedPayloadsAreCorruptOrOtherPoses) {
  const SequenceInfo sequence = sequence_of(2);
  const std::vector<std::byte> payload = *write_poses(sequence, walk(2, 16, 2));
  int corrupt = 0;
  const auto read = [&](const std::vector<std::byte>& bytes) {
    const auto poses = read_poses(sequence, 16, bytes);
    if (!poses) {
      EXPECT_EQ(poses.error().code, ErrorCode::corrupt);
      return ++corrupt, void();
    }
    for (const auto& frame : *poses)
      for (const Pose& pose : frame)
        for (size_t i = 0; i < 3; ++i) {
          EXPECT_LT(std::abs(pose.position[i]), float(1 << 24));
          EXPECT_LT(std::abs(pose.rotation[i]), float(1 << 24));
        }
  };
  for (size_t size = 0; size < payload.size(); ++size)
    read({payload.begin(), payload.begin() + ptrdiff_t(size)});
  EXPECT_GE(corrupt, int(payload.size()) - 5) << "of the truncations";
  for (size_t bit = 0; bit < 8 * payload.size(); ++bit) {
    std::vector<std::byte> bytes = payload;
    bytes[bit / 8] ^= std::byte(1 << (bit % 8));
    read(bytes);
  }
  std::vector<std::byte> longer = payload;
  longer.resize(payload.size() + 8);
  EXPECT_FALSE(read_poses(sequence, 16, longer));
}

TEST(Poses, TheDocumentedExampleHasTheDocumentedBytes) {
  // docs/bitstream.md 6.10
  const SequenceInfo sequence = sequence_of(1, 64, 1);
  const Poses poses{{{{0, 0.5f, 0}, {90, 0, 0}}},
                    {{{0.25f, 0.5f, 0}, {91, 0, 0}}},
                    {{{0.5f, 0.5f, 0}, {92, 0, 0}}}};
  const auto payload = *write_poses(sequence, poses);
  std::string hex;
  for (const std::byte b : payload) {
    char text[4];
    std::snprintf(text, sizeof text, "%02X", std::to_integer<unsigned>(b));
    hex += text;
  }
  EXPECT_EQ(hex, "5160000000FC08B0ADD16578163D9C48928E1EDA725EA5183BE50F89A3");
  EXPECT_EQ(*read_poses(sequence, 3, payload), poses);
}

/// A hybrid stream: views 0 and 2 are base views, 1 and 3 are rendered.
struct Stream {
  ModelConfig config;
  SequenceInfo sequence;
  std::vector<std::byte> bytes;

  explicit Stream(bool hybrid = true, const std::string& name = "hybrid_reduce_first") {
    for (const auto& named : testutil::test_configs())
      if (named.name == name) config = named.config;
    sequence = testutil::sequence_for(config);
    for (ViewInfo& view : sequence.views)
      if (!view.camera)
        view.camera = Camera{.focal = {50, 50}, .principal_point = {24, 20}, .depth_range = {1, 6}};
    sequence = testutil::moving(sequence);
    if (!hybrid) config = testutil::test_configs()[0].config;
    if (!hybrid) {
      sequence = testutil::sequence_for(config);
      for (ViewInfo& view : sequence.views)
        view.camera = Camera{.focal = {50, 50}, .principal_point = {24, 20}, .depth_range = {1, 6}};
      sequence.views[1].camera.reset();
      sequence = testutil::moving(sequence);
    }
    bytes = testutil::access_unit_of(testutil::random_coded_model(config, 3), sequence);
  }
  /// The same without CAMERAS unit, or with cameras that stand where they are at a frame.
  std::vector<std::byte> changed(const SequenceInfo& other) const {
    const AccessUnit unit = *parse_access_unit(bytes);
    std::vector<UnitPayload> units;
    for (const UnitView& u : unit.units)
      if (u.type != UnitType::cameras)
        units.push_back({u.type, u.index, {u.payload.begin(), u.payload.end()}});
    Header header = unit.header;
    header.sequence = other;
    return *write_access_unit(header, units);
  }
};

std::unique_ptr<Decoder> make_decoder() { return std::move(*Decoder::create({.threads = 2})); }

Result<PictureBuffer> render(Decoder& decoder, const ViewInfo& info, int view, int frame) {
  PictureBuffer texture(info.texture, info.width, info.height);
  MutablePicture out = texture.mutable_picture();
  const RenderJob job{.frame = frame, .view = view, .texture = &out};
  const Status status = decoder.render({&job, 1});
  if (!status) return status.error();
  return texture;
}

TEST(Moving, EveryFrameIsThatOfCamerasThatStandWhereTheyAreThen) {
  const Stream stream;
  const auto cameras = read_cameras(stream.bytes);
  ASSERT_TRUE(cameras) << cameras.error().message;
  const auto decoder = make_decoder(), still = make_decoder();
  const auto gop = decoder->start_gop(stream.bytes);
  ASSERT_TRUE(gop) << gop.error().message;
  EXPECT_EQ(gop->sequence, stream.sequence);
  ASSERT_EQ(cameras->size(), size_t(gop->frames));
  const testutil::BasePictures bases(*gop, 2);
  bases.give_to(*decoder);
  bool differs = false;
  for (int t = 0; t < gop->frames; ++t) {
    SequenceInfo standing = stream.sequence;
    for (size_t v = 0; v < standing.views.size(); ++v) {
      standing.views[v].moving = false;
      standing.views[v].camera = (*cameras)[size_t(t)][v];
    }
    const auto other = still->start_gop(stream.changed(standing));
    ASSERT_TRUE(other) << other.error().message;
    bases.give_to(*still);
    for (const int view : {1, 3}) {
      const ViewInfo& info = standing.views[size_t(view)];
      const auto a = render(*decoder, info, view, t), b = render(*still, info, view, t);
      ASSERT_TRUE(a && b) << a.error().message;
      EXPECT_TRUE(std::ranges::equal(a->bytes(), b->bytes())) << t << " " << view;
      const auto first = render(*still, info, view, 0), moved = render(*decoder, info, view, 0);
      differs = differs || !std::ranges::equal(first->bytes(), moved->bytes());
    }
  }
  EXPECT_TRUE(differs) << "the poses have no effect";
}

TEST(Moving, WithoutTheirUnitBaseViewsAreShownAndTheOthersAreDamaged) {
  const Stream stream;
  const auto bytes = stream.changed(stream.sequence);
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(bytes);
  ASSERT_TRUE(gop) << gop.error().message;
  testutil::BasePictures(*gop, 2).give_to(*decoder);
  EXPECT_TRUE(render(*decoder, gop->sequence.views[0], 0, 0));
  const auto damaged = render(*decoder, gop->sequence.views[1], 1, 0);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::corrupt);
  EXPECT_NE(damaged.error().message.find("moving cameras"), std::string::npos);
  const auto left_out = *view_states(bytes);
  EXPECT_EQ(left_out[0], ViewState::there);
  EXPECT_EQ(left_out[1], ViewState::left_out);
  EXPECT_EQ(read_cameras(bytes).error().code, ErrorCode::corrupt);

  // Its end is missing: it is the last unit.
  const Bytes cut = Bytes(stream.bytes).first(stream.bytes.size() - 1);
  EXPECT_EQ(read_cameras(cut).error().code, ErrorCode::truncated);
  EXPECT_EQ((*view_states(cut))[1], ViewState::damaged);
  EXPECT_EQ((*view_states(stream.bytes))[1], ViewState::there);
}

TEST(Moving, LearnedMotionDoesWithoutTheirUnit) {
  const Stream stream(true, "learned");
  const auto without = stream.changed(stream.sequence);
  const auto whole = make_decoder(), part = make_decoder();
  const auto gop = whole->start_gop(stream.bytes), other = part->start_gop(without);
  ASSERT_TRUE(gop && other);
  ASSERT_TRUE(gop->sequence.views[0].moving);
  const testutil::BasePictures bases(*gop, 2);
  bases.give_to(*whole);
  bases.give_to(*part);
  for (int v = 0; v < int(gop->sequence.views.size()); ++v) {
    EXPECT_EQ((*view_states(without))[size_t(v)], ViewState::there) << v;
    const auto a = render(*whole, gop->sequence.views[size_t(v)], v, 1);
    const auto b = render(*part, gop->sequence.views[size_t(v)], v, 1);
    ASSERT_TRUE(a && b) << v;
    EXPECT_TRUE(std::ranges::equal(a->bytes(), b->bytes())) << v;
  }
}

TEST(Moving, FilteringKeepsTheCameras) {
  const Stream stream;
  const int views[] = {0};
  const auto filtered = filter_access_unit(stream.bytes, views);
  ASSERT_TRUE(filtered);
  EXPECT_LT(filtered->size(), stream.bytes.size());
  EXPECT_EQ(*read_cameras(*filtered), *read_cameras(stream.bytes));
}

TEST(Moving, ImplicitStreamsHaveCamerasToo) {
  const Stream stream(false);
  const auto cameras = read_cameras(stream.bytes);
  ASSERT_TRUE(cameras) << cameras.error().message;
  const Poses poses = testutil::poses_for(stream.sequence, stream.config.frames);
  for (size_t t = 0; t < cameras->size(); ++t) {
    EXPECT_FALSE((*cameras)[t][1]) << "a view without a camera";
    for (const size_t v : {size_t{0}, size_t{2}})
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_NEAR((*cameras)[t][v]->position[i], poses[t][v].position[i], 1e-3);
        EXPECT_NEAR((*cameras)[t][v]->rotation[i], poses[t][v].rotation[i], 0.05);
        EXPECT_EQ((*cameras)[t][v]->focal[0], 50);
      }
  }
  // Its network needs none.
  const auto decoder = make_decoder();
  const auto gop = decoder->start_gop(stream.changed(stream.sequence));
  ASSERT_TRUE(gop) << gop.error().message;
  EXPECT_TRUE(render(*decoder, gop->sequence.views[0], 0, 1));
  EXPECT_EQ((*view_states(stream.changed(stream.sequence)))[0], ViewState::there);
}

TEST(Moving, TheDescriptionSaysWhereTheCamerasAre) {
  const Stream stream;
  const auto text = describe_access_unit(stream.bytes);
  ASSERT_TRUE(text);
  for (const char* words :
       {"camera moving, focal", "moving cameras: ", "moving cameras   ", "  view 3 "})
    EXPECT_NE(text->find(words), std::string::npos) << words << " in\n" << *text;
  const auto without = describe_access_unit(stream.changed(stream.sequence));
  EXPECT_NE(without->find("damaged or missing"), std::string::npos);
}

}  // namespace
}  // namespace mvinr
