// mvinrenc in hybrid mode: the choice of the mode and of base views, what the encoder gets,
// messages, stopping. The base views are coded for real.
#include "enc_hybrid.h"

#include <cmath>

#include "base_decoder.h"
#include "hidden_elements.h"
#include "settings.h"

namespace mvinr::gst_test {
namespace {

struct Rig {
  int views = 2;
  int frames = 2;
  int without_camera = -1;  // this view
  bool (*has_depth)(int view) = [](int) { return true; };
};

/// Requests the pads and tells them their frames, of which frame n has samples n.
void feed(EncoderUnderTest& enc, const Rig& rig = {}) {
  for (int v = 0; v < rig.views; ++v) {
    const std::string texture = "texture_" + std::to_string(v),
                      depth = "depth_" + std::to_string(v);
    GstHarness* h = enc.pad(texture, kTexture);
    GstPad* pad = gst_pad_get_peer(h->srcpad);
    if (v != rig.without_camera) {
      g_object_set(pad, "camera", camera_json(v).c_str(), nullptr);
    }
    gst_object_unref(pad);
    if (rig.has_depth(v)) enc.pad(depth, kDepth);
  }
  for (int v = 0; v < rig.views; ++v)
    for (const std::string name : {"texture_", "depth_"}) {
      if (name == "depth_" && !rig.has_depth(v)) continue;
      enc.frames(name + std::to_string(v), rig.frames);
      enc.eos(name + std::to_string(v));
    }
}

std::vector<int> ints(const GstStructure* structure, const char* field) {
  const GValue* array = gst_structure_get_value(structure, field);
  std::vector<int> values;
  for (guint i = 0; array && i < gst_value_array_get_size(array); ++i)
    values.push_back(g_value_get_int(gst_value_array_get_value(array, i)));
  return values;
}

TEST_F(EncHybrid, TheEncoderGetsUnitsAndWhatTheyDecodeTo) {
  EncoderUnderTest enc;
  set_mode(enc, "auto");
  enc.set("gop-size", 3u);
  feed(enc, {.views = 3, .frames = 5});
  ASSERT_TRUE(enc.run());
  ASSERT_EQ(enc.errors() + enc.warnings(), "");
  const fake::Log log = fake::log();
  EXPECT_EQ(log.options.at(0).mode, Mode::hybrid);
  EXPECT_EQ(log.options.at(0).base_views, (std::vector<int>{1})) << "the one in the middle";
  ASSERT_EQ(log.gops.size(), 2u);
  for (size_t g = 0; g < 2; ++g) {
    const int frames = g == 0 ? 3 : 2;
    ASSERT_EQ(log.gops[g].units.size(), 2u);
    EXPECT_EQ(log.gops[g].samples.size(), size_t(frames * 6)) << "the sources, of all views";
    for (const fake::BaseUnit& unit : log.gops[g].units) {
      EXPECT_EQ(unit.view, 1);
      const bool texture = unit.component == Component::texture;
      const auto decoded = gst::BaseDecoder::decode(
          unit.payload, {texture ? SampleFormat::yuv420_8 : SampleFormat::gray_16, 32, 32}, frames);
      ASSERT_TRUE(decoded) << decoded.error().message;
      ASSERT_EQ(unit.samples.size(), size_t(frames));
      for (size_t t = 0; t < unit.samples.size(); ++t) {
        const auto* data = reinterpret_cast<const guint8*>((*decoded)[t].picture.data[0]);
        EXPECT_EQ(unit.samples[t], texture ? data[0] : GST_READ_UINT16_LE(data));
        if (texture) {
          EXPECT_NEAR(unit.samples[t], double(g * 3 + t), 3);
        }
      }
    }
  }
}

TEST_F(EncHybrid, AutoIsImplicitWhereSomethingIsMissing) {
  struct Case {
    const char* what;
    Rig rig;
    const char* base_encoder = kQuick;
    const char* profile = "auto";
  };
  for (const Case& c : {Case{"one view", {.views = 1}}, Case{"element", {}, "nosuchenc"},
                        Case{"element without cameras", {.without_camera = 1}, "nosuchenc"},
                        Case{"the encoder refuses", {}, kQuick, "xxs"}}) {
    fake::reset();
    EncoderUnderTest enc;
    set_mode(enc, "auto", c.base_encoder);
    enc.set("profile", c.profile);
    feed(enc, c.rig);
    ASSERT_TRUE(enc.run()) << c.what;
    EXPECT_EQ(enc.errors() + enc.warnings(), "") << c.what;
    const fake::Log log = fake::log();
    ASSERT_EQ(log.options.size(), 1u) << c.what;
    EXPECT_EQ(log.options[0].mode, Mode::implicit) << c.what;
    EXPECT_TRUE(log.options[0].base_views.empty());
    EXPECT_TRUE(log.gops.at(0).units.empty());
    const auto gops = enc.messages("mvinrenc-gop");
    EXPECT_STREQ(gst_structure_get_string(gops.at(0), "mode"), "implicit");
    EXPECT_TRUE(ints(gops.at(0), "base-views").empty());
  }
}

TEST_F(EncHybrid, MotionIsLearnedWhereCamerasOrDepthAreMissing) {
  struct Case {
    Rig rig;
    const char* motion;
    Motion expected;
    std::vector<int> base_views;
    size_t units;
  };
  const auto none = [](int) { return false; };
  for (const Case& c : {Case{{.views = 3}, "auto", Motion::geometry, {1}, 2},
                        Case{{.views = 3}, "refined", Motion::refined, {1}, 2},
                        Case{{.views = 3}, "learned", Motion::learned, {1}, 2},
                        Case{{.views = 4, .without_camera = 3}, "auto", Motion::learned, {2}, 2},
                        Case{{.views = 2, .has_depth = none}, "auto", Motion::learned, {1}, 1}}) {
    for (const char* mode : {"auto", "hybrid"}) {
      fake::reset();
      EncoderUnderTest enc;
      set_mode(enc, mode);
      gst_util_set_object_arg(G_OBJECT(enc.element()), "motion", c.motion);
      feed(enc, c.rig);
      ASSERT_TRUE(enc.run());
      ASSERT_EQ(enc.errors() + enc.warnings(), "") << c.motion;
      const fake::Log log = fake::log();
      EXPECT_EQ(log.options.at(0).mode, Mode::hybrid) << c.motion;
      EXPECT_EQ(log.options[0].motion, c.expected) << c.motion;
      EXPECT_EQ(log.options[0].base_views, c.base_views) << c.motion;
      EXPECT_EQ(log.gops.at(0).units.size(), c.units) << c.motion;
    }
  }
}

TEST_F(EncHybrid, HybridSaysWhatIsMissing) {
  struct Case {
    std::vector<std::string> texts;
    Rig rig;
    const char* base_views = "auto";
    const char* base_encoder = kQuick;
    const char* motion = "geometry";
  };
  const auto none = [](int) { return false; };
  const auto first = [](int view) { return view == 0; };
  for (const Case& c :
       {Case{{"two views"}, {.views = 1}},
        Case{{"view 1 has no camera", "cameras"}, {.without_camera = 1}},
        Case{{"no camera"}, {.without_camera = 0}, "auto", kQuick, "refined"},
        Case{{"no view has depth"}, {.has_depth = none}},
        Case{{"base view 1 has no depth", "depth_1"}, {.has_depth = first}, "1"},
        Case{{"\"7\"", "no view 7", "2 views"}, {}, "7"},
        Case{
            {"view 0 ", "Failed after iterations"}, {}, "0", "identity error-after=1 ! x265enc"}}) {
    EncoderUnderTest enc;
    set_mode(enc, "hybrid", c.base_encoder);
    enc.set("base-views", c.base_views);
    gst_util_set_object_arg(G_OBJECT(enc.element()), "motion", c.motion);
    feed(enc, c.rig);
    ASSERT_TRUE(enc.run()) << c.texts[0];
    for (const std::string& text : c.texts) EXPECT_TRUE(has(enc.errors(), text)) << enc.errors();
    EXPECT_EQ(enc.units().size(), 0u);
  }
}

TEST_F(EncHybrid, ABaseViewThatIsNotThereIsAnErrorInAnyModeThatLooks) {
  EncoderUnderTest enc;
  set_mode(enc, "auto");
  enc.set("base-views", "0,2");
  feed(enc);
  ASSERT_TRUE(enc.run());
  EXPECT_TRUE(has(enc.errors(), "no view 2")) << enc.errors();
}

TEST_F(EncHybrid, AMissingDecoderIsNamed) {
  const HiddenElements hidden("video/x-h265", GST_ELEMENT_FACTORY_TYPE_DECODER);
  for (const char* mode : {"hybrid", "auto"}) {
    EncoderUnderTest enc;
    set_mode(enc, mode);
    feed(enc);
    ASSERT_TRUE(enc.run());
    if (std::string(mode) == "auto") {
      EXPECT_EQ(enc.errors(), "");
      EXPECT_EQ(fake::log().options.at(0).mode, Mode::implicit);
      continue;
    }
    EXPECT_TRUE(has(enc.errors(), "view 1 texture") || has(enc.errors(), "view 0 texture"));
    EXPECT_TRUE(has(enc.errors(), "video/x-h265") && has(enc.errors(), "gstreamer1.0-libav"))
        << enc.errors();
  }
}

TEST_F(EncHybrid, AMissingBaseEncoderIsNamedWithItsPackageAtTheStart) {
  std::vector<std::unique_ptr<HiddenElements>> hidden;
  for (const char* format : {"video/x-h265", "video/x-h264", "video/x-av1"})
    hidden.push_back(std::make_unique<HiddenElements>(format, GST_ELEMENT_FACTORY_TYPE_ENCODER));
  EncoderUnderTest enc;
  set_mode(enc, "hybrid", "");
  EXPECT_EQ(enc.state(GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  EXPECT_TRUE(has(enc.errors(), "x265enc") && has(enc.errors(), "gstreamer1.0-plugins-bad"))
      << enc.errors();
}

TEST_F(EncHybrid, ViewsFarFromEachOtherHaveSeveralBaseViews) {
  EncoderUnderTest enc;
  set_mode(enc, "hybrid");
  feed(enc, {.views = 11, .frames = 1});
  ASSERT_TRUE(enc.run(60));
  EXPECT_EQ(enc.errors(), "");
  const size_t bases = fake::log().options.at(0).base_views.size();
  EXPECT_GE(bases, 2u);
  EXPECT_LE(bases, 4u);
  EXPECT_EQ(fake::log().gops.at(0).units.size(), 2 * bases);
}

TEST_F(EncHybrid, MessagesTellTheShareOfBaseViews) {
  EncoderUnderTest enc;
  set_mode(enc, "hybrid");
  enc.set("gop-size", 2u);
  enc.set("base-views", "1");
  feed(enc, {.frames = 4});
  ASSERT_TRUE(enc.run());
  ASSERT_EQ(enc.errors() + enc.warnings(), "");
  const auto progress = enc.messages("mvinrenc-progress");
  ASSERT_GE(progress.size(), 3u);
  EXPECT_STREQ(gst_structure_get_string(progress[0], "phase"), "base");
  EXPECT_STREQ(gst_structure_get_string(progress[1], "phase"), "base");
  EXPECT_STREQ(gst_structure_get_string(progress[2], "phase"), "float");
  const auto gops = enc.messages("mvinrenc-gop");
  ASSERT_EQ(gops.size(), 2u);
  guint64 all = 0;
  const fake::Log log = fake::log();
  for (size_t g = 0; g < 2; ++g) {
    guint64 bytes = 0;
    EXPECT_TRUE(gst_structure_get_uint64(gops[g], "base-bytes", &bytes));
    EXPECT_EQ(bytes,
              log.gops[g].units.at(0).payload.size() + log.gops[g].units.at(1).payload.size());
    EXPECT_STREQ(gst_structure_get_string(gops[g], "mode"), "hybrid");
    EXPECT_EQ(ints(gops[g], "base-views"), (std::vector<int>{1}));
    all += bytes;
  }
  GstStructure* stats = nullptr;
  g_object_get(enc.element(), "stats", &stats, nullptr);
  guint64 bytes = 0;
  EXPECT_TRUE(gst_structure_get_uint64(stats, "base-bytes", &bytes));
  EXPECT_EQ(bytes, all);
  EXPECT_STREQ(gst_structure_get_string(stats, "mode"), "hybrid");
  EXPECT_EQ(ints(stats, "base-views"), (std::vector<int>{1}));
  gst_structure_free(stats);
}

TEST_F(EncHybrid, TheQuantiserFollowsLambdaAtEveryGop) {
  EXPECT_EQ(gst::base_quantiser(0.004, Component::texture), 29);
  EXPECT_EQ(gst::base_quantiser(0.008, Component::texture), 32);
  EXPECT_EQ(gst::base_quantiser(0.001, Component::depth), 30);
  EXPECT_EQ(gst::base_quantiser(1e-6, Component::texture), 10);
  EXPECT_EQ(gst::base_quantiser(10, Component::depth), 51);

  EncoderUnderTest enc;
  set_mode(enc, "hybrid", "");
  enc.set("gop-size", 1u);
  enc.set("lambda", 0.0001);
  for (int v = 0; v < 2; ++v) {
    const std::string texture = "texture_" + std::to_string(v),
                      depth = "depth_" + std::to_string(v);
    GstPad* pad = gst_pad_get_peer(enc.pad(texture, kTexture)->srcpad);
    g_object_set(pad, "camera", camera_json(v).c_str(), nullptr);
    gst_object_unref(pad);
    enc.pad(depth, kDepth);
    for (const std::string& name : {texture, depth}) {
      for (int t = 0; t < 2; ++t) {
        // Noise, so that the size depends on the quantiser.
        GstBuffer* buffer = gst_buffer_new_allocate(nullptr, name == depth ? 2048 : 1536, nullptr);
        GstMapInfo map;
        gst_buffer_map(buffer, &map, GST_MAP_WRITE);
        guint32 state = 1;
        for (gsize i = 0; i < map.size; ++i)
          map.data[i] = guint8((state = state * 69069 + 1) >> 24);
        const gsize row = map.size / (name == depth ? 32 : 48);
        for (gsize i = 0; i < 2; ++i) map.data[31 * row + i] = map.data[i];  // as the fake wants
        gst_buffer_unmap(buffer, &map);
        GST_BUFFER_PTS(buffer) = GstClockTime(t) * kFrame;
        if (t == 1)
          enc.then(name, [&](GstHarness*) {
            eventually([&] { return enc.units().size() == 1; });
            enc.set("lambda", 0.1);
          });
        enc.buffer(name, buffer);
      }
      enc.eos(name);
    }
  }
  ASSERT_TRUE(enc.run());
  ASSERT_EQ(enc.errors(), "");
  const fake::Log log = fake::log();
  ASSERT_EQ(log.gops.size(), 2u);
  for (size_t u = 0; u < 2; ++u)
    EXPECT_LT(log.gops[1].units[u].payload.size() * 2, log.gops[0].units[u].payload.size());
}

TEST_F(EncHybrid, BaseViewsCountAgainstTheTimeBudget) {
  struct Case {
    double budget, least, most;
  };
  for (const Case& c : {Case{8, 1, 7.7}, Case{1.1, 1, 1}, Case{0.2, 0.2, 0.2}, Case{0, 0, 0}}) {
    fake::reset();
    EncoderUnderTest enc;
    set_mode(enc, "hybrid", ("identity sleep-time=150000 ! " + std::string(kQuick)).c_str());
    enc.set("time-budget", c.budget);
    feed(enc);
    ASSERT_TRUE(enc.run());
    ASSERT_EQ(enc.errors(), "");
    EXPECT_GE(fake::log().gops.at(0).time_budget, c.least);
    EXPECT_LE(fake::log().gops.at(0).time_budget, c.most);
  }
}

TEST_F(EncHybrid, AStopEndsTheCodingOfBaseViews) {
  EncoderUnderTest enc;
  set_mode(enc, "hybrid", ("identity sleep-time=1000000 ! " + std::string(kQuick)).c_str());
  feed(enc, {.frames = 8});
  enc.start();
  ASSERT_TRUE(eventually([&] { return !enc.messages("mvinrenc-progress").empty(); }));
  g_usleep(100000);
  EXPECT_LT(seconds_of([&] { enc.state(GST_STATE_NULL); }), 1);
  EXPECT_EQ(enc.errors(), "");
  EXPECT_EQ(enc.units().size(), 0u);
}

}  // namespace
}  // namespace mvinr::gst_test
