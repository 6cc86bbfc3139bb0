// mvinrdec, one element at a time: what comes out for what goes in.
#include <algorithm>

#include "dec_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr GstClockTime kFrame = 40 * GST_MSECOND, kGop = 5 * kFrame;

TEST_F(MvinrDec, GivesThePicturesOfTheLibraryOnEveryPad) {
  const auto gops = make_gops(2);
  start();
  for (size_t i = 0; i < gops.size(); ++i) ASSERT_EQ(push(gops[i], i * kGop), GST_FLOW_OK);
  end();
  for (int view = 0; view < 3; ++view) {
    const std::string number = std::to_string(view);
    EXPECT_TRUE(shown("texture_" + number) == expected(gops, view, Component::texture)) << view;
    EXPECT_TRUE(shown("depth_" + number) == expected(gops, view, Component::depth)) << view;
  }
  EXPECT_EQ(stat("rendered"), 2u * 5 * 6);
  EXPECT_EQ(stat("access-units"), 2u);
  EXPECT_EQ(stat("skipped") + stat("damaged"), 0u);
}

TEST_F(MvinrDec, PadsAppearInOrderWithSortableStreamIds) {
  start();
  push(make_gop(), 0);
  const std::vector<std::string> names = {"texture_0", "depth_0",   "texture_1",
                                          "depth_1",   "texture_2", "depth_2"};
  EXPECT_EQ(added_, names);
  EXPECT_EQ(no_more_pads_, 1);
  for (size_t i = 0; i + 1 < names.size(); ++i)
    EXPECT_LT(stream_id_of(names[i]), stream_id_of(names[i + 1]));
  EXPECT_NE(stream_id_of("texture_0").find("/000:texture_0"), std::string::npos);
  EXPECT_EQ(bus_->take(GST_MESSAGE_STREAM_COLLECTION), 1);
}

TEST_F(MvinrDec, CapsTellFormatSizeAndFrameRate) {
  start();
  push(make_gop(), 0);
  const std::map<std::string, const char*> formats = {
      {"texture_0", "I420"}, {"depth_0", "GRAY16_LE"}, {"texture_1", "I420_10LE"},
      {"depth_1", "GRAY8"},  {"texture_2", "I420"},    {"depth_2", "GRAY10_LE32"}};
  for (const auto& [pad, format] : formats) {
    const std::string caps = caps_of(pad);
    EXPECT_NE(caps.find(std::string("format=(string)") + format), std::string::npos) << caps;
    EXPECT_NE(caps.find("framerate=(fraction)25/1"), std::string::npos) << caps;
  }
  EXPECT_NE(caps_of("texture_1").find("width=(int)47, height=(int)37"), std::string::npos)
      << caps_of("texture_1");
}

TEST_F(MvinrDec, PadsTellViewAndDepthRange) {
  start();
  push(make_gop(), 0);
  GstPad* pad = gst_element_get_static_pad(element_, "depth_0");
  gdouble near_depth = 0, far_depth = 0;
  guint view = 9;
  g_object_get(pad, "view", &view, "depth-near", &near_depth, "depth-far", &far_depth, nullptr);
  gst_object_unref(pad);
  EXPECT_EQ(view, 0u);
  EXPECT_EQ(near_depth, 0.5);
  EXPECT_EQ(far_depth, 20);
}

TEST_F(MvinrDec, RendersOnlyWhatIsLinked) {
  const auto gops = make_gops(2);
  start("depth_1");
  for (size_t i = 0; i < gops.size(); ++i) EXPECT_EQ(push(gops[i], i * kGop), GST_FLOW_OK);
  EXPECT_TRUE(shown("depth_1") == expected(gops, 1, Component::depth));
  EXPECT_EQ(stat("rendered"), 10u);
}

TEST_F(MvinrDec, SaysNotLinkedIfNothingIsLinked) {
  start("none");
  EXPECT_EQ(push(make_gop(), 0), GST_FLOW_NOT_LINKED);
  EXPECT_EQ(stat("rendered"), 0u);
}

TEST_F(MvinrDec, APadThatIsLinkedLaterGetsPictures) {
  const auto gops = make_gops(3);
  start("texture_0");
  push(gops[0], 0);
  GstPad* pad = gst_element_get_static_pad(element_, "depth_2");
  link(pad);
  gst_object_unref(pad);
  push(gops[1], kGop);
  EXPECT_TRUE(shown("depth_2") == expected({gops[1]}, 2, Component::depth));
}

TEST_F(MvinrDec, ADownstreamThatIsNotLinkedCostsNothingUntilItReconfigures) {
  const auto gops = make_gops(3);
  start("texture_0");
  push(gops[0], 0);
  // A sink pad that refuses, as multiqueue does while its other side is open.
  GstPad* refuse = gst_pad_new("refuse", GST_PAD_SINK);
  static GstFlowReturn answer;
  answer = GST_FLOW_NOT_LINKED;
  static int buffers;
  buffers = 0;
  gst_pad_set_chain_function(refuse, [](GstPad*, GstObject*, GstBuffer* buffer) {
    gst_buffer_unref(buffer);
    ++buffers;
    return answer;
  });
  gst_pad_set_active(refuse, TRUE);
  GstPad* pad = gst_element_get_static_pad(element_, "texture_1");
  gst_pad_link(pad, refuse);
  EXPECT_EQ(push(gops[1], kGop), GST_FLOW_OK);
  EXPECT_EQ(buffers, 1);
  EXPECT_EQ(stat("rendered"), 11u);
  answer = GST_FLOW_OK;
  gst_pad_push_event(refuse, gst_event_new_reconfigure());
  EXPECT_EQ(push(gops[2], 2 * kGop), GST_FLOW_OK);
  EXPECT_EQ(buffers, 6);
  gst_pad_set_active(refuse, FALSE);
  gst_pad_unlink(pad, refuse);
  gst_object_unref(pad);
  gst_object_unref(refuse);
}

TEST_F(MvinrDec, TakesTimeFromTheHeaderIfTheBufferHasNone) {
  start("texture_0");
  push(make_gop({.first_frame = 50}));
  EXPECT_EQ(times("texture_0").at(1), 2 * GST_SECOND + kFrame);
}

TEST_F(MvinrDec, FrameTimesAreExactAtOddRates) {
  const GopOptions options{.frames = 5, .rate = {30000, 1001}};
  start("texture_0");
  push(make_gop(options), 7);
  const auto got = times("texture_0");
  ASSERT_EQ(got.size(), 5u);
  for (guint64 i = 0; i < 5; ++i)
    EXPECT_EQ(got[i], 7 + gst_util_uint64_scale(i, 1001 * GST_SECOND, 30000));
}

TEST_F(MvinrDec, ShowsAStreamWithoutFrameRate) {
  start("texture_0");
  EXPECT_EQ(push(make_gop({.rate = {0, 1}}), 0), GST_FLOW_OK);
  EXPECT_EQ(shown("texture_0").size(), 5u);
  EXPECT_NE(caps_of("texture_0").find("framerate=(fraction)0/1"), std::string::npos);
}

TEST_F(MvinrDec, AnAccurateSeekRendersOnlyFramesInsideTheSegment) {
  const auto gops = make_gops(3);
  start("texture_0");
  segment(1.0, kGop + 2 * kFrame, 2 * kGop + kFrame);
  EXPECT_EQ(push(gops[0], 0), GST_FLOW_OK);
  EXPECT_EQ(push(gops[1], kGop), GST_FLOW_OK);
  EXPECT_EQ(push(gops[2], 2 * kGop), GST_FLOW_OK);
  const auto all = expected(gops, 0, Component::texture);
  const std::vector<Shown> inside(all.begin() + 7, all.begin() + 11);
  EXPECT_TRUE(shown("texture_0") == inside);
  EXPECT_EQ(stat("rendered"), 4u);
  EXPECT_EQ(push(make_gop({.first_frame = 15}), 3 * kGop), GST_FLOW_EOS);
}

TEST_F(MvinrDec, AFrameAcrossTheSegmentsEdgeIsCut) {
  start("texture_0");
  segment(1.0, 10 * GST_MSECOND, 90 * GST_MSECOND);
  push(make_gop(), 0);
  const auto got = shown("texture_0");
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0].pts, 10 * GST_MSECOND);
  EXPECT_EQ(got[0].duration, 30 * GST_MSECOND);
  EXPECT_EQ(got[2].pts, 80 * GST_MSECOND);
  EXPECT_EQ(got[2].duration, 10 * GST_MSECOND);
}

// Upstream sends fragments backwards; inside a fragment, which begins with DISCONT, time runs
// forwards. A demuxer's fragments hold one access unit, those of a parser several.
TEST_F(MvinrDec, PlaysBackwards) {
  const auto gops = make_gops(3);
  for (const bool one_each : {true, false}) {
    start("texture_0 depth_0");
    segment(-1.0, kFrame, 3 * kGop - kFrame);
    EXPECT_EQ(push(gops[2], 2 * kGop, kGop, true), GST_FLOW_OK);
    for (const size_t i : one_each ? std::vector<size_t>{1, 0} : std::vector<size_t>{0, 1})
      EXPECT_EQ(push(gops[i], i * kGop, kGop, one_each || i == 0), GST_FLOW_OK);
    segment(1.0, 0);
    for (const Component component : {Component::texture, Component::depth}) {
      auto all = expected(gops, 0, component);
      all = {all.begin() + 1, all.end() - 1};
      std::reverse(all.begin(), all.end());
      EXPECT_TRUE(shown(component == Component::texture ? "texture_0" : "depth_0") == all);
    }
  }
}

TEST_F(MvinrDec, TrickModesLeaveFramesOut) {
  const auto gops = make_gops(2);
  start("texture_0");
  segment(1.0, 0, GST_CLOCK_TIME_NONE, GST_SEGMENT_FLAG_TRICKMODE_KEY_UNITS);
  for (size_t i = 0; i < 2; ++i) push(gops[i], i * kGop);
  EXPECT_EQ(times("texture_0"), (std::vector<GstClockTime>{0, kGop}));
  segment(2.0, 0, GST_CLOCK_TIME_NONE, GST_SEGMENT_FLAG_TRICKMODE);
  push(gops[0], 0);
  EXPECT_EQ(times("texture_0"), (std::vector<GstClockTime>{0, 2 * kFrame, 4 * kFrame}));
}

TEST_F(MvinrDec, ChangesPadsWithTheGeometry) {
  start();
  push(make_gop(), 0);
  const Data other = make_gop({.first_frame = 5, .views = 2, .width = 64, .depth = false});
  EXPECT_EQ(push(other, kGop), GST_FLOW_OK);
  EXPECT_EQ(removed_, (std::vector<std::string>{"depth_0", "depth_1", "texture_2", "depth_2"}));
  EXPECT_NE(caps_of("texture_0").find("width=(int)64"), std::string::npos);
  shown("texture_0");  // those of two sizes
  gst_harness_teardown(outputs_.extract("depth_0").mapped());
  const Data more = make_gop({.first_frame = 10});
  EXPECT_EQ(push(more, 2 * kGop), GST_FLOW_OK);
  EXPECT_EQ(added_.size(), 10u);
  EXPECT_EQ(no_more_pads_, 2);
  EXPECT_TRUE(shown("texture_0") == expected({more}, 0, Component::texture));
  EXPECT_TRUE(shown("depth_0") == expected({more}, 0, Component::depth));
}

TEST_F(MvinrDec, AnswersLatencyAndPosition) {
  start("texture_0");
  push(make_gop(), 0);
  GstHarness* out = outputs_.at("texture_0");
  GstQuery* query = gst_query_new_latency();
  ASSERT_TRUE(gst_pad_peer_query(out->sinkpad, query));
  GstClockTime min = 0;
  gst_query_parse_latency(query, nullptr, &min, nullptr);
  gst_query_unref(query);
  EXPECT_EQ(min, kFrame);
  gint64 position = 0;
  ASSERT_TRUE(gst_pad_peer_query_position(out->sinkpad, GST_FORMAT_TIME, &position));
  EXPECT_EQ(position, gint64(4 * kFrame));
}

TEST_F(MvinrDec, TagsNameTheCodecAndKeepTheStreams) {
  start("texture_0");
  send(gst_event_new_tag(gst_tag_list_new(GST_TAG_LANGUAGE_CODE, "de", nullptr)));
  push(make_gop(), 0);
  GstEvent* event = gst_pad_get_sticky_event(outputs_.at("texture_0")->sinkpad, GST_EVENT_TAG, 0);
  ASSERT_NE(event, nullptr);
  GstTagList* tags;
  gst_event_parse_tag(event, &tags);
  gchar *codec = nullptr, *language = nullptr;
  gst_tag_list_get_string(tags, GST_TAG_VIDEO_CODEC, &codec);
  gst_tag_list_get_string(tags, GST_TAG_LANGUAGE_CODE, &language);
  EXPECT_STREQ(codec, "MV-INR");
  EXPECT_STREQ(language, "de");
  g_free(codec);
  g_free(language);
  gst_event_unref(event);
}

}  // namespace
}  // namespace mvinr
