// All views of a file that any player plays: seeks, and what players make of it.
#include <algorithm>
#include <map>

#include "dec_fixture.h"
#include "file_fixture.h"
#include "sei_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

class SeiSeek : public Sei {
 protected:
  std::string source() {
    return "filesrc location=" + mux("mp4mux", "a.mp4") + " ! qtdemux ! " + codec().parser +
           " ! mvinrseiextract ! mvinrdec name=d";
  }
  // Rendered once per codec.
  const std::vector<Shown>& want(const std::string& pad) {
    static std::map<std::pair<BaseCodec, std::string>, std::vector<Shown>> rendered;
    std::vector<Shown>& pictures = rendered[{GetParam(), pad}];
    if (!pictures.empty()) return pictures;
    return pictures = expected(gops_, pad.back() - '0',
                               pad[0] == 't' ? Component::texture : Component::depth);
  }
  void expect_frames(Pipeline& pipeline, size_t from, size_t to) {
    EXPECT_EQ(pipeline.play(), "");
    for (const char* pad : {"texture_0", "texture_1"}) {
      const auto& all = want(pad);
      const auto some = pipeline.shown(pad);
      EXPECT_TRUE(some ==
                  std::vector<Shown>(all.begin() + ptrdiff_t(from), all.begin() + ptrdiff_t(to)))
          << pad << " " << some.size();
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Codecs, SeiSeek, testing::Values(BaseCodec::h264, BaseCodec::h265),
                         [](const auto& info) { return std::string(names_of(info.param).name); });

TEST_P(SeiSeek, PlaysAllViews) {
  Pipeline pipeline(source(), "all");
  EXPECT_EQ(pipeline.play(), "");
  EXPECT_EQ(pipeline.pads().size(), 6u);
  for (const std::string& pad : pipeline.pads()) EXPECT_TRUE(pipeline.shown(pad) == want(pad));
}

TEST_P(SeiSeek, AccurateIntoAGop) {
  Pipeline pipeline(source(), "texture_0 texture_1");
  ASSERT_EQ(pipeline.preroll(), "");
  ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_ACCURATE, kSeiGop + 3 * kSeiFrame));
  expect_frames(pipeline, kSeiFrames + 3, 4 * kSeiFrames + 3);
}

// The end lies inside of a GOP, whose frames behind it are needed all the same.
TEST_P(SeiSeek, AccurateFromAndTo) {
  Pipeline pipeline(source(), "texture_0 texture_1");
  ASSERT_EQ(pipeline.preroll(), "");
  ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_ACCURATE, kSeiGop + 3 * kSeiFrame,
                            2 * kSeiGop + 2 * kSeiFrame));
  expect_frames(pipeline, kSeiFrames + 3, 2 * kSeiFrames + 2);
}

TEST_P(SeiSeek, ToAKeyFrame) {
  Pipeline pipeline(source(), "texture_0 texture_1");
  ASSERT_EQ(pipeline.preroll(), "");
  ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_KEY_UNIT, 2 * kSeiGop + kSeiFrame));
  EXPECT_EQ(pipeline.play(), "");
  const auto some = pipeline.shown("texture_0");
  ASSERT_FALSE(some.empty());
  EXPECT_GE(some.front().pts, 2 * kSeiGop);
  EXPECT_LE(some.front().pts, 2 * kSeiGop + kSeiFrame);
  EXPECT_EQ(some.back(), want("texture_0").back());
}

TEST_P(SeiSeek, ManyTimes) {
  Pipeline pipeline(source(), "texture_0 texture_1");
  ASSERT_EQ(pipeline.preroll(), "");
  for (GstClockTime i = 0; i < 20; ++i)
    ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_ACCURATE, i * 7 % 30 * kSeiFrame));
  ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_ACCURATE, 30 * kSeiFrame));
  expect_frames(pipeline, 30, 4 * kSeiFrames + 3);
}

TEST_P(SeiSeek, Backwards) {
  Pipeline pipeline(source(), "texture_0");
  ASSERT_EQ(pipeline.preroll(), "");
  ASSERT_TRUE(pipeline.seek(-1.0, GST_SEEK_FLAG_ACCURATE, 0, 3 * kSeiGop + 2 * kSeiFrame));
  EXPECT_EQ(pipeline.play(), "");
  auto all = want("texture_0");
  all.resize(3 * kSeiFrames + 2);
  std::reverse(all.begin(), all.end());
  const auto some = pipeline.shown("texture_0");
  EXPECT_TRUE(some == all) << some.size();
}

/* ---- players ---- */

/// While it exists, players take mvinrseiextract as with GST_PLUGIN_FEATURE_RANK.
class RaisedRank {
 public:
  RaisedRank() { set(GST_RANK_PRIMARY + 100); }
  ~RaisedRank() { set(GST_RANK_NONE); }

 private:
  static void set(guint rank) {
    GstPluginFeature* feature = gst_registry_lookup_feature(gst_registry_get(), "mvinrseiextract");
    gst_plugin_feature_set_rank(feature, rank);
    gst_object_unref(feature);
  }
};

/// How many pads a player finds in the file, and its error.
int pads_of(const std::string& path, const char* player) {
  Pipeline pipeline("filesrc location=" + path + " ! " + player + " name=d");
  int pads = 0;
  g_signal_connect(pipeline.element("d"), "pad-added",
                   G_CALLBACK(+[](GstElement* player, GstPad* pad, gpointer pads) {
                     ++*static_cast<int*>(pads);
                     GstElement* sink = gst_element_factory_make("fakesink", nullptr);
                     GstObject* parent = gst_element_get_parent(player);
                     gst_bin_add(GST_BIN(parent), sink);
                     gst_object_unref(parent);
                     gst_element_sync_state_with_parent(sink);
                     GstPad* sink_pad = gst_element_get_static_pad(sink, "sink");
                     gst_pad_link(pad, sink_pad);
                     gst_object_unref(sink_pad);
                   }),
                   &pads);
  EXPECT_EQ(pipeline.play(), "");
  return pads;
}

TEST_P(SeiSeek, PlayersShowTheBaseView) {
  const std::string path = mux("mp4mux", "a.mp4");
  EXPECT_EQ(pads_of(path, "decodebin"), 1);
  std::vector<std::string> md5s = pictures("filesrc location=" + path + " ! qtdemux");
  EXPECT_TRUE(md5s == base_pictures());
}

TEST_P(SeiSeek, PlayersFindAllViewsIfTheRankIsRaised) {
  const RaisedRank raised;
  // Base views are decoded as ever: by no player that would look for MV-INR in them.
  Pipeline pipeline(source(), "all");
  EXPECT_EQ(pipeline.play(), "");
  EXPECT_EQ(pipeline.pads().size(), 6u);
  for (const std::string& pad : pipeline.pads()) EXPECT_TRUE(pipeline.shown(pad) == want(pad));
  EXPECT_EQ(pads_of(mux("mp4mux", "a.mp4"), "decodebin"), 6);
  EXPECT_EQ(pads_of(mux("mpegtsmux", "a.ts"), "decodebin"), 6);
}

}  // namespace
}  // namespace mvinr
