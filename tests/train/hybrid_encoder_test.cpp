// The public Encoder in hybrid mode, with base pictures that no real codec has made.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "fixture.h"
#include "geometry/warp.h"
#include "mvinr/decoder.h"
#include "mvinr/encoder.h"
#include "tools/quality.h"

namespace mvinr::train_test {
namespace {

constexpr Component kComponents[] = {Component::texture, Component::depth};

EncoderOptions hybrid(int gop_frames, std::vector<int> base_views) {
  EncoderOptions options;
  options.mode = Mode::hybrid;
  options.base_views = std::move(base_views);
  options.gop_frames = gop_frames;
  options.effort = 1;
  options.lambda = 0.001;
  options.profile = "xxs";
  options.device = "cpu";
  options.threads = 1;
  return options;
}

std::unique_ptr<Encoder> make_encoder(const testutil::Clip& clip, const EncoderOptions& options) {
  auto encoder = Encoder::create(clip.sequence, options);
  EXPECT_TRUE(encoder) << encoder.error().message;
  return std::move(encoder).value();
}

void add_sources(Encoder& encoder, const testutil::Clip& clip) {
  for (int t = 0; t < clip.frames; ++t)
    for (int v = 0; v < int(clip.sequence.views.size()); ++v)
      for (const Component c : kComponents)
        ASSERT_TRUE(encoder.add({t, v, c}, clip.at(t, v, c).picture()));
}

std::vector<std::byte> payload_of(int view, Component component) {
  return std::vector<std::byte>(size_t(300 + 10 * view), std::byte(int(component)));
}

void add_bases(Encoder& encoder, const testutil::Clip& clip, const std::vector<int>& base_views) {
  for (const int v : base_views)
    for (const Component c : kComponents) {
      for (int t = 0; t < clip.frames; ++t)
        ASSERT_TRUE(encoder.add_base({t, v, c}, base_picture(clip, {t, v, c}).picture()));
      ASSERT_TRUE(encoder.add_base_unit(v, c, payload_of(v, c)));
    }
}

/// PSNR of the luma of a view that is warped from the base pictures alone.
double warped_psnr(const testutil::Clip& clip, const std::vector<int>& base_views, int view) {
  const auto placed = [&](int v) {
    const ViewInfo& info = clip.sequence.views[size_t(v)];
    return PlacedCamera{*info.camera, info.width, info.height, info.texture, info.depth};
  };
  tools::PsnrMeter meter;
  WarpMemory memory;
  for (int t = 0; t < clip.frames; ++t) {
    std::vector<ViewMap> maps;
    std::vector<OwnedPicture> pictures;
    for (const int base : base_views) {
      maps.push_back(*make_view_map(placed(base), placed(view)));
      for (const Component c : kComponents) pictures.push_back(base_picture(clip, {t, base, c}));
    }
    std::vector<BaseInput> inputs;
    for (size_t b = 0; b < maps.size(); ++b)
      inputs.push_back({&maps[b], pictures[2 * b].picture(), pictures[2 * b + 1].picture()});
    const ViewInfo& info = clip.sequence.views[size_t(view)];
    tools::PictureBuffer texture(info.texture, info.width, info.height);
    const MutablePicture out = texture.mutable_picture();
    const Status status = warp_to_picture(inputs, placed(view), &out, nullptr, memory);
    EXPECT_TRUE(status) << status.error().message;
    meter.add(texture.picture(), clip.at(t, view, Component::texture).picture());
  }
  return meter.psnr(0);
}

TEST(HybridEncoder, TheOtherViewsAreBetterThanTheWarpAlone) {
  const auto clip = testutil::make_clip({.views = 3, .frames = 2, .width = 64, .height = 48});
  const std::vector<int> base_views = {1};
  const auto encoder = make_encoder(clip, hybrid(2, base_views));
  add_sources(*encoder, clip);
  add_bases(*encoder, clip, base_views);
  const auto gop = encoder->encode_gop(2);
  ASSERT_TRUE(gop) << gop.error().message;

  // The units are those that were given, and the stream says which views they are.
  const auto decoder = *Decoder::create({.threads = 1});
  const auto info = decoder->start_gop(gop->bytes);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->base_views, base_views);
  EXPECT_EQ(info->sequence, clip.sequence);
  const auto units = decoder->base_units();
  ASSERT_EQ(units.size(), 2u);
  for (const BaseUnit& unit : units) {
    const auto expected = payload_of(1, unit.component);
    EXPECT_TRUE(std::ranges::equal(unit.payload, expected));
  }

  // What the encoder has measured is what a decoder shows.
  EXPECT_EQ(gop->stats.bytes, gop->bytes.size());
  EXPECT_NEAR(gop->stats.estimated_bits, 8.0 * double(gop->bytes.size()),
              0.02 * 8.0 * double(gop->bytes.size()));
  const auto decoded = decode(gop->bytes, &clip);
  ASSERT_EQ(decoded.size(), clip.pictures.size());
  for (int v = 0; v < 3; ++v) {
    tools::PsnrMeter texture, depth;
    for (int t = 0; t < 2; ++t) {
      const size_t i = size_t(t * 3 + v) * 2;
      texture.add(decoded[i].picture(), clip.pictures[i].picture());
      depth.add(decoded[i + 1].picture(), clip.pictures[i + 1].picture());
    }
    EXPECT_NEAR(gop->stats.texture[size_t(v)].psnr_y, texture.psnr(0), 1e-6) << v;
    EXPECT_NEAR(gop->stats.depth[size_t(v)].psnr_y, depth.psnr(0), 1e-6) << v;
    if (v == 1) continue;
    const double warped = warped_psnr(clip, base_views, v);
    std::printf("view %d: warped %.2f dB, coded %.2f dB\n", v, warped, texture.psnr(0));
    EXPECT_GT(texture.psnr(0), warped + 0.3) << v;
  }
}

TEST(HybridEncoder, RefusesWhatHybridModeCannotDo) {
  const auto clip = testutil::make_clip({.views = 3, .frames = 1, .width = 32, .height = 32});
  const auto refused = [](const testutil::Clip& c, const EncoderOptions& options,
                          const char* words) {
    const auto encoder = Encoder::create(c.sequence, options);
    ASSERT_FALSE(encoder) << words;
    EXPECT_EQ(int(encoder.error().code), int(ErrorCode::invalid_argument));
    EXPECT_NE(encoder.error().message.find(words), std::string::npos) << encoder.error().message;
  };
  refused(clip, hybrid(1, {}), "mode hybrid needs base_views");
  auto implicit = hybrid(1, {1});
  implicit.mode = Mode::implicit;
  refused(clip, implicit, "mode implicit has no base_views");
  refused(clip, hybrid(1, {3}), "base view 3 is not there");
  refused(clip, hybrid(1, {-1}), "-1");
  refused(clip, hybrid(1, {1, 0}), "rising order");
  for (const Motion motion : {Motion::geometry, Motion::refined}) {
    auto by_cameras = hybrid(1, {1});
    by_cameras.motion = motion;
    auto other = clip;
    other.sequence.views[2].camera.reset();
    refused(other, by_cameras, "view 2 has no camera");
    other = clip;
    other.sequence.views[1].depth = SampleFormat::none;
    refused(other, by_cameras, "base view 1 has no depth");
  }
}

TEST(HybridEncoder, AllViewsMayBeBaseViewsThenNothingIsTrained) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 48, .height = 32});
  const std::vector<int> base_views = {0, 1};
  const auto encoder = make_encoder(clip, hybrid(2, base_views));
  add_sources(*encoder, clip);
  add_bases(*encoder, clip, base_views);
  const auto gop = encoder->encode_gop(2);
  ASSERT_TRUE(gop) << gop.error().message;
  EXPECT_EQ(gop->stats.steps, 0);
  EXPECT_EQ(gop->stats.bytes, gop->bytes.size());
  const auto units = list_units(gop->bytes);
  ASSERT_TRUE(units);
  ASSERT_EQ(units->size(), 4u);
  for (const UnitInfo& unit : *units) EXPECT_EQ(unit.type, int(UnitType::base));
  const auto states = view_states(gop->bytes);
  ASSERT_TRUE(states);
  EXPECT_EQ(*states, (std::vector{ViewState::there, ViewState::there}));

  // What is shown are the base pictures, and a view can be left out.
  const auto decoder = *Decoder::create({.threads = 2});
  const auto info = decoder->start_gop(*filter_access_unit(gop->bytes, std::array{1}));
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->base_views, base_views);
  EXPECT_EQ(decoder->base_units().size(), 2u);
  for (int t = 0; t < 2; ++t) {
    const OwnedPicture base = base_picture(clip, {t, 1, Component::texture});
    ASSERT_TRUE(decoder->set_base({t, 1, Component::texture}, base.picture()));
    OwnedPicture shown(base.picture().format, base.picture().width, base.picture().height);
    MutablePicture out = shown.writable();
    const Status rendered =
        decoder->render(std::array{RenderJob{.frame = t, .view = 1, .texture = &out}});
    ASSERT_TRUE(rendered) << rendered.error().message;
    EXPECT_TRUE(std::ranges::equal(shown.samples(), base.samples()));
  }
  EXPECT_FALSE(decoder->render(std::array{RenderJob{.view = 0}}, {}) &&
               decoder->render(std::array{RenderJob{.frame = 2, .view = 1}}, {}));
}

TEST(HybridEncoder, ATargetIsReachedWithTheBaseUnitsCounted) {
  const auto clip = testutil::make_clip({.views = 3, .frames = 2, .width = 96, .height = 64});
  for (const uint64_t bytes : {2500u, 3500u}) {
    auto options = hybrid(2, {1});
    options.effort = 4;
    const auto encoder = make_encoder(clip, options);
    ASSERT_TRUE(encoder->set_target_bytes(bytes));
    add_sources(*encoder, clip);
    add_bases(*encoder, clip, {1});
    const auto gop = encoder->encode_gop(2);
    ASSERT_TRUE(gop) << gop.error().message;
    EXPECT_NEAR(double(gop->bytes.size()) / double(bytes), 1, 0.1) << bytes;  // few symbols
    EXPECT_NE(gop->stats.lambda, options.lambda);
    std::printf("%d bytes wanted, %d written\n", int(bytes), int(gop->bytes.size()));
  }
}

TEST(HybridEncoder, NamesTheBasePictureOrUnitThatIsMissing) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 32, .height = 32});
  const auto encoder = make_encoder(clip, hybrid(2, {0}));
  const auto expect_error = [&](const char* words) {
    const auto gop = encoder->encode_gop(2);
    ASSERT_FALSE(gop) << words;
    EXPECT_EQ(gop.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(gop.error().message.find(words), std::string::npos) << gop.error().message;
  };
  const auto give = [&](int frame, Component c) {
    ASSERT_TRUE(encoder->add_base({frame, 0, c}, base_picture(clip, {frame, 0, c}).picture()));
  };
  add_sources(*encoder, clip);
  expect_error("the decoded texture of view 0, frame 0 is missing");
  add_sources(*encoder, clip);  // an error forgets the GOP
  for (const int t : {0, 1}) give(t, Component::texture);
  expect_error("the BASE unit of the texture of view 0 is missing");
  add_sources(*encoder, clip);
  for (const int t : {0, 1}) give(t, Component::texture);
  ASSERT_TRUE(encoder->add_base_unit(0, Component::texture, {std::byte{1}}));
  give(0, Component::depth);
  expect_error("the decoded depth of view 0, frame 1 is missing");
  add_sources(*encoder, clip);
  add_bases(*encoder, clip, {0});
  EXPECT_TRUE(encoder->encode_gop(2));
}

TEST(HybridEncoder, RefusesPicturesAndUnitsThatAreNoneOfABaseView) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 1, .width = 32, .height = 32});
  const auto encoder = make_encoder(clip, hybrid(1, {0}));
  const auto expect_error = [](const Status& status, const char* words) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(status.error().message.find(words), std::string::npos) << status.error().message;
  };
  const OwnedPicture texture = base_picture(clip, {0, 0, Component::texture});
  expect_error(encoder->add_base({0, 1, Component::texture}, texture.picture()), "view 1 is not");
  expect_error(encoder->add_base({0, 7, Component::texture}, texture.picture()), "view 7 is not");
  expect_error(encoder->add_base({0, 0, Component::depth}, texture.picture()),
               "depth of view 0, frame 0");
  expect_error(encoder->add_base_unit(1, Component::texture, {}), "view 1 is not a base view");
}

TEST(HybridEncoder, MovingCamerasNeedAPoseForEveryFrame) {
  auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 32, .height = 32});
  std::vector<Camera> cameras;
  for (ViewInfo& view : clip.sequence.views) {
    cameras.push_back(*view.camera);
    view.moving = true;
    view.camera->position = view.camera->rotation = {};
  }
  const auto encoder = make_encoder(clip, hybrid(2, {0}));
  const auto add_pose = [&](int frame, int view) {
    return encoder->add_pose(frame, view,
                             {cameras[size_t(view)].position, cameras[size_t(view)].rotation});
  };
  const auto add_all = [&] {
    add_sources(*encoder, clip);
    add_bases(*encoder, clip, {0});
    for (const auto& [frame, view] : {std::pair(0, 0), {0, 1}, {1, 0}})
      ASSERT_TRUE(add_pose(frame, view));
  };
  add_all();
  const auto missing = encoder->encode_gop(2);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(missing.error().message.find("the pose of view 1, frame 1 is missing"),
            std::string::npos)
      << missing.error().message;
  add_all();
  ASSERT_TRUE(add_pose(1, 1));
  const auto gop = encoder->encode_gop(2);
  ASSERT_TRUE(gop) << gop.error().message;
  const auto read = read_cameras(gop->bytes);
  ASSERT_TRUE(read) << read.error().message;
  for (size_t t = 0; t < 2; ++t)
    for (size_t v = 0; v < 2; ++v)
      EXPECT_NEAR((*read)[t][v]->position[1], cameras[v].position[1], 1e-3);
  // The warp is that of the cameras: its prediction alone is better than that.
  EXPECT_GT(gop->stats.texture[1].psnr_y, 20);

  EXPECT_FALSE(add_pose(2, 0)) << "a frame of the next GOP";
  EXPECT_FALSE(encoder->add_pose(0, 2, {}));
  clip.sequence.views[0].moving = false;
  EXPECT_FALSE(make_encoder(clip, hybrid(2, {0}))->add_pose(0, 0, {})) << "it stands still";
}

TEST(HybridEncoder, ABaseViewMayBeLargerThanAllOthers) {
  auto clip = testutil::make_clip({.views = 2, .frames = 1, .width = 32, .height = 32});
  const auto large = testutil::make_clip({.views = 2, .frames = 1, .width = 96, .height = 96});
  clip.sequence.views[0] = large.sequence.views[0];
  for (size_t c = 0; c < 2; ++c) clip.pictures[c] = large.pictures[c];
  const auto encoder = make_encoder(clip, hybrid(1, {0}));
  add_sources(*encoder, clip);
  add_bases(*encoder, clip, {0});
  const auto gop = encoder->encode_gop(1);
  ASSERT_TRUE(gop) << gop.error().message;
  const auto header = read_gop_info(gop->bytes);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->sequence.views[0].width, 96);
  EXPECT_EQ(header->sequence.views[1].width, 32);
  EXPECT_GT(gop->stats.texture[0].psnr_y, 20);
}

}  // namespace
}  // namespace mvinr::train_test
