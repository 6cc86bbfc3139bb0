// mvinrenc: properties, their errors, presets.
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>

#include "enc_fixture.h"
#include "fake_encoder.h"
#include "settings.h"

namespace mvinr::gst_test {
namespace {

class EncSettings : public testing::Test {
 protected:
  void SetUp() override { fake::reset(); }
  void TearDown() override {
    EXPECT_EQ(fake::log().alive, 0);
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  std::string file(const std::string& name, const std::string& text) {
    if (directory_.empty()) {
      gchar* made = g_dir_make_tmp("mvinrenc-XXXXXX", nullptr);
      directory_ = made;
      g_free(made);
    }
    const std::filesystem::path path = directory_ / name;
    std::ofstream(path) << text;
    return path;
  }

 private:
  std::filesystem::path directory_;
};

std::string cameras_json(int width, int height, const std::string& leave_out = "") {
  std::string text = "{\"cameras\":[";
  for (int v = 0; v < 2; ++v) {
    text += v ? ",{" : "{";
    const std::pair<const char*, std::string> fields[] = {
        {"Resolution", "[" + std::to_string(width) + "," + std::to_string(height) + "]"},
        {"Projection", "\"Perspective\""},
        {"Focal", "[40,40]"},
        {"Principle_point", "[16,16]"},
        {"Depth_range", "[1,10]"},
        {"Position", "[0," + std::to_string(v) + ",0]"},
        {"Rotation", "[0,0,0]"}};
    for (const auto& [name, value] : fields)
      if (name != leave_out) text += "\"" + std::string(name) + "\":" + value + ",";
    text += "\"Name\":\"v" + std::to_string(v) + "\"}";
  }
  return text + "]}";
}

TEST_F(EncSettings, PropertiesReachTheEncoder) {
  const std::string path = file("cameras.json", cameras_json(64, 64));
  EncoderUnderTest enc;
  gst_util_set_object_arg(G_OBJECT(enc.element()), "mode", "implicit");
  gst_util_set_object_arg(G_OBJECT(enc.element()), "loss", "ssim");
  enc.set("lambda", 0.25, nullptr);
  g_object_set(enc.element(), "effort", 2, "gop-size", 3u, "profile", "xxs", "cameras",
               path.c_str(), "depth-weight", 0.5, "prune", 0.15, "seed", G_MAXUINT64, "device",
               "cpu", "threads", 3, "time-budget", 1.5, "max-memory", guint64(1) << 40, nullptr);
  ASSERT_TRUE(run_one(enc, 3));
  ASSERT_EQ(enc.errors(), "");
  const fake::Log log = fake::log();
  const EncoderOptions& o = log.options.at(0);
  EXPECT_EQ(o.mode, Mode::implicit);
  EXPECT_EQ(o.loss, Loss::ssim);
  EXPECT_EQ(o.effort, 2);
  EXPECT_EQ(o.gop_frames, 3);
  EXPECT_EQ(o.profile, "xxs");
  EXPECT_EQ(o.depth_weight, 0.5);
  EXPECT_EQ(o.prune, 0.15);
  EXPECT_EQ(o.seed, G_MAXUINT64);
  EXPECT_EQ(o.device, "cpu");
  EXPECT_EQ(o.threads, 3);
  EXPECT_EQ(o.max_memory, guint64(1) << 40);
  EXPECT_EQ(log.gops.at(0).lambda, 0.25);
  EXPECT_EQ(log.gops.at(0).time_budget, 1.5);
  ASSERT_TRUE(log.sequences.at(0).views[0].camera);
  EXPECT_EQ(log.sequences.at(0).views[0].camera->focal[0], 20) << "scaled from 64 to 32 pixels";
}

TEST_F(EncSettings, LambdaIsReadAtEveryGop) {
  EncoderUnderTest enc;
  enc.set("gop-size", 1u);
  enc.pad("texture_0", kTexture);
  enc.frames("texture_0", 1);
  enc.then("texture_0", [&](GstHarness*) {
    eventually([&] { return enc.units().size() == 1; });
    enc.set("lambda", 0.5);
  });
  enc.frames("texture_0", 1, 1);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  const fake::Log log = fake::log();
  EXPECT_EQ(log.gops.at(0).lambda, kDefaultLambda);
  EXPECT_EQ(log.gops.at(1).lambda, 0.5);
}

TEST_F(EncSettings, EveryPropertySaysWhatItIs) {
  GstElement* element = gst_element_factory_make("mvinrenc", nullptr);
  gst_object_ref_sink(element);
  guint n = 0;
  GParamSpec** specs = g_object_class_list_properties(G_OBJECT_GET_CLASS(element), &n);
  std::set<std::string> own;
  for (guint i = 0; i < n; ++i) {
    if (specs[i]->owner_type != G_OBJECT_TYPE(element)) continue;
    own.insert(specs[i]->name);
    EXPECT_GT(std::string(g_param_spec_get_blurb(specs[i])).size(), 20u) << specs[i]->name;
    if (specs[i]->flags & G_PARAM_WRITABLE) {
      EXPECT_TRUE(specs[i]->flags & (GST_PARAM_MUTABLE_READY | GST_PARAM_MUTABLE_PLAYING));
      GValue value = G_VALUE_INIT;
      g_value_init(&value, specs[i]->value_type);
      g_object_get_property(G_OBJECT(element), specs[i]->name, &value);
      EXPECT_TRUE(g_param_value_defaults(specs[i], &value)) << specs[i]->name;
      g_value_unset(&value);
    }
  }
  g_free(specs);
  EXPECT_EQ(own, (std::set<std::string>{"base-encoder", "base-quantiser", "base-views", "mode",
                                        "motion",       "lambda",         "bitrate",    "effort",
                                        "gop-size",     "profile",        "loss",       "cameras",
                                        "depth-weight", "prune",          "seed",       "device",
                                        "threads",      "time-budget",    "max-memory", "stats"}));
  gst_object_unref(element);
}

TEST_F(EncSettings, AnUnknownProfileIsRefusedAtTheStart) {
  EncoderUnderTest enc;
  enc.set("profile", "huge");
  EXPECT_EQ(enc.state(GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  EXPECT_NE(enc.errors().find("unknown profile \"huge\"; there are: auto, xxs, xs, s"),
            std::string::npos)
      << enc.errors();
}

TEST_F(EncSettings, WrongBaseViewsAreRefusedAtTheStart) {
  EncoderUnderTest enc;
  enc.set("base-views", "0,x");
  EXPECT_EQ(enc.state(GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  EXPECT_NE(enc.errors().find("\"x\" is no view"), std::string::npos) << enc.errors();
}

TEST_F(EncSettings, AMissingBaseEncoderIsRefusedAtTheStartOfHybridModeOnly) {
  for (const char* mode : {"hybrid", "implicit"}) {
    EncoderUnderTest enc;
    gst_util_set_object_arg(G_OBJECT(enc.element()), "mode", mode);
    enc.set("base-encoder", "nosuchenc ! h265parse");
    const bool starts = enc.state(GST_STATE_PAUSED) != GST_STATE_CHANGE_FAILURE;
    EXPECT_EQ(starts, std::string(mode) == "implicit");
    EXPECT_EQ(enc.errors().find("nosuchenc") != std::string::npos, !starts) << enc.errors();
  }
}

TEST_F(EncSettings, BasePropertiesComeBackAsSet) {
  EncoderUnderTest enc;
  g_object_set(enc.element(), "base-encoder", "x264enc", "base-quantiser", 30, "base-views", "0,3",
               nullptr);
  gchar *encoder = nullptr, *views = nullptr;
  gint quantiser = 0;
  g_object_get(enc.element(), "base-encoder", &encoder, "base-quantiser", &quantiser, "base-views",
               &views, nullptr);
  EXPECT_STREQ(encoder, "x264enc");
  EXPECT_STREQ(views, "0,3");
  EXPECT_EQ(quantiser, 30);
  g_free(encoder);
  g_free(views);
}

TEST(BaseQuantisers, AreThePropertyOrFollowLambdaOrAreLeftToTheEncoder) {
  gst::Settings settings;
  const auto coarse = gst::base_quantisers(settings, 0.008);
  const auto fine = gst::base_quantisers(settings, 0.004);
  EXPECT_EQ(coarse.texture, fine.texture + 3) << "a factor of two is three steps";
  EXPECT_EQ(coarse.depth, fine.depth + 3);
  EXPECT_EQ(fine.texture, gst::base_quantiser(0.004, Component::texture));
  settings.base.encoder = "x265enc";
  EXPECT_EQ(gst::base_quantisers(settings, 0.004).texture, -1);
  settings.base.quantiser = 22;
  EXPECT_EQ(gst::base_quantisers(settings, 0.004).texture, 22);
  EXPECT_EQ(gst::base_quantisers(settings, 0.004).depth, 22);
}

TEST_F(EncSettings, AMissingCameraFileIsRefusedAtTheStart) {
  EncoderUnderTest enc;
  enc.set("cameras", "/does/not/exist.json");
  EXPECT_EQ(enc.state(GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  EXPECT_NE(enc.errors().find("/does/not/exist.json"), std::string::npos) << enc.errors();
}

TEST_F(EncSettings, AMissingFieldOfTheCameraFileIsNamedAtTheStart) {
  EncoderUnderTest enc;
  enc.set("cameras", file("cameras.json", cameras_json(32, 32, "Focal")).c_str());
  EXPECT_EQ(enc.state(GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  EXPECT_NE(enc.errors().find("Focal"), std::string::npos) << enc.errors();
}

TEST_F(EncSettings, ACameraOfAnotherAspectRatioIsAnError) {
  EncoderUnderTest enc;
  enc.set("cameras", file("cameras.json", cameras_json(64, 32)).c_str());
  ASSERT_TRUE(run_one(enc, 1));
  EXPECT_NE(enc.errors().find("view 0"), std::string::npos) << enc.errors();
  EXPECT_NE(enc.errors().find("aspect ratio"), std::string::npos) << enc.errors();
}

TEST_F(EncSettings, ACameraOfAPadComesFromItsFile) {
  const std::string path = file("rig.json", cameras_json(32, 32));
  EncoderUnderTest enc;
  GstHarness* h = enc.pad("texture_0", kTexture);
  GstPad* pad = gst_pad_get_peer(h->srcpad);
  g_object_set(pad, "camera", (path + "#v1").c_str(), nullptr);
  gst_object_unref(pad);
  enc.frames("texture_0", 1);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  ASSERT_EQ(enc.errors(), "");
  EXPECT_EQ(fake::log().sequences.at(0).views[0].camera->position[1], 1);
}

TEST_F(EncSettings, AnUnknownCameraOfAPadIsNamed) {
  const std::string path = file("rig.json", cameras_json(32, 32));
  EncoderUnderTest enc;
  GstHarness* h = enc.pad("texture_0", kTexture);
  GstPad* pad = gst_pad_get_peer(h->srcpad);
  g_object_set(pad, "camera", (path + "#v9").c_str(), nullptr);
  gst_object_unref(pad);
  enc.frames("texture_0", 1);
  ASSERT_TRUE(enc.run());
  EXPECT_NE(enc.errors().find("pad texture_0"), std::string::npos) << enc.errors();
  EXPECT_NE(enc.errors().find("v9"), std::string::npos) << enc.errors();
}

/// The error's code as GStreamer tells it.
GQuark domain_of_error(EncoderUnderTest& enc, int* code) {
  GstBus* bus = gst_element_get_bus(enc.element());
  GstMessage* message = gst_bus_timed_pop_filtered(bus, 10 * GST_SECOND, GST_MESSAGE_ERROR);
  gst_object_unref(bus);
  EXPECT_TRUE(message);
  if (!message) return 0;
  GError* error = nullptr;
  gst_message_parse_error(message, &error, nullptr);
  const GQuark domain = error->domain;
  *code = error->code;
  g_error_free(error);
  gst_message_unref(message);
  return domain;
}

TEST_F(EncSettings, RefusalsOfTheEncoderBecomeErrorsOfTheRightKind) {
  struct Case {
    const char* property;
    const char* value;
    GQuark domain;
    int code;
  };
  for (const Case& c :
       {Case{"mode", "hybrid", GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT},
        Case{"device", "cuda:99", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND},
        Case{"max-memory", "1000", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT}}) {
    EncoderUnderTest enc;
    gst_util_set_object_arg(G_OBJECT(enc.element()), c.property, c.value);
    enc.pad("texture_0", kTexture);
    enc.frames("texture_0", 1);
    enc.start();
    int code = 0;
    EXPECT_EQ(domain_of_error(enc, &code), c.domain) << c.property;
    EXPECT_EQ(code, c.code) << c.property;
    EXPECT_EQ(enc.units().size(), 0u);
  }
}

TEST_F(EncSettings, AnExceptionInTheEncoderBecomesAnError) {
  fake::set_behaviour({.in_training = [] { throw std::runtime_error("out of tensors"); }});
  EncoderUnderTest enc;
  ASSERT_TRUE(run_one(enc, 1));
  EXPECT_NE(enc.errors().find("out of tensors"), std::string::npos) << enc.errors();
  EXPECT_EQ(enc.units().size(), 0u);
}

TEST_F(EncSettings, AllPresetsLoadAndSetWhatTheySay) {
  GstElement* element = gst_element_factory_make("mvinrenc", nullptr);
  gst_object_ref_sink(element);
  gchar** names = gst_preset_get_preset_names(GST_PRESET(element));
  std::set<std::string> found;
  for (gchar** name = names; name && *name; ++name) {
    found.insert(*name);
    EXPECT_TRUE(gst_preset_load_preset(GST_PRESET(element), *name)) << *name;
    if (std::string(*name) == "Fast preview") {
      gint effort = 0;
      guint frames = 0;
      gdouble budget = 0;
      g_object_get(element, "effort", &effort, "gop-size", &frames, "time-budget", &budget,
                   nullptr);
      EXPECT_EQ(effort, 1);
      EXPECT_EQ(frames, 16u);
      EXPECT_EQ(budget, 10);
    }
  }
  EXPECT_EQ(found, (std::set<std::string>{"Balanced", "Best quality", "Fast preview", "Many views",
                                          "Small"}));
  g_strfreev(names);
  gst_object_unref(element);
}

}  // namespace
}  // namespace mvinr::gst_test
