// Views on demand: mvinrfilter, what mvinrdec makes of filtered streams, and mvinrviewselect.
#include <algorithm>
#include <set>

#include "dec_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr GstClockTime kGop = 200 * GST_MSECOND;

// A GOP of three views without references between them: `make_gop` draws those from the seed.
Data independent_gop(uint64_t first_frame, uint32_t seed) {
  for (;; seed += 1000) {
    const Data gop = make_gop({.first_frame = first_frame, .seed = seed});
    const auto alone = [&](int view) {
      const auto states = *view_states(*filter_access_unit(gop, std::vector{view}));
      return std::count(states.begin(), states.end(), ViewState::there) == 1;
    };
    if (alone(0) && alone(1) && alone(2)) return gop;
  }
}
std::vector<Data> independent_gops(int count) {
  std::vector<Data> gops;
  for (int i = 0; i < count; ++i) gops.push_back(independent_gop(uint64_t(5 * i), uint32_t(i + 1)));
  return gops;
}
Data keep(const Data& gop, std::vector<int> views) { return *filter_access_unit(gop, views); }

/* ---- mvinrfilter ---- */

class MvinrFilter : public testing::Test {
 protected:
  MvinrFilter() : h_(gst_harness_new("mvinrfilter")), bus_(h_->element) {
    gst_harness_set_src_caps_str(h_, "video/x-mvinr,parsed=true,views=3");
  }
  ~MvinrFilter() override { gst_harness_teardown(h_); }
  void views(const char* text) { g_object_set(h_->element, "views", text, nullptr); }
  Data through(const Data& data) {
    EXPECT_EQ(gst_harness_push(h_, make_buffer(data, 3 * kGop, kGop)), GST_FLOW_OK);
    GstBuffer* buffer = gst_harness_pull(h_);
    EXPECT_EQ(GST_BUFFER_PTS(buffer), 3 * kGop);
    EXPECT_EQ(GST_BUFFER_DURATION(buffer), kGop);
    const Data out = bytes_of(buffer);
    gst_buffer_unref(buffer);
    return out;
  }

  GstHarness* h_;
  Bus bus_;
  Data gop_ = independent_gop(0, 1);
};

TEST_F(MvinrFilter, ChangesNothingByDefault) { EXPECT_TRUE(through(gop_) == gop_); }

TEST_F(MvinrFilter, KeepsTheWantedViewsAndFollowsChangesAtOnce) {
  const struct {
    const char* text;
    std::vector<int> views;
  } steps[] = {{"0", {0}},        {"2,0", {0, 2}},    {" 1 , 2 ", {1, 2}}, {"1-2", {1, 2}},
               {"0-1,1", {0, 1}}, {"all", {0, 1, 2}}, {"2", {2}},          {"0-2", {0, 1, 2}}};
  for (const auto& step : steps) {
    views(step.text);
    EXPECT_TRUE(through(gop_) == keep(gop_, step.views)) << step.text;
  }
  EXPECT_EQ(bus_.take(GST_MESSAGE_WARNING), 0);
}

TEST_F(MvinrFilter, AListThatMakesNoSenseIsAWarningWhilePlaying) {
  views("1");
  for (const char* text : {"", "x", "-1", "1,", ",1", "3-1", "0;1", "64", "99999999999", "1-"}) {
    views(text);
    std::string warning;
    EXPECT_EQ(bus_.take(GST_MESSAGE_WARNING, &warning), 1) << text;
    EXPECT_NE(warning.find("is no list of views"), std::string::npos) << warning;
    EXPECT_TRUE(through(gop_) == keep(gop_, {1})) << text;
  }
}

TEST_F(MvinrFilter, AListThatMakesNoSenseIsAnErrorAtTheStart) {
  GstElement* filter = gst_element_factory_make("mvinrfilter", nullptr);
  g_object_set(filter, "views", "first", nullptr);
  Bus bus(filter);
  EXPECT_EQ(gst_element_set_state(filter, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  std::string error;
  EXPECT_EQ(bus.take(GST_MESSAGE_ERROR, &error), 1);
  EXPECT_NE(error.find("views=\"first\""), std::string::npos) << error;
  gst_element_set_state(filter, GST_STATE_NULL);
}

TEST_F(MvinrFilter, NamesViewsThatTheStreamLacksOnce) {
  views("0,5,7");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(through(gop_) == keep(gop_, {0}));
  std::string warning;
  EXPECT_EQ(bus_.take(GST_MESSAGE_WARNING, &warning), 1);
  EXPECT_NE(warning.find("views 5, 7: the stream has views 0..2"), std::string::npos) << warning;
}

TEST_F(MvinrFilter, WhatCannotBeReadIsPassedOn) {
  views("1");
  const Data garbage(100, std::byte{7});
  EXPECT_TRUE(through(garbage) == garbage);
}

TEST_F(MvinrFilter, CountsBytes) {
  views("1");
  through(gop_);
  GstStructure* stats = nullptr;
  g_object_get(h_->element, "stats", &stats, nullptr);
  guint64 in = 0, out = 0;
  gst_structure_get(stats, "bytes-in", G_TYPE_UINT64, &in, "bytes-out", G_TYPE_UINT64, &out,
                    nullptr);
  EXPECT_EQ(in, gop_.size());
  EXPECT_EQ(out, keep(gop_, {1}).size());
  gst_structure_free(stats);
}

/* ---- mvinrdec with filtered streams ---- */

class MvinrDecViews : public MvinrDec {};

TEST_F(MvinrDecViews, LeftOutViewsHaveNoPadsAndAreNoDamage) {
  const auto gops = independent_gops(3);
  start();
  for (size_t i = 0; i < 3; ++i) push(keep(gops[i], {1}), i * kGop);
  EXPECT_EQ(added_, (std::vector<std::string>{"texture_1", "depth_1"}));
  EXPECT_EQ(no_more_pads_, 1);
  EXPECT_TRUE(shown("texture_1") == expected(gops, 1, Component::texture));
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 0);
  EXPECT_EQ(stat("damaged"), 0u);
}

TEST_F(MvinrDecViews, AViewThatComesLaterGetsItsPadsThen) {
  const auto gops = independent_gops(3);
  start();
  push(keep(gops[0], {1}), 0);
  push(keep(gops[1], {0, 1}), kGop);
  push(keep(gops[2], {0, 1}), 2 * kGop);
  EXPECT_EQ(added_, (std::vector<std::string>{"texture_1", "depth_1", "texture_0", "depth_0"}));
  EXPECT_TRUE(shown("texture_0") == expected({gops[1], gops[2]}, 0, Component::texture));
  EXPECT_TRUE(shown("texture_1") == expected(gops, 1, Component::texture));
}

TEST_F(MvinrDecViews, AViewThatGoesAwayKeepsItsPadsAndGetsGaps) {
  const auto gops = independent_gops(30);
  g_object_set(element_, "max-errors", 3, nullptr);
  start("texture_0 texture_2");
  push(gops[0], 0);
  gaps("texture_0");
  for (size_t i = 1; i < 29; ++i) ASSERT_EQ(push(keep(gops[i], {2}), i * kGop), GST_FLOW_OK);
  push(gops[29], 29 * kGop);
  EXPECT_TRUE(removed_.empty());
  EXPECT_TRUE(shown("texture_0") == expected({gops[0], gops[29]}, 0, Component::texture));
  EXPECT_EQ(shown("texture_2").size(), 150u);
  const auto all = gaps("texture_0");
  ASSERT_EQ(all.size(), 28u);
  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i], std::make_pair((i + 1) * kGop, kGop)) << i;
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 0);
  EXPECT_EQ(stat("damaged"), 0u);
}

TEST_F(MvinrDecViews, DamageIsStillDamage) {
  const auto gops = independent_gops(2);
  start("texture_1");
  push(gops[0], 0);
  push(with_damaged_unit(keep(gops[1], {1, 2}), 2), kGop);  // view 1's unit
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 1);
  EXPECT_EQ(stat("damaged"), 1u);
}

/* ---- mvinrviewselect ---- */

class MvinrViewSelect : public testing::Test {
 protected:
  MvinrViewSelect() : h_(gst_harness_new("mvinrviewselect")), bus_(h_->element) {
    gst_harness_set_src_caps_str(h_, "video/x-mvinr,parsed=true");
  }
  ~MvinrViewSelect() override { gst_harness_teardown(h_); }
  void view(guint number) { g_object_set(h_->element, "view", number, nullptr); }
  void component(const char* name) {
    gst_util_set_object_arg(G_OBJECT(h_->element), "component", name);
  }
  GstFlowReturn push(const Data& gop, GstClockTime pts) {
    const GstFlowReturn flow = gst_harness_push(h_, make_buffer(gop, pts, kGop));
    take();
    return flow;
  }
  void take() {
    GstCaps* caps = gst_pad_get_current_caps(h_->sinkpad);
    while (GstBuffer* buffer = gst_harness_try_pull(h_)) {
      shown_.push_back({GST_BUFFER_PTS(buffer), GST_BUFFER_DURATION(buffer), md5_of(buffer, caps)});
      gst_buffer_unref(buffer);
    }
    if (caps) gst_caps_unref(caps);
  }
  std::set<std::string> stream_ids() {
    std::set<std::string> ids;
    while (GstEvent* event = gst_harness_try_pull_event(h_)) {
      const gchar* id = nullptr;
      if (GST_EVENT_TYPE(event) == GST_EVENT_STREAM_START) {
        gst_event_parse_stream_start(event, &id);
        ids.insert(id);
      }
      EXPECT_NE(GST_EVENT_TYPE(event), GST_EVENT_STREAM_COLLECTION);
      gst_event_unref(event);
    }
    return ids;
  }
  guint64 rendered() {
    GstStructure* stats = nullptr;
    guint64 count = 0;
    g_object_get(h_->element, "stats", &stats, nullptr);
    gst_structure_get_uint64(stats, "rendered", &count);
    gst_structure_free(stats);
    return count;
  }

  GstHarness* h_;
  Bus bus_;
  std::vector<Data> gops_ = independent_gops(6);
  std::vector<Shown> shown_;
};

TEST_F(MvinrViewSelect, ShowsTheFirstTextureByDefaultAndDecodesNothingElse) {
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(push(gops_[i], i * kGop), GST_FLOW_OK);
  EXPECT_TRUE(shown_ == expected(gops_, 0, Component::texture));
  EXPECT_EQ(rendered(), 30u);  // of 180 pictures
}

TEST_F(MvinrViewSelect, SwitchesAtAccessUnitsWithoutAHole) {
  std::vector<Shown> want;
  const struct {
    guint view;
    const char* component;
  } steps[] = {{1, "texture"}, {2, "depth"},   {2, "texture"},
               {0, "depth"},   {0, "texture"}, {1, "depth"}};
  for (size_t i = 0; i < 6; ++i) {
    view(steps[i].view);
    component(steps[i].component);
    EXPECT_EQ(push(gops_[i], i * kGop), GST_FLOW_OK);
    const auto kind = steps[i].component[0] == 't' ? Component::texture : Component::depth;
    const auto part = expected({gops_[i]}, int(steps[i].view), kind);
    want.insert(want.end(), part.begin(), part.end());
  }
  EXPECT_TRUE(shown_ == want);
  for (size_t i = 1; i < shown_.size(); ++i)
    EXPECT_EQ(shown_[i].pts, shown_[i - 1].pts + shown_[i - 1].duration);
  EXPECT_EQ(rendered(), 30u);
  EXPECT_EQ(bus_.take(GST_MESSAGE_WARNING), 0);
  EXPECT_EQ(stream_ids().size(), 1u);  // one stream, whatever it shows
}

TEST_F(MvinrViewSelect, AViewThatTheStreamLacksIsNamedAndAnotherShown) {
  view(9);
  component("depth");
  push(gops_[0], 0);
  push(gops_[1], kGop);
  EXPECT_TRUE(shown_ == expected({gops_[0], gops_[1]}, 0, Component::depth));
  std::string text;
  EXPECT_EQ(bus_.take(GST_MESSAGE_WARNING, &text), 1);
  EXPECT_NE(text.find("there is no depth_9; showing depth_0"), std::string::npos) << text;
}

TEST_F(MvinrViewSelect, OfAFilteredStreamShowsWhatIsThereUntilTheWantedViewComes) {
  push(keep(gops_[0], {2}), 0);
  push(keep(gops_[1], {0, 2}), kGop);
  push(keep(gops_[2], {0}), 2 * kGop);
  auto want = expected({gops_[0]}, 2, Component::texture);
  const auto rest = expected({gops_[1], gops_[2]}, 0, Component::texture);
  want.insert(want.end(), rest.begin(), rest.end());
  EXPECT_TRUE(shown_ == want);
  EXPECT_EQ(bus_.take(GST_MESSAGE_WARNING), 1);
}

TEST_F(MvinrViewSelect, AViewThatTheSequenceLosesDoesNotEndTheStream) {
  view(2);
  push(gops_[0], 0);
  EXPECT_EQ(push(make_gop({.first_frame = 5, .views = 2}), kGop), GST_FLOW_OK);
  EXPECT_EQ(push(make_gop({.first_frame = 10, .views = 2}), 2 * kGop), GST_FLOW_OK);
  EXPECT_EQ(shown_.size(), 15u);
  while (GstEvent* event = gst_harness_try_pull_event(h_)) {
    EXPECT_NE(GST_EVENT_TYPE(event), GST_EVENT_EOS);
    gst_event_unref(event);
  }
}

TEST_F(MvinrViewSelect, PassesTheEnd) {
  push(gops_[0], 0);
  gst_harness_push_event(h_, gst_event_new_eos());
  bool ended = false;
  while (GstEvent* event = gst_harness_try_pull_event(h_)) {
    ended |= GST_EVENT_TYPE(event) == GST_EVENT_EOS;
    gst_event_unref(event);
  }
  EXPECT_TRUE(ended);
}

TEST_F(MvinrViewSelect, FiftyStartsAndStops) {
  GstElement* select = gst_element_factory_make("mvinrviewselect", nullptr);
  gst_object_ref_sink(select);
  for (guint i = 0; i < 50; ++i) {
    GstHarness* harness = gst_harness_new_with_element(select, "sink", "src");
    g_object_set(select, "view", i % 3, nullptr);
    gst_harness_set_src_caps_str(harness, "video/x-mvinr,parsed=true");
    EXPECT_EQ(gst_harness_push(harness, make_buffer(gops_[0], 0)), GST_FLOW_OK);
    EXPECT_EQ(gst_harness_buffers_received(harness), 5u);
    gst_element_set_state(select, i % 2 ? GST_STATE_NULL : GST_STATE_READY);
    gst_harness_teardown(harness);
  }
  gst_element_set_state(select, GST_STATE_NULL);
  gst_object_unref(select);
}

}  // namespace
}  // namespace mvinr
