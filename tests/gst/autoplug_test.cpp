// decodebin, playbin and their successors with our elements, which nobody names.
#include <optional>
#include <set>

#include "file_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr GstClockTime kFrame = 40 * GST_MSECOND;

// Rendered buffers of a sink, from its statistics.
guint64 rendered(GstElement* sink) {
  GstStructure* stats = nullptr;
  g_object_get(sink, "stats", &stats, nullptr);
  guint64 count = 0;
  gst_structure_get_uint64(stats, "rendered", &count);
  gst_structure_free(stats);
  return count;
}

GstElement* find_by_factory(GstElement* bin, const char* factory) {
  GstIterator* elements = gst_bin_iterate_all_by_element_factory_name(GST_BIN(bin), factory);
  GValue value = G_VALUE_INIT;
  GstElement* found = nullptr;
  if (gst_iterator_next(elements, &value) == GST_ITERATOR_OK)
    found = GST_ELEMENT(g_value_dup_object(&value));
  g_value_unset(&value);
  gst_iterator_free(elements);
  return found;
}

// Sixteen seconds: decodebin3 of 1.22 now and then loses the end of a stream that is over before
// its pads are there.
class MvinrAutoplug : public FileTest, public testing::WithParamInterface<const char*> {
 protected:
  MvinrAutoplug() {
    std::vector<Data> gops;
    for (uint64_t i = 0; i < 80; ++i) gops.push_back(renumbered(gops_[i % gops_.size()], 5 * i));
    raw_ = folder_.write("long.mvinr", joined(gops));
  }
  void SetUp() override {
    if (kind() == "mkv" && !have_element("mvinrmkvmux"))
      GTEST_SKIP() << "built without libmatroska";
  }
  static std::string kind() { return GetParam(); }
  std::string path() {
    return kind() == "raw" ? raw_ : mux(kind() == "mp4" ? "mp4mux" : "mvinrmkvmux", "a." + kind());
  }
};
INSTANTIATE_TEST_SUITE_P(Sources, MvinrAutoplug, testing::Values("raw", "mp4", "mkv"),
                         [](const auto& info) { return std::string(info.param); });

// uridecodebin3 of 1.22 lets the source run before its decodebin3 is in PAUSED. On a crowded
// machine the first buffer may come too early: then everything stops without an error.
void preroll_player(std::optional<Pipeline>& pipeline, const std::string& description) {
  std::string problem = "timeout";
  for (int i = 0; i < 3 && problem == "timeout"; ++i) {
    pipeline.emplace(description);
    problem = pipeline->preroll();
  }
  ASSERT_EQ(problem, "") << description;
}

TEST_P(MvinrAutoplug, PlaybinShowsTheFirstTexture) {
  for (const char* player : {"playbin", "playbin3"}) {
    std::optional<Pipeline> pipeline;
    preroll_player(pipeline, std::string(player) + " uri=file://" + path() +
                                 " audio-sink=fakesink video-sink=\"fakesink name=v sync=false\"");
    if (HasFatalFailure()) return;
    GstElement* sink = nullptr;
    g_object_get(pipeline->get(), "video-sink", &sink, nullptr);
    GstPad* pad = gst_element_get_static_pad(sink, "sink");
    GstCaps* caps = gst_pad_get_current_caps(pad);
    gchar* text = gst_caps_to_string(caps);
    EXPECT_NE(std::string(text).find("I420, width=(int)48, height=(int)40"), std::string::npos)
        << player << ": " << text;
    g_free(text);
    gst_caps_unref(caps);
    gst_object_unref(pad);
    EXPECT_EQ(pipeline->play(), "") << player;
    EXPECT_EQ(rendered(sink), 400u) << player;
    gst_object_unref(sink);
  }
}

// mvinrviewselect in place of mvinrdec, as an application with one pad would have it.
TEST_P(MvinrAutoplug, PlayersTakeViewSelectIfItsRankSaysSo) {
  GstPluginFeature* feature = gst_registry_lookup_feature(gst_registry_get(), "mvinrviewselect");
  const guint rank = gst_plugin_feature_get_rank(feature);
  EXPECT_EQ(rank, guint(GST_RANK_MARGINAL));
  gst_plugin_feature_set_rank(feature, GST_RANK_PRIMARY + 100);
  for (const char* player : {"decodebin", "decodebin3"}) {
    Pipeline pipeline("filesrc location=" + path() + " ! " + player +
                      " ! fakesink name=v sync=false");
    EXPECT_EQ(pipeline.play(), "") << player;
    EXPECT_EQ(rendered(pipeline.element("v")), 400u) << player;
    GstElement* select = find_by_factory(pipeline.get(), "mvinrviewselect");
    EXPECT_NE(select, nullptr) << player;
    gst_clear_object(&select);
  }
  gst_plugin_feature_set_rank(feature, rank);
  gst_object_unref(feature);
}

// A player's user changes the view while it plays: every picture comes, at its time, and from an
// access unit on they are those of the other view.
TEST_P(MvinrAutoplug, PlayersSwitchViewsWhileTheyPlay) {
  GstPluginFeature* feature = gst_registry_lookup_feature(gst_registry_get(), "mvinrviewselect");
  const guint rank = gst_plugin_feature_get_rank(feature);
  gst_plugin_feature_set_rank(feature, GST_RANK_PRIMARY + 100);
  const std::string uri = " uri=file://" + path();
  for (const std::string& player :
       {"playbin3" + uri + " audio-sink=fakesink video-sink=\"fakesink name=v sync=false\"",
        "uridecodebin3" + uri + " ! fakesink name=v sync=false"}) {
    std::optional<Pipeline> pipeline;
    preroll_player(pipeline, player);
    if (HasFatalFailure()) break;
    struct Context {
      GstElement* select;
      std::vector<GstClockTime> times;
      std::vector<int> widths;
    } context{find_by_factory(pipeline->get(), "mvinrviewselect"), {}, {}};
    if (!context.select) {
      ADD_FAILURE() << player << " does not take mvinrviewselect";
      break;
    }
    GstElement* sink = find_by_factory(pipeline->get(), "fakesink");
    GstPad* pad = gst_element_get_static_pad(sink, "sink");
    gst_pad_add_probe(
        pad, GST_PAD_PROBE_TYPE_BUFFER,
        [](GstPad* sink_pad, GstPadProbeInfo* info, gpointer data) {
          auto* c = static_cast<Context*>(data);
          GstCaps* caps = gst_pad_get_current_caps(sink_pad);
          GstVideoInfo video;
          gst_video_info_from_caps(&video, caps);
          gst_caps_unref(caps);
          c->times.push_back(GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info)));
          c->widths.push_back(GST_VIDEO_INFO_WIDTH(&video));
          if (c->times.size() % 100 == 0)
            g_object_set(c->select, "view", guint(c->times.size() / 100 % 3), nullptr);
          return GST_PAD_PROBE_OK;
        },
        &context, nullptr);
    gst_object_unref(pad);
    EXPECT_EQ(pipeline->play(), "") << player;
    // The picture of the preroll was there before.
    EXPECT_GE(context.times.size(), 399u) << player;
    for (size_t i = 1; i < context.times.size(); ++i)
      EXPECT_EQ(context.times[i], context.times[i - 1] + kFrame) << player;
    EXPECT_GE(std::set<int>(context.widths.begin(), context.widths.end()).size(), 2u)
        << "views of two sizes";
    gst_object_unref(sink);
    gst_object_unref(context.select);
  }
  gst_plugin_feature_set_rank(feature, rank);
  gst_object_unref(feature);
}

TEST_P(MvinrAutoplug, Decodebin3ShowsOneStream) {
  Pipeline pipeline("filesrc location=" + path() + " ! decodebin3 ! fakesink name=v sync=false");
  EXPECT_EQ(pipeline.play(), "");
  EXPECT_EQ(rendered(pipeline.element("v")), 400u);
}

TEST_P(MvinrAutoplug, DecodebinShowsAllPads) {
  Pipeline pipeline("filesrc location=" + path() + " ! decodebin name=db");
  std::vector<GstElement*> sinks;
  struct Context {
    GstElement* bin;
    std::vector<GstElement*>* sinks;
  } context{pipeline.get(), &sinks};
  g_signal_connect(pipeline.element("db"), "pad-added",
                   G_CALLBACK(+[](GstElement*, GstPad* pad, gpointer data) {
                     auto* c = static_cast<Context*>(data);
                     GstElement* sink = gst_element_factory_make("fakesink", nullptr);
                     g_object_set(sink, "sync", FALSE, nullptr);
                     gst_bin_add(GST_BIN(c->bin), sink);
                     gst_element_sync_state_with_parent(sink);
                     GstPad* sink_pad = gst_element_get_static_pad(sink, "sink");
                     gst_pad_link(pad, sink_pad);
                     gst_object_unref(sink_pad);
                     c->sinks->push_back(sink);
                   }),
                   &context);
  EXPECT_EQ(pipeline.play(), "");
  ASSERT_EQ(sinks.size(), 6u);
  for (GstElement* sink : sinks) EXPECT_EQ(rendered(sink), 400u);
}

}  // namespace
}  // namespace mvinr
