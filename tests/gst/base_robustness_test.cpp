// Base views: settings that are wrong, streams that are damaged or hostile, and stopping.
#include <chrono>
#include <random>
#include <thread>

#include "base_caps.h"
#include "base_fixture.h"
#include "encoder_table.h"

namespace mvinr::gst_test {
namespace {

using namespace std::chrono_literals;
using gst::BaseDecoder;
using gst::BaseEncoder;
using Clock = std::chrono::steady_clock;

const gst::BaseFormat kFormat{SampleFormat::yuv420_8, 64, 48, {25, 1}};

Error create_error(const std::string& fragment, const gst::BaseFormat& format = kFormat,
                   int quantiser = -1) {
  const auto made = BaseEncoder::create(fragment, format, quantiser);
  return made ? Error{ErrorCode::internal, "it was made"} : made.error();
}

bool has(const Error& error, const char* text) {
  return error.message.find(text) != std::string::npos;
}

std::vector<std::byte> payload_of(const std::string& caps, const std::string& packet) {
  const Bytes packets[] = {std::as_bytes(std::span(packet))};
  return *write_base_payload(caps, packets);
}

Error decode_error(Bytes payload, int frames = 1) {
  const auto decoded = BaseDecoder::decode(payload, kFormat, frames);
  return decoded ? Error{ErrorCode::internal, "it was decoded"} : decoded.error();
}

/* ---- encoder settings ---- */

TEST(BaseEncoderErrors, AMissingElementIsNamed) {
  const Error error = create_error("nosuchenc ! h265parse");
  EXPECT_EQ(error.code, ErrorCode::unsupported);
  EXPECT_TRUE(has(error, "nosuchenc")) << error.message;
}

TEST(BaseEncoderErrors, AMissingKnownEncoderIsNamedWithItsPackage) {
  for (const std::string& name : gst::known_base_encoders()) {
    if (have_element(name.c_str())) continue;
    const Error error = create_error(name);
    EXPECT_EQ(error.code, ErrorCode::unsupported);
    EXPECT_TRUE(has(error, name.c_str()) && has(error, "gstreamer1.0-plugins-")) << error.message;
  }
}

TEST(BaseEncoderErrors, WhatIsWrongIsNamed) {
  const auto invalid = [](const Error& error, const char* text) {
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << error.message;
    EXPECT_TRUE(has(error, text)) << error.message;
  };
  invalid(create_error("x265enc no-such-property=1"), "no-such-property");
  invalid(create_error("x265enc ! "), "base-encoder");
  invalid(create_error("fakesink"), "one input and one output");
  invalid(create_error("videotestsrc"), "one input and one output");
  invalid(create_error("jpegenc", {SampleFormat::gray_16, 0, 48}), "0x48");
  invalid(create_error("identity", kFormat, 20), "base-quantiser");
  invalid(create_error("x265enc", kFormat, 52), "52");
  invalid(create_error("vorbisenc"), "takes no texture");
  invalid(create_error("x265enc", {SampleFormat::none, 64, 48}), "sample format");
}

TEST(BaseEncoderErrors, AnEncoderThatFailsIsQuoted) {
  const BaseClip clip(SampleFormat::yuv420_8, 64, 48, 2);
  const auto encoder = BaseEncoder::create("identity error-after=1 ! x265enc", clip.format, -1);
  ASSERT_TRUE(encoder) << encoder.error().message;
  const auto coded = (*encoder)->encode(clip.pictures);
  ASSERT_FALSE(coded);
  EXPECT_EQ(coded.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(has(coded.error(), "Failed after iterations")) << coded.error().message;
}

TEST(BaseEncoderErrors, RawOutputIsRefused) {
  const BaseClip clip(SampleFormat::yuv420_8, 64, 48, 1);
  const auto encoder = BaseEncoder::create("identity", clip.format, -1);
  ASSERT_TRUE(encoder);
  const auto coded = (*encoder)->encode(clip.pictures);
  ASSERT_FALSE(coded);
  EXPECT_TRUE(has(coded.error(), "video/x-raw")) << coded.error().message;
}

TEST(BaseEncoderErrors, APictureOfAnotherSizeIsRefused) {
  const BaseClip clip(SampleFormat::yuv420_8, 62, 48, 1);
  const auto encoder = BaseEncoder::create(kFastEncoder, kFormat, -1);
  ASSERT_TRUE(encoder);
  EXPECT_EQ((*encoder)->encode(clip.pictures).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ((*encoder)->encode({}).error().code, ErrorCode::invalid_argument);
}

/* ---- caps ---- */

TEST(BaseCaps, WhatEncodersWriteIsRead) {
  const gst::GstPtr<GstCaps> caps(gst_caps_from_string(
      "video/x-h264, stream-format=(string)avc, alignment=(string)au, "
      "codec_data=(buffer)0164000a, pixel-aspect-ratio=(fraction)1/1, width=(int)64, "
      "height=(int)48, framerate=(fraction)25/1, profile=(string)high-4:2:2, level=(string)4.1, "
      "colorimetry=(string)bt709"));
  const auto text = gst::format_base_caps(caps.get());
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text,
            "video/x-h264, stream-format=(string)avc, alignment=(string)au, "
            "profile=(string)high-4:2:2, level=(string)4.1, width=(int)64, height=(int)48, "
            "framerate=(fraction)25/1, codec_data=(buffer)0164000a");
  const auto parsed = gst::parse_base_caps(*text);
  ASSERT_TRUE(parsed) << parsed.error().message;
  const gst::GstPtr<GstCaps> expected(gst_caps_from_string(text->c_str()));
  EXPECT_TRUE(gst_caps_is_strictly_equal(parsed->get(), expected.get()));
}

TEST(BaseCaps, AnythingElseIsCorrupt) {
  for (const char* text : {"",
                           " ",
                           "x",
                           "ANY",
                           "EMPTY",
                           "video/x-raw, width=(int)64",
                           "video/x-raw(memory:VA)",
                           "video/x-mvinr, parsed=(boolean)true",
                           "video/quicktime",
                           "audio/x-opus",
                           "application/x-rtp",
                           "video/x-h265; video/x-h264",
                           "video/x-h265, width=64",
                           "video/x-h265, width=(int)[ 1, 5 ]",
                           "video/x-h265, width=(int)-5",
                           "video/x-h265, width=(int)99999999999",
                           "video/x-h265, width=(int)1, width=(int)2",
                           "video/x-h265, framerate=(fraction)1/0",
                           "video/x-h265, framerate=(fraction)25",
                           "video/x-h265, codec_data=(buffer)012",
                           "video/x-h265, codec_data=(buffer)0g",
                           "video/x-h265, foo=(structure)\"x\"",
                           "video/x-h265, profile=(string)\"a, b\"",
                           "video/x-h265, profile=(string)",
                           "video/x-h265, =(int)1",
                           "video/x-h265, width",
                           "video/x-h265, width=(string)64",
                           "video/x-h265, streamheader=(buffer)< 00 >",
                           "video/x-h265, profile=(string){ a, b }",
                           "video/x-\xff",
                           "video/x-h265\n"}) {
    const auto parsed = gst::parse_base_caps(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::corrupt);
    if (!*text) continue;  // that is an error of the payload
    EXPECT_EQ(decode_error(payload_of(text, "abc")).code, ErrorCode::corrupt) << text;
  }
}

TEST(BaseCaps, DamagedCapsNeverDoHarm) {
  std::mt19937 random(1);
  const std::string good = "video/x-h265, stream-format=(string)byte-stream, width=(int)64";
  for (int i = 0; i < 20000; ++i) {
    std::string text = good;
    for (int n = 0; n < 3; ++n) text[random() % text.size()] = char(random());
    (void)gst::parse_base_caps(text);
  }
}

/* ---- damaged streams ---- */

class BaseDecoderErrors : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const BaseClip clip(SampleFormat::yuv420_8, 64, 48, 6);
    payload_ =
        (*BaseEncoder::create(kFastEncoder, clip.format, 20))->encode(clip.pictures)->payload;
  }
  static std::vector<std::byte> payload_;  // 6 pictures of 64x48
};
std::vector<std::byte> BaseDecoderErrors::payload_;

TEST_F(BaseDecoderErrors, AnotherNumberOfPicturesIsCorrupt) {
  for (const int frames : {1, 5, 7, 256}) {
    const Error error = decode_error(payload_, frames);
    EXPECT_EQ(error.code, ErrorCode::corrupt);
    EXPECT_TRUE(has(error, std::to_string(frames).c_str())) << error.message;
  }
  EXPECT_EQ(decode_error(payload_, 0).code, ErrorCode::invalid_argument);
  EXPECT_EQ(decode_error(payload_, 257).code, ErrorCode::invalid_argument);
}

TEST_F(BaseDecoderErrors, MoreThanTheCallerAllowsIsRefusedBeforeDecoding) {
  const uint64_t bytes = 64 * 48 * 3 / 2 * 6;
  EXPECT_TRUE(BaseDecoder::decode(payload_, kFormat, 6, {}, {.max_bytes = bytes}));
  EXPECT_EQ(BaseDecoder::decode(payload_, kFormat, 6, {}, {.max_bytes = bytes - 1}).error().code,
            ErrorCode::limit_exceeded);
  EXPECT_EQ(BaseDecoder::decode(payload_, {SampleFormat::yuv420_10, 8192, 8192}, 256).error().code,
            ErrorCode::limit_exceeded);
}

TEST_F(BaseDecoderErrors, AnotherSizeIsCorruptAndNamed) {
  for (const gst::BaseFormat& format :
       {gst::BaseFormat{SampleFormat::yuv420_8, 66, 48}, {SampleFormat::yuv420_8, 64, 50}}) {
    const auto decoded = BaseDecoder::decode(payload_, format, 6);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, ErrorCode::corrupt);
    EXPECT_TRUE(has(decoded.error(), "64x48")) << decoded.error().message;
  }
  EXPECT_TRUE(BaseDecoder::decode(payload_, {SampleFormat::yuv420_8, 1, 1}, 6)) << "padding";
}

TEST_F(BaseDecoderErrors, LargePicturesAreRefusedBeforeTheyAreDecoded) {
  const BaseClip clip(SampleFormat::yuv420_8, 640, 64, 1);
  const auto coded = (*BaseEncoder::create(kFastEncoder, clip.format, 40))->encode(clip.pictures);
  ASSERT_TRUE(coded) << coded.error().message;
  const Error error = decode_error(coded->payload);
  EXPECT_EQ(error.code, ErrorCode::corrupt);
  EXPECT_TRUE(has(error, "codes pictures of 640x64")) << error.message;
}

TEST_F(BaseDecoderErrors, ATextureIsNoDepthOfFewerBits) {
  const BaseClip clip(SampleFormat::yuv420_10, 64, 48, 1);
  const auto coded = (*BaseEncoder::create(kFastEncoder, clip.format, 30))->encode(clip.pictures);
  ASSERT_TRUE(coded) << coded.error().message;
  const Error error = decode_error(coded->payload);
  EXPECT_EQ(error.code, ErrorCode::corrupt);
  EXPECT_TRUE(has(error, "I420_10LE")) << error.message;
}

TEST_F(BaseDecoderErrors, AFormatWithoutDecoderIsUnsupported) {
  const Error error = decode_error(payload_of("video/x-no-such-codec", "abc"));
  EXPECT_EQ(error.code, ErrorCode::unsupported);
  EXPECT_TRUE(has(error, "video/x-no-such-codec")) << error.message;
}

TEST_F(BaseDecoderErrors, GarbageIsCorrupt) {
  for (const char* caps :
       {"video/x-h265", "video/x-h265, stream-format=(string)byte-stream, alignment=(string)au",
        "video/x-h265, stream-format=(string)hvc1, alignment=(string)au, codec_data=(buffer)0102",
        "video/x-h264, stream-format=(string)byte-stream, alignment=(string)nal", "video/x-av1",
        "video/x-vp9", "image/jpeg", "video/x-gst-fourcc-mvnr", "video/x-matroska",
        "video/x-h265, width=(int)2147483647, height=(int)2147483647"}) {
    const auto start = Clock::now();
    const Error error = decode_error(payload_of(caps, "this is no video at all \x01\x02\x03"));
    EXPECT_TRUE(error.code == ErrorCode::corrupt || error.code == ErrorCode::unsupported)
        << caps << ": " << error.message;
    EXPECT_LT(Clock::now() - start, 8s) << caps;
  }
}

TEST_F(BaseDecoderErrors, DamagedPacketsEndInAnErrorOrInPictures) {
  std::mt19937 random(7);
  const auto base = read_base_payload(payload_);
  for (int i = 0; i < 40; ++i) {
    std::vector<std::vector<std::byte>> packets;
    for (const Bytes& packet : base->packets) packets.emplace_back(packet.begin(), packet.end());
    for (unsigned n = 0; n <= random() % 8; ++n) {
      auto& packet = packets[random() % packets.size()];
      packet[random() % packet.size()] ^= std::byte(1 << random() % 8);
    }
    if (i % 4 == 1) packets.erase(packets.begin() + int(random() % packets.size()));
    if (i % 4 == 2) packets[0].resize(1 + random() % packets[0].size());
    if (i % 4 == 3) std::swap(packets[0], packets[random() % packets.size()]);
    const std::vector<Bytes> spans(packets.begin(), packets.end());
    const auto start = Clock::now();
    const auto decoded = BaseDecoder::decode(*write_base_payload(base->caps, spans), kFormat, 6);
    if (!decoded) {
      EXPECT_EQ(decoded.error().code, ErrorCode::corrupt) << decoded.error().message;
    }
    EXPECT_LT(Clock::now() - start, 8s);
  }
}

/* ---- stopping ---- */

template <typename Work>
std::chrono::nanoseconds time_to_stop(std::chrono::milliseconds after, const Work& work) {
  std::stop_source source;
  Clock::time_point stopped;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(after);
    stopped = Clock::now();
    source.request_stop();
  });
  EXPECT_EQ(work(source.get_token()), ErrorCode::cancelled);
  const auto end = Clock::now();
  stopper.join();
  return end - stopped;
}

TEST(BaseCancel, AnEncoderThatTakesLongStopsAtOnce) {
  const BaseClip clip(SampleFormat::yuv420_8, 320, 180, 16);
  const auto encoder = BaseEncoder::create("x265enc speed-preset=placebo", clip.format, 10);
  ASSERT_TRUE(encoder) << encoder.error().message;
  const auto took = time_to_stop(300ms, [&](std::stop_token stop) {
    return (*encoder)->encode(clip.pictures, stop).error().code;
  });
  EXPECT_LT(took, 200ms);
}

TEST(BaseCancel, AnElementThatHangsStopsAtOnce) {
  const BaseClip clip(SampleFormat::yuv420_8, 64, 48, 2);
  const auto encoder =
      BaseEncoder::create("identity sleep-time=3000000 ! x265enc", clip.format, -1);
  ASSERT_TRUE(encoder) << encoder.error().message;
  const auto took = time_to_stop(50ms, [&](std::stop_token stop) {
    return (*encoder)->encode(clip.pictures, stop).error().code;
  });
  EXPECT_LT(took, 200ms);
}

TEST(BaseCancel, AStopBeforeTheStartIsObeyed) {
  const BaseClip clip(SampleFormat::yuv420_8, 64, 48, 2);
  const auto encoder = BaseEncoder::create(kFastEncoder, clip.format, -1);
  ASSERT_TRUE(encoder);
  const auto coded = (*encoder)->encode(clip.pictures);
  ASSERT_TRUE(coded) << coded.error().message;
  std::stop_source source;
  source.request_stop();
  EXPECT_EQ((*encoder)->encode(clip.pictures, source.get_token()).error().code,
            ErrorCode::cancelled);
  EXPECT_EQ(BaseDecoder::decode(coded->payload, clip.format, 2, source.get_token()).error().code,
            ErrorCode::cancelled);
}

}  // namespace
}  // namespace mvinr::gst_test
