// All base views of a GOP, and the choice of decoders.
#include "base_coder.h"

#include <chrono>
#include <cstring>
#include <limits>

#include "base_fake_decoder.h"
#include "base_fixture.h"
#include "encoder_table.h"

namespace mvinr::gst_test {
namespace {

using namespace std::chrono_literals;
using gst::BaseCoder;
using gst::BaseDecoder;

constexpr int kFrames = 5;

testutil::Clip two_views() {
  return testutil::make_clip({.views = 3, .frames = kFrames, .width = 61, .height = 45});
}

BaseCoder::PictureOf pictures_of(const testutil::Clip& clip) {
  return [&clip](const PictureId& id) -> Result<Picture> {
    return clip.at(id.frame, id.view, id.component).picture();
  };
}

TEST(BaseCoder, TheAutomaticEncoderIsAsSlowAsThereIsTime) {
  const auto preset = [](double time) {
    const auto elements = gst::automatic_base_encoder(time);
    EXPECT_TRUE(elements);
    const size_t at = elements->find("speed-preset=");
    if (at == std::string::npos) return std::string();
    const size_t begin = at + strlen("speed-preset=");
    return elements->substr(begin, elements->find(' ', begin) - begin);
  };
  if (preset(1).empty())
    GTEST_SKIP() << "neither x265enc nor x264enc is the preferred encoder here";
  EXPECT_EQ(preset(std::numeric_limits<double>::infinity()), "slower");
  EXPECT_EQ(preset(2), "slower");
  EXPECT_EQ(preset(0.5), "slow");
  EXPECT_EQ(preset(0.3), "medium");
  EXPECT_EQ(preset(0.01), "veryfast");
  EXPECT_EQ(*gst::automatic_base_encoder(), *gst::automatic_base_encoder(2));
}

TEST(BaseCoder, CodesTextureAndDepthOfItsViewsAndDecodesThemAgain) {
  const testutil::Clip clip = two_views();
  const int views[] = {0, 2};
  const auto sources = gst::base_sources(clip.sequence, views);
  ASSERT_TRUE(sources);
  ASSERT_EQ(sources->size(), 4u);
  const auto coder = BaseCoder::create(kFastEncoder, 20, 24, *sources);
  ASSERT_TRUE(coder) << coder.error().message;
  const auto coded = (*coder)->encode(kFrames, pictures_of(clip));
  ASSERT_TRUE(coded) << coded.error().message;
  ASSERT_EQ(coded->size(), 4u);

  std::vector<gst::BaseJob> jobs;
  for (size_t i = 0; i < 4; ++i) {
    const gst::CodedSource& unit = (*coded)[i];
    EXPECT_EQ(unit.view, views[i / 2]);
    EXPECT_EQ(unit.component, i % 2 ? Component::depth : Component::texture);
    std::vector<Picture> originals;
    for (int f = 0; f < kFrames; ++f)
      originals.push_back(clip.at(f, unit.view, unit.component).picture());
    EXPECT_GT(psnr(originals, unit.coded.decoded), 32) << i;
    jobs.push_back({(*sources)[i], unit.coded.payload});
  }
  jobs[2].payload = jobs[2].payload.first(20);
  const auto decoded = gst::decode_bases(jobs, kFrames);
  ASSERT_EQ(decoded.size(), 4u);
  for (const size_t i : {0, 1, 3}) {
    ASSERT_TRUE(decoded[i]) << decoded[i].error().message;
    EXPECT_TRUE(equal(*decoded[i], (*coded)[i].coded.decoded));
  }
  ASSERT_FALSE(decoded[2]);
  EXPECT_EQ(decoded[2].error().code, ErrorCode::corrupt);
  EXPECT_EQ(decoded[2].error().message.find("view 2 texture: "), 0u) << decoded[2].error().message;
}

TEST(BaseCoder, AnErrorNamesItsViewAndStopsTheOthers) {
  const testutil::Clip clip = two_views();
  const int views[] = {0, 1};
  auto sources = *gst::base_sources(clip.sequence, views);
  const auto coder = BaseCoder::create(kFastEncoder, -1, -1, sources);
  ASSERT_TRUE(coder) << coder.error().message;
  const auto coded = (*coder)->encode(kFrames, [&](const PictureId& id) -> Result<Picture> {
    Picture picture = clip.at(id.frame, id.view, id.component).picture();
    if (id.view == 1 && id.component == Component::depth) picture.width = 60;
    return picture;
  });
  ASSERT_FALSE(coded);
  EXPECT_EQ(coded.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(coded.error().message.find("view 1 depth: "), 0u) << coded.error().message;
}

TEST(BaseCoder, AStopCancels) {
  const testutil::Clip clip = two_views();
  const int views[] = {0, 1};
  const auto coder =
      BaseCoder::create(kFastEncoder, -1, -1, *gst::base_sources(clip.sequence, views));
  ASSERT_TRUE(coder);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ((*coder)->encode(kFrames, pictures_of(clip), stop.get_token()).error().code,
            ErrorCode::cancelled);
}

TEST(BaseCoder, ViewsAreThoseOfTheSequence) {
  const testutil::Clip clip = testutil::make_clip({.views = 2, .depth = SampleFormat::none});
  const int good[] = {1}, bad[] = {2};
  const auto sources = gst::base_sources(clip.sequence, good);
  ASSERT_TRUE(sources);
  EXPECT_EQ(sources->size(), 1u) << "no depth";
  EXPECT_EQ(gst::base_sources(clip.sequence, bad).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(BaseCoder::create("", -1, -1, {}).error().code, ErrorCode::invalid_argument);
}

TEST(BaseViews, AreAutoOrAList) {
  EXPECT_EQ(*gst::parse_base_views("auto"), std::vector<int>());
  EXPECT_EQ(*gst::parse_base_views("1"), std::vector<int>{1});
  EXPECT_EQ(*gst::parse_base_views("3,0"), (std::vector<int>{0, 3}));
  for (const char* text :
       {"", ",", "1,", ",1", "a", "1;2", "-1", "64", "1,1", "1 2", "99999999999"})
    EXPECT_EQ(gst::parse_base_views(text).error().code, ErrorCode::invalid_argument) << text;
}

/* ---- the choice of decoders ---- */

const gst::BaseFormat kFormat{SampleFormat::yuv420_8, 64, 48, {25, 1}};

std::vector<std::byte> payload_of(const std::string& caps) {
  const std::byte packet[8] = {};
  const Bytes packets[] = {packet};
  return *write_base_payload(caps, packets);
}

TEST(BaseDecoderChoice, OneThatHangsIsGivenUp) {
  register_fake_decoders();
  const auto start = std::chrono::steady_clock::now();
  const auto decoded =
      BaseDecoder::decode(payload_of("video/x-test-hang"), kFormat, 1, {}, {300ms});
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::corrupt);
  EXPECT_NE(decoded.error().message.find("300 ms"), std::string::npos) << decoded.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST(BaseDecoderChoice, TheErrorIsThatOfTheDecoder) {
  register_fake_decoders();
  const auto decoded = BaseDecoder::decode(payload_of("video/x-test-broken"), kFormat, 1);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::corrupt);
  EXPECT_NE(decoded.error().message.find("There is no such device."), std::string::npos)
      << decoded.error().message;
}

TEST(BaseDecoderChoice, WithoutAnyThePackageIsNamed) {
  // As in a GStreamer that has none.
  std::vector<std::pair<GstPluginFeature*, guint>> ranks;
  GList* all =
      gst_element_factory_list_get_elements(GST_ELEMENT_FACTORY_TYPE_DECODER, GST_RANK_MARGINAL);
  for (GList* item = all; item; item = item->next) {
    auto* feature = GST_PLUGIN_FEATURE(item->data);
    ranks.emplace_back(feature, gst_plugin_feature_get_rank(feature));
    gst_plugin_feature_set_rank(feature, GST_RANK_NONE);
  }
  const auto decoded = BaseDecoder::decode(payload_of("video/x-h265"), kFormat, 1);
  for (const auto& [feature, rank] : ranks) gst_plugin_feature_set_rank(feature, rank);
  gst_plugin_feature_list_free(all);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::unsupported);
  EXPECT_NE(decoded.error().message.find("avdec_h265 (Debian: gstreamer1.0-libav)"),
            std::string::npos)
      << decoded.error().message;
}

TEST(BaseDecoderChoice, ABrokenOneIsPassedOver) {
  register_fake_decoders();
  const BaseClip clip(SampleFormat::yuv420_8, 64, 48, 3);
  const auto coded =
      (*gst::BaseEncoder::create(kFastEncoder, clip.format, 20))->encode(clip.pictures);
  ASSERT_TRUE(coded) << coded.error().message;
  GstPluginFeature* broken = gst_registry_lookup_feature(gst_registry_get(), kBrokenH265Decoder);
  ASSERT_TRUE(broken);
  gst_plugin_feature_set_rank(broken, GST_RANK_PRIMARY + 100);
  const auto decoded = BaseDecoder::decode(coded->payload, clip.format, 3);
  gst_plugin_feature_set_rank(broken, GST_RANK_NONE);
  gst_object_unref(broken);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_TRUE(equal(*decoded, coded->decoded));
}

}  // namespace
}  // namespace mvinr::gst_test
