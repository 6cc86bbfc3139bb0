// Hybrid streams inside of H.264 and H.265 through stock containers, transports and ffmpeg: the
// access units that come back are those that went in, the base view's pictures do not change.
#include <algorithm>

#include "dec_fixture.h"
#include "file_fixture.h"
#include "format/access_unit.h"
#include "sei_fixture.h"
#include "transport_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

// GStreamer 1.22 shows a fragmented MP4 with B-frames later by their number, and loses that many
// frames at its end; in a row of files it does so for each. With x264enc alone as well.
constexpr size_t kReordered = 2;

struct Way {
  const char* name;
  const char* muxer;
  const char* demuxer;
  GstClockTime tolerance;
  bool h264_only = false;
  size_t lost_frames = 0;
};
constexpr Way kWays[] = {
    {"mp4", "mp4mux", "qtdemux", 0},
    {"fragmented_mp4", "mp4mux fragment-duration=500", "qtdemux", kReordered* kSeiFrame, false,
     kReordered},
    {"mov", "qtmux", "qtdemux", 0},
    {"mkv", "matroskamux", "matroskademux", GST_MSECOND},
    {"streamable_mkv", "matroskamux streamable=true", "matroskademux", GST_MSECOND},
    {"ts", "mpegtsmux", "tsdemux", 12 * GST_USECOND},
    {"flv", "flvmux", "flvdemux", GST_MSECOND, true},
    {"avi", "avimux", "avidemux", GST_SECOND, true},
};

class SeiContainer : public Sei {
 protected:
  /// A source of the video in a container, for expect_back and pictures.
  std::string through(const Way& way) {
    return "filesrc location=" + mux(way.muxer, way.name) + " ! " + way.demuxer + " ! " +
           codec().parser;
  }
  std::string ffmpeg_copy(const std::string& from, const std::string& name) {
    const std::string to = folder_.file(name);
    int status;
    const std::string output = run_program(
        "ffmpeg -hide_banner -loglevel error -i " + from + " -c copy -map 0 " + to, &status);
    EXPECT_EQ(status, 0) << output;
    return to;
  }
  std::string demux(const std::string& path) {
    const std::string end = path.substr(path.rfind('.'));
    const char* demuxer = end == ".mkv"   ? "matroskademux"
                          : end == ".ts"  ? "tsdemux"
                          : end == ".flv" ? "flvdemux"
                                          : "qtdemux";
    return "filesrc location=" + path + " ! " + demuxer + " ! " + codec().parser;
  }
};
INSTANTIATE_TEST_SUITE_P(Codecs, SeiContainer, testing::Values(BaseCodec::h264, BaseCodec::h265),
                         [](const auto& info) { return std::string(names_of(info.param).name); });

// The running time of MPEG-TS begins with a constant.
void expect_steps(const std::vector<Extracted>& got, GstClockTime tolerance) {
  for (size_t i = 1; i < got.size(); ++i) {
    const GstClockTime step = got[i].time - got[0].time, want = i * kSeiGop;
    EXPECT_LE(std::max(step, want) - std::min(step, want), tolerance) << i;
  }
}

TEST_P(SeiContainer, EveryContainerGivesBackEveryByte) {
  const auto want = base_pictures();
  for (const Way& way : kWays) {
    if (way.h264_only && GetParam() != BaseCodec::h264) continue;
    SCOPED_TRACE(way.name);
    const std::string source = through(way);
    const bool shifted = way.demuxer == std::string("tsdemux");
    Extraction extraction(source + " ! mvinrseiextract ! fakesink name=out sync=false");
    EXPECT_EQ(extraction.play(), "");
    const auto got = extraction.take();
    expect_equal(got, shifted ? 2 * GST_SECOND : way.tolerance);
    expect_steps(got, way.lost_frames > 0 ? 0 : way.tolerance);
    EXPECT_TRUE(pictures(source) ==
                std::vector<std::string>(want.begin(), want.end() - ptrdiff_t(way.lost_frames)));
  }
}

// Units of two megabytes and of what needs emulation prevention: runs of zeros.
TEST_P(SeiContainer, LargeAccessUnits) {
  for (Data& gop : gops_) {
    const auto parsed = parse_access_unit(gop);
    ASSERT_TRUE(parsed);
    std::vector<UnitPayload> units;
    for (const UnitView& unit : parsed->units)
      units.push_back({unit.type, unit.index, {unit.payload.begin(), unit.payload.end()}});
    UnitPayload large{UnitType(200), 0, Data(2'000'000)};  // skipped by decoders
    uint32_t state = uint32_t(gop.size());
    for (size_t i = 0; i < large.payload.size(); ++i) {
      state = state * 69069 + 1;
      large.payload[i] = i / 5000 % 2 ? std::byte(state >> 24) : std::byte(state >> 30 & 1);
    }
    units.push_back(std::move(large));
    gop = *write_access_unit(parsed->header, units);
  }
  expect_back("filesrc location=" + mux("mp4mux", "a.mp4") + " ! qtdemux ! " + codec().parser);
  expect_back("filesrc location=" + mux("matroskamux", "a.mkv") + " ! matroskademux", GST_MSECOND);
  expect_back("filesrc location=" + mux("mpegtsmux", "a.ts") + " ! tsdemux ! " + codec().parser,
              2 * GST_SECOND);
  const std::string name = codec().name;
  expect_back(video() + " ! rtp" + name + "pay mtu=1400 ! rtp" + name + "depay ! " + codec().parser,
              20 * GST_USECOND);
}

TEST_P(SeiContainer, ADemuxerNeedsNoParserBehindIt) {
  expect_back("filesrc location=" + mux("mp4mux", "a.mp4") + " ! qtdemux");
  expect_back("filesrc location=" + mux("matroskamux", "a.mkv") + " ! matroskademux", GST_MSECOND);
}

TEST_P(SeiContainer, FfmpegCopiesInAllDirections) {
  if (!have_program("ffmpeg")) GTEST_SKIP() << "ffmpeg is not installed";
  const auto want = base_pictures();
  const std::string mp4 = mux("mp4mux", "a.mp4");
  const std::string mkv = ffmpeg_copy(mp4, "b.mkv"), ts = ffmpeg_copy(mkv, "c.ts");
  const std::string again = ffmpeg_copy(ts, "d.mp4"), mov = ffmpeg_copy(ts, "e.mov");
  std::vector<std::string> paths = {mkv, ts, again, mov, ffmpeg_copy(mkv, "f.mp4")};
  if (GetParam() == BaseCodec::h264) paths.push_back(ffmpeg_copy(mp4, "g.flv"));
  paths.push_back(ffmpeg_copy(mux("mpegtsmux", "h.ts"), "i.mkv"));
  for (const std::string& path : paths) {
    SCOPED_TRACE(path);
    Extraction extraction(demux(path) + " ! mvinrseiextract ! fakesink name=out sync=false");
    EXPECT_EQ(extraction.play(), "");
    const auto got = extraction.take();
    expect_equal(got, 2 * GST_SECOND);
    expect_steps(got, GST_MSECOND);
    EXPECT_TRUE(pictures(demux(path)) == want);
  }
}

// The checksums of the pictures by ffmpeg's decoder, of the video with and without messages.
TEST_P(SeiContainer, FfmpegDecodesTheBaseView) {
  if (!have_program("ffmpeg")) GTEST_SKIP() << "ffmpeg is not installed";
  const auto checksums = [&](const std::string& path) {
    int status;
    const std::string text =
        run_program("ffmpeg -hide_banner -loglevel error -i " + path + " -f md5 -", &status);
    EXPECT_EQ(status, 0) << text;
    EXPECT_NE(text.find("MD5="), std::string::npos) << text;
    return text;
  };
  base_pictures();  // writes the file
  EXPECT_EQ(checksums(mux("mp4mux", "a.mp4")),
            checksums(folder_.file(std::string("base.") + codec().name)));
}

TEST_P(SeiContainer, Hls) {
  if (!have_element("hlssink2") || !have_element("hlsdemux"))
    GTEST_SKIP() << "no HLS elements (Debian: gstreamer1.0-plugins-bad)";
  const std::string list = folder_.file("list.m3u8");
  Pipeline pipeline(video() +
                    " ! hlssink2 target-duration=1 playlist-length=0 max-files=0 location=" +
                    folder_.file("s%05d.ts") + " playlist-location=" + list);
  ASSERT_EQ(pipeline.play(), "");
  Extraction extraction("filesrc location=" + list + " ! hlsdemux ! tsdemux ! " + codec().parser +
                        " ! mvinrseiextract ! fakesink name=out sync=false");
  EXPECT_EQ(extraction.play(), "");
  expect_equal(extraction.take(), 2 * GST_SECOND);
}

TEST_P(SeiContainer, SplitFiles) {
  Pipeline pipeline(
      video() + " ! splitmuxsink max-size-time=500000000 location=" + folder_.file("p%02d.mp4"));
  ASSERT_EQ(pipeline.play(), "");
  expect_back("splitmuxsrc location=" + folder_.file("p*.mp4") + " ! " + codec().parser,
              gops_.size() * kReordered * kSeiFrame);
}

TEST_P(SeiContainer, RtpWithoutLoss) {
  const std::string name = codec().name;
  const bool h264 = GetParam() == BaseCodec::h264;
  for (const char* mode : {"none", "zero-latency", h264 ? "max-stap" : "max"})
    expect_back(video() + " ! rtp" + name + "pay mtu=1200 config-interval=-1 aggregate-mode=" +
                    mode + " ! rtp" + name + "depay ! " + codec().parser,
                20 * GST_USECOND);
}

/* ---- seeks and cut files, of all containers but MP4 (SeiSeek) ---- */

// An accurate seek into a GOP shows the pictures from there on, of the base view and of others.
TEST_P(SeiContainer, SeeksIntoAGop) {
  for (const Way& way : kWays) {
    if (way.h264_only && GetParam() != BaseCodec::h264) continue;
    SCOPED_TRACE(way.name);
    Pipeline pipeline(through(way) + " ! mvinrseiextract ! mvinrdec name=d", "texture_0 texture_1");
    EXPECT_EQ(pipeline.preroll(), "");
    EXPECT_TRUE(pipeline.seek(1.0, GST_SEEK_FLAG_ACCURATE, kSeiGop + 3 * kSeiFrame));
    EXPECT_EQ(pipeline.play(20), "");
    const bool shifted = way.demuxer == std::string("tsdemux");
    for (const int view : {0, 1}) {
      auto want = expected(gops_, view, Component::texture);
      const auto got = pipeline.shown("texture_" + std::to_string(view));
      // What players show later they find earlier; MPEG-TS begins with a constant.
      const size_t exact = want.size() - (kSeiFrames + 3);
      if (shifted) {
        EXPECT_GE(got.size(), exact);
        EXPECT_LT(got.size(), want.size());
      } else {
        EXPECT_EQ(got.size(), exact);
      }
      want.erase(want.begin(),
                 want.end() - ptrdiff_t(std::min(got.size() + way.lost_frames, want.size())));
      for (size_t i = 0; i < std::min(got.size(), want.size()); ++i)
        EXPECT_EQ(got[i].md5, want[i].md5) << view << " " << i;
    }
  }
}

// What is there of a file that was cut off plays, up to the last whole GOP.
TEST_P(SeiContainer, ACutFilePlays) {
  for (const Way& way : kWays) {
    if (way.h264_only && GetParam() != BaseCodec::h264) continue;
    SCOPED_TRACE(way.name);
    const std::string path = mux(way.muxer, way.name);
    gchar* text = nullptr;
    gsize bytes = 0;
    ASSERT_TRUE(g_file_get_contents(path.c_str(), &text, &bytes, nullptr));
    const std::string cut = folder_.file("cut");
    ASSERT_TRUE(g_file_set_contents(cut.c_str(), text, gssize(bytes * 7 / 10), nullptr));
    g_free(text);
    Extraction extraction("filesrc location=" + cut + " ! " + way.demuxer + " ! " + codec().parser +
                          " ! mvinrseiextract ! fakesink name=out sync=false");
    const std::string end = extraction.play(20);
    const auto got = extraction.take();
    if (way.muxer == std::string("mp4mux") || way.muxer == std::string("qtmux")) {
      EXPECT_NE(end, "");  // its index is at the end
      continue;
    }
    EXPECT_EQ(end, "");
    ASSERT_EQ(got.size(), 3u);
    for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(got[i].data == gops_[i]) << i;
  }
}

/* ---- MPEG-TS over SRT: one stream, received by a stock decoder and by ours ---- */

TEST_P(SeiContainer, SrtShowsTheBaseViewToAllAndAllViewsToUs) {
  if (!have_element("srtsrc")) GTEST_SKIP() << "no SRT (Debian: gstreamer1.0-plugins-bad)";
  const auto want = base_pictures();
  const std::string uris[] = {"srt://127.0.0.1:" + std::to_string(free_port(true)),
                              "srt://127.0.0.1:" + std::to_string(free_port(true))};
  const auto receive = [&](int i) {
    return "srtsrc latency=300 uri=\"" + uris[i] + "?mode=listener\" ! ";
  };
  struct Shown {
    std::mutex mutex;
    std::vector<std::string> md5s;
  } shown;
  Pipeline stock(receive(0) +
                 "decodebin ! fakesink name=s sync=false async=false signal-handoffs=true");
  g_signal_connect(stock.element("s"), "handoff",
                   G_CALLBACK(+[](GstElement*, GstBuffer* buffer, GstPad* pad, gpointer data) {
                     auto* shown = static_cast<Shown*>(data);
                     GstCaps* caps = gst_pad_get_current_caps(pad);
                     const std::lock_guard lock(shown->mutex);
                     shown->md5s.push_back(md5_of(buffer, caps));
                     gst_caps_unref(caps);
                   }),
                   &shown);
  Extraction ours(receive(1) + "tsdemux ! " + codec().parser +
                  " ! mvinrseiextract ! fakesink name=out sync=false async=false");
  for (GstElement* receiver : {stock.get(), ours.pipeline().get()})
    gst_element_set_state(receiver, GST_STATE_PLAYING);
  Pipeline sender(video() +
                  " ! mpegtsmux alignment=7 ! identity sync=true ! tee name=t  t. ! queue "
                  "! srtsink sync=false wait-for-connection=true uri=\"" +
                  uris[0] + "?mode=caller\"  t. ! queue ! srtsink sync=false uri=\"" + uris[1] +
                  "?mode=caller\"");
  EXPECT_EQ(sender.play(), "");
  // Closing the connection ends the receivers, but takes away what they hold back for `latency`.
  // (One that waits for data could not be stopped otherwise in GStreamer 1.22.)
  const auto received = [&] {
    const std::lock_guard lock(shown.mutex);
    return shown.md5s.size();
  };
  size_t before = 0;
  for (int i = 0, quiet = 0; i < 600 && quiet < 20 && received() < want.size(); ++i) {
    g_usleep(50000);
    quiet = received() == before && before > 0 ? quiet + 1 : 0;
    before = received();
  }
  gst_element_set_state(sender.get(), GST_STATE_NULL);
  EXPECT_EQ(stock.play(20), "");
  EXPECT_EQ(ours.play(20), "");
  const auto got = ours.take();
  expect_equal(got, GST_CLOCK_TIME_NONE - 1);
  EXPECT_TRUE(shown.md5s == want) << shown.md5s.size();
}

}  // namespace
}  // namespace mvinr
