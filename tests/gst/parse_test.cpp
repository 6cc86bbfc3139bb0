// mvinrparse and the typefinder, one element at a time.
#include <gst/base/gsttypefindhelper.h>
#include <gst/check/gstharness.h>
#include <gtest/gtest.h>

#include <optional>

#include "gst_testutil.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr GstClockTime kGop = 200 * GST_MSECOND;

class MvinrParse : public testing::Test {
 protected:
  MvinrParse() { restart(); }
  ~MvinrParse() override { stop(); }

  // Another element, for tests of several inputs.
  void restart() {
    stop();
    harness_ = gst_harness_new("mvinrparse");
    bus_.emplace(harness_->element);
  }
  void stop() {
    bus_.reset();
    if (harness_) gst_harness_teardown(harness_);
  }

  void start(const char* caps, GstFormat format = GST_FORMAT_BYTES) {
    gst_harness_set_src_caps_str(harness_, caps);
    if (format == GST_FORMAT_TIME) return;  // what the harness sent
    GstSegment segment;
    gst_segment_init(&segment, format);
    gst_harness_push_event(harness_, gst_event_new_segment(&segment));
  }
  GstFlowReturn push(const Data& data, GstClockTime pts = GST_CLOCK_TIME_NONE) {
    return gst_harness_push(harness_, make_buffer(data, pts));
  }
  void push_in_pieces(const Data& data, size_t piece) {
    for (size_t at = 0; at < data.size(); at += piece)
      ASSERT_EQ(push(Data(data.begin() + ptrdiff_t(at),
                          data.begin() + ptrdiff_t(std::min(data.size(), at + piece)))),
                GST_FLOW_OK);
  }
  void end() { gst_harness_push_event(harness_, gst_event_new_eos()); }
  struct Unit {
    Data data;
    GstClockTime pts, duration;
    guint flags;
  };
  std::vector<Unit> units() {
    std::vector<Unit> all;
    while (GstBuffer* buffer = gst_harness_try_pull(harness_)) {
      all.push_back({bytes_of(buffer), GST_BUFFER_PTS(buffer), GST_BUFFER_DURATION(buffer),
                     GST_BUFFER_FLAGS(buffer)});
      gst_buffer_unref(buffer);
    }
    return all;
  }
  // The stream's access units came out whole, in order, with the frames' own time.
  void expect_units(const std::vector<Data>& expected) {
    const auto got = units();
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_TRUE(got[i].data == expected[i]) << i;
      EXPECT_EQ(got[i].pts, i * kGop);
      EXPECT_EQ(got[i].duration, kGop);
      EXPECT_FALSE(got[i].flags & GST_BUFFER_FLAG_DELTA_UNIT);
    }
  }
  std::string src_caps() {
    GstCaps* caps = gst_pad_get_current_caps(harness_->sinkpad);
    if (!caps) return "";
    gchar* text = gst_caps_to_string(caps);
    std::string result = text;
    g_free(text);
    gst_caps_unref(caps);
    return result;
  }
  int warnings(std::string* text = nullptr) { return bus_->take(GST_MESSAGE_WARNING, text); }
  int errors(std::string* text = nullptr) { return bus_->take(GST_MESSAGE_ERROR, text); }

  GstHarness* harness_ = nullptr;
  std::optional<Bus> bus_;
};

TEST_F(MvinrParse, FindsAccessUnitsInPiecesOfAnySize) {
  const auto gops = make_gops(3);
  const Data stream = joined(gops);
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{500}, stream.size()}) {
    restart();
    start("video/x-mvinr");
    push_in_pieces(stream, piece);
    end();
    SCOPED_TRACE(piece);
    expect_units(gops);
  }
}

TEST_F(MvinrParse, SplitsTwoAccessUnitsInOneBufferAndKeepsUpstreamsTime) {
  const auto gops = make_gops(3);
  start("video/x-mvinr", GST_FORMAT_TIME);
  ASSERT_EQ(push(joined({gops[0], gops[1]}), 5 * GST_SECOND), GST_FLOW_OK);
  ASSERT_EQ(push(gops[2], 8 * GST_SECOND), GST_FLOW_OK);
  end();
  const auto got = units();
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0].pts, 5 * GST_SECOND);
  EXPECT_EQ(got[1].pts, 5 * GST_SECOND + kGop);
  EXPECT_EQ(got[2].pts, 8 * GST_SECOND);
  for (const auto& unit : got) EXPECT_EQ(unit.duration, kGop);
}

TEST_F(MvinrParse, StampsFromTheHeaderIfUpstreamHasNoTime) {
  start("video/x-mvinr", GST_FORMAT_TIME);
  push(make_gop({.first_frame = 50}));
  end();
  const auto got = units();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].pts, 2 * GST_SECOND);
  EXPECT_EQ(got[0].duration, kGop);
}

TEST_F(MvinrParse, TakesTheDecodingTimeOfAMatroskaFileFromFfmpeg) {
  start("video/x-unknown,codec-id=V_MS/VFW/FOURCC,fourcc=MVNR", GST_FORMAT_TIME);
  GstBuffer* buffer = make_buffer(make_gop());
  GST_BUFFER_DTS(buffer) = 3 * GST_SECOND;
  gst_harness_push(harness_, buffer);
  end();
  const auto got = units();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].pts, 3 * GST_SECOND);
}

TEST_F(MvinrParse, DurationsFollowWithoutGapAtAnyFrameRate) {
  const auto gops = make_gops(4, {.frames = 5, .rate = {30000, 1001}});
  start("video/x-mvinr");
  push(joined(gops));
  end();
  const auto got = units();
  ASSERT_EQ(got.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(got[i].pts, gst_util_uint64_scale(5 * i, 1001 * GST_SECOND, 30000));
    if (i) {
      EXPECT_EQ(got[i].pts, got[i - 1].pts + got[i - 1].duration);
    }
  }
}

TEST_F(MvinrParse, ShortLastGopHasItsOwnDuration) {
  start("video/x-mvinr");
  push(joined({make_gop(), make_gop({.first_frame = 5, .frames = 2})}));
  end();
  const auto got = units();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[1].duration, 80 * GST_MSECOND);
}

TEST_F(MvinrParse, SkipsGarbageBeforeAndBetweenWithOneWarningEach) {
  const auto gops = make_gops(2);
  Data garbage(1000, std::byte{0x4d});  // 'M', again and again: almost the magic
  const Data fake = {std::byte{'M'}, std::byte{'V'}, std::byte{'N'}, std::byte{'R'},
                     std::byte{1},   std::byte{0},   std::byte{60},  std::byte{0},
                     std::byte{0},   std::byte{0},   std::byte{255}, std::byte{0}};
  garbage.insert(garbage.begin() + 300, fake.begin(), fake.end());
  const Data stream = joined({garbage, gops[0], garbage, gops[1]});
  for (const size_t piece : {size_t{64}, stream.size()}) {
    restart();
    start("video/x-mvinr");
    push_in_pieces(stream, piece);
    end();
    SCOPED_TRACE(piece);
    expect_units(gops);
    EXPECT_EQ(warnings(), 2);
  }
}

TEST_F(MvinrParse, ADamagedHeaderCostsOnlyItsAccessUnit) {
  auto gops = make_gops(3);
  Data damaged = gops[1];
  damaged[20] ^= std::byte{1};
  start("video/x-mvinr");
  push_in_pieces(joined({gops[0], damaged, gops[2]}), 100);
  end();
  const auto got = units();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_TRUE(got[1].data == gops[2]);
  EXPECT_EQ(got[1].pts, 2 * kGop);
  EXPECT_EQ(warnings(), 1);
}

TEST_F(MvinrParse, DropsATruncatedLastAccessUnitWithAWarning) {
  const auto gops = make_gops(2);
  for (const size_t left : {size_t{3}, size_t{12}, size_t{40}, gops[1].size() - 1}) {
    restart();
    start("video/x-mvinr");
    push(joined({gops[0], Data(gops[1].begin(), gops[1].begin() + ptrdiff_t(left))}));
    end();
    SCOPED_TRACE(left);
    expect_units({gops[0]});
    EXPECT_EQ(warnings(), 1);
    EXPECT_EQ(errors(), 0);
  }
}

TEST_F(MvinrParse, NamesTheVersionOfANewerStream) {
  Data newer = make_gop();
  newer[4] = std::byte(kBitstreamVersion + 1);
  start("video/x-mvinr");
  EXPECT_EQ(push(newer), GST_FLOW_ERROR);
  std::string text;
  EXPECT_EQ(errors(&text), 1);
  EXPECT_NE(text.find("version"), std::string::npos) << text;
  EXPECT_NE(text.find(std::to_string(kBitstreamVersion + 1)), std::string::npos) << text;
}

TEST_F(MvinrParse, ReportsAStreamWithoutAccessUnits) {
  start("video/x-mvinr");
  push(Data(5000, std::byte{7}));
  end();
  EXPECT_EQ(errors(), 1);
}

TEST_F(MvinrParse, ADiscontinuityDropsTheOpenAccessUnit) {
  const auto gops = make_gops(3);
  start("video/x-mvinr");
  push(gops[0]);
  push(Data(gops[1].begin(), gops[1].begin() + 60));
  GstBuffer* after = make_buffer(gops[2]);
  GST_BUFFER_FLAG_SET(after, GST_BUFFER_FLAG_DISCONT);
  gst_harness_push(harness_, after);
  end();
  const auto got = units();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_TRUE(got[1].data == gops[2]);
  EXPECT_TRUE(got[1].flags & GST_BUFFER_FLAG_DISCONT);
}

TEST_F(MvinrParse, CapsTellTheFirstViewAndTheNumbers) {
  start("video/x-mvinr");
  push(make_gop());
  const std::string caps = src_caps();
  for (const char* part : {"video/x-mvinr", "parsed=(boolean)true", "width=(int)48",
                           "height=(int)40", "framerate=(fraction)25/1", "views=(int)3",
                           "textures=(int)3", "depths=(int)3", "version=(int)4"})
    EXPECT_NE(caps.find(part), std::string::npos) << part << " in " << caps;
}

TEST_F(MvinrParse, CapsFollowTheGeometry) {
  start("video/x-mvinr");
  push(make_gop());
  push(make_gop({.first_frame = 5, .views = 2, .width = 64, .depth = false}));
  end();
  EXPECT_EQ(units().size(), 2u);
  const std::string caps = src_caps();
  for (const char* part : {"width=(int)64", "views=(int)2", "depths=(int)0"})
    EXPECT_NE(caps.find(part), std::string::npos) << part << " in " << caps;
}

TEST_F(MvinrParse, OffersWhatTheMuxersTake) {
  for (const std::string name : {"video/x-mp4-part", "video/x-qt-part"}) {
    restart();
    gst_harness_set_sink_caps_str(harness_, (name + ",format=(uint)1919841901").c_str());
    start("video/x-gst-fourcc-mvnr,width=48,height=40", GST_FORMAT_TIME);
    push(make_gop(), 0);
    const std::string caps = src_caps();
    for (const char* part : {name.c_str(), "format=(uint)1919841901", "width=(int)48",
                             "height=(int)40", "framerate=(fraction)25/1"})
      EXPECT_NE(caps.find(part), std::string::npos) << part << " in " << caps;
  }
}

TEST_F(MvinrParse, NamesTheMuxersThatFitIfDownstreamCannotTakeTheStream) {
  gst_harness_set_sink_caps_str(harness_, "video/x-h264");
  start("video/x-mvinr");
  EXPECT_NE(push(make_gop()), GST_FLOW_OK);
  std::string text;
  EXPECT_GE(errors(&text), 1);
  for (const char* name : {"mvinrmkvmux", "mp4mux", "mvinrseiinsert"})
    EXPECT_NE(text.find(name), std::string::npos) << text;
}

// Matroska counts in milliseconds: what it rounded is restored.
TEST_F(MvinrParse, GivesTimestampsOfMatroskaTheirExactTimeBack) {
  for (const Fraction rate : {Fraction{30, 1}, Fraction{30000, 1001}, Fraction{240, 1}}) {
    for (const uint64_t shift : {0, 37}) {  // of the file against the stream's own frame numbers
      restart();
      start("video/x-unknown,codec-id=V_MVINR", GST_FORMAT_TIME);
      const auto gops = make_gops(9, {.first_frame = 100, .rate = rate});
      auto time = [&](size_t gop) {
        return gst_util_uint64_scale(shift + 5 * gop, rate.den * GST_SECOND, rate.num);
      };
      for (size_t i = 0; i < gops.size(); ++i)
        push(gops[i], (time(i) + 500000) / GST_MSECOND * GST_MSECOND);
      end();
      const auto got = units();
      ASSERT_EQ(got.size(), gops.size());
      for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].pts, time(i)) << i;
    }
  }
}

TEST_F(MvinrParse, AccessUnitsOffTheGridFollowOneAnotherBehindMatroska) {
  start("video/x-unknown,codec-id=V_MVINR", GST_FORMAT_TIME);
  const auto gops = make_gops(9, {.rate = {30, 1}});
  const GstClockTime first = 1013 * GST_MSECOND, gop = GST_SECOND / 6;  // 13 ms: no frame's time
  for (size_t i = 0; i < gops.size(); ++i)
    push(gops[i], (first + i * gop + 500000) / GST_MSECOND * GST_MSECOND);
  end();
  const auto got = units();
  ASSERT_EQ(got.size(), gops.size());
  for (size_t i = 1; i < got.size(); ++i)
    EXPECT_EQ(got[i].pts, got[i - 1].pts + got[i - 1].duration) << i;
}

TEST_F(MvinrParse, OtherContainersKeepTheirTimestamps) {
  start("video/x-gst-fourcc-mvnr", GST_FORMAT_TIME);
  push(make_gop({.rate = {30, 1}}), 33 * GST_MSECOND);
  end();
  EXPECT_EQ(units().at(0).pts, 33 * GST_MSECOND);
}

// decodebin3 fails on a parser whose caps come with the first buffer.
TEST_F(MvinrParse, BehindADemuxerTheCapsAreThereBeforeTheFirstBuffer) {
  for (const char* caps :
       {"video/x-gst-fourcc-mvnr,width=48,height=40,framerate=5/1",
        "video/x-unknown,codec-id=V_MVINR", "video/x-avi-unknown,fourcc=1919841901"}) {
    restart();
    start(caps, GST_FORMAT_TIME);
    GstPad* pad = gst_element_get_static_pad(harness_->element, "src");
    GstCaps* now = gst_pad_get_current_caps(pad);
    gst_object_unref(pad);
    ASSERT_NE(now, nullptr) << caps;
    gchar* text = gst_caps_to_string(now);
    EXPECT_NE(std::string(text).find("parsed=(boolean)true"), std::string::npos) << text;
    EXPECT_EQ(std::string(text).find("framerate"), std::string::npos)
        << "a container's rate is that of its access units: " << text;
    g_free(text);
    gst_caps_unref(now);
  }
}

TEST_F(MvinrParse, HasTheRankAndClassThatAutopluggingNeeds) {
  GstElementFactory* parse = gst_element_factory_find("mvinrparse");
  GstElementFactory* dec = gst_element_factory_find("mvinrdec");
  ASSERT_TRUE(parse && dec);
  EXPECT_EQ(gst_plugin_feature_get_rank(GST_PLUGIN_FEATURE(parse)), guint(GST_RANK_PRIMARY) + 1);
  EXPECT_EQ(gst_plugin_feature_get_rank(GST_PLUGIN_FEATURE(dec)), guint(GST_RANK_PRIMARY));
  EXPECT_STREQ(gst_element_factory_get_metadata(parse, GST_ELEMENT_METADATA_KLASS),
               "Codec/Parser/Converter/Video");
  EXPECT_STREQ(gst_element_factory_get_metadata(dec, GST_ELEMENT_METADATA_KLASS),
               "Codec/Demuxer/Video");
  gst_object_unref(parse);
  gst_object_unref(dec);
}

TEST(MvinrTypeFind, IsSureOfAWholeHeaderAndUnsureOfAPrefix) {
  const Data gop = make_gop();
  auto find = [](const Data& data, GstTypeFindProbability* probability) {
    GstCaps* caps = gst_type_find_helper_for_data(
        nullptr, reinterpret_cast<const guint8*>(data.data()), data.size(), probability);
    const bool ours =
        caps && gst_structure_has_name(gst_caps_get_structure(caps, 0), "video/x-mvinr");
    if (caps) gst_caps_unref(caps);
    return ours;
  };
  GstTypeFindProbability probability;
  EXPECT_TRUE(find(gop, &probability));
  EXPECT_EQ(probability, GST_TYPE_FIND_MAXIMUM);
  EXPECT_TRUE(find(Data(gop.begin(), gop.begin() + 20), &probability));
  EXPECT_EQ(probability, GST_TYPE_FIND_LIKELY);
  Data damaged = gop;
  damaged[30] ^= std::byte{1};
  EXPECT_FALSE(find(damaged, &probability));
}

}  // namespace
}  // namespace mvinr
