// HLS and DASH: a fragmented MP4 file, cut at its fragments, is what both take; stock GStreamer has
// no element that cuts one (1.22), but stock players read it.
#include <glib/gstdio.h>

#include "file_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

class Adaptive : public FileTest {
 protected:
  /// Cuts a fragmented file into init.mp4 (ftyp, moov) and part1.m4s, part2.m4s, … (moof, mdat).
  int cut_into_parts(const std::string& path) {
    const Data file = contents(path);
    Data part;
    std::string name = "init.mp4";
    int parts = 0;
    for (size_t at = 0; at + 8 <= file.size();) {
      const size_t size = GST_READ_UINT32_BE(&file[at]);
      const std::string type(reinterpret_cast<const char*>(&file[at + 4]), 4);
      if (size < 8 || size > file.size() - at) break;
      if (type == "moof" || type == "mfra") {
        folder_.write(name, part);
        part.clear();
        name = "part" + std::to_string(parts + 1) + ".m4s";
        parts += type == "moof";
      }
      part.insert(part.end(), file.begin() + ptrdiff_t(at), file.begin() + ptrdiff_t(at + size));
      at += size;
    }
    return parts;
  }
  std::string write_text(const std::string& name, const std::string& text) {
    return folder_.write(name, Data(reinterpret_cast<const std::byte*>(text.data()),
                                    reinterpret_cast<const std::byte*>(text.data()) + text.size()));
  }
  size_t files(const std::string& beginning) {
    size_t count = 0;
    for (int i = 1; i < 20; ++i) {
      GStatBuf status;
      const std::string path = folder_.file(beginning + std::to_string(i) + ".mp4");
      count += g_stat(path.c_str(), &status) == 0 && status.st_size > 0;
    }
    return count;
  }
};

TEST_F(Adaptive, HlsWithFragmentedMp4IsReadByTheStockDemuxer) {
  const int parts = cut_into_parts(mux("mp4mux fragment-duration=100 streamable=true", "f.mp4"));
  ASSERT_GE(parts, 3);
  std::string text =
      "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n"
      "#EXT-X-MAP:URI=\"init.mp4\"\n";
  for (int i = 1; i <= parts; ++i) text += "#EXTINF:0.200,\npart" + std::to_string(i) + ".m4s\n";
  const std::string playlist = write_text("scene.m3u8", text + "#EXT-X-ENDLIST\n");
  expect_access_units("filesrc location=" + playlist + " ! hlsdemux ! qtdemux", SIZE_MAX,
                      GST_MSECOND);
  expect_all_pictures("filesrc location=" + playlist + " ! hlsdemux ! qtdemux", GST_MSECOND);
}

TEST_F(Adaptive, DashWithFragmentedMp4IsReadByTheStockDemuxer) {
  const int parts = cut_into_parts(mux("mp4mux fragment-duration=100 streamable=true", "f.mp4"));
  ASSERT_GE(parts, 3);
  const std::string manifest = write_text(
      "scene.mpd",
      "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" "
      "profiles=\"urn:mpeg:dash:profile:isoff-main:2011\" minBufferTime=\"PT1S\" "
      "mediaPresentationDuration=\"PT0.8S\"><Period duration=\"PT0.8S\"><AdaptationSet "
      "mimeType=\"video/mp4\" contentType=\"video\"><Representation id=\"v\" bandwidth=\"100000\" "
      "codecs=\"mvnr\" width=\"48\" height=\"40\"><SegmentTemplate timescale=\"1000\" "
      "duration=\"" +
          std::to_string(800 / parts + 1) +
          "\" startNumber=\"1\" initialization=\"init.mp4\" "
          "media=\"part$Number$.m4s\"/></Representation></AdaptationSet></Period></MPD>");
  expect_access_units("filesrc location=" + manifest + " ! dashdemux ! qtdemux", SIZE_MAX,
                      GST_MSECOND);
  expect_all_pictures("filesrc location=" + manifest + " ! dashdemux ! qtdemux", GST_MSECOND);
}

// Not because of our codec: docs/elements.md has the command that shows the same with H.264.
TEST_F(Adaptive, TheStockDashsinkStopsAfterItsFirstMp4Segment) {
  if (!have_element("dashsink")) GTEST_SKIP() << "no dashsink (gstreamer1.0-plugins-bad)";
  const std::string six_seconds = folder_.write("long.mvinr", joined(make_gops(30)));
  Pipeline pipeline("dashsink name=d muxer=mp4 target-duration=1 mpd-root-path=" +
                    folder_.file("") + " " + play_from(six_seconds) + " ! mvinrparse ! d.video_0");
  pipeline.play(3);  // to the end or, mostly, not
  EXPECT_EQ(files("video_0_"), 1u)
      << "this GStreamer writes more: use it, and change docs/elements.md";
}

TEST_F(Adaptive, TheStockHlsSinkTakesOnlyWhatTransportStreamsCarry) {
  if (!have_element("hlssink2")) GTEST_SKIP() << "no hlssink2 (gstreamer1.0-plugins-bad)";
  std::string problem;
  try {
    problem =
        Pipeline(play_from(raw_) + " ! mvinrparse ! hlssink2 location=" + folder_.file("s%02d.ts") +
                 " playlist-location=" + folder_.file("s.m3u8"))
            .play(5);
  } catch (const std::exception& error) {
    problem = error.what();
  }
  EXPECT_NE(problem, "") << "this GStreamer takes it: use it, and change docs/elements.md";
}

}  // namespace
}  // namespace mvinr
