// mvinrdec with hybrid streams: base views by GStreamer's decoders, damage, stopping.
#include <algorithm>
#include <chrono>
#include <thread>

#include "base_fake_decoder.h"
#include "dec_fixture.h"
#include "hidden_elements.h"
#include "hybrid_gop.h"

namespace mvinr {
namespace {

using namespace testutil;
using gst_test::HiddenElements;

constexpr GstClockTime kFrame = 40 * GST_MSECOND, kGop = 5 * kFrame;
constexpr Component kTexture = Component::texture, kDepth = Component::depth;
using Gaps = std::vector<std::pair<GstClockTime, GstClockTime>>;

class MvinrDecHybrid : public MvinrDec {
 protected:
  /// Plays three access units of which `change` damages the one in the middle.
  void play_damaged(const std::function<Data(const Data&)>& change) {
    gops_ = make_hybrid_gops(3);
    start();
    push(gops_[0], 0);
    for (const std::string& pad : added_) gaps(pad);
    EXPECT_EQ(push(change(gops_[1]), kGop), GST_FLOW_OK);
    EXPECT_EQ(push(gops_[2], 2 * kGop), GST_FLOW_OK);
    EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING, &warning_), 1);
    EXPECT_EQ(bus_->take(GST_MESSAGE_ERROR), 0);
    EXPECT_EQ(stat("damaged"), 1u);
  }
  bool warned(const std::string& text) { return warning_.find(text) != std::string::npos; }
  /// The access unit in the middle is missing on all pads but one.
  void expect_only(const std::string& intact) {
    for (int v = 0; v < 3; ++v)
      for (const Component component : {kTexture, kDepth}) {
        const std::string pad = (component == kTexture ? "texture_" : "depth_") + std::to_string(v);
        const bool whole = pad == intact;
        EXPECT_TRUE(shown(pad) ==
                    expected(whole ? gops_ : std::vector<Data>{gops_[0], gops_[2]}, v, component))
            << pad;
        EXPECT_EQ(gaps(pad), whole ? Gaps{} : (Gaps{{kGop, kGop}})) << pad;
      }
  }
  std::vector<Data> gops_;
  std::string warning_;
};

TEST_F(MvinrDecHybrid, AllPadsShowWhatTheLibraryRenders) {
  const auto gops = make_hybrid_gops(2, {.views = 4, .base_views = {0, 3}});
  start();
  for (size_t g = 0; g < 2; ++g) EXPECT_EQ(push(gops[g], g * kGop), GST_FLOW_OK);
  for (int v = 0; v < 4; ++v) {
    EXPECT_TRUE(shown("texture_" + std::to_string(v)) == expected(gops, v, kTexture)) << v;
    EXPECT_TRUE(shown("depth_" + std::to_string(v)) == expected(gops, v, kDepth)) << v;
  }
  EXPECT_EQ(stat("base-units"), 8u);
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 0);
}

TEST_F(MvinrDecHybrid, EveryPictureHasItsCamera) {
  start();
  for (const bool moving : {false, true}) {
    const Data gop = make_hybrid_gop(
        {.first_frame = moving ? 5u : 0, .views = 2, .base_views = {0}, .moving = moving});
    EXPECT_EQ(push(gop, moving ? kGop : 0), GST_FLOW_OK);
    const auto cameras = *read_cameras(gop);
    for (const auto& [pad, view] : {std::pair("texture_0", 0), {"depth_0", 0}, {"texture_1", 1}})
      for (const FrameCameras& frame : cameras) {
        GstBuffer* buffer = gst_harness_try_pull(outputs_.at(pad));
        ASSERT_NE(buffer, nullptr) << pad;
        GstCustomMeta* meta = gst_buffer_get_custom_meta(buffer, "GstMvinrCameraMeta");
        ASSERT_NE(meta, nullptr) << pad;
        const auto field = [&](const char* name) {
          double value = -1e9;
          gst_structure_get_double(gst_custom_meta_get_structure(meta), name, &value);
          return value;
        };
        const Camera& camera = *frame[size_t(view)];
        EXPECT_EQ(field("focal-x"), camera.focal[0]);
        EXPECT_EQ(field("principal-point-y"), camera.principal_point[1]);
        EXPECT_EQ(field("depth-far"), camera.depth_range[1]);
        EXPECT_EQ(field("y"), camera.position[1]);
        EXPECT_EQ(field("yaw"), camera.rotation[0]);
        gst_buffer_unref(buffer);
      }
    EXPECT_EQ(cameras[0] == cameras[1], !moving);
  }
}

TEST_F(MvinrDecHybrid, MovingCamerasAreShownAsTheLibraryRendersThem) {
  const auto gops = make_hybrid_gops(2, {.moving = true});
  start();
  for (size_t g = 0; g < 2; ++g) EXPECT_EQ(push(gops[g], g * kGop), GST_FLOW_OK);
  for (int v = 0; v < 3; ++v)
    EXPECT_TRUE(shown("texture_" + std::to_string(v)) == expected(gops, v, kTexture)) << v;
  EXPECT_EQ(bus_->take(GST_MESSAGE_WARNING), 0);
}

TEST_F(MvinrDecHybrid, ABaseViewsPadNeedsItsOwnUnitOnly) {
  const auto gops = make_hybrid_gops(2, {.views = 4, .base_views = {0, 3}});
  start("texture_3");
  for (size_t g = 0; g < 2; ++g) EXPECT_EQ(push(gops[g], g * kGop), GST_FLOW_OK);
  EXPECT_TRUE(shown("texture_3") == expected(gops, 3, kTexture));
  EXPECT_EQ(stat("base-units"), 2u);
}

TEST_F(MvinrDecHybrid, AnyOtherPadNeedsAllUnits) {
  const auto gops = make_hybrid_gops(1, {.views = 4, .base_views = {0, 3}});
  start("depth_1");
  EXPECT_EQ(push(gops[0], 0), GST_FLOW_OK);
  EXPECT_TRUE(shown("depth_1") == expected(gops, 1, kDepth));
  EXPECT_EQ(stat("base-units"), 4u);
}

TEST_F(MvinrDecHybrid, APadThatIsLinkedLaterGetsWhatItNeeds) {
  const auto gops = make_hybrid_gops(2);
  start("texture_1");
  EXPECT_EQ(push(gops[0], 0), GST_FLOW_OK);
  EXPECT_EQ(stat("base-units"), 1u);
  GstPad* pad = gst_element_get_static_pad(element_, "texture_0");
  link(pad);
  gst_object_unref(pad);
  EXPECT_EQ(push(gops[1], kGop), GST_FLOW_OK);
  EXPECT_TRUE(shown("texture_0") == expected({gops[1]}, 0, kTexture));
  EXPECT_EQ(stat("base-units"), 3u);
}

TEST_F(MvinrDecHybrid, ReversePlaybackShowsTheSameBackwards) {
  const auto gops = make_hybrid_gops(2);
  start("texture_0 depth_1");
  segment(-1.0, 0, 2 * kGop);
  push(gops[0], 0, kGop, true);
  push(gops[1], kGop, kGop);
  end();
  for (const auto& [pad, view, component] :
       {std::tuple("texture_0", 0, kTexture), std::tuple("depth_1", 1, kDepth)}) {
    auto want = expected(gops, view, component);
    std::reverse(want.begin(), want.end());
    EXPECT_TRUE(shown(pad) == want) << pad;
  }
}

TEST_F(MvinrDecHybrid, ASegmentInsideAGopShowsItsFrames) {
  const auto gops = make_hybrid_gops(2);
  start("texture_0");
  segment(1.0, kGop + 2 * kFrame, kGop + 4 * kFrame);
  push(gops[0], 0);
  push(gops[1], kGop);
  const auto want = expected(gops, 0, kTexture);
  EXPECT_TRUE(shown("texture_0") == std::vector<Shown>(want.begin() + 7, want.begin() + 9));
  EXPECT_EQ(stat("base-units"), 2u) << "nothing of the first access unit";
}

TEST_F(MvinrDecHybrid, ALateGopIsNotDecoded) {
  const auto gops = make_hybrid_gops(3);
  start("texture_0");
  push(gops[0], 0);
  shown("texture_0");
  gst_pad_push_event(outputs_.at("texture_0")->sinkpad,
                     gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, 100 * GST_MSECOND, kGop));
  push(gops[1], kGop);
  push(gops[2], 2 * kGop);
  EXPECT_TRUE(shown("texture_0") == expected({gops[2]}, 0, kTexture));
  EXPECT_EQ(stat("base-units"), 4u);
}

/* ---- damage ---- */

TEST_F(MvinrDecHybrid, ADamagedTextureOfABaseViewCostsAllButItsDepth) {
  play_damaged([](const Data& gop) { return with_damaged_base(gop, 1, kTexture); });
  EXPECT_TRUE(warned("view 1 texture") && warned("damaged or missing")) << warning_;
  expect_only("depth_1");
  EXPECT_EQ(stat("base-units"), 5u);
}

TEST_F(MvinrDecHybrid, ADamagedDepthOfABaseViewCostsAllButItsTexture) {
  play_damaged([](const Data& gop) { return with_damaged_base(gop, 1, kDepth); });
  EXPECT_TRUE(warned("view 1 depth") && warned("damaged or missing")) << warning_;
  expect_only("texture_1");
}

TEST_F(MvinrDecHybrid, ABaseUnitThatDoesNotDecodeIsDamage) {
  play_damaged([](const Data& gop) { return with_base_payload(gop, 1, kTexture, noise_for); });
  EXPECT_TRUE(warned("view 1 texture: base view: ")) << warning_;
  expect_only("depth_1");
}

TEST_F(MvinrDecHybrid, ABaseUnitOfAnotherGopsLengthIsDamage) {
  const Data shorter = make_hybrid_gop({.frames = 3});
  play_damaged([&](const Data& gop) {
    Data other;
    with_base_payload(shorter, 1, kDepth,
                      [&](Bytes payload) { return other = Data(payload.begin(), payload.end()); });
    return with_base_payload(gop, 1, kDepth, [&](Bytes) { return other; });
  });
  EXPECT_TRUE(warned("view 1 depth: base view: decodes to 3 of 5 pictures")) << warning_;
  expect_only("texture_1");
}

TEST_F(MvinrDecHybrid, AnEmptyPayloadIsDamage) {
  play_damaged([](const Data& gop) {
    return with_base_payload(gop, 1, kTexture, [](Bytes) { return Data(); });
  });
  EXPECT_TRUE(warned("view 1 texture")) << warning_;
  expect_only("depth_1");
}

TEST_F(MvinrDecHybrid, DamageOfBaseViewsCountsForMaxErrors) {
  const Data gop = make_hybrid_gop(), damaged = with_damaged_base(gop, 1, kTexture);
  g_object_set(element_, "max-errors", 2, nullptr);
  start("texture_0");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(push(gop, 0), GST_FLOW_OK);
    EXPECT_EQ(push(damaged, 0), GST_FLOW_OK);
    EXPECT_EQ(push(damaged, 0), GST_FLOW_OK);
  }
  EXPECT_EQ(push(damaged, 0), GST_FLOW_ERROR);
}

TEST_F(MvinrDecHybrid, EveryTruncationIsDamageOrAPicture) {
  const Data gop = make_hybrid_gop({.frames = 2});
  g_object_set(element_, "max-errors", -1, nullptr);
  start();
  for (size_t size = gop.size() / 4; size < gop.size(); size += 1 + gop.size() / 40)
    ASSERT_EQ(push(Data(gop.begin(), gop.begin() + ptrdiff_t(size)), 0), GST_FLOW_OK) << size;
  EXPECT_EQ(bus_->take(GST_MESSAGE_ERROR), 0);
}

/* ---- decoders ---- */

TEST_F(MvinrDecHybrid, AMissingDecoderIsAnErrorThatNamesFormatAndPackage) {
  const Data gop = make_hybrid_gop();
  const HiddenElements hidden("video/x-h265", GST_ELEMENT_FACTORY_TYPE_DECODER);
  start("texture_0");
  EXPECT_EQ(push(gop, 0), GST_FLOW_ERROR);
  GstMessage* message = gst_bus_pop_filtered(bus_->get(), GST_MESSAGE_ERROR);
  ASSERT_TRUE(message);
  GError* error = nullptr;
  gst_message_parse_error(message, &error, nullptr);
  EXPECT_TRUE(g_error_matches(error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN));
  const std::string text = error->message;
  EXPECT_NE(text.find("video/x-h265"), std::string::npos) << text;
  EXPECT_NE(text.find("gstreamer1.0-libav"), std::string::npos) << text;
  g_error_free(error);
  gst_message_unref(message);
}

/// A stream whose base view's decoder never puts out anything.
class MvinrDecHang : public MvinrDecHybrid {
 protected:
  void begin() {
    gst_test::register_fake_decoders();
    const Data gop = with_base_payload(make_hybrid_gop(), 1, kTexture,
                                       [](Bytes) { return payload_in("video/x-test-hang"); });
    start("texture_0");
    streaming_ = std::thread([this, gop] { flow_ = push(gop, 0); });
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  /// How long the streaming thread goes on.
  std::chrono::milliseconds ends_after(const std::function<void()>& action) {
    const auto before = std::chrono::steady_clock::now();
    action();
    streaming_.join();
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 before);
  }
  std::thread streaming_;
  GstFlowReturn flow_ = GST_FLOW_OK;
};
constexpr auto kPrompt = std::chrono::milliseconds(500);  // 200 and the crowd on the machine

TEST_F(MvinrDecHang, AFlushEndsTheDecodingAndPlayGoesOn) {
  begin();
  EXPECT_LT(ends_after([&] { send(gst_event_new_flush_start()); }), kPrompt);
  EXPECT_EQ(flow_, GST_FLOW_FLUSHING);
  send(gst_event_new_flush_stop(TRUE));
  segment(1.0, 0);
  const Data next = make_hybrid_gop();
  EXPECT_EQ(push(next, 0), GST_FLOW_OK);
  EXPECT_TRUE(shown("texture_0") == expected({next}, 0, kTexture));
}

TEST_F(MvinrDecHang, AStopEndsTheDecoding) {
  begin();
  EXPECT_LT(ends_after([&] { gst_element_set_state(element_, GST_STATE_NULL); }), kPrompt);
  EXPECT_EQ(bus_->take(GST_MESSAGE_ERROR), 0);
}

/* ---- files and players ---- */

class MvinrHybridFile : public testing::Test {
 protected:
  MvinrHybridFile() : gops_(make_hybrid_gops(3)) {
    const std::string raw = folder_.write("scene.mvinr", joined(gops_));
    Pipeline mux("filesrc location=" + raw +
                 " ! mvinrparse ! mp4mux ! filesink location=" + path());
    EXPECT_EQ(mux.play(), "");
  }
  std::string path() const { return folder_.file("scene.mp4"); }
  std::vector<Data> gops_;
  TemporaryFolder folder_;
};

TEST_F(MvinrHybridFile, Mp4WithASeekToTheSecondGop) {
  Pipeline pipeline("filesrc location=" + path() + " ! qtdemux ! mvinrparse ! mvinrdec name=d",
                    "all");
  ASSERT_EQ(pipeline.preroll(), "");
  ASSERT_TRUE(pipeline.seek(1.0, GstSeekFlags(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE), kGop));
  EXPECT_EQ(pipeline.play(), "");
  for (int v = 0; v < 3; ++v)
    for (const Component component : {kTexture, kDepth}) {
      const std::string pad = (component == kTexture ? "texture_" : "depth_") + std::to_string(v);
      EXPECT_TRUE(pipeline.shown(pad) == expected({gops_[1], gops_[2]}, v, component)) << pad;
    }
}

TEST_F(MvinrHybridFile, PlaybinShowsTheFirstTexture) {
  Pipeline pipeline(
      "playbin3 uri=file://" + path() +
      " audio-sink=fakesink video-sink=\"fakesink name=v sync=false signal-handoffs=true\"");
  GstElement* sink = nullptr;
  g_object_get(pipeline.get(), "video-sink", &sink, nullptr);
  std::vector<std::string> md5s;  // of the sink's thread
  const auto handoff = +[](GstElement*, GstBuffer* buffer, GstPad* pad, gpointer list) {
    GstCaps* caps = gst_pad_get_current_caps(pad);
    static_cast<std::vector<std::string>*>(list)->push_back(md5_of(buffer, caps));
    gst_caps_unref(caps);
  };
  g_signal_connect(sink, "handoff", G_CALLBACK(handoff), &md5s);
  EXPECT_EQ(pipeline.play(), "");
  std::vector<std::string> want;
  for (const Shown& s : expected(gops_, 0, kTexture)) want.push_back(s.md5);
  EXPECT_EQ(md5s, want);
  gst_object_unref(sink);
}

}  // namespace
}  // namespace mvinr
