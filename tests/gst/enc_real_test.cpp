// mvinrenc as it is installed: the plugin, LibTorch, and the real decoder on what comes out.
#include <chrono>

#include "base_decoder.h"
#include "dec_fixture.h"
#include "enc_fixture.h"
#include "mvinr/decoder.h"
#include "testutil/clip.h"
#include "tools/quality.h"

namespace mvinr::gst_test {
namespace {

constexpr int kViews = 2, kFrames = 6, kGop = 4, kSize = 32;

testutil::Clip clip() {
  return testutil::make_clip({.views = kViews, .frames = kFrames, .width = kSize, .height = kSize});
}

/// GOPs of four, a fifth of a second of training each.
void make_quick(EncoderUnderTest& enc) {
  g_object_set(enc.element(), "gop-size", guint(kGop), "effort", 1, "time-budget", 0.2, "device",
               "cpu", "threads", 1, nullptr);
}

std::string camera_json(const ViewInfo& view) {
  const Camera& c = *view.camera;
  const auto list = [](std::initializer_list<double> values) {
    std::string text;
    for (const double value : values) text += (text.empty() ? "[" : ",") + std::to_string(value);
    return text + "]";
  };
  return "{\"Name\":\"c\",\"Projection\":\"Perspective\",\"Resolution\":" +
         list({double(view.width), double(view.height)}) +
         ",\"Focal\":" + list({c.focal[0], c.focal[1]}) +
         ",\"Principle_point\":" + list({c.principal_point[0], c.principal_point[1]}) +
         ",\"Depth_range\":" + list({c.depth_range[0], c.depth_range[1]}) +
         ",\"Position\":" + list({c.position[0], c.position[1], c.position[2]}) +
         ",\"Rotation\":" + list({c.rotation[0], c.rotation[1], c.rotation[2]}) + "}";
}

/// Two views with depth, six frames of the clip. The first pad starts the element.
void feed(EncoderUnderTest& enc, const testutil::Clip& clip, bool cameras = false) {
  for (int v = 0; v < kViews; ++v) {
    for (const Component component : {Component::texture, Component::depth}) {
      const bool texture = component == Component::texture;
      const std::string name = (texture ? "texture_" : "depth_") + std::to_string(v);
      GstPad* pad = gst_pad_get_peer(enc.pad(name, texture ? kTexture : kDepth)->srcpad);
      if (cameras)
        g_object_set(pad, "camera", camera_json(clip.sequence.views[size_t(v)]).c_str(), nullptr);
      gst_object_unref(pad);
      for (int t = 0; t < kFrames; ++t) {
        const auto bytes = clip.at(t, v, component).bytes();
        GstBuffer* buffer = gst_buffer_new_memdup(bytes.data(), bytes.size());
        GST_BUFFER_PTS(buffer) = GstClockTime(t) * kFrame;
        enc.buffer(name, buffer);
      }
      enc.eos(name);
    }
  }
}

std::vector<std::byte> pull(GstHarness* h) {
  GstBuffer* buffer = gst_harness_try_pull(h);
  if (!buffer) return {};
  std::vector<std::byte> bytes(gst_buffer_get_size(buffer));
  gst_buffer_extract(buffer, 0, bytes.data(), bytes.size());
  gst_buffer_unref(buffer);
  return bytes;
}

double psnr_in(const GstStructure* structure, const char* field, int view) {
  return g_value_get_double(
      gst_value_array_get_value(gst_structure_get_value(structure, field), guint(view)));
}

/// Hybrid mode: what whoever plays the access unit has to do.
void decode_base_views(Decoder& decoder, const GopInfo& info) {
  for (const BaseUnit& unit : decoder.base_units()) {
    const ViewInfo& view = info.sequence.views[size_t(unit.view)];
    const bool texture = unit.component == Component::texture;
    const auto pictures = gst::BaseDecoder::decode(
        unit.payload, {texture ? view.texture : view.depth, view.width, view.height}, info.frames);
    ASSERT_TRUE(pictures) << pictures.error().message;
    for (int t = 0; t < info.frames; ++t)
      ASSERT_TRUE(decoder.set_base({t, unit.view, unit.component}, (*pictures)[size_t(t)].picture));
  }
}

class EncRealMode : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Modes, EncRealMode, testing::Values("implicit", "geometry", "learned"),
                         [](const auto& info) { return std::string(info.param); });

// mode=auto: hybrid, by geometry with cameras, with learned motion without.
TEST_P(EncRealMode, AccessUnitsDecodeToThePsnrThatTheMessagesTell) {
  const testutil::Clip source = clip();
  const std::string kind = GetParam();
  const bool hybrid = kind != "implicit";
  EncoderUnderTest enc;
  make_quick(enc);
  // The sources are no views of one scene.
  if (hybrid)
    enc.set("base-views", "0");
  else
    gst_util_set_object_arg(G_OBJECT(enc.element()), "mode", "implicit");
  feed(enc, source, kind == "geometry");
  ASSERT_TRUE(enc.run(300));
  ASSERT_EQ(enc.errors() + enc.warnings(), "");
  const auto messages = enc.messages("mvinrenc-gop");
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_GE(enc.messages("mvinrenc-progress").size(), 2u);
  EXPECT_STREQ(gst_structure_get_string(messages[0], "mode"), hybrid ? "hybrid" : "implicit");

  auto decoder = Decoder::create({.threads = 1});
  ASSERT_TRUE(decoder);
  for (int g = 0; g < 2; ++g) {
    const std::vector<std::byte> bytes = pull(enc.pad("texture_0"));
    const Result<GopInfo> info = (*decoder)->start_gop(bytes);
    ASSERT_TRUE(info) << info.error().message;
    EXPECT_EQ(info->base_views.size(), hybrid ? 1u : 0u);
    if (hybrid) {
      EXPECT_EQ(info->motion, kind == "learned" ? Motion::learned : Motion::geometry);
    }
    ASSERT_NO_FATAL_FAILURE(decode_base_views(**decoder, *info));
    EXPECT_EQ(info->first_frame, uint64_t(g * kGop));
    EXPECT_EQ(info->frames, g == 0 ? 4 : 2);
    EXPECT_EQ(info->sequence.frame_rate, (Fraction{25, 1}));
    EXPECT_EQ(info->bytes, bytes.size());
    for (int v = 0; v < kViews; ++v) {
      tools::PsnrMeter texture, depth;
      for (int t = 0; t < info->frames; ++t) {
        tools::PictureBuffer y(SampleFormat::yuv420_8, kSize, kSize);
        tools::PictureBuffer z(SampleFormat::gray_16, kSize, kSize);
        MutablePicture texture_out = y.mutable_picture(), depth_out = z.mutable_picture();
        const RenderJob job{.frame = t, .view = v, .texture = &texture_out, .depth = &depth_out};
        ASSERT_TRUE((*decoder)->render({&job, 1}));
        texture.add(y.picture(), source.at(g * kGop + t, v, Component::texture).picture());
        depth.add(z.picture(), source.at(g * kGop + t, v, Component::depth).picture());
      }
      EXPECT_NEAR(texture.psnr(0), psnr_in(messages[size_t(g)], "texture-psnr-y", v), 1e-3);
      EXPECT_NEAR(texture.psnr(1), psnr_in(messages[size_t(g)], "texture-psnr-u", v), 1e-3);
      EXPECT_NEAR(depth.psnr(0), psnr_in(messages[size_t(g)], "depth-psnr", v), 1e-3);
      EXPECT_GT(texture.psnr(0), 8) << "something was learnt";
    }
  }
}

// mvinrenc ! mvinrparse ! mp4mux, qtdemux ! mvinrparse ! mvinrdec: every pad shows what the
// reference kernels make of the access units, at the right times, also after a seek.
TEST(EncReal, AHybridStreamGoesThroughAFile) {
  const testutil::Clip source = clip();
  EncoderUnderTest enc;
  make_quick(enc);
  gst_util_set_object_arg(G_OBJECT(enc.element()), "mode", "hybrid");
  feed(enc, source, true);
  ASSERT_TRUE(enc.run(300));
  ASSERT_EQ(enc.errors() + enc.warnings(), "");
  std::vector<testutil::Data> gops{pull(enc.pad("texture_0")), pull(enc.pad("texture_0"))};
  const testutil::TemporaryFolder folder;
  const std::string raw = folder.write("scene.mvinr", testutil::joined(gops));
  const std::string mp4 = folder.file("scene.mp4");
  testutil::Pipeline mux("filesrc location=" + raw +
                         " ! mvinrparse ! mp4mux ! filesink location=" + mp4);
  ASSERT_EQ(mux.play(), "");
  for (const bool seek : {false, true}) {
    testutil::Pipeline play("filesrc location=" + mp4 + " ! qtdemux ! mvinrparse ! mvinrdec name=d",
                            "all");
    if (seek) {
      ASSERT_EQ(play.preroll(), "");
      ASSERT_TRUE(play.seek(1.0, GstSeekFlags(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE),
                            kGop * kFrame));
    }
    ASSERT_EQ(play.play(), "");
    ASSERT_EQ(play.pads().size(), size_t(2 * kViews));
    for (int v = 0; v < kViews; ++v)
      for (const Component component : {Component::texture, Component::depth}) {
        const std::string pad =
            (component == Component::texture ? "texture_" : "depth_") + std::to_string(v);
        const auto want =
            testutil::expected(seek ? std::vector<testutil::Data>{gops[1]} : gops, v, component);
        EXPECT_EQ(want.size(), seek ? 2u : 6u);
        EXPECT_TRUE(play.shown(pad) == want) << pad << " " << seek;
      }
  }
}

TEST(EncReal, NullEndsATrainingWithinASecond) {
  const testutil::Clip source = clip();
  EncoderUnderTest enc;
  make_quick(enc);
  g_object_set(enc.element(), "time-budget", 100.0, "effort", 9, nullptr);
  feed(enc, source);
  enc.start();
  ASSERT_TRUE(eventually([&] { return enc.messages("mvinrenc-progress").size() >= 2; }, 120));
  EXPECT_LT(seconds_of([&] { enc.state(GST_STATE_NULL); }), 1);
  EXPECT_EQ(enc.units().size(), 0u);
  EXPECT_EQ(enc.errors(), "");
}

TEST(EncReal, TheEncodersRefusalsAreErrors) {
  struct Case {
    const char* property;
    const char* value;
    const char* text;
  };
  for (const Case& c :
       {Case{"mode", "hybrid", "hybrid"}, Case{"device", "cuda:99", "cuda:99"},
        Case{"device", "abacus", "abacus"}, Case{"max-memory", "1000000", "memory"}}) {
    const testutil::Clip source = clip();
    EncoderUnderTest enc;
    make_quick(enc);
    gst_util_set_object_arg(G_OBJECT(enc.element()), "motion", "geometry");
    gst_util_set_object_arg(G_OBJECT(enc.element()), c.property, c.value);
    feed(enc, source);
    EXPECT_TRUE(enc.run(120)) << c.property;
    EXPECT_NE(enc.errors().find(c.text), std::string::npos) << enc.errors();
    EXPECT_EQ(enc.units().size(), 0u);
  }
}

TEST(EncReal, EveryProfileCanBeNamed) {
  GstElement* element = gst_element_factory_make("mvinrenc", nullptr);
  ASSERT_TRUE(element);
  const std::string blurb =
      g_param_spec_get_blurb(g_object_class_find_property(G_OBJECT_GET_CLASS(element), "profile"));
  for (const char* name : {"auto", "xxs", "xs", "s", "m", "l", "mv-hinerv-xxs"})
    EXPECT_NE(blurb.find(name), std::string::npos) << name << " in: " << blurb;
  gst_object_unref(gst_object_ref_sink(element));
}

}  // namespace
}  // namespace mvinr::gst_test
