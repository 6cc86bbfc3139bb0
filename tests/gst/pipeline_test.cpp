// Whole pipelines: files and containers in, pictures of the library out.
#include <gtest/gtest.h>

#include <algorithm>

#include "dec_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr GstClockTime kFrame = 40 * GST_MSECOND, kGop = 5 * kFrame;
constexpr const char* kDemux = " ! mvinrparse ! mvinrdec name=d";

class MvinrPipeline : public testing::Test {
 protected:
  MvinrPipeline() : gops_(make_gops(4)), raw_(folder_.write("scene.mvinr", joined(gops_))) {}

  // Puts the stream into a container with a stock muxer; the file's name.
  std::string mux(const std::string& muxer, const std::string& name) {
    const std::string path = folder_.file(name);
    Pipeline pipeline("filesrc location=" + raw_ + " ! mvinrparse ! " + muxer +
                      " ! filesink location=" + path);
    EXPECT_EQ(pipeline.play(), "");
    return path;
  }
  static std::string play_from(const std::string& path) { return "filesrc location=" + path; }

  void expect_all_pictures(Pipeline& pipeline, GstClockTime tolerance = 0) {
    EXPECT_EQ(pipeline.play(), "");
    EXPECT_EQ(pipeline.pads().size(), 6u);
    for (int view = 0; view < 3; ++view) {
      for (const Component component : {Component::texture, Component::depth}) {
        const std::string pad =
            (component == Component::texture ? "texture_" : "depth_") + std::to_string(view);
        const auto got = pipeline.shown(pad), want = expected(gops_, view, component);
        ASSERT_EQ(got.size(), want.size()) << pad;
        for (size_t i = 0; i < got.size(); ++i) {
          EXPECT_EQ(got[i].md5, want[i].md5) << pad << " " << i;
          EXPECT_LE(std::max(got[i].pts, want[i].pts) - std::min(got[i].pts, want[i].pts),
                    tolerance)
              << pad << " " << i;
        }
      }
    }
  }
  std::vector<Shown> textures() { return expected(gops_, 0, Component::texture); }

  std::vector<Data> gops_;
  TemporaryFolder folder_;
  std::string raw_;
};

TEST_F(MvinrPipeline, RawFile) {
  Pipeline pipeline(play_from(raw_) + kDemux, "all");
  expect_all_pictures(pipeline);
}

TEST_F(MvinrPipeline, RawFileInSmallPushedBlocks) {
  Pipeline pipeline("filesrc blocksize=37 location=" + raw_ + " ! queue" + kDemux, "all");
  expect_all_pictures(pipeline);
}

TEST_F(MvinrPipeline, Mp4) {
  Pipeline pipeline(play_from(mux("mp4mux", "a.mp4")) + " ! qtdemux" + kDemux, "all");
  expect_all_pictures(pipeline);
}

TEST_F(MvinrPipeline, Mp4WithoutParser) {
  Pipeline pipeline(play_from(mux("mp4mux", "a.mp4")) + " ! qtdemux ! mvinrdec name=d", "all");
  expect_all_pictures(pipeline);
}

TEST_F(MvinrPipeline, FragmentedMp4) {
  const auto path = mux("mp4mux fragment-duration=300", "f.mp4");
  Pipeline pipeline(play_from(path) + " ! qtdemux" + kDemux, "all");
  expect_all_pictures(pipeline);
}

TEST_F(MvinrPipeline, QuickTime) {
  Pipeline pipeline(play_from(mux("qtmux", "a.mov")) + " ! qtdemux" + kDemux, "all");
  expect_all_pictures(pipeline);
}

TEST_F(MvinrPipeline, Mp4RemuxedToQuickTime) {
  const std::string mp4 = mux("mp4mux", "a.mp4"), mov = folder_.file("b.mov");
  Pipeline remux(play_from(mp4) + " ! qtdemux ! mvinrparse ! qtmux ! filesink location=" + mov);
  EXPECT_EQ(remux.play(), "");
  Pipeline pipeline(play_from(mov) + " ! qtdemux" + kDemux, "all");
  expect_all_pictures(pipeline);
}

TEST_F(MvinrPipeline, RtpPayload) {
  Pipeline pipeline(
      play_from(raw_) + " ! mvinrparse ! rtpgstpay mtu=500 ! rtpgstdepay ! mvinrdec name=d", "all");
  expect_all_pictures(pipeline, GST_MSECOND);  // RTP counts in 1/90000 s
}

TEST_F(MvinrPipeline, Mp4KeepsTheShortLastGop) {
  gops_.push_back(make_gop({.first_frame = 20, .frames = 2, .seed = 9}));
  raw_ = folder_.write("scene.mvinr", joined(gops_));
  Pipeline pipeline(play_from(mux("mp4mux", "a.mp4")) + " ! qtdemux" + kDemux, "texture_0");
  ASSERT_EQ(pipeline.preroll(), "");
  gint64 duration = 0;
  ASSERT_TRUE(gst_element_query_duration(pipeline.get(), GST_FORMAT_TIME, &duration));
  EXPECT_EQ(duration, gint64(4 * kGop + 2 * kFrame));
  EXPECT_EQ(pipeline.play(), "");
  EXPECT_TRUE(pipeline.shown("texture_0") == textures());
}

TEST_F(MvinrPipeline, RawFileKnowsItsDuration) {
  Pipeline pipeline(play_from(raw_) + kDemux, "texture_0");
  ASSERT_EQ(pipeline.preroll(), "");
  gint64 duration = 0;
  ASSERT_TRUE(gst_element_query_duration(pipeline.get(), GST_FORMAT_TIME, &duration));
  EXPECT_EQ(duration, gint64(4 * kGop));
}

TEST_F(MvinrPipeline, TruncatedRawFilePlaysToItsLastWholeAccessUnit) {
  Data bytes = joined(gops_);
  bytes.resize(bytes.size() - 10);
  raw_ = folder_.write("cut.mvinr", bytes);
  gops_.pop_back();
  Pipeline pipeline(play_from(raw_) + kDemux, "texture_0");
  EXPECT_EQ(pipeline.play(), "");
  EXPECT_TRUE(pipeline.shown("texture_0") == textures());
}

/* ---- seeking, in every kind of file ---- */

class MvinrSeek : public MvinrPipeline, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    GstElementFactory* muxer = gst_element_factory_find("mvinrmkvmux");
    if (muxer) gst_object_unref(muxer);
    if (is_mkv() && !muxer) GTEST_SKIP() << "built without libmatroska";
  }
  static std::string kind() { return testing::WithParamInterface<const char*>::GetParam(); }
  static bool is_mkv() { return kind().find("mkv") != std::string::npos; }
  std::string path() {
    if (kind() == "raw") return raw_;
    if (kind() == "fmp4") return mux("mp4mux fragment-duration=100", "a.mp4");
    return mux(is_mkv() ? "mvinrmkvmux" : "mp4mux", "a." + kind());
  }
  // Parts of two access units.
  std::string parts() {
    Pipeline pipeline("filesrc location=" + raw_ + " ! mvinrparse ! splitmuxsink muxer=" +
                      (is_mkv() ? "mvinrmkvmux" : "mp4mux") +
                      " max-size-time=400000000 location=" + folder_.file("part%02d"));
    EXPECT_EQ(pipeline.play(), "");
    EXPECT_TRUE(g_file_test(folder_.file("part01").c_str(), G_FILE_TEST_EXISTS));
    return "splitmuxsrc location=" + folder_.file("part*");
  }
  std::string source() {
    if (kind().rfind("split", 0) == 0) return parts();
    const char* demuxer = kind() == "raw" ? "" : is_mkv() ? " ! matroskademux" : " ! qtdemux";
    return play_from(path()) + demuxer;
  }
};
INSTANTIATE_TEST_SUITE_P(Sources, MvinrSeek,
                         testing::Values("raw", "mp4", "fmp4", "mkv", "splitmp4", "splitmkv"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(MvinrSeek, AccurateIntoTheSecondGop) {
  Pipeline pipeline(source() + kDemux, "texture_0 depth_2");
  ASSERT_EQ(pipeline.preroll(), "");
  ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_ACCURATE, kGop + 2 * kFrame));
  EXPECT_EQ(pipeline.play(), "");
  auto want = textures();
  want.erase(want.begin(), want.begin() + 7);
  EXPECT_TRUE(pipeline.shown("texture_0") == want);
  EXPECT_EQ(pipeline.shown("depth_2").size(), 13u);
}

TEST_P(MvinrSeek, AccurateFromAndTo) {
  Pipeline pipeline(source() + kDemux, "texture_0");
  ASSERT_EQ(pipeline.preroll(), "");
  ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_ACCURATE, kGop + 4 * kFrame, 2 * kGop + 2 * kFrame));
  EXPECT_EQ(pipeline.play(), "");
  const auto all = textures();
  EXPECT_TRUE(pipeline.shown("texture_0") == std::vector<Shown>(all.begin() + 9, all.begin() + 12));
}

TEST_P(MvinrSeek, KeyUnitShowsTheRequestedTime) {
  Pipeline pipeline(source() + kDemux, "texture_0");
  ASSERT_EQ(pipeline.preroll(), "");
  ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_KEY_UNIT, 2 * kGop + kFrame));
  EXPECT_EQ(pipeline.play(), "");
  const auto got = pipeline.shown("texture_0");
  ASSERT_FALSE(got.empty());
  EXPECT_GE(got.front().pts, 2 * kGop);
  EXPECT_LE(got.front().pts, 2 * kGop + kFrame);
  EXPECT_EQ(got.back(), textures().back());
}

// Not in fragmented MP4, of any codec: qtdemux of 1.22 forgets fragments when it plays backwards,
// and finds only the first access unit of one.
class MvinrSeekAnywhere : public MvinrSeek {};
INSTANTIATE_TEST_SUITE_P(Sources, MvinrSeekAnywhere,
                         testing::Values("raw", "mp4", "mkv", "splitmp4", "splitmkv"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(MvinrSeekAnywhere, Backwards) {
  Pipeline pipeline(source() + kDemux, "texture_0");
  ASSERT_EQ(pipeline.preroll(), "");
  ASSERT_TRUE(pipeline.seek(-1.0, GST_SEEK_FLAG_ACCURATE, 0, 3 * kGop + 2 * kFrame));
  EXPECT_EQ(pipeline.play(), "");
  auto want = textures();
  want.resize(17);
  std::reverse(want.begin(), want.end());
  EXPECT_TRUE(pipeline.shown("texture_0") == want);
}

TEST_P(MvinrSeekAnywhere, ManyTimes) {
  Pipeline pipeline(source() + kDemux, "texture_0 depth_0");
  ASSERT_EQ(pipeline.preroll(), "");
  for (int i = 0; i < 30; ++i)
    ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_ACCURATE, GstClockTime(i * 7 % 20) * kFrame));
  ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_ACCURATE, 18 * kFrame));
  EXPECT_EQ(pipeline.play(), "");
  auto want = textures();
  want.erase(want.begin(), want.begin() + 18);
  EXPECT_TRUE(pipeline.shown("texture_0") == want);
}

}  // namespace
}  // namespace mvinr
