// mvinrenc with moving cameras, and with cameras that do not overlap.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "enc_hybrid.h"

namespace mvinr::gst_test {
namespace {

/// A camera file of two views that move, in a folder that goes with it. At frame t view v is t
/// metres above the ground and v to the right.
class MovingRig {
 public:
  explicit MovingRig(int frames)
      : folder_(testing::TempDir() + "moving-" + std::to_string(getpid())) {
    std::filesystem::create_directory(folder_);
    std::ofstream(path()) << R"({"Informative": {"Moving_cameras": true}, "cameras": [)"
                          << camera_json(0) << "," << camera_json(1) << "]}";
    std::ofstream poses(folder_ + "/poses.json");
    poses << R"({"frames": [)";
    for (int v = 0; v < 2; ++v) {
      poses << (v > 0 ? ",[" : "[");
      for (int t = 0; t < frames; ++t)
        poses << (t > 0 ? "," : "") << "[[1,0,0," << v << "],[0,1,0," << -t
              << "],[0,0,1,0],[0,0,0,1]]";
      poses << "]";
    }
    poses << "]}";
  }
  ~MovingRig() { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ + "/cameras.json"; }

  static Pose pose(int frame, int view) { return {{0, -float(view), float(frame)}, {0, 0, 0}}; }
  /// Texture and depth of both views, `count` frames from `first` on; no cameras of the pads.
  void feed(EncoderUnderTest& enc, int count, int first = 0) const {
    enc.set("cameras", path().c_str());
    for (const char* view : {"0", "1"}) {
      enc.pad(std::string("texture_") + view, kTexture);
      enc.pad(std::string("depth_") + view, kDepth);
    }
    for (const char* pad : {"texture_0", "depth_0", "texture_1", "depth_1"}) {
      enc.frames(pad, count, first);
      enc.eos(pad);
    }
  }

 private:
  std::string folder_;
};

TEST_F(EncHybrid, EveryFrameOfMovingCamerasHasItsPose) {
  const MovingRig rig(5);
  for (const char* mode : {"hybrid", "auto", "implicit"}) {
    fake::reset();
    EncoderUnderTest enc;
    set_mode(enc, mode);
    enc.set("gop-size", 2u);
    rig.feed(enc, 5);
    ASSERT_TRUE(enc.run());
    EXPECT_EQ(enc.errors() + enc.warnings(), "") << mode;
    const fake::Log log = fake::log();
    ASSERT_EQ(log.gops.size(), 3u) << mode;
    EXPECT_EQ(log.options.at(0).mode,
              std::string(mode) == "implicit" ? Mode::implicit : Mode::hybrid);
    for (const ViewInfo& view : log.sequences.at(0).views) {
      EXPECT_TRUE(view.moving);
      EXPECT_EQ(view.camera->focal[0], 40);
      EXPECT_EQ(view.camera->position, (std::array<float, 3>{}));
    }
    for (int t = 0; t < 5; ++t)
      for (int v = 0; v < 2; ++v)
        EXPECT_EQ(log.gops[size_t(t) / 2].poses.at({t % 2, v}), MovingRig::pose(t, v))
            << mode << ", frame " << t;
  }
}

TEST_F(EncHybrid, PosesBelongToTheTimesOfFrames) {
  const MovingRig rig(5);
  EncoderUnderTest enc;
  set_mode(enc, "hybrid");
  rig.feed(enc, 2, 3);
  ASSERT_TRUE(enc.run());
  EXPECT_EQ(enc.errors(), "");
  const fake::Log log = fake::log();
  ASSERT_EQ(log.gops.size(), 1u);
  EXPECT_EQ(log.gops[0].poses.at({0, 1}), MovingRig::pose(3, 1));
  EXPECT_EQ(log.gops[0].poses.at({1, 1}), MovingRig::pose(4, 1));
}

TEST_F(EncHybrid, FramesBehindTheLastPoseAreAnErrorAndWhatWasBeforeIsCoded) {
  const MovingRig rig(3);
  EncoderUnderTest enc;
  set_mode(enc, "hybrid");
  enc.set("gop-size", 2u);
  rig.feed(enc, 6);
  ASSERT_TRUE(enc.run());
  EXPECT_TRUE(has(enc.errors(), "3 frames, none for frame 3") && has(enc.errors(), rig.path()))
      << enc.errors();
  const fake::Log log = fake::log();
  ASSERT_EQ(log.gops.size(), 2u);
  EXPECT_EQ(log.gops[1].frames, 1);
  EXPECT_EQ(enc.units().size(), 2u);
}

TEST_F(EncHybrid, APadCannotHaveAMovingCameraOfItsOwn) {
  const MovingRig rig(3);
  EncoderUnderTest enc;
  set_mode(enc, "auto");
  GstPad* pad = gst_pad_get_peer(enc.pad("texture_0", kTexture)->srcpad);
  g_object_set(pad, "camera", (rig.path() + "#c").c_str(), nullptr);
  gst_object_unref(pad);
  enc.frames("texture_0", 1);
  enc.eos("texture_0");
  ASSERT_TRUE(enc.run());
  EXPECT_TRUE(has(enc.errors(), "move") && has(enc.errors(), "property cameras")) << enc.errors();
}

/// Views that look into all directions and see nothing of each other.
void feed_all_round(EncoderUnderTest& enc, int views) {
  for (int v = 0; v < views; ++v) {
    const std::string number = std::to_string(v);
    std::string camera = camera_json(0);
    // 32 pixels at a focal length of 1000 are two degrees wide.
    camera.replace(camera.find("[40,40]"), 7, "[1000,1000]");
    camera.replace(camera.find("[0,0,0]"), 7, "[" + std::to_string(9 * v) + ",0,0]");
    GstPad* pad = gst_pad_get_peer(enc.pad("texture_" + number, kTexture)->srcpad);
    g_object_set(pad, "camera", camera.c_str(), nullptr);
    gst_object_unref(pad);
    enc.pad("depth_" + number, kDepth);
  }
  for (int v = 0; v < views; ++v)
    for (const char* component : {"texture_", "depth_"}) {
      enc.frames(component + std::to_string(v), 2);
      enc.eos(component + std::to_string(v));
    }
}

TEST_F(EncHybrid, AutoIsImplicitWhereManyViewsDoNotOverlap) {
  struct Case {
    const char* mode;
    int views;
    size_t bases;
  };
  for (const Case& c : {Case{"auto", 3, 3}, Case{"auto", 40, 0}, Case{"hybrid", 18, 16}}) {
    fake::reset();
    EncoderUnderTest enc;
    set_mode(enc, c.mode);
    feed_all_round(enc, c.views);
    ASSERT_TRUE(enc.run(60));
    EXPECT_EQ(enc.errors() + enc.warnings(), "");
    const fake::Log log = fake::log();
    EXPECT_EQ(log.options.at(0).base_views.size(), c.bases) << c.mode << " " << c.views;
    EXPECT_EQ(log.options[0].mode, c.bases > 0 ? Mode::hybrid : Mode::implicit);
    EXPECT_EQ(log.gops.at(0).samples.size(), size_t(c.views) * 4) << "what waited for the choice";
    for (const int sample : log.gops[0].samples) EXPECT_GE(sample, 0);
  }
}

}  // namespace
}  // namespace mvinr::gst_test
