// A stream of a newer version than this decoder's: everything that reads it names the version.
#include <gtest/gtest.h>

#include "dec_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

class NewerStream : public testing::TestWithParam<const char*> {
 protected:
  NewerStream() {
    for (Data& gop : gops_) gop[4] = std::byte(kBitstreamVersion + 1);
    raw_ = folder_.write("newer.mvinr", joined(gops_));
  }
  static void expect_refused(const std::string& description) {
    const std::string problem = Pipeline(description).play(20);
    const std::string version = "version " + std::to_string(kBitstreamVersion + 1);
    EXPECT_EQ(problem.rfind("error: ", 0), 0u) << description << ": " << problem;
    EXPECT_NE(problem.find(version), std::string::npos) << description << ": " << problem;
  }

  TemporaryFolder folder_;
  std::vector<Data> gops_ = make_gops(3);
  std::string raw_;
};

class NewerFile : public NewerStream {};
INSTANTIATE_TEST_SUITE_P(Elements, NewerFile,
                         testing::Values("mvinrparse", "decodebin", "decodebin3"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(NewerFile, IsRefusedByName) {
  expect_refused("filesrc location=" + raw_ + " ! " + GetParam() + " ! fakesink");
}

class NewerAccessUnits : public NewerStream {};
INSTANTIATE_TEST_SUITE_P(Elements, NewerAccessUnits,
                         testing::Values("mvinrdec", "mvinrviewselect", "mvinrfilter ! mvinrdec",
                                         "mvinrfilter views=1 ! mvinrdec", "rtpmvinrpay",
                                         "mvinrparse", "mvinrparse ! mp4mux"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase_if(name, [](char c) { return !g_ascii_isalnum(c); });
                           return name;
                         });

// As a demuxer or a network hands them over. Their caps do not tell the version.
TEST_P(NewerAccessUnits, AreRefusedByName) {
  Pipeline pipeline(std::string("appsrc name=s format=time caps=video/x-mvinr,parsed=true ! ") +
                    GetParam() + " ! fakesink");
  GstFlowReturn flow;
  for (const Data& gop : gops_) {
    GstBuffer* buffer = make_buffer(gop, 0, 200 * GST_MSECOND);
    g_signal_emit_by_name(pipeline.element("s"), "push-buffer", buffer, &flow);
    gst_buffer_unref(buffer);
  }
  g_signal_emit_by_name(pipeline.element("s"), "end-of-stream", &flow);
  const std::string problem = pipeline.play(20);
  EXPECT_NE(problem.find("version " + std::to_string(kBitstreamVersion + 1)), std::string::npos)
      << problem;
}

}  // namespace
}  // namespace mvinr
