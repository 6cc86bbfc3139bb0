// mvinrseiextract where something was lost, damaged or made up; flushes, latency.
#include <gst/check/gstharness.h>

#include <algorithm>
#include <random>

#include "hybrid_gop.h"
#include "sei_fixture.h"
#include "transport_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

/// A frame of the video with its timestamps.
struct Frame {
  Data data;
  GstClockTime pts, dts;
  bool delta;
};

class SeiLoss : public Sei {
 protected:
  void SetUp() override {
    Sei::SetUp();
    if (IsSkipped()) return;
    frames_ = frames("spread=true");
    open();
  }
  void TearDown() override {
    bus_.reset();
    if (h_) gst_harness_teardown(h_);
  }
  void open() {
    h_ = gst_harness_new("mvinrseiextract");
    bus_.emplace(h_->element);
    const std::string caps = std::string("video/x-") + codec().name +
                             ",stream-format=byte-stream,alignment=au,width=48,height=40";
    gst_harness_set_src_caps_str(h_, caps.c_str());
  }
  /// The frames that mvinrseiinsert makes of the stream, from time 0 on.
  std::vector<Frame> frames(const char* properties) {
    GstHarness* h = gst_harness_new_parse((std::string("mvinrseiinsert ") + properties).c_str());
    gst_harness_set_src_caps_str(h, "video/x-mvinr, parsed=true");
    for (size_t i = 0; i < gops_.size(); ++i)
      gst_harness_push(h, make_buffer(gops_[i], i * kSeiGop, i < 4 ? kSeiGop : 3 * kSeiFrame));
    std::vector<Frame> result;
    constexpr GstClockTime kShift = 1000 * 3600 * GST_SECOND;
    while (GstBuffer* buffer = gst_harness_try_pull(h)) {
      result.push_back({bytes_of(buffer), GST_BUFFER_PTS(buffer) - kShift,
                        GST_BUFFER_DTS(buffer) - kShift,
                        bool(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT))});
      gst_buffer_unref(buffer);
    }
    gst_harness_teardown(h);
    return result;
  }
  GstFlowReturn push(const Frame& frame) {
    GstBuffer* buffer = make_buffer(frame.data, frame.pts, kSeiFrame);
    GST_BUFFER_DTS(buffer) = frame.dts;
    if (frame.delta) GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    return gst_harness_push(h_, buffer);
  }
  void push_all(const std::vector<Frame>& frames) {
    for (const Frame& frame : frames) ASSERT_EQ(push(frame), GST_FLOW_OK);
  }
  bool send(GstEvent* event) { return gst_harness_push_event(h_, event); }
  std::vector<Extracted> got() {
    std::vector<Extracted> result;
    while (GstBuffer* buffer = gst_harness_try_pull(h_)) {
      result.push_back({bytes_of(buffer), GST_BUFFER_PTS(buffer), GST_BUFFER_DURATION(buffer),
                        bool(GST_BUFFER_IS_DISCONT(buffer))});
      gst_buffer_unref(buffer);
    }
    return result;
  }
  guint64 losses(const char* field) {
    GstStructure* losses = nullptr;
    g_object_get(h_->element, "losses", &losses, nullptr);
    guint64 value = 0;
    gst_structure_get_uint64(losses, field, &value);
    gst_structure_free(losses);
    return value;
  }
  /// The last `mvinrseiextract-loss` message as text; empty if there was none.
  std::string loss() {
    std::string text;
    while (GstMessage* message = gst_bus_pop_filtered(bus_->get(), GST_MESSAGE_ELEMENT)) {
      gchar* made = gst_structure_to_string(gst_message_get_structure(message));
      text = made;
      g_free(made);
      gst_message_unref(message);
    }
    return text;
  }
  /// All but GOP `lost` came, byte for byte; the one behind it is marked as discontinuous.
  void expect_all_but(size_t lost) {
    const auto all = got();
    ASSERT_EQ(all.size(), gops_.size() - 1);
    for (size_t i = 0; i < all.size(); ++i) {
      const size_t gop = i < lost ? i : i + 1;
      EXPECT_TRUE(all[i].data == gops_[gop]) << gop;
      EXPECT_EQ(all[i].time, gop * kSeiGop);
      EXPECT_EQ(all[i].discont, i == 0 || gop == lost + 1) << gop;
    }
    EXPECT_EQ(losses("dropped"), 1u);
    EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 1);
    EXPECT_EQ(bus_->take(GST_MESSAGE_ERROR), 0);
  }
  static constexpr size_t kFirst = kSeiFrames;  // frame of GOP 1

  GstHarness* h_ = nullptr;
  std::optional<Bus> bus_;
  std::vector<Frame> frames_;
};
INSTANTIATE_TEST_SUITE_P(Codecs, SeiLoss, testing::Values(BaseCodec::h264, BaseCodec::h265),
                         [](const auto& info) { return std::string(names_of(info.param).name); });

/// The frame without its SEI NAL units of ours: those with the UUID.
Data without_messages(const Data& frame) {
  const std::byte code[] = {std::byte{0}, std::byte{0}, std::byte{0}, std::byte{1}};
  const std::byte uuid[] = {std::byte{0x6e}, std::byte{0x2f}, std::byte{0x76}, std::byte{0x71}};
  Data out;
  for (auto at = frame.begin(); at != frame.end();) {
    const auto next = std::search(at + (at == frame.begin() ? 4 : 4), frame.end(), code, code + 4);
    if (std::search(at, std::min(next, at + 40), uuid, uuid + 4) == std::min(next, at + 40))
      out.insert(out.end(), at, next);
    at = next;
  }
  return out;
}

TEST_P(SeiLoss, NothingIsLost) {
  push_all(frames_);
  const auto all = got();
  ASSERT_EQ(all.size(), gops_.size());
  for (size_t i = 0; i < all.size(); ++i) EXPECT_TRUE(all[i].data == gops_[i]);
  EXPECT_EQ(losses("access-units"), gops_.size());
  EXPECT_EQ(losses("dropped") + losses("incomplete") + losses("malformed"), 0u);
  EXPECT_EQ(loss(), "");
}

TEST_P(SeiLoss, AnAccessUnitComesWithItsLastFrame) {
  for (size_t i = 0; i < frames_.size(); ++i) {
    push(frames_[i]);
    EXPECT_EQ(got().size(), (i + 1) % kSeiFrames == 0 || i + 1 == frames_.size()) << i;
  }
}

TEST_P(SeiLoss, AWholeGopWithoutMessages) {
  for (size_t i = kFirst; i < kFirst + kSeiFrames; ++i)
    frames_[i].data = without_messages(frames_[i].data);
  push_all(frames_);
  expect_all_but(1);
}

TEST_P(SeiLoss, AllFramesOfAGop) {
  frames_.erase(frames_.begin() + kFirst, frames_.begin() + kFirst + kSeiFrames);
  push_all(frames_);
  expect_all_but(1);
}

TEST_P(SeiLoss, TheFirstFrameOfAGop) {
  frames_.erase(frames_.begin() + kFirst);
  push_all(frames_);
  expect_all_but(1);
}

TEST_P(SeiLoss, AMessageTellsWhatWasLost) {
  frames_.erase(frames_.begin() + kFirst);
  push_all(frames_);
  const std::string text = loss();
  for (const char* part : {"gop=(uint)1", "dropped=(boolean)true", "slices-lost=(uint)", "pts="})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_P(SeiLoss, TheMessagesOfOneFrameCostViewsOnly) {
  // Without one frame's messages some units are gone; where those of all views are, the GOP is.
  for (size_t lost = 1; lost < kSeiFrames; ++lost) {
    TearDown();
    open();
    auto frames = frames_;
    const Data before = frames[kFirst + lost].data;
    Data& data = frames[kFirst + lost].data;
    data = without_messages(data);
    if (data == before) continue;  // none there
    push_all(frames);
    const auto all = got();
    ASSERT_EQ(all.size() + losses("dropped"), gops_.size()) << lost;
    EXPECT_EQ(losses("dropped") + losses("incomplete"), 1u) << lost;
    for (const Extracted& unit : all) {
      const size_t gop = size_t(unit.time / kSeiGop);
      if (gop != 1) {
        EXPECT_TRUE(unit.data == gops_[gop]) << lost;
        continue;
      }
      const auto units = list_units(unit.data);
      ASSERT_TRUE(units);
      EXPECT_LT(units->size(), list_units(gops_[1])->size());
      for (const UnitInfo& part : *units) EXPECT_TRUE(part.intact) << lost;
    }
    EXPECT_NE(loss().find("gop=(uint)1"), std::string::npos);
  }
}

TEST_P(SeiLoss, ASliceOfTheBaseViewCostsTheViewsThatNeedIt) {
  frames_.erase(frames_.begin() + kFirst + kSeiFrames - 1);
  push_all(frames_);
  // All other views are predicted from it: nothing is left of the GOP.
  expect_all_but(1);
}

TEST_P(SeiLoss, ALostSliceLeavesTheOtherBaseViews) {
  HybridOptions options{.frames = kSeiFrames, .views = 4, .base_views = {1, 2}};
  options.encoder = codec().fragment;
  // The first GOP is whole: what is missing of the first one is no loss but joining inside of it.
  gops_ = make_hybrid_gops(2, options);
  frames_ = frames("spread=false");  // so that the last frame holds nothing but the slice
  push_all({frames_.begin(), frames_.end() - 1});
  send(gst_event_new_eos());
  const auto all = got();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(all[0].data == gops_[0]);
  const auto states = view_states(all[1].data);
  ASSERT_TRUE(states);
  for (size_t v = 0; v < states->size(); ++v)
    EXPECT_EQ((*states)[v] == ViewState::there, v == 2) << v;
  EXPECT_NE(loss().find("views-missing=(string)\"0\\ 1\\ 3\""), std::string::npos);
}

TEST_P(SeiLoss, EveryByteOfAMessageMayBeWrong) {
  std::mt19937 random(1);
  const size_t bytes = frames_[kFirst].data.size();
  for (size_t at = 4; at < bytes; at += bytes / 150 + 1) {
    TearDown();
    open();
    auto frames = std::vector<Frame>(frames_.begin(), frames_.begin() + 3 * kSeiFrames);
    frames[kFirst].data[at] ^= std::byte(1 + random() % 255);
    push_all(frames);
    for (const Extracted& unit : got()) {
      const size_t gop = size_t((unit.time + kSeiFrame / 2) / kSeiGop);
      ASSERT_LT(gop, 3u);
      if (gop != 1) {
        EXPECT_TRUE(unit.data == gops_[gop]) << at << " " << gop;
      } else {
        const auto units = list_units(unit.data);
        ASSERT_TRUE(units);
        for (const UnitInfo& part : *units) EXPECT_TRUE(part.intact) << at;
      }
    }
    EXPECT_EQ(bus_->take(GST_MESSAGE_ERROR), 0);
  }
}

TEST_P(SeiLoss, CutFramesAndNoiseDoNoHarm) {
  std::mt19937 random(2);
  for (int round = 0; round < 30; ++round) {
    auto frames = frames_;
    for (Frame& frame : frames) {
      if (random() % 4 == 0) frame.data.resize(random() % (frame.data.size() + 1));
      for (unsigned i = 0; i < random() % 8 && !frame.data.empty(); ++i)
        frame.data[random() % frame.data.size()] = std::byte(random());
      if (!frame.data.empty()) push(frame);
    }
    got();
  }
  EXPECT_EQ(bus_->take(GST_MESSAGE_ERROR), 0);
  send(gst_event_new_flush_start());
  send(gst_event_new_flush_stop(TRUE));
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  send(gst_event_new_segment(&segment));
  push_all(frames_);
  const auto all = got();
  ASSERT_EQ(all.size(), gops_.size());
  EXPECT_TRUE(all.back().data == gops_.back());
}

// Messages that claim to be large: memory grows with what comes, not with what is claimed.
TEST_P(SeiLoss, ClaimsAreNotBelieved) {
  Frame frame = frames_[0];
  const std::byte uuid[] = {std::byte{0x61}, std::byte{0x52}, std::byte{0x2e}, std::byte{0x5a}};
  for (const uint32_t claim : {0xffffffffu, 0x10000000u, 0x0fffff01u, 1u, 0u}) {
    for (const size_t field : {4u, 8u, 12u, 16u}) {
      Frame bad = frame;
      auto at = std::search(bad.data.begin(), bad.data.end(), uuid + 1, uuid + 4);
      ASSERT_NE(at, bad.data.end());
      at += 3 + ptrdiff_t(field);
      // Emulation prevention may have moved the fields: this is then another kind of damage.
      for (int i = 0; i < 4; ++i) at[i] = std::byte(claim >> 8 * i);
      push(bad);
      for (size_t i = 1; i < kSeiFrames; ++i) push(frames_[i]);
    }
  }
  got();
  push_all({frames_.begin() + kFirst, frames_.begin() + 2 * kFirst});
  const auto all = got();
  ASSERT_FALSE(all.empty());
  EXPECT_TRUE(all.back().data == gops_[1]);
}

TEST_P(SeiLoss, MessagesOfANewerVersionAreNamed) {
  const std::byte uuid[] = {std::byte{0x52}, std::byte{0x2e}, std::byte{0x5a}, std::byte{1}};
  for (Frame& frame : frames_)
    for (auto at = frame.data.begin();;) {
      at = std::search(at, frame.data.end(), uuid, uuid + 4);
      if (at == frame.data.end()) break;
      at[3] = std::byte{2};
      ++at;
    }
  push_all(frames_);
  EXPECT_TRUE(got().empty());
  std::string text;
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING, &text), 1);
  EXPECT_NE(text.find("version 2"), std::string::npos) << text;
}

TEST_P(SeiLoss, AFlushForgetsTheGopInWork) {
  for (size_t i = 0; i < 12; ++i) push(frames_[i]);
  send(gst_event_new_flush_start());
  send(gst_event_new_flush_stop(TRUE));
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  send(gst_event_new_segment(&segment));
  for (size_t i = 2 * kSeiFrames; i < frames_.size(); ++i) push(frames_[i]);
  const auto all = got();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_TRUE(all[1].data == gops_[2]);
  EXPECT_TRUE(all[1].discont);
  EXPECT_EQ(losses("dropped"), 0u);
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 0);
}

TEST_P(SeiLoss, JoiningInsideOfAGopIsNoLoss) {
  push_all({frames_.begin() + 3, frames_.end()});
  const auto all = got();
  ASSERT_EQ(all.size(), gops_.size() - 1);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_TRUE(all[i].data == gops_[i + 1]);
  EXPECT_EQ(losses("dropped"), 0u);
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 0);
}

TEST_P(SeiLoss, TheEndSendsWhatIsLeft) {
  frames_.pop_back();
  push_all(frames_);
  EXPECT_TRUE(send(gst_event_new_eos()));
  EXPECT_EQ(got().size(), gops_.size() - 1);
  EXPECT_EQ(losses("dropped"), 1u);
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 1);
  EXPECT_EQ(bus_->take(GST_MESSAGE_ERROR), 0);
}

TEST_P(SeiLoss, TheLatencyIsThatOfAGop) {
  gst_harness_set_upstream_latency(h_, 10 * GST_MSECOND);
  EXPECT_EQ(gst_harness_query_latency(h_), 10 * GST_MSECOND);
  push_all(frames_);
  EXPECT_EQ(gst_harness_query_latency(h_), kSeiGop + 10 * GST_MSECOND);
  EXPECT_EQ(bus_->take(GST_MESSAGE_LATENCY), 1);
}

/* ---- RTP ---- */

TEST_P(SeiLoss, RtpWithLostPackets) {
  const std::string name = codec().name;
  for (const double probability : {0.01, 0.05}) {
    Transport transport("mvinrseiinsert ! " + std::string(codec().parser) + " ! rtp" + name +
                        "pay mtu=600 config-interval=-1 ! identity ! identity name=wire ! "
                        "rtpjitterbuffer mode=none latency=20 ! rtp" +
                        name + "depay ! " + codec().parser +
                        " ! mvinrseiextract name=x ! fakesink name=out");
    transport.lose(probability, 7);
    ASSERT_EQ(transport.start(), "");
    constexpr size_t kCount = 40;
    for (size_t i = 0; i < kCount; ++i) transport.push(gops_[i % 4], i * kSeiGop, kSeiGop);
    transport.finish(kCount, 3);
    EXPECT_GT(transport.lost(), 0u);
    size_t whole = 0;
    const auto arrivals = transport.arrivals();
    for (const Arrival& arrival : arrivals)
      for (size_t g = 0; g < 4; ++g)
        if (arrival.crc == arrival_of(gops_[g]).crc && arrival.bytes == gops_[g].size()) ++whole;
    EXPECT_GE(whole, probability < 0.02 ? kCount / 2 : 2) << probability;
    EXPECT_LT(whole, kCount) << probability;
    printf("%g lost: %zu of %zu whole, %zu in part\n", probability, whole, kCount,
           arrivals.size() - whole);
  }
}

}  // namespace
}  // namespace mvinr
