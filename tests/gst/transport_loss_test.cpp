// What is left of a stream when packets are lost, and how to get them back.
#include <gst/rtp/gstrtpbuffer.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>

#include "dec_fixture.h"
#include "lossy_relay.h"
#include "transport_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

// In real time, since a jitterbuffer waits for what is lost: 250 frames per second.
constexpr GstClockTime kGop = 20 * GST_MSECOND;
constexpr int kGops = 100;
std::vector<Data> fast_gops(int count) { return make_gops(count, {.rate = {250, 1}}); }
const std::string kRtpCaps =
    "\"application/x-rtp,media=video,clock-rate=90000,encoding-name=MVINR,payload=96\"";

guint64 losses(Transport& transport, const char* field) {
  GstStructure* structure = nullptr;
  guint64 value = 0;
  g_object_get(transport.receiver().element("depay"), "losses", &structure, nullptr);
  gst_structure_get_uint64(structure, field, &value);
  gst_structure_free(structure);
  return value;
}

bool is_fec_or_retransmission(GstBuffer* buffer) {
  GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;
  gst_rtp_buffer_map(buffer, GST_MAP_READ, &rtp);
  const bool other = gst_rtp_buffer_get_payload_type(&rtp) != 96;
  gst_rtp_buffer_unmap(&rtp);
  return other;
}

// Percent of packets that are lost.
class TransportLoss : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Percent, TransportLoss, testing::Values(0, 1, 5, 30));

TEST_P(TransportLoss, EveryPictureThatIsShownIsRight) {
  const auto gops = fast_gops(kGops);
  const std::string port = std::to_string(free_port(true));
  Transport transport(
      "rtpmvinrpay mtu=300 ! identity name=wire sync=true ! udpsink host=127.0.0.1 sync=false "
      "port=" +
          port,
      "udpsrc name=in address=127.0.0.1 caps=" + kRtpCaps + " port=" + port +
          " ! rtpjitterbuffer mode=none latency=20 ! rtpmvinrdepay name=depay ! identity name=out "
          "! "
          "mvinrdec qos=false name=d",
      "texture_0 texture_1 depth_2");
  transport.lose(GetParam() / 100.0, 77);
  transport.pace(40);
  ASSERT_EQ(transport.start(), "");
  for (int i = 0; i < kGops; ++i) transport.push(gops[size_t(i)], GstClockTime(i) * kGop, kGop);
  // The end of a UDP stream cannot be seen: what has not come after two seconds will not come.
  transport.finish(kGops, 2);
  g_usleep(200000);  // the last pictures are being rendered

  const auto arrived = transport.arrivals().size();
  const auto dropped = losses(transport, "dropped"), incomplete = losses(transport, "incomplete");
  std::string figures = std::to_string(GetParam()) + " %: " + std::to_string(transport.lost()) +
                        " of " + std::to_string(transport.sent() + transport.lost()) +
                        " packets lost; GOPs: " + std::to_string(arrived) + " of " +
                        std::to_string(kGops) + " arrived, " + std::to_string(incomplete) +
                        " without some views; pictures:";
  EXPECT_EQ(arrived, losses(transport, "access-units"));
  if (GetParam() <= 5) {
    EXPECT_GE(arrived + dropped, size_t(kGops - 2));
  }
  const struct {
    const char* pad;
    int view;
    Component component;
  } pads[] = {{"texture_0", 0, Component::texture},
              {"texture_1", 1, Component::texture},
              {"depth_2", 2, Component::depth}};
  for (const auto& pad : pads) {
    const auto want = expected(gops, pad.view, pad.component);
    const auto got = transport.receiver().shown(pad.pad);
    figures += std::string(" ") + pad.pad + " " + std::to_string(got.size()) + " of " +
               std::to_string(want.size());
    // In order, each one of those that were sent.
    size_t at = 0;
    for (const Shown& shown : got) {
      while (at < want.size() && want[at].md5 != shown.md5) ++at;
      ASSERT_LT(at, want.size()) << pad.pad;
      ++at;
    }
    EXPECT_LE(got.size(), 5 * arrived);
    if (GetParam() == 0) {
      EXPECT_EQ(got.size(), want.size()) << pad.pad;
    }
    if (GetParam() == 1) {
      EXPECT_GT(got.size(), want.size() / 2) << pad.pad;
    }
  }
  std::printf("%s\n", figures.c_str());
}

// Of an access unit of 300 KB: 20 % each network, shared grids and three views.
TEST(TransportLossFigures, LossCostsViewsBeforeItCostsGops) {
  for (const int permille : {1, 3, 10, 50}) {
    Transport transport(
        "rtpmvinrpay ! identity name=wire ! rtpmvinrdepay name=depay ! fakesink name=out");
    transport.lose(permille / 1000.0, 3);
    ASSERT_EQ(transport.start(), "");
    constexpr int kCount = 60;
    for (int i = 0; i < kCount; ++i)
      transport.push(make_filler(300000, uint32_t(i), uint64_t(5 * i)), GstClockTime(i) * kGop,
                     kGop);
    transport.finish(kCount, 1);
    const auto whole = losses(transport, "access-units") - losses(transport, "incomplete");
    std::printf("%.1f %% of packets: %d GOPs of 300 KB, %d whole, %d without some views, %d lost\n",
                permille / 10.0, kCount, int(whole), int(losses(transport, "incomplete")),
                int(losses(transport, "dropped")));
    EXPECT_EQ(transport.arrivals().size() + losses(transport, "dropped"), size_t(kCount));
    if (permille <= 3) {
      EXPECT_GT(transport.arrivals().size(), size_t(kCount / 2));
    }
  }
}

// Every packet comes a second time as FEC: a lost one is made of the others.
TEST(TransportRecovery, ForwardErrorCorrection) {
  Transport transport(
      "rtpmvinrpay mtu=300 pt=96 ! rtpulpfecenc pt=122 percentage=100 ! "
      "identity name=wire sync=true ! "
      "rtpstorage name=storage size-time=2000000000 ! rtpssrcdemux ! " +
      kRtpCaps.substr(1, kRtpCaps.size() - 2) +
      " ! rtpjitterbuffer mode=none do-lost=true latency=50 ! rtpulpfecdec name=fec pt=122 ! "
      "rtpmvinrdepay name=depay ! fakesink name=out");
  GObject* storage = nullptr;
  g_object_get(transport.sender().element("storage"), "internal-storage", &storage, nullptr);
  g_object_set(transport.sender().element("fec"), "storage", storage, nullptr);
  g_object_unref(storage);
  transport.lose(0.05, 11, is_fec_or_retransmission);
  ASSERT_EQ(transport.start(), "");
  const auto gops = fast_gops(60);
  for (size_t i = 0; i < gops.size(); ++i) transport.push(gops[i], i * kGop, kGop);
  transport.finish(gops.size(), 2);
  guint recovered = 0;
  g_object_get(transport.sender().element("fec"), "recovered", &recovered, nullptr);
  std::printf("%zu packets lost, %u recovered\n", transport.lost(), recovered);
  EXPECT_GT(transport.lost(), 5u);
  // Two losses of one group cannot be repaired; the others must be.
  EXPECT_GE(recovered, transport.lost() * 8 / 10);
  size_t whole = 0;
  for (const Data& gop : gops)
    for (const Arrival& arrival : transport.arrivals()) whole += arrival.crc == arrival_of(gop).crc;
  EXPECT_GE(whole, gops.size() * 8 / 10);
}

// Access units that arrived whole of those that were sent.
size_t whole_by_retransmission(const std::vector<Data>& gops) {
  Transport transport(
      "rtpmvinrpay mtu=300 pt=96 ! rtprtxsend name=send max-size-packets=5000 ! "
      "identity name=wire sync=true ! rtprtxreceive name=receive ! rtpssrcdemux ! "
      "rtpjitterbuffer mode=none do-retransmission=true rtx-delay=10 rtx-retry-timeout=20 "
      "latency=500 ! "
      "rtpmvinrdepay name=depay ! fakesink name=out");
  GstStructure* map = gst_structure_new("application/x-rtp-pt-map", "96", G_TYPE_UINT, 97, nullptr);
  for (const char* name : {"send", "receive"})
    g_object_set(transport.sender().element(name), "payload-type-map", map, nullptr);
  gst_structure_free(map);
  transport.lose(0.05, 11, is_fec_or_retransmission);
  EXPECT_EQ(transport.start(), "");
  for (size_t i = 0; i < gops.size(); ++i) transport.push(gops[i], i * kGop, kGop);
  transport.finish(gops.size(), 3);
  guint requests = 0;
  g_object_get(transport.sender().element("send"), "num-rtx-requests", &requests, nullptr);
  std::printf("%zu packets lost, %u requests\n", transport.lost(), requests);
  EXPECT_GT(transport.lost(), 5u);
  const auto arrived = transport.arrivals();
  size_t whole = 0;
  for (size_t i = 0; i < std::min(arrived.size(), gops.size()); ++i)
    whole += arrived[i].crc == arrival_of(gops[i]).crc;
  return whole;
}

// In real time: on a busy machine what is sent again may come too late. One of three sessions must
// be whole.
TEST(TransportRecovery, Retransmission) {
  const auto gops = fast_gops(60);
  size_t whole = 0;
  for (int session = 0; session < 3 && whole < gops.size(); ++session)
    whole = std::max(whole, whole_by_retransmission(gops));
  EXPECT_EQ(whole, gops.size());
}

/* ---- SRT, which repeats what is lost ---- */

class SrtLoss : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Percent, SrtLoss, testing::Values(1, 5));

// In real time: 2 Mbit/s in access units of 50 KB, through a network that loses datagrams in both
// directions.
TEST_P(SrtLoss, EveryAccessUnitArrives) {
  GstElementFactory* factory = gst_element_factory_find("srtsink");
  if (!factory) GTEST_SKIP() << "no srtsink";
  gst_object_unref(factory);
  const int port = free_port(true);
  LossyRelay relay(port, GetParam() / 100.0, 21);
  Transport transport(
      "gdppay ! rndbuffersize min=1316 max=1316 ! srtsink sync=false uri=srt://"
      "127.0.0.1:" +
          std::to_string(relay.port()) + "?mode=caller latency=1000 wait-for-connection=true",
      "srtsrc uri=srt://127.0.0.1:" + std::to_string(port) +
          "?mode=listener latency=1000 ! gdpdepay ! fakesink name=out");
  ASSERT_EQ(transport.start(), "");
  constexpr size_t kCount = 20;
  std::vector<Arrival> sent;
  for (size_t i = 0; i < kCount; ++i) {
    const Data unit = make_filler(50000, uint32_t(i), 5 * i);
    const GstClockTime pts = i * 200 * GST_MSECOND;
    sent.push_back(arrival_of(unit, pts));
    transport.push(unit, pts, 200 * GST_MSECOND);
    g_usleep(200000);
  }
  // Pushes out what rndbuffersize and the last packet keep.
  transport.push(make_filler(5000, 0), kCount * 200 * GST_MSECOND, 200 * GST_MSECOND);
  transport.finish(kCount);
  std::printf("%zu of %zu datagrams lost\n", relay.lost(), relay.lost() + relay.passed());
  EXPECT_GE(relay.lost(), size_t(3 * GetParam()));
  auto arrived = transport.arrivals();
  if (arrived.size() > kCount) arrived.resize(kCount);
  EXPECT_TRUE(arrived == sent) << arrived.size() << " of " << kCount;
}

/* ---- GStreamer's own payloader ---- */

class StockRtpLoss : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Percent, StockRtpLoss, testing::Values(1, 5));

TEST_P(StockRtpLoss, APacketCostsTheAccessUnit) {
  Transport transport(
      "rtpgstpay mtu=300 config-interval=1 ! identity name=wire ! rtpgstdepay ! fakesink name=out");
  transport.lose(GetParam() / 100.0, 77);
  ASSERT_EQ(transport.start(), "");
  const auto gops = fast_gops(kGops);
  for (int i = 0; i < kGops; ++i) transport.push(gops[size_t(i)], GstClockTime(i) * kGop, kGop);
  transport.finish(kGops, 1);
  const auto arrived = transport.arrivals();
  std::printf("%d %%: %zu packets lost, %zu of %d GOPs arrived\n", GetParam(), transport.lost(),
              arrived.size(), kGops);
  EXPECT_GT(arrived.size(), size_t(kGops / 5));
  EXPECT_LT(arrived.size(), size_t(kGops));
  size_t at = 0;  // in order, each one of those that were sent
  for (const Arrival& arrival : arrived) {
    while (at < gops.size() && arrival_of(gops[at]).crc != arrival.crc) ++at;
    ASSERT_LT(at, gops.size());
    ++at;
  }
}

}  // namespace
}  // namespace mvinr
