// mvinrenc as it is installed: the plugin, LibTorch, and the real decoder on what comes out.
#include <chrono>

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

/// Two views with depth, six frames of the clip. The first pad starts the element.
void feed(EncoderUnderTest& enc, const testutil::Clip& clip) {
  for (int v = 0; v < kViews; ++v) {
    for (const Component component : {Component::texture, Component::depth}) {
      const bool texture = component == Component::texture;
      const std::string name = (texture ? "texture_" : "depth_") + std::to_string(v);
      enc.pad(name, texture ? kTexture : kDepth);
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

TEST(EncReal, AccessUnitsDecodeToThePsnrThatTheMessagesTell) {
  const testutil::Clip source = clip();
  EncoderUnderTest enc;
  make_quick(enc);
  feed(enc, source);
  ASSERT_TRUE(enc.run(300));
  ASSERT_EQ(enc.errors() + enc.warnings(), "");
  const auto messages = enc.messages("mvinrenc-gop");
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_GE(enc.messages("mvinrenc-progress").size(), 2u);

  auto decoder = Decoder::create({.threads = 1});
  ASSERT_TRUE(decoder);
  for (int g = 0; g < 2; ++g) {
    const std::vector<std::byte> bytes = pull(enc.pad("texture_0"));
    const Result<GopInfo> info = (*decoder)->start_gop(bytes);
    ASSERT_TRUE(info) << info.error().message;
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

TEST(EncReal, NullEndsATrainingWithinASecond) {
  const testutil::Clip source = clip();
  EncoderUnderTest enc;
  make_quick(enc);
  g_object_set(enc.element(), "time-budget", 0.0, "effort", 9, nullptr);
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
