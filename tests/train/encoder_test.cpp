// The public Encoder from pictures to bytes that the decoder shows.
#include "mvinr/encoder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <thread>

#include "fixture.h"
#include "tools/quality.h"

namespace mvinr::train_test {
namespace {

/// Processor time of this process: other programs on the machine do not count.
double cpu_seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }

/// Few steps: these tests look at the way, not at the quality.
EncoderOptions quick(int gop_frames) {
  EncoderOptions options;
  options.gop_frames = gop_frames;
  options.time_budget = 0.4;
  options.profile = "xxs";
  options.device = "cpu";
  options.threads = 1;
  return options;
}

void add_all(Encoder& encoder, const testutil::Clip& clip) {
  for (int t = 0; t < clip.frames; ++t)
    for (int v = 0; v < int(clip.sequence.views.size()); ++v)
      for (const Component c : {Component::texture, Component::depth}) {
        const auto& picture = clip.at(t, v, c);
        if (picture.format() == SampleFormat::none) continue;
        const Status status = encoder.add({t, v, c}, picture.picture());
        ASSERT_TRUE(status) << status.error().message;
      }
}

EncodedGop encode(const testutil::Clip& clip, const EncoderOptions& options) {
  auto encoder = Encoder::create(clip.sequence, options);
  EXPECT_TRUE(encoder) << encoder.error().message;
  if (!encoder) return {};
  add_all(**encoder, clip);
  auto gop = (*encoder)->encode_gop(clip.frames);
  EXPECT_TRUE(gop) << gop.error().message;
  return gop ? std::move(gop).value() : EncodedGop{};
}

/// Decodes the bytes and measures again what the encoder says that it measured.
void expect_measured_stats(const testutil::Clip& clip, const EncodedGop& gop) {
  const int views = int(clip.sequence.views.size());
  EXPECT_EQ(gop.stats.bytes, gop.bytes.size());
  EXPECT_EQ(gop.stats.frames, clip.frames);
  EXPECT_GT(gop.stats.steps, 0);
  ASSERT_EQ(int(gop.stats.texture.size()), views);
  const auto decoded = decode(gop.bytes);
  ASSERT_EQ(decoded.size(), clip.pictures.size());
  double texture_sum = 0, depth_sum = 0;
  int depths = 0;
  for (int v = 0; v < views; ++v) {
    tools::PsnrMeter texture, depth;
    for (int t = 0; t < clip.frames; ++t) {
      const size_t i = size_t(t * views + v) * 2;
      texture.add(decoded[i].picture(), clip.pictures[i].picture());
      if (clip.pictures[i + 1].format() != SampleFormat::none)
        depth.add(decoded[i + 1].picture(), clip.pictures[i + 1].picture());
    }
    const PictureStats& stats = gop.stats.texture[size_t(v)];
    EXPECT_NEAR(stats.psnr_y, texture.psnr(0), 1e-6);
    EXPECT_NEAR(stats.psnr_u, texture.psnr(1), 1e-6);
    EXPECT_NEAR(stats.psnr_v, texture.psnr(2), 1e-6);
    texture_sum += texture.psnr(0);
    if (depth.empty()) continue;
    ASSERT_EQ(int(gop.stats.depth.size()), views);
    EXPECT_NEAR(gop.stats.depth[size_t(v)].psnr_y, depth.psnr(0), 1e-6);
    depth_sum += depth.psnr(0);
    ++depths;
  }
  EXPECT_NEAR(gop.stats.mean_texture_psnr, texture_sum / views, 1e-6);
  if (depths > 0) {
    EXPECT_NEAR(gop.stats.mean_depth_psnr, depth_sum / depths, 1e-6);
  } else {
    EXPECT_TRUE(gop.stats.depth.empty());
  }
}

TEST(Encoder, MeasuresTwoViewsWithDepthOnTheDecodersOutput) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 3, .width = 64, .height = 48});
  auto options = quick(3);
  options.time_budget = 0;
  options.effort = 1;
  const EncodedGop gop = encode(clip, options);
  expect_measured_stats(clip, gop);
  EXPECT_GT(gop.stats.mean_texture_psnr, 16);
  EXPECT_GT(gop.stats.mean_depth_psnr, 18);
  EXPECT_NEAR(gop.stats.estimated_bits, 8.0 * double(gop.bytes.size()),
              0.02 * 8.0 * double(gop.bytes.size()));
}

TEST(Encoder, CodesTwoViewsWithoutDepth) {
  const auto clip = testutil::make_clip(
      {.views = 2, .frames = 2, .width = 48, .height = 32, .depth = SampleFormat::none});
  expect_measured_stats(clip, encode(clip, quick(2)));
}

TEST(Encoder, CodesOneFrameOfOneView) {
  const auto clip =
      testutil::make_clip({.views = 1, .frames = 1, .width = 32, .height = 32, .cameras = false});
  expect_measured_stats(clip, encode(clip, quick(4)));
}

TEST(Encoder, CodesTenBitTextureWithTenBitDepthOfOddSize) {
  const auto clip = testutil::make_clip({.views = 2,
                                         .frames = 2,
                                         .width = 37,
                                         .height = 29,
                                         .texture = SampleFormat::yuv420_10,
                                         .depth = SampleFormat::gray_10});
  expect_measured_stats(clip, encode(clip, quick(2)));
}

TEST(Encoder, CodesTheProfilesOfMvHinerv) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 32, .height = 32});
  auto options = quick(2);
  options.profile = "mv-hinerv-xxs";
  expect_measured_stats(clip, encode(clip, options));
}

/// Views of several sizes and formats in one clip.
testutil::Clip mixed_clip() {
  const testutil::ClipOptions parts[] = {
      {.views = 1, .frames = 2, .width = 48, .height = 32},
      {.views = 1, .frames = 2, .width = 33, .height = 47, .depth = SampleFormat::none},
      {.views = 1,
       .frames = 2,
       .width = 20,
       .height = 18,
       .texture = SampleFormat::yuv420_10,
       .depth = SampleFormat::gray_8},
  };
  testutil::Clip clip;
  clip.frames = 2;
  std::vector<testutil::Clip> clips;
  for (const auto& part : parts) {
    clips.push_back(testutil::make_clip(part));
    clip.sequence.views.push_back(clips.back().sequence.views[0]);
  }
  for (int t = 0; t < 2; ++t)
    for (const auto& c : clips)
      for (const Component component : {Component::texture, Component::depth})
        clip.pictures.push_back(c.at(t, 0, component));
  return clip;
}

TEST(Encoder, CodesViewsOfDifferentSizesAndFormats) {
  const auto clip = mixed_clip();
  const EncodedGop gop = encode(clip, quick(2));
  expect_measured_stats(clip, gop);
  ASSERT_EQ(gop.stats.depth.size(), 3u);
  EXPECT_EQ(gop.stats.depth[1].psnr_y, 0);  // has none
}

TEST(Encoder, CountsFramesFromGopToGop) {
  const auto clip = testutil::make_clip(
      {.views = 1, .frames = 2, .width = 32, .height = 32, .depth = SampleFormat::none});
  auto encoder = Encoder::create(clip.sequence, quick(2));
  ASSERT_TRUE(encoder);
  uint64_t expected = 0;
  for (const int frames : {2, 1, 2}) {
    add_all(**encoder, clip);
    const auto gop = (*encoder)->encode_gop(frames);
    ASSERT_TRUE(gop) << gop.error().message;
    const auto info = read_gop_info(gop->bytes);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->first_frame, expected);
    EXPECT_EQ(gop->stats.first_frame, expected);
    EXPECT_EQ(info->frames, frames);
    EXPECT_EQ(info->sequence, clip.sequence);
    expected += uint64_t(frames);
  }
}

TEST(Encoder, BeginsAGopWithTheNetworkOfTheLastOne) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 48, .height = 32});
  auto second = [&](bool warm) {
    EncoderOptions options = quick(2);
    options.time_budget = 0;
    options.effort = 1;
    options.warm_start = warm;
    auto encoder = Encoder::create(clip.sequence, options);
    EXPECT_TRUE(encoder);
    EncodedGop last;
    for (int gop = 0; gop < 2; ++gop) {
      add_all(**encoder, clip);
      auto coded = (*encoder)->encode_gop(clip.frames);
      EXPECT_TRUE(coded) << coded.error().message;
      if (coded) last = std::move(coded).value();
    }
    return last;
  };
  const EncodedGop cold = second(false), warm = second(true);
  expect_measured_stats(clip, warm);  // by a decoder that knows no other GOP
  std::printf("cold %.2f dB, warm %.2f dB\n", cold.stats.mean_texture_psnr,
              warm.stats.mean_texture_psnr);
  EXPECT_GT(warm.stats.mean_texture_psnr, cold.stats.mean_texture_psnr + 0.5);
  EXPECT_EQ(warm.bytes, second(true).bytes);
}

TEST(Encoder, RefusesAGopWithAMissingPicture) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 32, .height = 32});
  auto encoder = Encoder::create(clip.sequence, quick(4));
  ASSERT_TRUE(encoder);
  add_all(**encoder, clip);
  const auto gop = (*encoder)->encode_gop(3);
  ASSERT_FALSE(gop);
  EXPECT_EQ(gop.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(gop.error().message.find("frame 2"), std::string::npos) << gop.error().message;
  EXPECT_FALSE((*encoder)->encode_gop(0));
  EXPECT_FALSE((*encoder)->encode_gop(5));
}

TEST(Encoder, ForgetsThePicturesOnReset) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 1, .width = 32, .height = 32});
  auto encoder = Encoder::create(clip.sequence, quick(1));
  ASSERT_TRUE(encoder);
  add_all(**encoder, clip);
  (*encoder)->reset();
  const auto gop = (*encoder)->encode_gop(1);
  ASSERT_FALSE(gop);
  EXPECT_EQ(gop.error().code, ErrorCode::invalid_argument);
  add_all(**encoder, clip);
  EXPECT_TRUE((*encoder)->encode_gop(1));
}

TEST(Encoder, ObeysAStopAndWorksAfterwards) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 256, .height = 144});
  auto options = quick(2);
  options.time_budget = 60;
  auto encoder = Encoder::create(clip.sequence, options);
  ASSERT_TRUE(encoder);
  add_all(**encoder, clip);
  std::stop_source stop;
  double stopped = 0;
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    stopped = cpu_seconds();
    stop.request_stop();
  });
  const auto gop = (*encoder)->encode_gop(2, stop.get_token());
  const double seconds = cpu_seconds() - stopped;
  stopper.join();
  ASSERT_FALSE(gop);
  EXPECT_EQ(gop.error().code, ErrorCode::cancelled);
  EXPECT_LT(seconds, 0.1);
  // The stopped GOP is gone, and its frames do not count.
  EXPECT_FALSE((*encoder)->encode_gop(2));
  ASSERT_TRUE((*encoder)->set_time_budget(0.3));
  add_all(**encoder, clip);
  const auto next = (*encoder)->encode_gop(2);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->stats.first_frame, 0u);
}

// Live: whatever effort asks for, the access unit is there in time; the GOP after it goes on from
// its network. Only then some frames may go unmeasured.
TEST(Encoder, ReturnsByItsDeadlineAndGoesOnFromThere) {
  using Clock = std::chrono::steady_clock;
  const auto clip = testutil::make_clip({.views = 2, .frames = 4, .width = 64, .height = 64});
  auto options = quick(4);
  options.time_budget = 0;
  options.effort = 9;
  auto encoder = Encoder::create(clip.sequence, options);
  ASSERT_TRUE(encoder);
  const auto encode_in = [&](double seconds) {
    add_all(**encoder, clip);
    const auto start = Clock::now();
    const auto end = start + std::chrono::milliseconds(int(1000 * seconds));
    (*encoder)->set_deadline(end);
    auto gop = (*encoder)->encode_gop(4);
    EXPECT_TRUE(gop) << gop.error().message;
    const std::chrono::duration<double> late = Clock::now() - std::max(start, end);
    EXPECT_LT(late.count(), 1) << "a busy machine";
    return gop ? std::move(gop).value() : EncodedGop{};
  };
  const EncodedGop first = encode_in(1.5), second = encode_in(1.5);
  EXPECT_GT(first.stats.steps, 0);
  EXPECT_LT(first.stats.train_seconds, 1.5);
  EXPECT_GE(first.stats.verified_frames, 1);
  EXPECT_LE(first.stats.verified_frames, 4);
  EXPECT_GT(second.stats.mean_texture_psnr, first.stats.mean_texture_psnr + 0.3);
  EXPECT_EQ(second.stats.first_frame, 4u);

  const EncodedGop late = encode_in(-1);  // no step is made, and one frame measured
  EXPECT_EQ(late.stats.steps, 0);
  EXPECT_EQ(late.stats.verified_frames, 1);
  EXPECT_EQ(decode(late.bytes).size(), clip.pictures.size());

  // Without a deadline every GOP stands on its own again.
  ASSERT_TRUE((*encoder)->set_time_budget(0.3));
  (*encoder)->set_deadline(Clock::time_point::max());
  add_all(**encoder, clip);
  const auto fresh = (*encoder)->encode_gop(4);
  ASSERT_TRUE(fresh);
  EXPECT_EQ(fresh->stats.verified_frames, 4);
  EXPECT_LT(fresh->stats.mean_texture_psnr, second.stats.mean_texture_psnr);
}

TEST(Encoder, RefusesOptionsOutOfRangeByName) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 1, .width = 32, .height = 32});
  auto refused = [&](const char* word, ErrorCode code, auto&& change) {
    EncoderOptions options = quick(1);
    change(options);
    const auto encoder = Encoder::create(clip.sequence, options);
    ASSERT_FALSE(encoder) << word;
    EXPECT_EQ(encoder.error().code, code) << encoder.error().message;
    EXPECT_NE(encoder.error().message.find(word), std::string::npos) << encoder.error().message;
  };
  const auto invalid = ErrorCode::invalid_argument;
  refused("lambda", invalid, [](auto& o) { o.lambda = 0; });
  refused("lambda", invalid, [](auto& o) { o.lambda = std::nan(""); });
  refused("lambda", invalid, [](auto& o) { o.lambda = 11; });
  refused("effort", invalid, [](auto& o) { o.effort = 0; });
  refused("effort", invalid, [](auto& o) { o.effort = 10; });
  refused("gop_frames", invalid, [](auto& o) { o.gop_frames = 0; });
  refused("gop_frames", invalid, [](auto& o) { o.gop_frames = kMaxGopFrames + 1; });
  refused("depth_weight", invalid, [](auto& o) { o.depth_weight = -1; });
  refused("prune", invalid, [](auto& o) { o.prune = 0.99; });
  refused("time_budget", invalid, [](auto& o) { o.time_budget = -1; });
  refused("threads", invalid, [](auto& o) { o.threads = -1; });
  refused("'huge'", invalid, [](auto& o) { o.profile = "huge"; });
  refused("base_views", invalid, [](auto& o) { o.mode = Mode::hybrid; });
  refused("tpu", invalid, [](auto& o) { o.device = "tpu"; });
  refused("cuda:99", ErrorCode::no_device, [](auto& o) { o.device = "cuda:99"; });
  refused("memory", ErrorCode::limit_exceeded, [](auto& o) { o.max_memory = 1000000; });
}

TEST(Encoder, RefusesASequenceThatTheBitstreamCannotHold) {
  SequenceInfo sequence = testutil::make_clip({.views = 1, .frames = 1}).sequence;
  sequence.views[0].width = 0;
  const auto encoder = Encoder::create(sequence, quick(1));
  ASSERT_FALSE(encoder);
  EXPECT_EQ(encoder.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(encoder.error().message.find("width"), std::string::npos) << encoder.error().message;
}

TEST(Encoder, ChecksLambdaAndTimeBetweenGopsToo) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 1, .width = 32, .height = 32});
  auto encoder = Encoder::create(clip.sequence, quick(1));
  ASSERT_TRUE(encoder);
  EXPECT_TRUE((*encoder)->set_lambda(0.5));
  EXPECT_FALSE((*encoder)->set_lambda(-0.5));
  EXPECT_TRUE((*encoder)->set_time_budget(0.1));
  EXPECT_FALSE((*encoder)->set_time_budget(-0.1));
}

TEST(Encoder, ReportsProgressUpToTheVerification) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 1, .width = 32, .height = 32});
  auto options = quick(1);
  options.time_budget = 1;
  std::vector<std::string> phases;
  options.on_progress = [&](const Progress& p) { phases.push_back(p.phase); };
  encode(clip, options);
  ASSERT_GE(phases.size(), 3u);
  EXPECT_EQ(phases.back(), "verify");
}

}  // namespace
}  // namespace mvinr::train_test
