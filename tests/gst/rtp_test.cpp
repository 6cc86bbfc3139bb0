// rtpmvinrpay and rtpmvinrdepay in harnesses: every packet in the test's hands.
#include <gst/check/gstharness.h>
#include <gst/rtp/gstrtpbuffer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "gst_testutil.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr GstClockTime kGop = 200 * GST_MSECOND;
constexpr gsize kHeader = 12;  // docs/rtp.md

struct Packet {
  std::vector<guint8> bytes;  // with the RTP header
  GstClockTime pts = GST_CLOCK_TIME_NONE;

  const guint8* payload() const { return bytes.data() + 12; }
  bool marker() const { return bytes[1] & 0x80; }
  bool beginning() const { return payload()[0] & 0x20; }
  bool ends() const { return payload()[0] & 0x08; }
  guint unit() const { return GST_READ_UINT16_BE(payload() + 4); }
  guint units() const { return GST_READ_UINT16_BE(payload() + 6); }
  guint offset() const { return GST_READ_UINT32_BE(payload() + 8); }
};
using Packets = std::vector<Packet>;

struct Received {
  Data data;
  GstClockTime pts, duration;
};

class Rtp : public testing::Test {
 protected:
  Rtp() {
    caps_ = "application/x-rtp,media=video,clock-rate=90000,encoding-name=MVINR,payload=96";
    gops_ = make_gops(4);
  }

  // The packets of these access units; each starts where the one before it ends.
  Packets pay(const std::vector<Data>& units, guint mtu = 400, guint interval = 32) {
    GstHarness* h = gst_harness_new("rtpmvinrpay");
    g_object_set(h->element, "mtu", mtu, "header-interval", interval, nullptr);
    gst_harness_set_src_caps_str(h,
                                 "video/x-mvinr,parsed=true,version=4,width=48,height=40,"
                                 "framerate=25/1,views=3,textures=3,depths=3");
    Packets packets;
    for (size_t i = 0; i < units.size(); ++i) {
      EXPECT_EQ(gst_harness_push(h, make_buffer(units[i], i * kGop, kGop)), GST_FLOW_OK);
      while (GstBuffer* buffer = gst_harness_try_pull(h)) {
        Packet packet{std::vector<guint8>(gst_buffer_get_size(buffer)), GST_BUFFER_PTS(buffer)};
        gst_buffer_extract(buffer, 0, packet.bytes.data(), packet.bytes.size());
        packets.push_back(std::move(packet));
        gst_buffer_unref(buffer);
      }
    }
    GstCaps* caps = gst_pad_get_current_caps(h->sinkpad);
    gchar* text = gst_caps_to_string(caps);
    pay_caps_ = text;
    g_free(text);
    gst_caps_unref(caps);
    gst_harness_teardown(h);
    return packets;
  }

  std::vector<Received> depay(const Packets& packets) {
    GstHarness* h = gst_harness_new("rtpmvinrdepay");
    Bus bus(h->element);
    gst_harness_set_src_caps_str(h, caps_.c_str());
    for (const Packet& packet : packets) {
      GstBuffer* buffer = gst_buffer_new_memdup(packet.bytes.data(), packet.bytes.size());
      GST_BUFFER_PTS(buffer) = packet.pts;
      EXPECT_EQ(gst_harness_push(h, buffer), GST_FLOW_OK);
    }
    gst_harness_push_event(h, gst_event_new_eos());
    std::vector<Received> all;
    while (GstBuffer* buffer = gst_harness_try_pull(h)) {
      all.push_back({bytes_of(buffer), GST_BUFFER_PTS(buffer), GST_BUFFER_DURATION(buffer)});
      gst_buffer_unref(buffer);
    }
    gaps_.clear();
    while (GstEvent* event = gst_harness_try_pull_event(h)) {
      GstClockTime start, duration;
      if (GST_EVENT_TYPE(event) == GST_EVENT_GAP) {
        gst_event_parse_gap(event, &start, &duration);
        gaps_.emplace_back(start, duration);
      }
      gst_event_unref(event);
    }
    g_object_get(h->element, "losses", &losses_.structure, nullptr);
    messages_.clear();
    warnings_.clear();
    while (GstMessage* message = gst_bus_pop(bus.get())) {
      if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING) {
        gchar* debug = nullptr;
        gst_message_parse_warning(message, nullptr, &debug);
        warnings_.push_back(debug);
        g_free(debug);
      } else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ELEMENT) {
        gchar* text = gst_structure_to_string(gst_message_get_structure(message));
        messages_.push_back(text);
        g_free(text);
      }
      gst_message_unref(message);
    }
    gst_harness_teardown(h);
    return all;
  }

  guint64 lost(const char* field) {
    guint64 value = G_MAXUINT64;
    gst_structure_get_uint64(losses_.structure, field, &value);
    return value;
  }

  std::string caps_, pay_caps_;
  std::vector<Data> gops_;
  std::vector<std::pair<GstClockTime, GstClockTime>> gaps_;
  std::vector<std::string> messages_, warnings_;
  struct Losses {
    GstStructure* structure = nullptr;
    ~Losses() { g_clear_pointer(&structure, gst_structure_free); }
  } losses_;
};

// The numbers of the units that a packet carries a piece of.
std::set<size_t> touched(const Packet& packet, const std::vector<UnitInfo>& units) {
  std::set<size_t> numbers;
  if (packet.beginning()) return numbers;
  gsize left = packet.bytes.size() - 12 - kHeader;
  for (size_t u = packet.unit(); u < units.size() && left > 0; ++u) {
    numbers.insert(u);
    left -= std::min(left, gsize(units[u].bytes));
  }
  return numbers;
}

Data without(const Data& access_unit, const std::set<size_t>& lost) {
  Data kept;
  const auto units = *list_units(access_unit);
  for (size_t u = 0; u < units.size(); ++u) {
    const auto begin = access_unit.begin() + ptrdiff_t(units[u].offset);
    if (!lost.count(u)) kept.insert(kept.end(), begin, begin + ptrdiff_t(units[u].bytes));
  }
  return *join_access_unit(access_unit, kept);
}

class RtpMtu : public Rtp, public testing::WithParamInterface<guint> {};
INSTANTIATE_TEST_SUITE_P(Sizes, RtpMtu, testing::Values(28, 100, 576, 1400, 9000, 65000));

TEST_P(RtpMtu, WhatArrivesIsWhatWasSent) {
  gops_.push_back(make_filler(50000, 7, 20));
  const Packets packets = pay(gops_, GetParam());
  size_t markers = 0;
  for (const Packet& packet : packets) {
    EXPECT_LE(packet.bytes.size(), GetParam());
    markers += packet.marker();
  }
  EXPECT_EQ(markers, gops_.size());
  EXPECT_TRUE(packets.back().marker());
  const auto received = depay(packets);
  ASSERT_EQ(received.size(), gops_.size());
  for (size_t i = 0; i < gops_.size(); ++i) {
    EXPECT_TRUE(received[i].data == gops_[i]) << i;
    EXPECT_EQ(received[i].pts, i * kGop);
    EXPECT_EQ(received[i].duration, kGop);
  }
  EXPECT_EQ(lost("access-units"), gops_.size());
  EXPECT_EQ(lost("units") + lost("incomplete") + lost("dropped") + lost("malformed"), 0u);
  EXPECT_TRUE(messages_.empty());
}

TEST_F(Rtp, SmallUnitsShareAPacketAndLargeOnesStartInTheirOwn) {
  const auto units = *list_units(gops_[0]);
  for (const Packet& packet : pay({gops_[0]}, 400)) {
    if (packet.beginning()) continue;
    const gsize bytes = packet.bytes.size() - 12 - kHeader;
    EXPECT_EQ(packet.units(), units.size());
    if (touched(packet, units).size() > 1) {
      EXPECT_EQ(packet.offset(), 0u);
      EXPECT_TRUE(packet.ends());
    } else {
      EXPECT_LE(packet.offset() + bytes, units[packet.unit()].bytes);
    }
  }
  EXPECT_EQ(pay({gops_[0]}, 65000, 0).size(), 2u);  // the header, and everything else
}

TEST_F(Rtp, TheHeaderIsRepeatedAsTheIntervalSays) {
  const Data unit = make_filler(100000, 3);
  for (const guint interval : {0u, 1u, 10u, 1000u}) {
    const Packets packets = pay({unit}, 1000, interval);
    guint headers = 0, since = 0;
    for (const Packet& packet : packets) {
      headers += packet.beginning();
      since = packet.beginning() ? 0 : since + 1;
      EXPECT_LE(since, interval ? interval : G_MAXUINT);
    }
    const guint data = guint(packets.size()) - headers;
    EXPECT_FALSE(packets.back().beginning());
    if (interval == 10) continue;
    // 1000: at the start and before the last packet.
    EXPECT_EQ(headers, interval == 0 ? 1u : interval == 1 ? data : 2u) << interval;
  }
}

TEST_F(Rtp, AnyLostPacketCostsTheUnitsThatItTouchedAndNothingElse) {
  const Packets packets = pay({gops_[0], gops_[1]}, 200);
  const auto units = *list_units(gops_[0]);
  for (size_t i = 0; i < packets.size() && packets[i].pts == 0; ++i) {
    Packets rest = packets;
    rest.erase(rest.begin() + ptrdiff_t(i));
    const auto gone = touched(packets[i], units);
    const auto received = depay(rest);
    const bool fatal = gone.count(0) || gone.count(1);  // network, shared grids
    ASSERT_EQ(received.size(), fatal ? 1u : 2u) << i;
    EXPECT_TRUE(received.back().data == gops_[1]) << i;
    EXPECT_EQ(lost("units"), gone.size()) << i;
    EXPECT_EQ(lost("dropped"), guint64(fatal)) << i;
    EXPECT_EQ(lost("incomplete"), guint64(!fatal && !gone.empty())) << i;
    EXPECT_EQ(messages_.size(), size_t(!gone.empty())) << i;
    EXPECT_EQ(warnings_.size(), size_t(fatal)) << i;
    if (fatal) continue;
    EXPECT_TRUE(received[0].data == without(gops_[0], gone)) << i;
    EXPECT_EQ(received[0].pts, 0u);
    EXPECT_EQ(received[0].duration, kGop);
    ASSERT_TRUE(view_states(received[0].data)) << i;
  }
}

TEST_F(Rtp, TheMessageNamesWhatIsMissing) {
  Packets packets = pay({gops_[0]}, 200);
  // Any piece of the last view's unit.
  const auto hit = std::find_if(packets.begin(), packets.end(),
                                [](const Packet& p) { return !p.beginning() && p.unit() == 4; });
  packets.erase(hit);
  depay(packets);
  ASSERT_EQ(messages_.size(), 1u);
  for (const char* part : {"rtpmvinrdepay-loss", "pts=(guint64)0", "units-lost=(uint)1",
                           "dropped=(boolean)false", "views-missing=(string)2"})
    EXPECT_NE(messages_[0].find(part), std::string::npos) << messages_[0];
}

TEST_F(Rtp, ARepetitionReplacesALostHeader) {
  Packets packets = pay({gops_[0]}, 400);
  ASSERT_TRUE(packets.front().beginning());
  packets.erase(packets.begin());
  EXPECT_EQ(depay(packets).size(), 1u);
  EXPECT_EQ(messages_.size(), 0u);
  // A header in several pieces, another one of each repetition lost.
  packets = pay({gops_[0]}, 100, 1);
  size_t nth = 0;
  std::erase_if(packets, [&](const Packet& p) { return p.beginning() && nth++ % 5 == 0; });
  ASSERT_EQ(depay(packets).size(), 1u);
}

TEST_F(Rtp, WithoutItsHeaderAGopIsLostWithAWarningAndAGap) {
  Packets packets = pay(gops_, 400, 0);
  std::erase_if(packets, [](const Packet& p) { return p.beginning() && p.pts == kGop; });
  const auto received = depay(packets);
  ASSERT_EQ(received.size(), 3u);
  EXPECT_TRUE(received[1].data == gops_[2]);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("header was lost"), std::string::npos) << warnings_[0];
  EXPECT_EQ(gaps_, (std::vector<std::pair<GstClockTime, GstClockTime>>{{kGop, kGop}}));
  EXPECT_EQ(lost("dropped"), 1u);
}

TEST_F(Rtp, WithoutItsLastPacketAnAccessUnitEndsWithTheNextOneOrTheStream) {
  Packets packets = pay({gops_[0], gops_[1]}, 200);
  std::erase_if(packets, [](const Packet& p) { return p.marker(); });
  const auto received = depay(packets);
  ASSERT_EQ(received.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(received[i].pts, i * kGop);
    EXPECT_TRUE(received[i].data == without(gops_[i], {4}));
  }
}

TEST_F(Rtp, LostAccessUnitsAreCounted) {
  Packets packets = pay(gops_);
  std::erase_if(packets, [](const Packet& p) { return p.pts == kGop || p.pts == 2 * kGop; });
  EXPECT_EQ(depay(packets).size(), 2u);
  EXPECT_EQ(lost("dropped"), 2u);
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(Rtp, DuplicatesChangeNothing) {
  Packets twice;
  for (const Packet& packet : pay(gops_, 300)) twice.insert(twice.end(), 2, packet);
  const auto received = depay(twice);
  ASSERT_EQ(received.size(), gops_.size());
  for (size_t i = 0; i < gops_.size(); ++i) EXPECT_TRUE(received[i].data == gops_[i]);
}

TEST_F(Rtp, UpstreamLearnsThatNobodyWantsMore) {
  const Packets packets = pay(gops_);
  GstHarness* h = gst_harness_new_parse("rtpmvinrdepay ! identity eos-after=2");
  gst_harness_set_src_caps_str(h, caps_.c_str());
  GstFlowReturn flow = GST_FLOW_OK;
  for (const Packet& packet : packets)
    if (flow == GST_FLOW_OK)
      flow = gst_harness_push(h, gst_buffer_new_memdup(packet.bytes.data(), packet.bytes.size()));
  EXPECT_EQ(flow, GST_FLOW_EOS);
  gst_harness_teardown(h);
}

TEST_F(Rtp, CapsTellAReceiverWhatComes) {
  pay({gops_[0]});
  for (const char* part :
       {"encoding-name=(string)MVINR", "sprop-version=(string)4", "sprop-width=(string)48",
        "sprop-height=(string)40", "sprop-framerate=(string)25/1", "sprop-views=(string)3",
        "sprop-textures=(string)3", "sprop-depths=(string)3"})
    EXPECT_NE(pay_caps_.find(part), std::string::npos) << pay_caps_;
  GstHarness* h = gst_harness_new("rtpmvinrdepay");
  gst_harness_set_src_caps_str(h, pay_caps_.c_str());
  GstCaps* caps = gst_pad_get_current_caps(h->sinkpad);
  ASSERT_NE(caps, nullptr);
  GstCaps* want = gst_caps_from_string(
      "video/x-mvinr,parsed=true,version=4,width=48,height=40,framerate=25/1,views=3,textures=3,"
      "depths=3");
  EXPECT_TRUE(gst_caps_is_equal(caps, want));
  gst_caps_unref(caps);
  gst_caps_unref(want);
  gst_harness_teardown(h);
}

TEST_F(Rtp, ANewerVersionIsRefusedByName) {
  GstHarness* h = gst_harness_new("rtpmvinrdepay");
  Bus bus(h->element);
  gst_harness_set_src_caps_str(h, (caps_ + ",sprop-version=(string)200").c_str());
  std::string text;
  EXPECT_GE(bus.take(GST_MESSAGE_ERROR, &text), 1);
  EXPECT_NE(text.find("version 200"), std::string::npos) << text;
  gst_harness_teardown(h);
}

TEST_F(Rtp, WhatIsNoAccessUnitIsNotSent) {
  GstHarness* h = gst_harness_new("rtpmvinrpay");
  Bus bus(h->element);
  gst_harness_set_src_caps_str(h, "video/x-mvinr,parsed=true");
  for (size_t size : {1u, 3u, 15u, 40u})
    EXPECT_EQ(gst_harness_push(h, make_buffer(Data(size, std::byte{'x'}), 0)), GST_FLOW_OK);
  EXPECT_EQ(bus.take(GST_MESSAGE_WARNING), 4);
  EXPECT_EQ(gst_harness_buffers_in_queue(h), 0u);
  gst_harness_teardown(h);
}

// Whatever arrives, what is sent on is an access unit.
TEST_F(Rtp, RandomDamageAndLossNeverHarm) {
  std::mt19937 random(5);
  const Packets packets = pay(gops_, 120, 4);
  for (int round = 0; round < 100; ++round) {
    Packets bad;
    for (const Packet& packet : packets) {
      if (random() % 50 == 0) continue;
      bad.push_back(packet);
      auto& bytes = bad.back().bytes;
      if (random() % 20 == 0) bytes[12 + random() % 12] = guint8(random());
      if (random() % 40 == 0) bytes[12 + random() % (bytes.size() - 12)] ^= 1u << random() % 8;
      if (random() % 60 == 0) bytes.resize(12 + random() % (bytes.size() - 12));
    }
    for (const auto& received : depay(bad)) {
      const auto gop = read_gop_info(received.data);
      ASSERT_TRUE(gop);
      EXPECT_EQ(gop->bytes, received.data.size());
      EXPECT_TRUE(list_units(received.data));
    }
  }
  EXPECT_GT(lost("malformed"), 0u);
}

}  // namespace
}  // namespace mvinr
