// mvinrdec behind a source that is not live: but for the first one of a segment, an access unit
// waits for the next, which is decoded while it is shown.
#include "dec_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr GstClockTime kFrame = 40 * GST_MSECOND, kGop = 5 * kFrame;

class MvinrDecAhead : public MvinrDec {
 protected:
  MvinrDecAhead() {
    gst_harness_set_live(input_, FALSE);
    g_object_set(element_, "threads", 2u, "decode-ahead", TRUE, nullptr);
  }
  std::vector<Shown> pictures_of(const Data& gop) { return expected({gop}, 0, Component::texture); }
};

TEST_F(MvinrDecAhead, AnAccessUnitIsShownWhenTheNextHasCome) {
  const auto gops = make_gops(3);
  start();
  ASSERT_EQ(push(gops[0], 0), GST_FLOW_OK);
  EXPECT_TRUE(shown("texture_0") == pictures_of(gops[0]));  // players wait for a first picture
  ASSERT_EQ(push(gops[1], kGop), GST_FLOW_OK);
  EXPECT_TRUE(shown("texture_0").empty());
  ASSERT_EQ(push(gops[2], 2 * kGop), GST_FLOW_OK);
  EXPECT_TRUE(shown("texture_0") == pictures_of(gops[1]));
  end();
  EXPECT_TRUE(shown("texture_0") == pictures_of(gops[2]));
  EXPECT_TRUE(shown("depth_2") == expected(gops, 2, Component::depth));
  EXPECT_EQ(stat("rendered"), 3u * 5 * 6);
}

TEST_F(MvinrDecAhead, OneThreadDoesNotWait) {
  const auto gops = make_gops(2);
  g_object_set(element_, "threads", 1u, nullptr);
  start();
  push(gops[0], 0);
  push(gops[1], kGop);
  EXPECT_TRUE(shown("texture_0") == expected(gops, 0, Component::texture));
}

TEST_F(MvinrDecAhead, ALiveSourceDoesNotWait) {
  const auto gops = make_gops(2);
  gst_harness_set_live(input_, TRUE);
  start();
  push(gops[0], 0);
  push(gops[1], kGop);
  EXPECT_TRUE(shown("texture_0") == expected(gops, 0, Component::texture));
}

TEST_F(MvinrDecAhead, GapsAndSegmentsComeBehindWhatWasBeforeThem) {
  const auto gops = make_gops(4);
  start();
  push(gops[0], 0);
  shown("texture_0");
  ASSERT_EQ(push(gops[1], kGop), GST_FLOW_OK);
  send(gst_event_new_gap(2 * kGop, kFrame));
  EXPECT_TRUE(shown("texture_0") == pictures_of(gops[1]));
  ASSERT_EQ(push(gops[2], 2 * kGop), GST_FLOW_OK);
  EXPECT_TRUE(shown("texture_0").empty());
  segment(1, 100 * kGop);  // in the old segment all of it is shown
  EXPECT_TRUE(shown("texture_0") == pictures_of(gops[2]));
}

TEST_F(MvinrDecAhead, AFlushForgetsWhatWaits) {
  const auto gops = make_gops(4);
  start();
  push(gops[0], 0);
  push(gops[1], kGop);
  shown("texture_0");
  send(gst_event_new_flush_start());
  send(gst_event_new_flush_stop(TRUE));
  segment(1, 0);
  push(gops[2], 2 * kGop);
  EXPECT_TRUE(shown("texture_0") == pictures_of(gops[2]));
  push(gops[3], 3 * kGop);
  EXPECT_TRUE(shown("texture_0").empty());
}

TEST_F(MvinrDecAhead, DamageIsAGapInItsPlace) {
  const auto gops = make_gops(3);
  start();
  push(gops[0], 0);
  push(with_damaged_unit(gops[1], 0), kGop);
  push(with_damaged_unit(gops[2], 2 + 2), 2 * kGop);  // view 2
  end();
  EXPECT_TRUE(shown("texture_0") == expected({gops[0], gops[2]}, 0, Component::texture));
  EXPECT_TRUE(shown("texture_2") == expected({gops[0]}, 2, Component::texture));
  using Gaps = std::vector<std::pair<GstClockTime, GstClockTime>>;
  EXPECT_EQ(gaps("texture_0"), (Gaps{{kGop, kGop}}));
  EXPECT_EQ(gaps("texture_2"), (Gaps{{kGop, kGop}, {2 * kGop, kGop}}));
  EXPECT_EQ(stat("damaged"), 2u);
}

TEST_F(MvinrDecAhead, ASequenceOfFewerViewsMayFollow) {
  start();
  push(make_gop(), 0);
  push(make_gop({.first_frame = 5, .seed = 2, .views = 2}), kGop);
  const Data last = make_gop({.first_frame = 10, .seed = 3, .views = 1});
  push(last, 2 * kGop);
  shown("texture_0");
  end();
  EXPECT_TRUE(shown("texture_0") == pictures_of(last));
  EXPECT_EQ(removed_.size(), 4u);
}

TEST_F(MvinrDecAhead, StoppingWhileOneWaitsIsClean) {
  const auto gops = make_gops(2);
  start();
  push(gops[0], 0);
  push(gops[1], kGop);
  EXPECT_TRUE(shown("texture_0") == pictures_of(gops[0]));
  gst_element_set_state(element_, GST_STATE_NULL);
  EXPECT_TRUE(shown("texture_0").empty());
}

}  // namespace
}  // namespace mvinr
