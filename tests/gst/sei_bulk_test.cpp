// 1,000 access units of 10 KB to 4 MB inside of H.264 and H.265 through each container and
// transport, bit-exact; with losses where packets can be lost. MVINR_BULK=full; else fewer and
// smaller ones. Each is a real hybrid access unit with one unit more, of random bytes.
#include <glib/gstdio.h>
#include <gst/rtp/gstrtpbuffer.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <set>

#include "file_fixture.h"
#include "format/access_unit.h"
#include "lossy_relay.h"
#include "sei_fixture.h"
#include "transport_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

bool full() { return g_strcmp0(g_getenv("MVINR_BULK"), "full") == 0; }
int unit_count() { return full() ? 1000 : 40; }

size_t bytes_of_unit(int index) {
  const double u = std::fmod(index * 0.6180339887, 1.0);  // evenly spread
  if (full()) return size_t(10e3 * std::pow(400.0, u));
  return size_t(index % 20 == 19 ? 1e6 + u * 3e6 : 10e3 + u * 30e3);
}

/// What became of the access units.
struct Tally {
  std::vector<bool> whole = std::vector<bool>(size_t(unit_count()));
  int in_part = 0, wrong = 0;
  int count() const { return int(std::count(whole.begin(), whole.end(), true)); }
};

class SeiBulk : public Sei {
 protected:
  // Counts what differs from the access units that went in.
  struct Check {
    const SeiBulk* test;
    GstClockTime tolerance, start = GST_CLOCK_TIME_NONE;
    int count = 0, wrong = 0, late = 0;

    static void buffer(GstElement*, GstBuffer* buffer, GstPad* pad, gpointer data) {
      auto& check = *static_cast<Check*>(data);
      check.wrong += bytes_of(buffer) != check.test->unit(check.count);
      const auto time = running_time(pad, buffer);
      if (check.count == 0) check.start = time;
      const auto is = time - check.start, must = check.count++ * kSeiGop;
      check.late += std::max(is, must) - std::min(is, must) > check.tolerance;
    }
  };

  Data unit(int index, size_t bytes) const {
    const auto parsed = parse_access_unit(gops_[size_t(index % 4)]);
    std::vector<UnitPayload> units;
    for (const UnitView& unit : parsed->units)
      units.push_back({unit.type, unit.index, {unit.payload.begin(), unit.payload.end()}});
    const size_t rest = gops_[size_t(index % 4)].size();
    UnitPayload filler{UnitType(200), 0, Data(bytes > rest ? bytes - rest : 8)};  // skipped
    std::mt19937_64 random{uint64_t(index)};
    for (size_t at = 0; at < filler.payload.size(); at += 8) {
      const uint64_t word = random();
      std::memcpy(&filler.payload[at], &word, std::min<size_t>(8, filler.payload.size() - at));
    }
    units.push_back(std::move(filler));
    Header header = parsed->header;
    header.first_frame = uint64_t(index) * kSeiFrames;
    return *write_access_unit(header, units);
  }
  Data unit(int index) const { return unit(index, bytes_of_unit(index)); }

  /// "mvinrseiinsert ! parser ! mux"
  std::string insert(const std::string& mux) const {
    return std::string("mvinrseiinsert ! ") + codec().parser + " ! " + mux;
  }
  /// Feeds "… ! filesink …" with all access units.
  void write(const std::string& mux) {
    Pipeline pipeline(
        "appsrc name=feed max-bytes=8000000 block=true format=time "
        "caps=video/x-mvinr,parsed=true ! " +
        insert(mux));
    GstElement* feed = pipeline.element("feed");
    gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
    GstFlowReturn flow = GST_FLOW_OK;
    for (int i = 0; i < unit_count() && flow == GST_FLOW_OK; ++i) {
      GstBuffer* buffer = make_buffer(unit(i), GstClockTime(i) * kSeiGop, kSeiGop);
      g_signal_emit_by_name(feed, "push-buffer", buffer, &flow);
      gst_buffer_unref(buffer);
    }
    g_signal_emit_by_name(feed, "end-of-stream", &flow);
    ASSERT_EQ(pipeline.play(600), "");
  }
  /// All of them come out of "SOURCE ! mvinrseiextract", in steps of a GOP within `tolerance`.
  void expect_all(const std::string& source, GstClockTime tolerance = 0) {
    Check check{this, tolerance};
    Pipeline pipeline(source +
                      " ! mvinrseiextract ! fakesink name=s sync=false signal-handoffs=true");
    g_signal_connect(pipeline.element("s"), "handoff", G_CALLBACK(Check::buffer), &check);
    EXPECT_EQ(pipeline.play(600), "");
    EXPECT_EQ(check.count, unit_count());
    EXPECT_EQ(check.wrong, 0) << "access units with other bytes";
    EXPECT_EQ(check.late, 0) << "access units at another time";
  }
  void through(const std::string& muxer, const std::string& demuxer, GstClockTime tolerance = 0) {
    const auto path = folder_.file("bulk");
    write(muxer + " ! filesink location=" + path);
    expect_all("filesrc location=" + path + " ! " + demuxer + " ! " + codec().parser, tolerance);
  }
  std::string rtp(const char* what) const { return std::string("rtp") + codec().name + what; }
  std::string rtp_caps() const {
    gchar* upper = g_ascii_strup(codec().name, -1);
    const std::string caps =
        std::string("\"application/x-rtp,media=video,clock-rate=90000,payload=96,encoding-name=") +
        upper + "\"";
    g_free(upper);
    return caps;
  }
  /// What a receiver does with the video: all views, and the base view by a stock decoder.
  std::string both() const {
    const std::string all = "queue max-size-bytes=0 max-size-time=0 max-size-buffers=1000 ! ";
    return std::string(codec().parser) + " ! tee name=t t. ! " + all + codec().decoder +
           " ! fakesink name=base sync=false async=false t. ! " + all +
           "mvinrseiextract name=x ! fakesink name=out";
  }

  /// Sends all; returns when `count` have arrived, at the end, or when nothing has come for long.
  void send(Transport& transport, int count) {
    ASSERT_EQ(transport.start(), "");
    for (int i = 0; i < unit_count(); ++i)
      transport.push(unit(i), GstClockTime(i) * kSeiGop, kSeiGop);
    transport.finish(size_t(count), 20);
  }
  Tally tally(Transport& transport, size_t bytes = 0) const {
    std::map<std::pair<size_t, uint32_t>, int> sent;
    for (int i = 0; i < unit_count(); ++i) {
      const Arrival arrival = arrival_of(bytes ? unit(i, bytes) : unit(i));
      sent[{arrival.bytes, arrival.crc}] = i;
    }
    Tally tally;
    for (const Arrival& arrival : transport.arrivals()) {
      const auto found = sent.find({arrival.bytes, arrival.crc});
      if (found == sent.end())
        ++tally.in_part;
      else
        tally.whole[size_t(found->second)] = true;
    }
    return tally;
  }
  guint64 pictures_of_base(Transport& transport) const {
    GstStructure* stats = nullptr;
    guint64 rendered = 0;
    g_object_get(transport.receiver().element("base"), "stats", &stats, nullptr);
    gst_structure_get_uint64(stats, "rendered", &rendered);
    gst_structure_free(stats);
    return rendered;
  }
  void print(const char* way, int percent, Transport& transport, const Tally& tally) const {
    std::printf(
        "%s, %s, %d %%: %zu of %zu packets lost; %d GOPs: %d whole, %d in part; base view: "
        "%d of %d pictures\n",
        way, codec().name, percent, transport.lost(), transport.lost() + transport.sent(),
        unit_count(), tally.count(), tally.in_part, int(pictures_of_base(transport)),
        unit_count() * kSeiFrames);
  }
  bool h264() const { return GetParam() == BaseCodec::h264; }
};
INSTANTIATE_TEST_SUITE_P(Codecs, SeiBulk, testing::Values(BaseCodec::h264, BaseCodec::h265),
                         [](const auto& info) { return std::string(names_of(info.param).name); });

/* ---- containers ---- */

TEST_P(SeiBulk, Mp4) { through("mp4mux", "qtdemux"); }
TEST_P(SeiBulk, FragmentedMp4) { through("mp4mux fragment-duration=1000", "qtdemux"); }
TEST_P(SeiBulk, QuickTime) { through("qtmux", "qtdemux"); }
TEST_P(SeiBulk, Matroska) { through("matroskamux", "matroskademux", GST_MSECOND); }
TEST_P(SeiBulk, StreamableMatroska) {
  through("matroskamux streamable=true", "matroskademux", GST_MSECOND);
}
TEST_P(SeiBulk, MpegTs) { through("mpegtsmux", "tsdemux", 12 * GST_USECOND); }

TEST_P(SeiBulk, Flv) {
  if (!h264()) GTEST_SKIP() << "FLV takes H.264 only";
  through("flvmux", "flvdemux", GST_MSECOND);
}

TEST_P(SeiBulk, Hls) {
  if (!have_element("hlssink2") || !have_element("hlsdemux"))
    GTEST_SKIP() << "no HLS elements (Debian: gstreamer1.0-plugins-bad)";
  const std::string list = folder_.file("list.m3u8");
  write("hlssink2 target-duration=1 playlist-length=0 max-files=0 location=" +
        folder_.file("s%05d.ts") + " playlist-location=" + list);
  expect_all("filesrc location=" + list + " ! hlsdemux ! tsdemux ! " + codec().parser,
             12 * GST_USECOND);
}

TEST_P(SeiBulk, CopiedByFfmpeg) {
  if (!have_program("ffmpeg")) GTEST_SKIP() << "ffmpeg is not installed";
  const std::string ts = folder_.file("a.ts"), mp4 = folder_.file("b.mp4");
  write("mpegtsmux ! filesink location=" + ts);
  int status;
  const auto text = run_program("ffmpeg -v error -y -i " + ts + " -c copy -map 0 " + mp4, &status);
  EXPECT_EQ(status, 0) << text;
  g_remove(ts.c_str());
  expect_all("filesrc location=" + mp4 + " ! qtdemux ! " + codec().parser, GST_MSECOND);
}

/* ---- transports ---- */

TEST_P(SeiBulk, RtpOverUdp) {
  const std::string port = std::to_string(free_port(true));
  Transport transport(insert(rtp("pay") +
                             " config-interval=-1 ! identity ! identity name=wire ! udpsink "
                             "host=127.0.0.1 sync=false port=" +
                             port),
                      "udpsrc name=in address=127.0.0.1 buffer-size=4000000 caps=" + rtp_caps() +
                          " port=" + port + " ! rtpjitterbuffer mode=none latency=200 ! " +
                          rtp("depay") + " ! " + both());
  transport.pace(40);
  send(transport, unit_count());
  EXPECT_EQ(tally(transport).count(), unit_count());
}

TEST_P(SeiBulk, MpegTsOverUdp) {
  const std::string port = std::to_string(free_port(true));
  Transport transport(insert("mpegtsmux alignment=7 ! identity ! identity name=wire ! udpsink "
                             "host=127.0.0.1 sync=false port=" +
                             port),
                      "udpsrc name=in address=127.0.0.1 buffer-size=4000000 "
                      "caps=\"video/mpegts,systemstream=true,packetsize=188\" port=" +
                          port + " ! tsdemux ! " + both());
  transport.pace(40);
  send(transport, unit_count() - 1);
  // The end of the last frame is seen when another one begins, which is not sent.
  EXPECT_GE(tally(transport).count(), unit_count() - 1);
}

TEST_P(SeiBulk, MpegTsOverSrt) {
  if (!have_element("srtsink")) GTEST_SKIP() << "no SRT (Debian: gstreamer1.0-plugins-bad)";
  const std::string uri = "uri=srt://127.0.0.1:" + std::to_string(free_port(true)) + "?mode=";
  Transport transport(insert("mpegtsmux alignment=7 ! identity name=wire ! srtsink " + uri +
                             "caller latency=1000 wait-for-connection=true sync=false"),
                      "srtsrc name=in " + uri + "listener latency=1000 ! tsdemux ! " + both());
  transport.pace(1000);
  send(transport, unit_count() - 1);
  EXPECT_GE(tally(transport).count(), unit_count() - 1);
}

/* ---- losses: the GOPs that lost nothing are whole, and the base view plays on ---- */

class SeiBulkLoss : public SeiBulk {
 protected:
  /// Sends all over `wire`, which loses packets of the GOPs that gop_of(packet) tells, each before
  /// or behind by `vague` GOPs.
  void expect_others(const std::string& way, const std::string& wire, int percent, int vague,
                     const std::function<size_t(GstBuffer*)>& gop_of) {
    Transport transport(insert(wire + " ! " + both()));
    std::set<size_t> hit;
    transport.lose(percent / 100.0, 7, [&](GstBuffer* packet) {
      hit.insert(gop_of(packet));
      return false;
    });
    send(transport, unit_count() + 1);
    const Tally result = tally(transport);
    print(way.c_str(), percent, transport, result);
    EXPECT_GT(transport.lost(), 0u);
    for (int i = 0; i < unit_count(); ++i) {
      bool lost = false;
      for (int g = i - vague; g <= i + vague; ++g) lost |= g >= 0 && hit.contains(size_t(g));
      EXPECT_TRUE(result.whole[size_t(i)] || lost) << way << " " << percent << " % " << i;
    }
    EXPECT_GT(pictures_of_base(transport), guint64(unit_count() * kSeiFrames / 4));
  }
};
INSTANTIATE_TEST_SUITE_P(Codecs, SeiBulkLoss, testing::Values(BaseCodec::h264, BaseCodec::h265),
                         [](const auto& info) { return std::string(names_of(info.param).name); });

TEST_P(SeiBulkLoss, Rtp) {
  for (const int percent : {1, 5})
    expect_others("RTP",
                  rtp("pay") +
                      " config-interval=-1 timestamp-offset=0 ! identity ! identity name=wire ! "
                      "rtpjitterbuffer mode=none latency=20 ! " +
                      rtp("depay"),
                  percent, 0, [](GstBuffer* buffer) {
                    GstRTPBuffer packet = GST_RTP_BUFFER_INIT;
                    gst_rtp_buffer_map(buffer, GST_MAP_READ, &packet);
                    const size_t ticks = gst_rtp_buffer_get_timestamp(&packet);
                    gst_rtp_buffer_unmap(&packet);
                    return ticks / (90 * kSeiGop / GST_MSECOND);
                  });
}

// A datagram holds seven packets, of two GOPs where they meet.
TEST_P(SeiBulkLoss, MpegTs) {
  for (const int percent : {1, 5}) {
    size_t last = 0;
    expect_others("MPEG-TS", "mpegtsmux alignment=7 ! identity ! identity name=wire ! tsdemux",
                  percent, 1, [&](GstBuffer* buffer) {
                    const GstClockTime time = GST_BUFFER_PTS(buffer);
                    if (!GST_CLOCK_TIME_IS_VALID(time)) return last;
                    return last = size_t(time / kSeiGop);
                  });
  }
}

// In real time through a network that loses datagrams in both directions; SRT repeats them.
TEST_P(SeiBulkLoss, MpegTsOverSrt) {
  if (!have_element("srtsink")) GTEST_SKIP() << "no SRT (Debian: gstreamer1.0-plugins-bad)";
  const int percent = h264() ? 1 : 5;
  const int port = free_port(true), count = full() ? 100 : 12;
  LossyRelay relay(port, percent / 100.0, 21);
  Transport transport(
      insert(
          "mpegtsmux alignment=7 ! identity name=wire ! srtsink sync=false uri=srt://127.0.0.1:" +
          std::to_string(relay.port()) + "?mode=caller latency=1000 wait-for-connection=true"),
      "srtsrc uri=srt://127.0.0.1:" + std::to_string(port) +
          "?mode=listener latency=1000 ! tsdemux ! " + both());
  ASSERT_EQ(transport.start(), "");
  constexpr size_t kBytes = 50000;
  for (int i = 0; i < count; ++i) {
    transport.push(unit(i, kBytes), GstClockTime(i) * kSeiGop, kSeiGop);
    g_usleep(gulong(kSeiGop / 1000));
  }
  transport.finish(size_t(count) - 1, 3);
  const Tally result = tally(transport, kBytes);
  std::printf("SRT, %s, %d %%: %zu of %zu datagrams lost; %d GOPs: %d whole\n", codec().name,
              percent, relay.lost(), relay.lost() + relay.passed(), count, result.count());
  EXPECT_GT(relay.lost(), 0u);
  EXPECT_GE(result.count(), count - 1);
}

}  // namespace
}  // namespace mvinr
