// One hour of frames through mvinrenc with an encoder that does not train: memory does not grow.
#include "enc_fixture.h"
#include "fake_encoder.h"
#include "memory.h"

namespace mvinr::gst_test {
namespace {

TEST(EncSoak, AnHourOfFramesLeavesNothingBehind) {
  fake::reset();
  constexpr int kFrames = 3600 * 25, kGop = 50;
  GstElement* pipeline = gst_parse_launch(
      ("mvinrenc name=e gop-size=" + std::to_string(kGop) +
       " ! fakesink name=out sync=false signal-handoffs=true"
       " videotestsrc num-buffers=" +
       std::to_string(kFrames) +
       " pattern=blue ! video/x-raw,format=I420,width=16,height=16,framerate=25/1 ! e.texture_0"
       " videotestsrc num-buffers=" +
       std::to_string(kFrames) +
       " pattern=blue ! video/x-raw,format=GRAY16_LE,width=16,height=16,framerate=25/1 ! e.depth_0")
          .c_str(),
      nullptr);
  ASSERT_TRUE(pipeline);
  struct Count {
    int units = 0;
    double quarter = 0;
  } count;
  GstElement* out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
  g_signal_connect(out, "handoff", G_CALLBACK(+[](GstElement*, GstBuffer*, GstPad*, gpointer data) {
                     auto* c = static_cast<Count*>(data);
                     if (++c->units == kFrames / kGop / 4)
                       c->quarter = testutil::resident_megabytes();
                   }),
                   &count);
  GstBus* bus = gst_element_get_bus(pipeline);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstMessageType last = GST_MESSAGE_UNKNOWN;
  while (last != GST_MESSAGE_EOS && last != GST_MESSAGE_ERROR) {
    GstMessage* message = gst_bus_timed_pop(bus, 60 * GST_SECOND);
    if (!message) break;
    last = GST_MESSAGE_TYPE(message);
    gst_message_unref(message);
  }
  EXPECT_EQ(last, GST_MESSAGE_EOS);
  EXPECT_EQ(count.units, kFrames / kGop);
  const double end = testutil::resident_megabytes();
  std::printf("%d frames of texture and depth: %.1f MB after a quarter, %.1f MB at the end\n",
              kFrames, count.quarter, end);
  EXPECT_LT(end - count.quarter, 8);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(bus);
  gst_object_unref(out);
  gst_object_unref(pipeline);
}

}  // namespace
}  // namespace mvinr::gst_test
