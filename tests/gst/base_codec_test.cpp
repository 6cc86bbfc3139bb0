// Base views: what goes into the stream and what every decoder makes of it.
#include <cstring>
#include <thread>

#include "base_fixture.h"
#include "tools/quality.h"

namespace mvinr::gst_test {
namespace {

using gst::BaseDecoder;
using gst::BaseEncoder;
using gst::CodedBase;
using gst::OwnedPicture;

CodedBase code(const BaseClip& clip, const std::string& encoder, int quantiser) {
  auto made = BaseEncoder::create(encoder, clip.format, quantiser);
  EXPECT_TRUE(made) << made.error().message;
  if (!made) return {};
  auto coded = (*made)->encode(clip.pictures);
  EXPECT_TRUE(coded) << coded.error().message;
  return coded ? std::move(*coded) : CodedBase{};
}

struct Case {
  const char* name;
  const char* encoder;
  SampleFormat samples;
  int width, height, frames;
  double least_psnr;
};
class BaseRoundTrip : public testing::TestWithParam<Case> {};

TEST_P(BaseRoundTrip, ComesBackSimilarAndAlwaysTheSame) {
  const Case& c = GetParam();
  const std::string element = std::string(c.encoder).substr(0, std::string(c.encoder).find(' '));
  if (!have_element(element.c_str())) GTEST_SKIP() << element << " is not installed";
  const BaseClip clip(c.samples, c.width, c.height, c.frames);
  const CodedBase coded = code(clip, c.encoder, 12);
  ASSERT_EQ(coded.decoded.size(), size_t(c.frames));
  for (const OwnedPicture& picture : coded.decoded) {
    EXPECT_EQ(picture.picture.format, c.samples);
    EXPECT_EQ(picture.picture.width, c.width);
    EXPECT_EQ(picture.picture.height, c.height);
  }
  EXPECT_GT(psnr(clip.pictures, coded.decoded), c.least_psnr);

  const auto again = BaseDecoder::decode(coded.payload, clip.format, c.frames);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(equal(coded.decoded, *again));
}

constexpr char kX264[] = "x264enc speed-preset=ultrafast";
constexpr char kOpenH264[] = "openh264enc";
INSTANTIATE_TEST_SUITE_P(
    , BaseRoundTrip,
    testing::Values(Case{"X265Texture8", kFastEncoder, SampleFormat::yuv420_8, 64, 48, 5, 38},
                    Case{"X265Texture8Odd", kFastEncoder, SampleFormat::yuv420_8, 61, 45, 32, 38},
                    Case{"X265Texture10", kFastEncoder, SampleFormat::yuv420_10, 61, 45, 5, 38},
                    Case{"X265Tiny", kFastEncoder, SampleFormat::yuv420_8, 16, 7, 1, 35},
                    Case{"X265Depth8", kFastEncoder, SampleFormat::gray_8, 61, 45, 5, 38},
                    Case{"X265Depth10", kFastEncoder, SampleFormat::gray_10, 61, 45, 5, 38},
                    Case{"X265Depth16", kFastEncoder, SampleFormat::gray_16, 61, 45, 32, 38},
                    Case{"X265OneFrame", kFastEncoder, SampleFormat::gray_16, 64, 48, 1, 38},
                    Case{"X264Texture8", kX264, SampleFormat::yuv420_8, 61, 45, 8, 36},
                    Case{"X264Texture10", kX264, SampleFormat::yuv420_10, 64, 48, 8, 36},
                    Case{"X264Depth16", kX264, SampleFormat::gray_16, 61, 45, 8, 36},
                    Case{"OpenH264Texture8", kOpenH264, SampleFormat::yuv420_8, 61, 45, 8, 30},
                    Case{"OpenH264Depth16", kOpenH264, SampleFormat::gray_16, 61, 45, 8, 30},
                    Case{"Av1Texture8", "av1enc cpu-used=6", SampleFormat::yuv420_8, 64, 48, 4, 30},
                    Case{"AChain",
                         "x265enc speed-preset=ultrafast log-level=none ! h265parse ! queue",
                         SampleFormat::yuv420_8, 61, 45, 8, 36}),
    [](const auto& info) { return info.param.name; });

TEST(BaseCodec, TheAutomaticChoiceCodesTexturesAndDepth) {
  for (const auto samples : {SampleFormat::yuv420_10, SampleFormat::gray_16}) {
    const BaseClip clip(samples, 61, 45, 17);
    const CodedBase coded = code(clip, "", -1);
    EXPECT_EQ(coded.decoded.size(), 17u);
    EXPECT_GT(psnr(clip.pictures, coded.decoded), 28);
  }
}

TEST(BaseCodec, OnlyTheFirstPictureIsIntraInTheAutomaticChoice) {
  const BaseClip clip(SampleFormat::yuv420_8, 64, 48, 32);
  const CodedBase coded = code(clip, "", 30);
  const auto base = read_base_payload(coded.payload);
  ASSERT_TRUE(base);
  if (base->caps.find("video/x-h265") != 0) GTEST_SKIP() << base->caps;
  int key_packets = 0;
  for (const Bytes& packet : base->packets)
    for (size_t i = 0; i + 3 < packet.size(); ++i)
      if (packet[i] == std::byte{0} && packet[i + 1] == std::byte{0} &&
          packet[i + 2] == std::byte{1}) {
        const int type = std::to_integer<int>(packet[i + 3]) >> 1 & 63;
        key_packets += type >= 16 && type <= 23;
      }
  EXPECT_EQ(key_packets, 1);
}

TEST(BaseCodec, DecodesAsFfmpegDoes) {
  const BaseClip clip(SampleFormat::yuv420_10, 64, 46, 8);
  const CodedBase coded = code(clip, kFastEncoder, 25);
  const auto reference = decode_with_ffmpeg(coded.payload, "yuv420p10le");
  std::vector<std::byte> ours;
  for (const OwnedPicture& picture : coded.decoded)
    ours.insert(ours.end(), picture.memory.begin(), picture.memory.end());
  EXPECT_EQ(ours.size(), reference.size());
  EXPECT_TRUE(ours == reference);
}

// The luma of 10-bit pictures, as the format says.
TEST(BaseCodec, DepthOf16BitsIsTheReplicatedLumaThatFfmpegDecodes) {
  const BaseClip clip(SampleFormat::gray_16, 61, 45, 3);
  const CodedBase coded = code(clip, kFastEncoder, 25);
  const auto reference = decode_with_ffmpeg(coded.payload, "yuv420p10le");
  const size_t frame = 64 * 46 * 2 * 3 / 2;
  ASSERT_EQ(reference.size(), 3 * frame);
  int differences = 0;
  for (int f = 0; f < 3; ++f)
    for (int y = 0; y < 45; ++y)
      for (int x = 0; x < 61; ++x) {
        guint16 s, d;
        std::memcpy(&s, &reference[size_t(f) * frame + size_t(y * 64 + x) * 2], 2);
        std::memcpy(&d, &coded.decoded[size_t(f)].memory[size_t(y * 61 + x) * 2], 2);
        differences += d != (s << 6 | s >> 4);
      }
  EXPECT_EQ(differences, 0);
}

// Its lookahead writes behind its memory at other widths.
TEST(BaseCodec, X265GetsWidthsInMultiplesOf64) {
  for (const int width : {1, 64, 65, 1000}) {
    const auto encoder =
        BaseEncoder::create(kFastEncoder, {SampleFormat::yuv420_8, width, 48, {25, 1}}, -1);
    ASSERT_TRUE(encoder) << encoder.error().message;
    EXPECT_EQ(GST_VIDEO_INFO_WIDTH(&(*encoder)->coded()), (width + 63) / 64 * 64);
    EXPECT_EQ(GST_VIDEO_INFO_HEIGHT(&(*encoder)->coded()), 48);
  }
}

TEST(BaseCodec, ASmallerQuantiserIsBetterAndLarger) {
  const BaseClip clip(SampleFormat::yuv420_8, 128, 96, 8);
  double quality = 0;
  size_t bytes = 0;
  for (const int quantiser : {45, 33, 20, 8}) {
    const CodedBase coded = code(clip, kFastEncoder, quantiser);
    const double now = psnr(clip.pictures, coded.decoded);
    EXPECT_GT(now, quality) << quantiser;
    EXPECT_GT(coded.payload.size(), bytes) << quantiser;
    quality = now;
    bytes = coded.payload.size();
  }
}

TEST(BaseCodec, TheQuantiserReachesEveryKnownEncoderThatIsInstalled) {
  const BaseClip clip(SampleFormat::yuv420_8, 64, 64, 2);
  for (const char* encoder : {"x264enc", "openh264enc", "av1enc"}) {
    if (!have_element(encoder)) continue;
    const CodedBase good = code(clip, encoder, 10), small = code(clip, encoder, 45);
    EXPECT_GT(psnr(clip.pictures, good.decoded), psnr(clip.pictures, small.decoded) + 3) << encoder;
  }
}

TEST(BaseCodec, ManyGopsOfOneEncoderStandAlone) {
  const BaseClip clip(SampleFormat::yuv420_8, 64, 48, 6);
  const auto encoder = BaseEncoder::create(kFastEncoder, clip.format, 20);
  ASSERT_TRUE(encoder) << encoder.error().message;
  const std::span<const Picture> all(clip.pictures);
  const auto first = (*encoder)->encode(all.first(2)), second = (*encoder)->encode(all.subspan(2));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->decoded.size(), 2u);
  EXPECT_EQ(second->decoded.size(), 4u);
  const auto repeated = (*encoder)->encode(all.first(2));
  ASSERT_TRUE(repeated);
  EXPECT_EQ(repeated->payload, first->payload);
}

TEST(BaseCodec, ThreadsDoNotDisturbEachOther) {
  const BaseClip texture(SampleFormat::yuv420_8, 64, 48, 8),
      depth(SampleFormat::gray_16, 61, 45, 8);
  const CodedBase alone[] = {code(texture, kFastEncoder, 22), code(depth, kFastEncoder, 22)};
  CodedBase together[4];
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back(
          [&, i] { together[i] = code(i % 2 ? depth : texture, kFastEncoder, 22); });
  }
  for (int i = 0; i < 4; ++i) EXPECT_EQ(together[i].payload, alone[i % 2].payload) << i;
}

}  // namespace
}  // namespace mvinr::gst_test
