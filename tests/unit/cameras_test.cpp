#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "mvinr/stream.h"

namespace mvinr {
namespace {

constexpr const char* kGood = R"({
  "Version": "4.0", "Content_name": "two", "Fps": 25.0, "Frames_number": 40,
  "cameras": [
    {"Name": "v0", "Projection": "Perspective", "Resolution": [64, 48],
     "BitDepthColor": 10, "BitDepthDepth": 16,
     "Focal": [60.5, 61.5], "Principle_point": [32.0, 24.0], "Depth_range": [0.5, 8],
     "Position": [1, -2, 3.25], "Rotation": [-10, 20, 30]},
    {"Name": "v1", "Resolution": [64, 48], "Focal": [60, 60], "Principle_point": [32, 24],
     "Depth_range": [1, 9], "Position": [0, 0, 0], "Rotation": [0, 0, 0]}
  ]})";

class CameraFileTest : public testing::Test {
 protected:
  Result<CameraFile> read(const std::string& text) {
    std::ofstream(path_) << text;
    return read_camera_file(path_);
  }
  /// kGood with the first `what` replaced.
  Result<CameraFile> read_with(const std::string& what, const std::string& by) {
    std::string text = kGood;
    const size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return read(text.replace(at, what.size(), by));
  }
  void TearDown() override { std::remove(path_.c_str()); }

  const std::string path_ = testing::TempDir() + "cameras-" + std::to_string(getpid()) + ".json";
};

TEST_F(CameraFileTest, ReadsEveryField) {
  const auto file = read(kGood);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->content_name, "two");
  EXPECT_EQ(file->fps, 25.0);
  EXPECT_EQ(file->frames, 40);
  ASSERT_EQ(file->cameras.size(), 2u);
  const CameraFileEntry& v0 = file->cameras[0];
  EXPECT_EQ(v0.name, "v0");
  EXPECT_EQ(v0.width, 64);
  EXPECT_EQ(v0.height, 48);
  EXPECT_EQ(v0.texture_bits, 10);
  EXPECT_EQ(v0.depth_bits, 16);
  EXPECT_EQ(v0.camera, (Camera{.focal = {60.5, 61.5},
                               .principal_point = {32, 24},
                               .depth_range = {0.5, 8},
                               .position = {1, -2, 3.25},
                               .rotation = {-10, 20, 30}}));
  EXPECT_EQ(file->cameras[1].texture_bits, 8) << "the default";
}

TEST_F(CameraFileTest, OptionalFieldsMayBeAbsent) {
  const auto file = read_with(R"("Content_name": "two", "Fps": 25.0, "Frames_number": 40,)", "");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->fps, 0);
  EXPECT_EQ(file->frames, 0);
}

TEST_F(CameraFileTest, EveryErrorNamesFileCameraAndField) {
  struct Case {
    const char *what, *by, *camera, *words;
  };
  const Case cases[] = {
      {R"("Focal": [60, 60],)", "", "camera 1 (v1)", "field Focal is missing"},
      {R"("Position": [1, -2, 3.25],)", "", "camera 0 (v0)", "field Position is missing"},
      {R"("Rotation": [-10, 20, 30])", R"("X": 1)", "camera 0 (v0)", "field Rotation is missing"},
      {R"("Depth_range": [1, 9],)", "", "camera 1 (v1)", "field Depth_range is missing"},
      {R"("Principle_point": [32, 24],)", "", "camera 1 (v1)", "field Principle_point is missing"},
      {R"("Resolution": [64, 48],)", "", "camera 0 (v0)", "field Resolution is missing"},
      {R"("Name": "v1",)", "", "camera 1", "field Name is missing"},
      {R"("Name": "v1")", R"("Name": 1)", "camera 1", "field Name must be a string, not number"},
      {"[60.5, 61.5]", "60.5", "camera 0 (v0)", "field Focal must be an array of 2 numbers"},
      {"[60.5, 61.5]", "[60.5]", "camera 0 (v0)", "not an array of 1"},
      {"[60.5, 61.5]", R"([60.5, "a"])", "camera 0 (v0)", "field Focal must be a number"},
      {"[60.5, 61.5]", "[60.5, 0]", "camera 0 (v0)", "field Focal is 0"},
      {"[60.5, 61.5]", "[60.5, 1e300]", "camera 0 (v0)", "field Focal is 1e+300"},
      {"[0.5, 8]", "[8, 0.5]", "camera 0 (v0)", "field Depth_range must be near, then far"},
      {"[0.5, 8]", "[-1, 8]", "camera 0 (v0)", "field Depth_range is -1"},
      {"[64, 48]", "[64, 9000]", "camera 0 (v0)", "field Resolution is 9000"},
      {"[64, 48]", "[64.5, 48]", "camera 0 (v0)", "field Resolution must be two whole numbers"},
      {"Perspective", "ERP", "camera 0 (v0)", "field Projection is \"ERP\""},
      {R"("BitDepthColor": 10)", R"("BitDepthColor": 9)", "camera 0", "field BitDepthColor is 9"},
      {R"("BitDepthDepth": 16)", R"("BitDepthDepth": 12)", "camera 0", "field BitDepthDepth is 12"},
      {R"("BitDepthDepth": 16)", R"("BitDepthDepth": 8.5)", "camera 0",
       "field BitDepthDepth is not a whole number"},
      {R"({"Name": "v0")", R"(7, {"Name": "v0")", "camera 0", "must be an object"},
      {R"("cameras")", R"("kameras")", "", "field cameras is missing"},
      {R"("Fps": 25.0)", R"("Fps": "fast")", "", "field Fps must be a number, not string"},
      {R"("Frames_number": 40)", R"("Frames_number": -1)", "", "field Frames_number is -1"},
  };
  for (const Case& c : cases) {
    const auto file = read_with(c.what, c.by);
    ASSERT_FALSE(file) << c.words;
    const Error& error = file.error();
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_EQ(error.message.find(path_), 0u) << error.message;
    EXPECT_NE(error.message.find(c.camera), std::string::npos) << error.message;
    EXPECT_NE(error.message.find(c.words), std::string::npos) << error.message;
  }
}

TEST_F(CameraFileTest, WhatIsNotACameraFileIsRefusedByName) {
  const std::string deep(100000, '[');
  for (const std::string& text : {std::string(), std::string("{"), std::string("not json"),
                                  std::string("\xff\xfe{}"), deep}) {
    const auto file = read(text);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().message, path_ + ": the file is not valid JSON");
  }
  EXPECT_EQ(read("[]").error().message, path_ + ": the file must hold one JSON object");
  EXPECT_NE(read(R"({"cameras": []})").error().message.find("field cameras"), std::string::npos);
  EXPECT_NE(read(R"({"cameras": 3})").error().message.find("field cameras"), std::string::npos);
}

TEST_F(CameraFileTest, AMissingFileOrAFolderIsRefusedByName) {
  for (const std::string& path : {path_ + ".absent", testing::TempDir()}) {
    const auto file = read_camera_file(path);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(file.error().message.find(path), std::string::npos) << file.error().message;
  }
}

// A folder with a cameras.json of two moving cameras, and a poses.json.
class PosesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder_);
    std::string text = kGood;
    text.insert(text.find("\"cameras\""), "\"Informative\": {\"Moving_cameras\": true}, ");
    std::ofstream(folder_ + "/cameras.json") << text;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  Result<CameraFile> read(const std::string& poses) {
    std::ofstream(folder_ + "/poses.json") << poses;
    return read_camera_file(folder_ + "/cameras.json");
  }

  // At frame 0 camera 0 stands as kGood says; its matrix was computed from the angles
  // in double precision.
  static constexpr const char* kPoses = R"({"convention": "4x4 camera-to-world", "frames": [
    [[[0.823172945, -0.543838142, 0.163175911, 2],
      [0.46984631, 0.813797681, 0.342020143, -3.25],
      [-0.318795778, -0.204874129, 0.925416578, 1],
      [0, 0, 0, 1]], [[1, 0, 0, 7], [0, 1, 0, 8], [0, 0, 1, 9], [0, 0, 0, 1]]],
    [[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
     [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]]]})";
  const std::string folder_ = testing::TempDir() + "poses-" + std::to_string(getpid());
};

TEST_F(PosesTest, MovingCamerasHaveAPoseForEveryFrame) {
  const auto file = read(kPoses);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->poses.size(), 2u);
  ASSERT_EQ(file->poses[0].size(), 2u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(file->poses[0][0].position[i], file->cameras[0].camera.position[i], 1e-5);
    EXPECT_NEAR(file->poses[0][0].rotation[i], file->cameras[0].camera.rotation[i], 1e-4);
  }
  EXPECT_EQ(file->poses[0][0].focal, file->cameras[0].camera.focal);
  EXPECT_EQ(file->poses[1][0].position, (std::array<float, 3>{9, -7, -8}));
  EXPECT_EQ(file->poses[1][0].depth_range, file->cameras[0].camera.depth_range);
  EXPECT_EQ(file->poses[0][1].focal, file->cameras[1].camera.focal);
  for (const float angle : file->poses[0][1].rotation) EXPECT_EQ(angle, 0);
  EXPECT_NEAR(std::abs(file->poses[1][1].rotation[1]), 90, 1e-4) << "straight up or down";
}

TEST_F(PosesTest, CamerasThatStandStillHaveNoPoses) {
  std::ofstream(folder_ + "/cameras.json") << kGood;
  const auto file = read("no JSON");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(file->poses.empty());
}

TEST_F(PosesTest, EveryErrorNamesFileFrameViewAndField) {
  const auto missing = read_camera_file(folder_ + "/cameras.json");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("poses.json"), std::string::npos);
  struct Case {
    const char *what, *by, *place, *words;
  };
  const Case cases[] = {
      {"\"frames\"", "\"f\"", "", "field frames is missing"},
      {"[0, 1, 0, 8]", "[0, 1, 8]", ", frame 1, view 0 (v0)", "field frames must be a matrix"},
      {"[0, 1, 0, 8]", "8", ", frame 1, view 0 (v0)", "field frames must be a matrix"},
      {"[0, 1, 0, 8]", "[0, 1, 0, \"8\"]", ", frame 1, view 0 (v0)",
       "field frames must be a number"},
      {"[0, 1, 0, 8]", "[0, 1, 0, 1e300]", ", frame 1, view 0 (v0)", "field frames is 1e+300"},
      {"[0, 1, 0, 8]", "[0, 2, 0, 8]", ", frame 1, view 0 (v0)", "must be a rotation"},
      {"[0, 1, 0, 8]", "[0, -1, 0, 8]", ", frame 1, view 0 (v0)", "must be a rotation"},
      {"[[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]", "[[1, 0, 0, 0]]",
       ", frame 1, view 1 (v1)", "field frames must be a matrix"},
      {",\n     [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]", "", ", view 1 (v1)",
       "has 1 matrices, but that of view 0 has 2"},
  };
  for (const Case& c : cases) {
    std::string text = kPoses;
    const size_t at = text.find(c.what);
    ASSERT_NE(at, std::string::npos) << c.what;
    const auto file = read(text.replace(at, std::string(c.what).size(), c.by));
    ASSERT_FALSE(file) << c.words;
    const std::string& message = file.error().message;
    EXPECT_EQ(message.find(folder_ + "/poses.json" + c.place), 0u) << message;
    EXPECT_NE(message.find(c.words), std::string::npos) << message;
  }
  EXPECT_NE(read(R"({"frames": []})").error().message.find("an array of 2 views"),
            std::string::npos);
}

TEST(CameraForSize, ScalesFocalLengthsAndPrincipalPoint) {
  const CameraFileEntry entry{.name = "v7",
                              .width = 512,
                              .height = 288,
                              .camera = {.focal = {500, 510},
                                         .principal_point = {256, 140},
                                         .depth_range = {1, 2},
                                         .position = {3, 4, 5},
                                         .rotation = {6, 7, 8}}};
  const auto half = camera_for_size(entry, 256, 144);
  ASSERT_TRUE(half) << half.error().message;
  Camera expected = entry.camera;
  expected.focal = {250, 255};
  expected.principal_point = {128, 70};
  EXPECT_EQ(*half, expected);
  EXPECT_EQ(*camera_for_size(entry, 512, 288), entry.camera);
  EXPECT_TRUE(camera_for_size(entry, 514, 288)) << "0.4 % may come from cropping";
}

TEST(CameraForSize, RefusesAnotherAspectRatioAndNamesTheCamera) {
  const CameraFileEntry entry{.name = "v7", .width = 512, .height = 288, .camera = {}};
  for (const auto& [width, height] : {std::pair{512, 384}, {520, 288}, {0, 0}, {-512, -288}}) {
    const auto camera = camera_for_size(entry, width, height);
    ASSERT_FALSE(camera);
    EXPECT_EQ(camera.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(camera.error().message.find("v7"), std::string::npos) << camera.error().message;
    EXPECT_NE(camera.error().message.find("512x288"), std::string::npos) << camera.error().message;
  }
}

}  // namespace
}  // namespace mvinr
