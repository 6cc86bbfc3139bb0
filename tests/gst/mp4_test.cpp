// MP4 and MOV through the stock muxers, which take a codec that they do not know as
// video/x-mp4-part and video/x-qt-part.
#include "file_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

class Movie : public FileTest {
 protected:
  Movie() : FileTest({.rate = {30000, 1001}}) {}
  static std::string demux(const std::string& path) {
    return play_from(path) + " ! qtdemux name=m";
  }
  void expect_all(const std::string& path, const std::string& pad = "") {
    expect_access_units(demux(path) + pad);
    expect_all_pictures(demux(path) + pad);
  }
};

// The caps are no documented part of GStreamer's interface. If this fails, mp4mux needs another
// way in, or MV-INR a muxer of its own; mvinrmkvmux works meanwhile.
TEST_F(Movie, TheMuxersStillTakeCodecsThatTheyDoNotKnow) {
  for (const auto& [muxer, caps] :
       {std::pair{"mp4mux", "video/x-mp4-part"}, std::pair{"qtmux", "video/x-qt-part"}}) {
    GstElementFactory* factory = gst_element_factory_find(muxer);
    ASSERT_NE(factory, nullptr) << muxer << " (gstreamer1.0-plugins-good) is missing";
    GstCaps* wanted = gst_caps_from_string(
        (std::string(caps) + ",format=(uint)1919841901,width=48,height=40,framerate=30/1").c_str());
    EXPECT_TRUE(gst_element_factory_can_sink_any_caps(factory, wanted))
        << muxer << " of this GStreamer ("
        << gst_plugin_feature_get_plugin_name(GST_PLUGIN_FEATURE(factory))
        << " plugin) has dropped " << caps << " from its pad templates: MV-INR in MP4 and MOV "
        << "files cannot be written with it";
    gst_caps_unref(wanted);
    gst_object_unref(factory);
  }
}

TEST_F(Movie, Mp4) { expect_all(mux("mp4mux", "a.mp4")); }

TEST_F(Movie, FragmentedMp4) { expect_all(mux("mp4mux fragment-duration=300", "f.mp4")); }

TEST_F(Movie, StreamableFragmentedMp4) {
  expect_all(mux("mp4mux fragment-duration=300 streamable=true", "s.mp4"));
}

TEST_F(Movie, FastStart) { expect_all(mux("mp4mux faststart=true", "q.mp4")); }

TEST_F(Movie, QuickTime) { expect_all(mux("qtmux", "a.mov")); }

// What fragments are for: a plain file has its index at the end, and without it nothing plays.
TEST_F(Movie, AFragmentedFileThatWasCutPlaysUpToThere) {
  const auto fragmented = mux("mp4mux fragment-duration=100 streamable=true", "f.mp4");
  Pipeline player(demux(cut(fragmented, 0.6)) + " ! mvinrparse ! mvinrdec name=d", "texture_0");
  EXPECT_EQ(player.play(), "");
  const auto got = player.shown("texture_0"), want = textures();
  EXPECT_GE(got.size(), 10u);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].md5, want[i].md5) << i;
  Pipeline plain(demux(cut(mux("mp4mux", "a.mp4"), 0.6)) + " ! fakesink");
  EXPECT_NE(plain.play(), "");
}

TEST_F(Movie, WithAacOrOpusBesideIt) {
  for (const char* encoder : {"avenc_aac ! aacparse", "opusenc"}) {
    for (const char* muxer : {"mp4mux", "mp4mux fragment-duration=300", "qtmux"}) {
      SCOPED_TRACE(std::string(muxer) + " and " + encoder);
      const auto path = folder_.file("av.mp4");
      Pipeline pipeline(std::string(muxer) + " name=m ! filesink location=" + path + " " +
                        play_from(raw_) + " ! mvinrparse ! m. audiotestsrc num-buffers=30 ! " +
                        "audioconvert ! " + encoder +
                        " ! queue max-size-time=0 max-size-buffers=0 ! m.");
      EXPECT_EQ(pipeline.play(), "");
      expect_access_units(demux(path) + " m.video_0");
      EXPECT_EQ(Pipeline(demux(path) + " m.audio_0 ! fakesink").play(), "");
    }
  }
}

TEST_F(Movie, SplitmuxsinkWritesFilesThatSplitmuxsrcJoins) {
  Pipeline pipeline(play_from(raw_) +
                    " ! mvinrparse ! splitmuxsink max-size-time=300000000 "
                    "location=" +
                    folder_.file("part%02d.mp4"));
  EXPECT_EQ(pipeline.play(), "");
  EXPECT_TRUE(g_file_test(folder_.file("part01.mp4").c_str(), G_FILE_TEST_EXISTS));
  expect_access_units("splitmuxsrc location=" + folder_.file("part*.mp4"), SIZE_MAX, 10);  // ns
}

TEST_F(Movie, FfmpegCopiesItToMov) {
  if (!have_program("ffmpeg")) GTEST_SKIP() << "ffmpeg is not installed";
  for (const char* muxer : {"mp4mux", "mp4mux fragment-duration=300", "qtmux"}) {
    const auto path = mux(muxer, "a.mp4"), copy = folder_.file("copy.mov");
    int status;
    const auto text =
        run_program("ffmpeg -v error -y -i " + path + " -c copy -map 0 " + copy, &status);
    EXPECT_EQ(status, 0) << text;
    expect_all(copy);
    // And back into a file that is called .mp4: its own mp4 muxer has no tag for the codec.
    const auto back = folder_.file("back.mp4");
    const auto answer =
        run_program("ffmpeg -v error -y -i " + copy + " -c copy -map 0 -f mov " + back, &status);
    EXPECT_EQ(status, 0) << answer;
    expect_all(back);
  }
}

TEST_F(Movie, FfprobeSeesStreamAndPackets) {
  if (!have_program("ffprobe")) GTEST_SKIP() << "ffprobe (package ffmpeg) is not installed";
  int status;
  const auto text = run_program(
      "ffprobe -v quiet -show_entries stream=codec_tag_string,width,height:packet=size,flags "
      "-of csv=p=0 " +
          mux("mp4mux", "a.mp4"),
      &status);
  std::string want;
  for (const Data& gop : gops_) want += std::to_string(gop.size()) + ",K_\n";
  EXPECT_EQ(text, want + "mvnr,48,40\n");
}

}  // namespace
}  // namespace mvinr
