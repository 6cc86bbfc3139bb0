// What mvinrmkvmux says about input that it cannot write, and sinks that fail.
#include "file_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

class MatroskaErrors : public FileTest {
 protected:
  void SetUp() override {
    if (!have_element("mvinrmkvmux")) GTEST_SKIP() << "built without libmatroska";
  }
};

TEST_F(MatroskaErrors, SoundAloneIsRefusedByName) {
  Pipeline pipeline("audiotestsrc num-buffers=10 ! opusenc ! mvinrmkvmux ! fakesink");
  const std::string error = pipeline.play();
  EXPECT_NE(error.find("matroskamux"), std::string::npos) << error;
}

TEST_F(MatroskaErrors, AFullDiskIsAnErrorOfTheSink) {
  if (!g_file_test("/dev/full", G_FILE_TEST_EXISTS)) GTEST_SKIP() << "no /dev/full";
  Pipeline pipeline(play_from(raw_) + " ! mvinrparse ! mvinrmkvmux ! filesink location=/dev/full");
  EXPECT_NE(pipeline.play().find("error"), std::string::npos);
}

TEST_F(MatroskaErrors, NamesTheLimitOfReadersThatALargeAccessUnitBreaks) {
  GstHarness* h = gst_harness_new_with_padnames("mvinrmkvmux", "video_0", "src");
  std::string text;
  {
    Bus bus(h->element);
    gst_harness_set_src_caps_str(h, "video/x-mvinr,parsed=true");
    Data large = gops_[0];
    large.resize(16 << 20);
    gst_harness_push(h, make_buffer(large, 0, 200 * GST_MSECOND));
    gst_harness_push_event(h, gst_event_new_eos());
    while (GstEvent* event = gst_harness_pull_event(h)) {
      const bool end = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
      gst_event_unref(event);
      if (end) break;
    }
    EXPECT_EQ(bus.take(GST_MESSAGE_WARNING, &text), 1);
  }
  EXPECT_NE(text.find("15728640"), std::string::npos) << text;
  EXPECT_NE(text.find("gop-size"), std::string::npos) << text;
  gst_harness_teardown(h);
}

TEST_F(MatroskaErrors, ABufferWithoutTimestampIsNamed) {
  Pipeline pipeline(
      "appsrc name=s caps=video/x-mvinr,parsed=true format=time ! mvinrmkvmux ! "
      "fakesink");
  GstBuffer* buffer = make_buffer(gops_[0]);
  GstFlowReturn flow;
  g_signal_emit_by_name(pipeline.element("s"), "push-buffer", buffer, &flow);
  gst_buffer_unref(buffer);
  g_signal_emit_by_name(pipeline.element("s"), "end-of-stream", &flow);
  const std::string error = pipeline.play(20);
  EXPECT_NE(error.find("timestamp on pad video_0"), std::string::npos) << error;
}

TEST_F(MatroskaErrors, SomethingElseThanMvInrIsNamed) {
  Pipeline pipeline(
      "appsrc name=s caps=video/x-mvinr,parsed=true format=time ! mvinrmkvmux ! "
      "fakesink");
  GstBuffer* buffer = make_buffer(Data(1000, std::byte{7}), 0, GST_SECOND);
  GstFlowReturn flow;
  g_signal_emit_by_name(pipeline.element("s"), "push-buffer", buffer, &flow);
  gst_buffer_unref(buffer);
  g_signal_emit_by_name(pipeline.element("s"), "end-of-stream", &flow);
  const std::string error = pipeline.play(20);
  EXPECT_NE(error.find("error"), std::string::npos) << error;
}

TEST_F(MatroskaErrors, AacWithoutItsHeaderIsNamed) {
  Pipeline pipeline("mvinrmkvmux name=m ! fakesink " + play_from(raw_) +
                    " ! mvinrparse ! m. "
                    "audiotestsrc num-buffers=5 ! audioconvert ! avenc_aac ! capssetter "
                    "replace=true caps=audio/mpeg,mpegversion=4,stream-format=raw ! m.");
  const std::string error = pipeline.play(20);
  EXPECT_NE(error.find("codec_data"), std::string::npos) << error;
}

TEST_F(MatroskaErrors, PadsThatComeTooLateAreRefused) {
  Pipeline pipeline(play_from(raw_) +
                    " ! mvinrparse ! m.video_1 mvinrmkvmux name=m ! "
                    "fakesink sync=false");
  GstElement* muxer = pipeline.element("m");
  EXPECT_EQ(gst_element_request_pad_simple(muxer, "sound_1"), nullptr);
  EXPECT_EQ(pipeline.play(), "");
  EXPECT_EQ(gst_element_request_pad_simple(muxer, "audio_0"), nullptr) << "the file has begun";
}

}  // namespace
}  // namespace mvinr
