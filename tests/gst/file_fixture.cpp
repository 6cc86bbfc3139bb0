#include "file_fixture.h"

#include <sys/wait.h>

namespace mvinr::testutil {

bool have_element(const char* name) {
  GstElementFactory* factory = gst_element_factory_find(name);
  if (factory) gst_object_unref(factory);
  return factory != nullptr;
}

bool have_program(const char* name) {
  gchar* path = g_find_program_in_path(name);
  g_free(path);
  return path != nullptr;
}

// splitmuxsrc moves timestamps by 1000 s, and its segments move them back.
GstClockTime running_time(GstPad* pad, GstBuffer* buffer) {
  GstEvent* event = gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0);
  if (!event) return GST_CLOCK_TIME_NONE;
  const GstSegment* segment;
  gst_event_parse_segment(event, &segment);
  const auto time = gst_segment_to_running_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
  gst_event_unref(event);
  return time;
}

std::string run_program(const std::string& command, int* status) {
  std::string output;
  FILE* pipe = popen((command + " 2>&1 </dev/null").c_str(), "r");
  char block[4096];
  while (pipe) {
    const size_t bytes = fread(block, 1, sizeof block, pipe);
    if (bytes == 0) break;
    output.append(block, bytes);
  }
  const int ended = pipe ? pclose(pipe) : -1;
  *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
  return output;
}

FileTest::FileTest(const GopOptions& options)
    : options_(options),
      gops_(make_gops(4, options)),
      raw_(folder_.write("scene.mvinr", joined(gops_))) {}

std::string FileTest::mux(const std::string& muxer, const std::string& name) {
  const std::string path = folder_.file(name);
  Pipeline pipeline(play_from(raw_) + " ! mvinrparse ! " + muxer + " ! filesink location=" + path);
  EXPECT_EQ(pipeline.play(), "");
  return path;
}

Data FileTest::contents(const std::string& path) {
  gchar* text = nullptr;
  gsize bytes = 0;
  if (!g_file_get_contents(path.c_str(), &text, &bytes, nullptr)) return {};
  const auto* first = reinterpret_cast<const std::byte*>(text);
  Data data(first, first + bytes);
  g_free(text);
  return data;
}

std::string FileTest::cut(const std::string& path, double part) {
  Data data = contents(path);
  data.resize(size_t(double(data.size()) * part));
  return folder_.write("cut", data);
}

void FileTest::expect_all_pictures(const std::string& source, GstClockTime tolerance) {
  Pipeline pipeline(source + " ! mvinrparse ! mvinrdec name=d", "all");
  EXPECT_EQ(pipeline.play(), "");
  EXPECT_EQ(pipeline.pads().size(), 6u);
  for (int view = 0; view < 3; ++view) {
    for (const Component component : {Component::texture, Component::depth}) {
      const std::string pad =
          (component == Component::texture ? "texture_" : "depth_") + std::to_string(view);
      const auto got = pipeline.shown(pad), want = expected(gops_, view, component, options_.rate);
      ASSERT_EQ(got.size(), want.size()) << pad;
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].md5, want[i].md5) << pad << " " << i;
        EXPECT_LE(std::max(got[i].pts, want[i].pts) - std::min(got[i].pts, want[i].pts), tolerance)
            << pad << " " << i;
      }
    }
  }
}

void FileTest::expect_access_units(const std::string& source, size_t count,
                                   GstClockTime tolerance) {
  struct Got {
    std::vector<Data> data;
    std::vector<GstClockTime> times;
  } got;
  Pipeline pipeline(source + " ! mvinrparse ! fakesink name=s sync=false signal-handoffs=true");
  g_signal_connect(pipeline.element("s"), "handoff",
                   G_CALLBACK(+[](GstElement*, GstBuffer* buffer, GstPad* pad, gpointer data) {
                     static_cast<Got*>(data)->data.push_back(bytes_of(buffer));
                     static_cast<Got*>(data)->times.push_back(running_time(pad, buffer));
                   }),
                   &got);
  EXPECT_EQ(pipeline.play(), "");
  ASSERT_EQ(got.data.size(), std::min(count, gops_.size()));
  for (size_t i = 0; i < got.data.size(); ++i) {
    EXPECT_TRUE(got.data[i] == gops_[i]) << i;
    const auto want = gst_util_uint64_scale(i * size_t(options_.frames),
                                            options_.rate.den * GST_SECOND, options_.rate.num);
    EXPECT_LE(std::max(got.times[i], want) - std::min(got.times[i], want), tolerance) << i;
  }
}

}  // namespace mvinr::testutil
