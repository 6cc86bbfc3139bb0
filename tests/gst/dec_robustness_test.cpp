// mvinrdec under damage, lateness, flushes and restarts.
#include <chrono>
#include <thread>

#include "dec_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr GstClockTime kFrame = 40 * GST_MSECOND, kGop = 5 * kFrame;

// Some milliseconds on an idle machine; tests also run on crowded ones and under sanitizers.
constexpr auto kPrompt = std::chrono::milliseconds(500);

class MvinrDecRobustness : public MvinrDec {};

TEST_F(MvinrDecRobustness, ADamagedNetworkIsAWarningAndAGapOnAllPads) {
  const auto gops = make_gops(3);
  start("texture_0 depth_1");
  push(gops[0], 0);
  gaps("texture_0");
  EXPECT_EQ(push(with_damaged_unit(gops[1], 0), kGop), GST_FLOW_OK);
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 1);
  const std::vector<std::pair<GstClockTime, GstClockTime>> gap = {{kGop, kGop}};
  EXPECT_EQ(gaps("texture_0"), gap);
  EXPECT_EQ(gaps("depth_1"), gap);
  EXPECT_EQ(push(gops[2], 2 * kGop), GST_FLOW_OK);
  EXPECT_TRUE(shown("texture_0") == expected({gops[0], gops[2]}, 0, Component::texture));
  EXPECT_EQ(stat("damaged"), 1u);
}

TEST_F(MvinrDecRobustness, ADamagedViewCostsOnlyThatView) {
  const auto gops = make_gops(3);
  start("texture_0 texture_2 depth_2");
  push(gops[0], 0);
  gaps("texture_2");
  // Units: network, shared grids, views 0, 1, 2; no view refers to the last one.
  EXPECT_EQ(push(with_damaged_unit(gops[1], 4), kGop), GST_FLOW_OK);
  EXPECT_EQ(push(gops[2], 2 * kGop), GST_FLOW_OK);
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 1);
  EXPECT_TRUE(shown("texture_0") == expected(gops, 0, Component::texture));
  EXPECT_TRUE(shown("texture_2") == expected({gops[0], gops[2]}, 2, Component::texture));
  EXPECT_TRUE(shown("depth_2") == expected({gops[0], gops[2]}, 2, Component::depth));
  const std::vector<std::pair<GstClockTime, GstClockTime>> gap = {{kGop, kGop}};
  EXPECT_EQ(gaps("texture_2"), gap);
  EXPECT_TRUE(gaps("texture_0").empty());
  EXPECT_EQ(stat("damaged"), 1u);
}

TEST_F(MvinrDecRobustness, ADamagedHeaderIsAGapOfTheBuffersDuration) {
  const auto gops = make_gops(2);
  start("texture_0");
  push(gops[0], 0);
  gaps("texture_0");
  Data damaged = gops[1];
  damaged[30] ^= std::byte{4};
  EXPECT_EQ(push(damaged, kGop, kGop), GST_FLOW_OK);
  const std::vector<std::pair<GstClockTime, GstClockTime>> gap = {{kGop, kGop}};
  EXPECT_EQ(gaps("texture_0"), gap);
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 1);
}

TEST_F(MvinrDecRobustness, EveryTruncationIsDamageOrAPicture) {
  const Data gop = make_gop();
  g_object_set(element_, "max-errors", -1, nullptr);
  start();
  for (size_t size = 1; size < gop.size(); size += 1 + gop.size() / 200)
    ASSERT_EQ(push(Data(gop.begin(), gop.begin() + ptrdiff_t(size)), 0), GST_FLOW_OK) << size;
  EXPECT_EQ(bus_->take(GST_MESSAGE_ERROR), 0);
  EXPECT_GT(stat("damaged"), 100u);
}

TEST_F(MvinrDecRobustness, GivesUpAfterMaxErrorsInARow) {
  const Data gop = make_gop(), damaged = with_damaged_unit(gop, 0);
  g_object_set(element_, "max-errors", 2, nullptr);
  start("texture_0");
  for (int round = 0; round < 2; ++round) {  // an intact access unit starts the count anew
    EXPECT_EQ(push(gop, 0), GST_FLOW_OK);
    EXPECT_EQ(push(damaged, 0), GST_FLOW_OK);
    EXPECT_EQ(push(damaged, 0), GST_FLOW_OK);
  }
  EXPECT_EQ(push(damaged, 0), GST_FLOW_ERROR);
  EXPECT_EQ(bus_->take(GST_MESSAGE_ERROR), 1);
}

TEST_F(MvinrDecRobustness, AStreamWithoutPicturesEndsWithAnError) {
  start();
  end();
  EXPECT_EQ(bus_->take(GST_MESSAGE_ERROR), 1);
}

TEST_F(MvinrDecRobustness, RefusesKernelsThatTheMachineLacks) {
  GstElement* dec = gst_element_factory_make("mvinrdec", nullptr);
  g_object_set(dec, "kernels", "abacus", nullptr);
  Bus bus(dec);
  EXPECT_EQ(gst_element_set_state(dec, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  std::string text;
  EXPECT_EQ(bus.take(GST_MESSAGE_ERROR, &text), 1);
  EXPECT_NE(text.find("abacus"), std::string::npos) << text;
  gst_element_set_state(dec, GST_STATE_NULL);
}

TEST_F(MvinrDecRobustness, SkipsLateFramesBeforeRenderingAndSaysSo) {
  const auto gops = make_gops(3);
  start("texture_0 depth_0");
  push(gops[0], 0);
  shown("texture_0");
  // The texture's sink is 100 ms late at 200 ms: twice that is skipped, 200 to 400 ms.
  gst_pad_push_event(outputs_.at("texture_0")->sinkpad,
                     gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, 100 * GST_MSECOND, kGop));
  push(gops[1], kGop);
  push(gops[2], 2 * kGop);
  EXPECT_TRUE(shown("texture_0") == expected({gops[2]}, 0, Component::texture));
  EXPECT_EQ(shown("depth_0").size(), 15u);
  EXPECT_EQ(stat("skipped"), 5u);
  EXPECT_EQ(bus_->take(GST_MESSAGE_QOS), 5);
}

TEST_F(MvinrDecRobustness, WithoutQosNothingIsSkipped) {
  const auto gops = make_gops(2);
  g_object_set(element_, "qos", FALSE, nullptr);
  start("texture_0");
  push(gops[0], 0);
  gst_pad_push_event(outputs_.at("texture_0")->sinkpad,
                     gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, 100 * GST_MSECOND, kGop));
  push(gops[1], kGop);
  EXPECT_EQ(shown("texture_0").size(), 10u);
}

TEST_F(MvinrDecRobustness, AFlushEndsTheRenderingAtOnce) {
  // Takes seconds on one thread with the reference kernels.
  const Data gop = make_gop({.frames = 60, .views = 1, .width = 1024, .height = 1024});
  g_object_set(element_, "threads", 1, "kernels", "reference", nullptr);
  start("texture_0");
  GstFlowReturn flow = GST_FLOW_OK;
  std::thread streaming([&] { flow = push(gop, 0); });
  while (stat("rendered") == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto before = std::chrono::steady_clock::now();
  send(gst_event_new_flush_start());
  streaming.join();
  const auto took = std::chrono::steady_clock::now() - before;
  EXPECT_EQ(flow, GST_FLOW_FLUSHING);
  EXPECT_LT(took, kPrompt);
  EXPECT_LT(stat("rendered"), 60u);
  // And it plays on afterwards.
  send(gst_event_new_flush_stop(TRUE));
  segment(1.0, 0);
  while (GstBuffer* old = gst_harness_try_pull(outputs_.at("texture_0"))) gst_buffer_unref(old);
  const Data next = make_gop();
  EXPECT_EQ(push(next, 0), GST_FLOW_OK);
  EXPECT_TRUE(shown("texture_0") == expected({next}, 0, Component::texture));
}

TEST_F(MvinrDecRobustness, AStopEndsTheRenderingAtOnce) {
  const Data gop = make_gop({.frames = 60, .views = 1, .width = 1024, .height = 1024});
  g_object_set(element_, "threads", 1, "kernels", "reference", nullptr);
  start("texture_0");
  std::thread streaming([&] { push(gop, 0); });
  while (stat("rendered") == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto before = std::chrono::steady_clock::now();
  gst_element_set_state(element_, GST_STATE_NULL);
  EXPECT_LT(std::chrono::steady_clock::now() - before, kPrompt);
  streaming.join();
  EXPECT_EQ(removed_, (std::vector<std::string>{"texture_0", "depth_0"}));
}

TEST(MvinrDecCycles, FiftyStartsAndStops) {
  const Data gop = make_gop();
  GstElement* dec = gst_element_factory_make("mvinrdec", nullptr);
  gst_object_ref_sink(dec);
  for (int i = 0; i < 50; ++i) {
    GstHarness* harness = gst_harness_new_with_element(dec, "sink", nullptr);
    gst_harness_set_src_caps_str(harness, "video/x-mvinr,parsed=true");
    EXPECT_EQ(gst_harness_push(harness, make_buffer(gop, 0)), GST_FLOW_NOT_LINKED);
    EXPECT_EQ(dec->numsrcpads, 6);
    gst_element_set_state(dec, i % 2 ? GST_STATE_NULL : GST_STATE_READY);
    EXPECT_EQ(dec->numsrcpads, 0);
    gst_harness_teardown(harness);
  }
  gst_element_set_state(dec, GST_STATE_NULL);
  EXPECT_EQ(GST_OBJECT_REFCOUNT_VALUE(dec), 1);
  gst_object_unref(dec);
}

}  // namespace
}  // namespace mvinr
