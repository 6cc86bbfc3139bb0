// Matroska: mvinrmkvmux, stock matroskademux, and programs of others that read the file.

#include "file_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

// At this rate no GOP begins at a whole millisecond.
class Matroska : public FileTest {
 protected:
  Matroska() : FileTest({.rate = {30000, 1001}}) {}
  void SetUp() override {
    if (!have_element("mvinrmkvmux")) GTEST_SKIP() << "built without libmatroska";
  }
  std::string mkv(const std::string& properties = "") {
    return mux("mvinrmkvmux " + properties, "a.mkv");
  }
  static std::string demux(const std::string& path) {
    return play_from(path) + " ! matroskademux name=m";
  }
  GstClockTime frame(uint64_t n) { return gst_util_uint64_scale(n, 1001 * GST_SECOND, 30000); }
};

TEST_F(Matroska, KeepsAllPicturesAndTheirExactTimes) { expect_all_pictures(demux(mkv())); }

TEST_F(Matroska, TimesAreExactWithoutParserToo) {
  Pipeline pipeline(demux(mkv()) + " ! mvinrdec name=d", "texture_0");
  EXPECT_EQ(pipeline.play(), "");
  EXPECT_TRUE(pipeline.shown("texture_0") == textures());
}

TEST_F(Matroska, AccessUnitsAreBitExact) { expect_access_units(demux(mkv())); }

TEST_F(Matroska, KnowsItsDurationAndSeeks) {
  Pipeline pipeline(demux(mkv()) + " ! mvinrparse ! mvinrdec name=d", "texture_0");
  ASSERT_EQ(pipeline.preroll(), "");
  gint64 duration = 0;
  ASSERT_TRUE(gst_element_query_duration(pipeline.get(), GST_FORMAT_TIME, &duration));
  EXPECT_NEAR(double(duration), double(frame(20)), 1e6);
  GstQuery* query = gst_query_new_seeking(GST_FORMAT_TIME);
  gboolean seekable = FALSE;
  ASSERT_TRUE(gst_element_query(pipeline.get(), query));
  gst_query_parse_seeking(query, nullptr, &seekable, nullptr, nullptr);
  gst_query_unref(query);
  EXPECT_TRUE(seekable);
  const auto all = textures();
  for (const uint64_t first : {13, 2, 10, 19}) {
    ASSERT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_ACCURATE, frame(first)));
    EXPECT_EQ(pipeline.play(), "");
    EXPECT_TRUE(pipeline.shown("texture_0") ==
                std::vector<Shown>(all.begin() + ptrdiff_t(first), all.end()))
        << first;
  }
  for (const uint64_t gop : {2, 1, 3}) {  // the segment's start is rounded, the pictures are not
    ASSERT_TRUE(pipeline.seek(1.0, GstSeekFlags(GST_SEEK_FLAG_KEY_UNIT | GST_SEEK_FLAG_SNAP_BEFORE),
                              frame(5 * gop + 3)));
    EXPECT_EQ(pipeline.play(), "");
    EXPECT_TRUE(pipeline.shown("texture_0") ==
                std::vector<Shown>(all.begin() + ptrdiff_t(5 * gop), all.end()))
        << gop;
  }
}

TEST_F(Matroska, PlaysBackwards) {
  Pipeline pipeline(demux(mkv()) + " ! mvinrparse ! mvinrdec name=d", "texture_0");
  ASSERT_EQ(pipeline.preroll(), "");
  ASSERT_TRUE(pipeline.seek(-1.0, GST_SEEK_FLAG_ACCURATE, 0, frame(17)));
  EXPECT_EQ(pipeline.play(), "");
  auto want = textures();
  want.resize(17);
  std::reverse(want.begin(), want.end());
  EXPECT_TRUE(pipeline.shown("texture_0") == want);
}

TEST_F(Matroska, StreamableFilePlaysWithoutIndex) {
  const auto path = mkv("streamable=true");
  expect_access_units(demux(path));
  Pipeline player(demux(path) + " ! mvinrparse ! mvinrdec name=d", "texture_0");
  ASSERT_EQ(player.preroll(), "");
  ASSERT_TRUE(player.seek(1.0, GST_SEEK_FLAG_ACCURATE, frame(12)));  // matroskademux searches
  EXPECT_EQ(player.play(), "");
  EXPECT_EQ(player.shown("texture_0").size(), 8u);
}

TEST_F(Matroska, APipeGetsAStreamWithoutIndexByItself) {
  const auto path = folder_.file("pipe.mkv");
  GstElement* sink =
      gst_parse_bin_from_description(("queue ! filesink location=" + path).c_str(), TRUE, nullptr);
  // A sink that says that it cannot seek, like a socket.
  GstElement* queue = gst_bin_find_unlinked_pad(GST_BIN(sink), GST_PAD_SINK) ? nullptr : sink;
  ASSERT_NE(queue, nullptr);
  Pipeline pipeline(play_from(raw_) + " ! mvinrparse ! mvinrmkvmux name=mux");
  gst_bin_add(GST_BIN(pipeline.get()), sink);
  GstPad* pad = gst_element_get_static_pad(sink, "sink");
  gst_pad_add_probe(
      pad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer) {
        GstQuery* query = GST_PAD_PROBE_INFO_QUERY(info);
        if (GST_QUERY_TYPE(query) != GST_QUERY_SEEKING) return GST_PAD_PROBE_OK;
        gst_query_set_seeking(query, GST_FORMAT_BYTES, FALSE, 0, -1);
        return GST_PAD_PROBE_HANDLED;
      },
      nullptr, nullptr);
  gst_object_unref(pad);
  ASSERT_TRUE(gst_element_link(pipeline.element("mux"), sink));
  EXPECT_EQ(pipeline.play(), "");
  GstPad* src = gst_element_get_static_pad(pipeline.element("mux"), "src");
  GstCaps* caps = gst_pad_get_current_caps(src);
  EXPECT_TRUE(gst_structure_has_field(gst_caps_get_structure(caps, 0), "streamheader"))
      << "tcpserversink sends it to a client that comes later";
  gst_caps_unref(caps);
  gst_object_unref(src);
  expect_access_units(demux(path));
  EXPECT_LT(contents(path).size(), contents(mkv()).size()) << "no room for an index is kept";
}

TEST_F(Matroska, AFileThatWasCutPlaysUpToThere) {
  for (const char* properties : {"", "streamable=true"}) {
    const auto path = mkv(properties);
    size_t before = 0;
    for (const double part : {0.4, 0.6, 0.8}) {
      Pipeline pipeline(demux(cut(path, part)) + " ! mvinrparse ! mvinrdec name=d", "texture_0");
      EXPECT_EQ(pipeline.play(), "");
      const auto got = pipeline.shown("texture_0"), want = textures();
      EXPECT_GE(got.size(), std::max<size_t>(before, 5)) << part;
      for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], want[i]) << i;
      before = got.size();
    }
  }
}

TEST_F(Matroska, StoppedWithoutTheEndOfTheStreamTheFilePlays) {
  const auto path = folder_.file("stopped.mkv");
  {
    Pipeline pipeline(play_from(raw_) + " ! mvinrparse ! identity eos-after=4 ! mvinrmkvmux ! " +
                      "identity name=i ! filesink location=" + path);
    GstPad* pad = gst_element_get_static_pad(pipeline.element("i"), "sink");
    gst_pad_add_probe(
        pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
        [](GstPad*, GstPadProbeInfo* info, gpointer) {
          const auto type = GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info));
          return type == GST_EVENT_EOS ? GST_PAD_PROBE_DROP : GST_PAD_PROBE_OK;
        },
        nullptr, nullptr);
    // Everything from the second segment on (index and patches) is lost, as if killed.
    gst_pad_add_probe(
        pad, GST_PAD_PROBE_TYPE_BUFFER,
        [](GstPad*, GstPadProbeInfo* info, gpointer) {
          GstBuffer* buffer = GST_PAD_PROBE_INFO_BUFFER(info);
          const bool late = GST_BUFFER_OFFSET(buffer) > 0 &&
                            GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_HEADER);
          return late ? GST_PAD_PROBE_DROP : GST_PAD_PROBE_OK;
        },
        nullptr, nullptr);
    gst_object_unref(pad);
    EXPECT_EQ(pipeline.play(3), "timeout");
  }
  expect_access_units(demux(path), 3);
}

TEST_F(Matroska, StopsAtOnceWheneverItIs) {
  for (int i = 0; i < 30; ++i) {
    Pipeline pipeline("audiotestsrc is-live=true ! opusenc ! mvinrmkvmux name=m ! fakesink " +
                      play_from(raw_) + " ! mvinrparse ! identity sleep-time=3000 ! m.");
    gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
    g_usleep(gulong(i) * 500);
    const gint64 start = g_get_monotonic_time();
    gst_element_set_state(pipeline.get(), GST_STATE_NULL);
    EXPECT_LT(g_get_monotonic_time() - start, G_USEC_PER_SEC);
  }
}

TEST_F(Matroska, CarriesOpusAndAacBesideIt) {
  const auto path = folder_.file("av.mkv");
  const std::string queue = " ! queue max-size-time=0 max-size-buffers=0 ! m. ";
  Pipeline pipeline("mvinrmkvmux name=m ! filesink location=" + path + " " + play_from(raw_) +
                    " ! mvinrparse ! m. audiotestsrc num-buffers=30 ! audioconvert ! opusenc" +
                    queue + "audiotestsrc num-buffers=30 ! audioconvert ! avenc_aac ! aacparse" +
                    queue);
  EXPECT_EQ(pipeline.play(), "");
  expect_access_units(demux(path) + " m.video_0");
  const std::pair<const char*, double> sounds[] = {{"m.audio_0 ! opusdec", 30 * 1024 / 48000.0},
                                                   {"m.audio_1 ! avdec_aac", 30 * 1024 / 44100.0}};
  for (const auto& [sound, seconds] : sounds) {
    Pipeline player(demux(path) + " " + sound +
                    " ! fakesink name=s signal-handoffs=true sync=false");
    struct Heard {
      GstClockTime first = GST_CLOCK_TIME_NONE, end = 0;
    } heard;
    g_signal_connect(player.element("s"), "handoff",
                     G_CALLBACK(+[](GstElement*, GstBuffer* buffer, GstPad*, gpointer data) {
                       auto* h = static_cast<Heard*>(data);
                       if (h->first == GST_CLOCK_TIME_NONE) h->first = GST_BUFFER_PTS(buffer);
                       h->end = GST_BUFFER_PTS(buffer) + GST_BUFFER_DURATION(buffer);
                     }),
                     &heard);
    EXPECT_EQ(player.play(), "") << sound;
    EXPECT_LE(heard.first, 7 * GST_MSECOND) << sound;
    EXPECT_NEAR(double(heard.end), seconds * 1e9, 25e6) << sound;
  }
}

// Sixteen seconds: playbin3 of 1.22 may hang or crash at the end of clips shorter than its start.
TEST_F(Matroska, PlayersPlayItWithSound) {
  Data all;
  for (uint64_t i = 0; i < 96; ++i) {
    const Data gop = make_gop({.first_frame = 5 * i, .seed = uint32_t(i % 2), .rate = {30, 1}});
    all.insert(all.end(), gop.begin(), gop.end());
  }
  raw_ = folder_.write("long.mvinr", all);
  const auto path = folder_.file("av.mkv");
  Pipeline pipeline("mvinrmkvmux name=m ! filesink location=" + path + " " + play_from(raw_) +
                    " ! mvinrparse ! m. audiotestsrc num-buffers=750 ! audioconvert ! opusenc ! "
                    "queue max-size-time=0 max-size-buffers=0 ! m.");
  EXPECT_EQ(pipeline.play(), "");
  // With decode-ahead, playbin3 waited for the first picture of the video for ever.
  for (const char* player : {"playbin", "playbin3", "playbin3 decode-ahead"}) {
    const std::string name = player;
    Pipeline plays(name.substr(0, name.find(' ')) + " uri=file://" + path +
                   " audio-sink=\"fakesink sync=false\" video-sink=\"fakesink sync=false\"");
    if (name.find("ahead") != name.npos)
      g_signal_connect(plays.get(), "deep-element-added",
                       G_CALLBACK(+[](GstBin*, GstBin*, GstElement* element, gpointer) {
                         GObjectClass* klass = G_OBJECT_GET_CLASS(element);
                         if (g_object_class_find_property(klass, "decode-ahead"))
                           g_object_set(element, "decode-ahead", TRUE, nullptr);
                       }),
                       nullptr);
    EXPECT_EQ(plays.play(), "") << player;
    for (const char* property : {"video-sink", "audio-sink"}) {
      GstElement* sink = nullptr;
      GstStructure* stats = nullptr;
      g_object_get(plays.get(), property, &sink, nullptr);
      g_object_get(sink, "stats", &stats, nullptr);
      guint64 rendered = 0;
      gst_structure_get_uint64(stats, "rendered", &rendered);
      EXPECT_GE(rendered, 480u) << player << " " << property;
      gst_structure_free(stats);
      gst_object_unref(sink);
    }
  }
}

TEST_F(Matroska, CarriesTitleAndTags) {
  const auto path = folder_.file("t.mkv");
  Pipeline pipeline(play_from(raw_) +
                    " ! mvinrparse ! taginject tags=\"title=\\\"Two "
                    "cats\\\",artist=Somebody,comment=Indoors\" ! mvinrmkvmux writing-app=Tester ! "
                    "filesink location=" +
                    path);
  EXPECT_EQ(pipeline.play(), "");
  Pipeline player(demux(path) + " ! fakesink");
  GstBus* bus = gst_element_get_bus(player.get());
  gst_element_set_state(player.get(), GST_STATE_PLAYING);
  GstTagList* all = gst_tag_list_new_empty();
  while (GstMessage* message = gst_bus_timed_pop_filtered(
             bus, 20 * GST_SECOND,
             GstMessageType(GST_MESSAGE_TAG | GST_MESSAGE_EOS | GST_MESSAGE_ERROR))) {
    const bool tag = GST_MESSAGE_TYPE(message) == GST_MESSAGE_TAG;
    GstTagList* tags = nullptr;
    if (tag) gst_message_parse_tag(message, &tags);
    if (tags) gst_tag_list_insert(all, tags, GST_TAG_MERGE_REPLACE);
    if (tags) gst_tag_list_unref(tags);
    gst_message_unref(message);
    if (!tag) break;
  }
  gchar* text = gst_tag_list_to_string(all);
  for (const char* part : {"Two\\ cats", "Somebody", "Indoors"})
    EXPECT_NE(std::string(text).find(part), std::string::npos) << part << " in " << text;
  g_free(text);
  gst_tag_list_unref(all);
  gst_object_unref(bus);
}

TEST_F(Matroska, SplitmuxsinkWritesFilesThatSplitmuxsrcJoins) {
  Pipeline pipeline(play_from(raw_) +
                    " ! mvinrparse ! splitmuxsink muxer=mvinrmkvmux "
                    "max-size-time=300000000 location=" +
                    folder_.file("part%02d.mkv"));
  EXPECT_EQ(pipeline.play(), "");
  EXPECT_TRUE(g_file_test(folder_.file("part01.mkv").c_str(), G_FILE_TEST_EXISTS));
  EXPECT_FALSE(g_file_test(folder_.file("part04.mkv").c_str(), G_FILE_TEST_EXISTS));
  expect_access_units("splitmuxsrc location=" + folder_.file("part*.mkv"));
  for (const char* part : {"part00.mkv", "part01.mkv"})  // each is a file of its own
    EXPECT_EQ(
        Pipeline(demux(folder_.file(part)) + " ! mvinrparse ! mvinrdec name=d", "texture_0").play(),
        "");
}

TEST_F(Matroska, TwoScenesInOneFile) {
  const auto path = folder_.file("two.mkv");
  Pipeline pipeline("mvinrmkvmux name=m ! filesink location=" + path + " " + play_from(raw_) +
                    " ! mvinrparse ! m. " + play_from(raw_) + " ! mvinrparse ! m.");
  EXPECT_EQ(pipeline.play(), "");
  expect_access_units(demux(path) + " m.video_0");
  expect_access_units(demux(path) + " m.video_1");
}

TEST_F(Matroska, OffsetToZeroMovesTheFirstAccessUnitToTheStart) {
  gops_.erase(gops_.begin());
  raw_ = folder_.write("late.mvinr", joined(gops_));
  for (const bool to_zero : {false, true}) {
    const auto path = mkv(to_zero ? "offset-to-zero=true" : "");
    Pipeline player(demux(path) + " ! mvinrparse ! mvinrdec name=d", "texture_0");
    EXPECT_EQ(player.play(), "");
    EXPECT_EQ(player.shown("texture_0").at(0).pts, to_zero ? 0 : frame(5));
  }
}

/* ---- other software ---- */

TEST_F(Matroska, MkvinfoSeesTheTrackAndAnIndexEntryForEachAccessUnit) {
  if (!have_program("mkvinfo")) GTEST_SKIP() << "mkvinfo (package mkvtoolnix) is not installed";
  int status;
  const std::string text = run_program("mkvinfo --all " + mkv(), &status);
  EXPECT_EQ(status, 0);
  for (const char* part : {"Codec ID: V_MVINR", "Codec's private data: size", "Pixel width: 48",
                           "Writing application: MV-INR", "Duration: 00:00:00.667", "(KaxCues)"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  auto count = [&](const std::string& part) {
    int n = 0;
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
    return n;
  };
  EXPECT_EQ(count("+ Cluster timestamp"), 4);
  EXPECT_EQ(count("+ Cue point"), 4);
  EXPECT_EQ(count("+ Block duration"), 4);
}

TEST_F(Matroska, ADefaultDurationIsWrittenWhereItIsExact) {
  if (!have_program("mkvinfo")) GTEST_SKIP() << "mkvinfo (package mkvtoolnix) is not installed";
  int status;
  EXPECT_EQ(run_program("mkvinfo " + mkv(), &status).find("Default duration"), std::string::npos)
      << "166.8333… ms";
  raw_ = folder_.write("exact.mvinr", joined(make_gops(2)));  // 5 frames of 25 per second
  EXPECT_NE(run_program("mkvinfo " + mkv(), &status).find("Default duration: 00:00:00.200000000"),
            std::string::npos);
}

TEST_F(Matroska, MkvmergeKeepsEverythingAndAddsSound) {
  if (!have_program("mkvmerge")) GTEST_SKIP() << "mkvmerge (package mkvtoolnix) is not installed";
  int status;
  const auto path = mkv(), remuxed = folder_.file("remuxed.mkv"), sound = folder_.file("s.ogg");
  Pipeline pipeline(
      "audiotestsrc num-buffers=20 ! audioconvert ! vorbisenc ! oggmux ! "
      "filesink location=" +
      sound);
  EXPECT_EQ(pipeline.play(), "");
  const std::string text =
      run_program("mkvmerge -o " + remuxed + " " + path + " " + sound, &status);
  EXPECT_EQ(status, 0) << text;
  expect_access_units(demux(remuxed) + " m.video_0");
  expect_all_pictures(demux(remuxed) + " m.video_0");
  EXPECT_NE(
      run_program("mkvmerge -J " + remuxed, &status).find("\"codec_private_data\": \"4d564e52"),
      std::string::npos);
}

TEST_F(Matroska, FfprobeSeesStreamAndPackets) {
  if (!have_program("ffprobe")) GTEST_SKIP() << "ffprobe (package ffmpeg) is not installed";
  int status;
  const std::string text = run_program(
      "ffprobe -v quiet -show_entries packet=pts_time,duration_time,size,flags -of csv=p=0 " +
          mkv(),
      &status);
  std::string want;
  const char* times[] = {"0.000000,0.167000", "0.167000,0.167000", "0.334000,0.167000",
                         "0.501000,0.166000"};
  for (size_t i = 0; i < 4; ++i)
    want += std::string(times[i]) + "," + std::to_string(gops_[i].size()) + ",K_\n";
  EXPECT_EQ(text, want);
}

// What these programs make of an MP4 or MOV file has other names for the codec.
TEST_F(Matroska, PlaysWhatMkvmergeAndFfmpegMakeOfMovies) {
  int status;
  const auto mov = mux("qtmux", "a.mov"), merged = folder_.file("m.mkv"),
             copied = folder_.file("c.mkv");
  if (have_program("mkvmerge")) {
    const auto text = run_program("mkvmerge -o " + merged + " " + mov, &status);
    EXPECT_EQ(status, 0) << text;
    expect_access_units(demux(merged) +
                        " ! capssetter replace=true caps=video/x-unknown,codec-id=V_MVINR");
  }
  if (have_program("ffmpeg")) {
    const auto text =
        run_program("ffmpeg -v error -y -i " + mov + " -c copy -map 0 " + copied, &status);
    EXPECT_EQ(status, 0) << text;
    expect_access_units(demux(copied));
  }
}

}  // namespace
}  // namespace mvinr
