// Every transport with real elements on loopback: bit-exact without loss, and what is left with it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string_view>

#include "dec_fixture.h"
#include "transport_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr GstClockTime kGop = 200 * GST_MSECOND;
const std::string kRtpCaps =
    "\"application/x-rtp,media=video,clock-rate=90000,encoding-name=MVINR,payload=96\"";

int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

/* ---- 1,000 access units of 10 KB to 4 MB: MVINR_VOLUME=1000 ---- */

struct Path {
  const char* name;
  const char* needs;  // an element that may be missing
  std::string sender, receiver;
  bool exact_times;  // timestamps arrive, to a millisecond
  int pace = 0;      // packets under way
  int count = 12;    // access units, unless MVINR_VOLUME says otherwise
};

std::string in_place(std::string text, const std::string& what, const std::string& with) {
  for (size_t at; (at = text.find(what)) != std::string::npos;) text.replace(at, what.size(), with);
  return text;
}

const Path kPaths[] = {
    {"Rtp", "", "rtpmvinrpay ! rtpmvinrdepay ! fakesink name=out", "", true},
    {"RtpOverUdp", "",
     "rtpmvinrpay ! identity name=wire ! udpsink host=127.0.0.1 port=UDP sync=false",
     "udpsrc name=in address=127.0.0.1 port=UDP buffer-size=4000000 caps=" + kRtpCaps +
         " ! rtpjitterbuffer mode=none latency=100 ! rtpmvinrdepay ! fakesink name=out",
     true, 40},
    {"RtpOverMulticast", "",
     "rtpmvinrpay ! identity name=wire ! udpsink host=239.255.77.7 port=UDP multicast-iface=lo "
     "sync=false",
     "udpsrc name=in address=239.255.77.7 port=UDP multicast-iface=lo buffer-size=4000000 caps=" +
         kRtpCaps + " ! rtpjitterbuffer mode=none latency=100 ! rtpmvinrdepay ! fakesink name=out",
     true, 40},
    {"StockRtpgstpayOverUdp", "",
     "rtpgstpay config-interval=1 ! identity name=wire ! udpsink host=127.0.0.1 port=UDP "
     "sync=false",
     "udpsrc name=in address=127.0.0.1 port=UDP buffer-size=4000000 caps=\"application/x-rtp,"
     "media=application,clock-rate=90000,encoding-name=X-GST,payload=96\" ! "
     "rtpjitterbuffer mode=none latency=100 ! rtpgstdepay ! fakesink name=out",
     true, 40},
    {"GdpOverTcp", "", "gdppay ! tcpclientsink host=127.0.0.1 port=TCP sync=false",
     "tcpserversrc host=127.0.0.1 port=TCP ! gdpdepay ! fakesink name=out", true},
    {"RawOverTcp", "", "tcpclientsink host=127.0.0.1 port=TCP sync=false",
     "tcpserversrc host=127.0.0.1 port=TCP ! mvinrparse ! fakesink name=out", true},
    // SRT is made for live streams: it holds everything back for `latency` and drops what a crowded
    // machine sends too late. Hence small bursts.
    {"GdpOverSrt", "srtsink",
     "gdppay ! rndbuffersize min=1316 max=1316 ! identity name=wire ! srtsink "
     "uri=srt://127.0.0.1:UDP?mode=caller latency=1000 wait-for-connection=true sync=false",
     "srtsrc name=in uri=srt://127.0.0.1:UDP?mode=listener latency=1000 ! gdpdepay ! "
     "fakesink name=out",
     true, 1000, 6},
    {"GdpOverSharedMemory", "shmsink",
     "gdppay ! shmsink socket-path=PATH shm-size=33554432 wait-for-connection=true sync=false",
     "shmsrc socket-path=PATH ! gdpdepay ! fakesink name=out", true},
    {"GdpOverAPipe", "", "gdppay ! fdsink fd=WRITE sync=false",
     "fdsrc fd=READ ! gdpdepay ! fakesink name=out", true},
    {"RawOverAPipe", "", "fdsink fd=WRITE sync=false",
     "fdsrc fd=READ ! mvinrparse ! fakesink name=out", true},
};

class TransportVolume : public testing::TestWithParam<Path> {};
INSTANTIATE_TEST_SUITE_P(Paths, TransportVolume, testing::ValuesIn(kPaths),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(TransportVolume, EveryAccessUnitArrivesAsItWas) {
  const Path& path = GetParam();
  if (*path.needs) {
    GstElementFactory* factory = gst_element_factory_find(path.needs);
    if (!factory) GTEST_SKIP() << "no " << path.needs;
    gst_object_unref(factory);
  }
  TemporaryFolder folder;
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const auto filled_in = [&](std::string text) {
    text = in_place(text, "PATH", folder.file("socket"));
    text = in_place(text, "READ", std::to_string(pipe_ends[0]));
    return in_place(text, "WRITE", std::to_string(pipe_ends[1]));
  };
  const std::string udp = std::to_string(free_port(true)), tcp = std::to_string(free_port(false));
  const auto with_ports = [&](const std::string& text) {
    return in_place(in_place(filled_in(text), "UDP", udp), "TCP", tcp);
  };
  Transport transport(with_ports(path.sender),
                      path.receiver.empty() ? "" : with_ports(path.receiver));
  if (path.pace) transport.pace(path.pace);
  const bool shm = std::string(path.name).find("Shared") != std::string::npos;
  if (shm) {  // the socket must be there first
    gst_element_set_state(transport.sender().get(), GST_STATE_READY);
  }
  ASSERT_EQ(transport.start(), "");

  const int count = from_environment("MVINR_VOLUME", path.count);
  std::mt19937 random(1);
  std::vector<Arrival> sent;
  for (int i = 0; i < count; ++i) {
    // Evenly on a logarithmic scale, the largest of each dozen 4 MB.
    const double exponent = i % 12 == 5 ? 1 : double(random()) / 4294967296.0;
    const Data unit =
        make_filler(size_t(10000 * std::pow(400, exponent)), uint32_t(i), uint64_t(5 * i));
    const GstClockTime pts = GstClockTime(i) * kGop;
    sent.push_back(arrival_of(unit, pts));
    transport.push(unit, pts, kGop);
  }
  // One more to push out the last one's end, which rndbuffersize keeps; it may arrive or not.
  if (*path.needs) transport.push(make_filler(5000, 0), GstClockTime(count) * kGop, kGop);
  transport.finish(size_t(count));
  auto arrived = transport.arrivals();
  if (arrived.size() > sent.size()) arrived.resize(sent.size());
  const bool multicast = path.receiver.find("239.") != std::string::npos;
  if (multicast && arrived.empty()) GTEST_SKIP() << "this machine has no multicast on loopback";
  ASSERT_EQ(arrived.size(), sent.size()) << transport.sent() << " packets";
  for (size_t i = 0; i < sent.size(); ++i) {
    ASSERT_EQ(arrived[i].bytes, sent[i].bytes) << i;
    ASSERT_EQ(arrived[i].crc, sent[i].crc) << i;
    if (!path.exact_times) continue;
    const auto distance =
        GST_CLOCK_DIFF(sent[i].pts, arrived[i].pts) - GST_CLOCK_DIFF(sent[0].pts, arrived[0].pts);
    EXPECT_LE(std::abs(distance), gint64(GST_MSECOND)) << i;
  }
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

/* ---- MPEG-TS: why there is no stream of our own in it ---- */

TEST(MpegTs, TheStockMuxerTakesNoMvinr) {
  GstElementFactory* mux = gst_element_factory_find("mpegtsmux");
  ASSERT_NE(mux, nullptr);
  GstCaps* caps = gst_caps_from_string("video/x-mvinr,parsed=true");
  EXPECT_FALSE(gst_element_factory_can_sink_any_caps(mux, caps))
      << "this GStreamer takes it: use it, and change docs/elements.md";
  gst_caps_unref(caps);
  gst_object_unref(mux);
}

// CRC-32/MPEG-2, of the sections of a transport stream.
uint32_t section_crc(const guint8* data, size_t size) {
  uint32_t crc = 0xFFFFFFFF;
  for (size_t i = 0; i < size; ++i) {
    crc ^= uint32_t{data[i]} << 24;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ (crc >> 31 ? 0x04C11DB7u : 0u);
  }
  return crc;
}

// Writes another name over the registration descriptor KLVA in every program map.
int rename_private_stream(std::string& stream, const char* name) {
  int changed = 0;
  for (size_t packet = 0; packet + 188 <= stream.size(); packet += 188) {
    auto* bytes = reinterpret_cast<guint8*>(stream.data() + packet);
    auto* const packet_end = bytes + 188;
    const size_t adaptation = bytes[3] & 0x20 ? size_t{1} + bytes[4] : 0;
    if (!(bytes[1] & 0x40) || !(bytes[3] & 0x10) || adaptation > 180)
      continue;  // starts no section
    guint8* const section = bytes + 5 + adaptation + bytes[4 + adaptation];
    if (section + 12 > packet_end || *section != 2) continue;  // 2: program map
    const size_t length = 3 + (size_t{section[1] & 0x0Fu} << 8 | section[2]);
    if (section + length > packet_end) continue;
    const std::string_view map(reinterpret_cast<char*>(section), length);
    const size_t hit = map.find("KLVA");
    if (hit == map.npos) continue;
    std::copy(name, name + 4, section + hit);
    GST_WRITE_UINT32_BE(section + length - 4, section_crc(section, length - 4));
    ++changed;
  }
  return changed;
}

int pads_of_tsdemux(const std::string& file) {
  Pipeline pipeline("filesrc location=" + file + " ! tsdemux name=demux");
  int pads = 0;
  g_signal_connect(
      pipeline.element("demux"), "pad-added",
      G_CALLBACK(+[](GstElement*, GstPad*, gpointer count) { ++*static_cast<int*>(count); }),
      &pads);
  pipeline.play(3);  // ends with an error: nobody takes the pads
  return pads;
}

TEST(MpegTs, TheStockDemuxerIgnoresAPrivateStreamWithAnotherName) {
  TemporaryFolder folder;
  const std::string file = folder.file("a.ts");
  {
    Pipeline pipeline(
        "appsrc name=feed format=time caps=meta/x-klv,parsed=true ! "
        "mpegtsmux bitrate=2000000 ! filesink location=" +
        file);
    GstElement* feed = pipeline.element("feed");
    GstFlowReturn flow;
    for (GstClockTime i = 0; i < 20; ++i) {
      Data klv(1000, std::byte{1});
      GST_WRITE_UINT32_BE(klv.data(), 0x060E2B34);
      GstBuffer* buffer = make_buffer(klv, i * 40 * GST_MSECOND, 40 * GST_MSECOND);
      g_signal_emit_by_name(feed, "push-buffer", buffer, &flow);
      gst_buffer_unref(buffer);
    }
    g_signal_emit_by_name(feed, "end-of-stream", &flow);
    ASSERT_EQ(pipeline.play(10), "");
  }
  EXPECT_EQ(pads_of_tsdemux(file), 1);
  gchar* contents = nullptr;
  gsize size = 0;
  ASSERT_TRUE(g_file_get_contents(file.c_str(), &contents, &size, nullptr));
  std::string stream(contents, size);
  g_free(contents);
  ASSERT_GT(rename_private_stream(stream, "MVNR"), 0);
  const std::string renamed = folder.file("b.ts");
  g_file_set_contents(renamed.c_str(), stream.data(), gssize(stream.size()), nullptr);
  EXPECT_EQ(pads_of_tsdemux(renamed), 0)
      << "this GStreamer shows it: use it, and change docs/elements.md";
}

}  // namespace
}  // namespace mvinr
