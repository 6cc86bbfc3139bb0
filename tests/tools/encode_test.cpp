// From raw files through mvinr-encode, mvinr-info and mvinr-decode, as a user runs them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.h"
#include "tools/quality.h"

namespace mvinr::testutil {
namespace {

// A stream of two GOPs (3 + 2 frames) of three views, encoded once for all tests here.
class Programs : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    write_raw(make_clip({.views = 3, .frames = 5, .width = 64, .height = 48}), *folder_);
    encoded_ =
        run("$TOOL/mvinr-encode --cameras cameras.json --gop 3 --effort 1 --time-budget 2 "
            "--device cpu --seed 7 --stats stats.json -o clip.mvinr");
  }
  static void TearDownTestSuite() { delete folder_; }
  void SetUp() override { ASSERT_EQ(encoded_.exit_code, 0) << encoded_.errors; }

  static ProgramResult run(const std::string& command) {
    return run_shell("cd '" + folder_->path() + "' && { " + command + "; }");
  }

  inline static TemporaryFolder* folder_ = nullptr;
  inline static ProgramResult encoded_;
};

TEST_F(Programs, EncodeReportsWhatItWrote) {
  const auto stats = nlohmann::json::parse(folder_->read("stats.json"));
  EXPECT_EQ(stats["bytes"].get<size_t>(), folder_->read("clip.mvinr").size());
  EXPECT_EQ(stats["frames"], 5);
  ASSERT_EQ(stats["gops"].size(), 2u);
  EXPECT_EQ(stats["gops"][1]["first_frame"], 3);
  EXPECT_EQ(stats["gops"][1]["frames"], 2);
  EXPECT_NE(encoded_.errors.find("5 frames of 3 views"), std::string::npos) << encoded_.errors;
  EXPECT_EQ(encoded_.output, "");
}

TEST_F(Programs, DecodeMeasuresThePsnrThatEncodeReported) {
  const auto stats = nlohmann::json::parse(folder_->read("stats.json"));
  const ProgramResult decoded = run("$TOOL/mvinr-decode clip.mvinr --reference .");
  ASSERT_EQ(decoded.exit_code, 0) << decoded.errors;
  for (int v = 0; v < 3; ++v) {
    double y = 0, depth = 0;
    const std::string name = "v" + std::to_string(v);
    const size_t at = decoded.output.find(name + " texture"),
                 at_depth = decoded.output.find(name + " depth");
    ASSERT_NE(at, std::string::npos) << decoded.output;
    ASSERT_NE(at_depth, std::string::npos) << decoded.output;
    ASSERT_EQ(std::sscanf(decoded.output.c_str() + at, "%*s texture PSNR Y %lf", &y), 1);
    ASSERT_EQ(std::sscanf(decoded.output.c_str() + at_depth, "%*s depth PSNR %lf", &depth), 1);
    EXPECT_NEAR(y, stats["views"][v]["texture"]["psnr_y"].get<double>(), 0.011);
    EXPECT_NEAR(depth, stats["views"][v]["depth"]["psnr"].get<double>(), 0.011);
    EXPECT_GT(y, 12);  // it has learned something in its two seconds
  }
}

TEST_F(Programs, InfoAddsUpToTheFile) {
  const ProgramResult info = run("$TOOL/mvinr-info clip.mvinr");
  ASSERT_EQ(info.exit_code, 0) << info.errors;
  EXPECT_NE(info.output.find("2 access units, 5 frames, " +
                             std::to_string(folder_->read("clip.mvinr").size()) + " bytes"),
            std::string::npos)
      << info.output;
}

TEST_F(Programs, PicturesDoNotDependOnKernelsOrThreads) {
  const ProgramResult one =
      run("$TOOL/mvinr-decode clip.mvinr --md5 --kernels reference --threads 1");
  const ProgramResult two = run("$TOOL/mvinr-decode clip.mvinr --md5 --kernels auto --threads 2");
  ASSERT_EQ(one.exit_code, 0) << one.errors;
  EXPECT_EQ(one.output, two.output);
  EXPECT_EQ(std::count(one.output.begin(), one.output.end(), '\n'), 6);
}

TEST_F(Programs, FilesMatchTheirMd5) {
  const ProgramResult decoded = run("$TOOL/mvinr-decode clip.mvinr --md5 -o decoded");
  ASSERT_EQ(decoded.exit_code, 0) << decoded.errors;
  const ProgramResult sum = run("md5sum < decoded/v2_depth_64x48_gray16le.yuv");
  EXPECT_NE(decoded.output.find(sum.output.substr(0, 32) + "  v2 depth"), std::string::npos)
      << decoded.output;
}

TEST_F(Programs, StdoutAndStdinCarryStreams) {
  const ProgramResult piped = run("cat clip.mvinr | $TOOL/mvinr-decode - --views 1 -o - | md5sum");
  run("$TOOL/mvinr-decode clip.mvinr --views 1 -o . --pattern '{component}.yuv'");
  const std::string texture = folder_->read("texture.yuv"), depth = folder_->read("depth.yuv");
  std::string interleaved;
  for (size_t t = 0; t < 5; ++t)
    interleaved += texture.substr(t * texture.size() / 5, texture.size() / 5) +
                   depth.substr(t * depth.size() / 5, depth.size() / 5);
  folder_->write("interleaved.yuv", interleaved);
  EXPECT_EQ(piped.output, run("md5sum < interleaved.yuv").output);
}

TEST_F(Programs, RangesOfFramesAreThoseOfTheWholeStream) {
  const ProgramResult all = run("$TOOL/mvinr-decode clip.mvinr --md5-pictures --views 0");
  const ProgramResult some =
      run("$TOOL/mvinr-decode clip.mvinr --md5-pictures --views 0 --start-frame 2 --frames 2");
  ASSERT_EQ(some.exit_code, 0) << some.errors;
  EXPECT_EQ(std::count(some.output.begin(), some.output.end(), '\n'), 4);
  EXPECT_NE(all.output.find(some.output), std::string::npos) << some.output;
}

TEST_F(Programs, DamagedStreamsDecodeAroundTheDamage) {
  const std::string stream = folder_->read("clip.mvinr");
  folder_->write("cut.mvinr", stream.substr(0, stream.size() - 10));
  const ProgramResult cut = run("$TOOL/mvinr-decode cut.mvinr --md5-pictures --views 0");
  EXPECT_EQ(cut.exit_code, 3);
  EXPECT_EQ(std::count(cut.output.begin(), cut.output.end(), '\n'), 6);  // the first GOP's
  EXPECT_NE(cut.errors.find("at the end"), std::string::npos) << cut.errors;

  folder_->write("dirty.mvinr", "dirt" + stream);
  const ProgramResult dirty = run("$TOOL/mvinr-decode dirty.mvinr --md5");
  EXPECT_EQ(dirty.exit_code, 3);
  EXPECT_EQ(dirty.output, run("$TOOL/mvinr-decode clip.mvinr --md5").output);
}

TEST_F(Programs, CancelLeavesAValidStream) {
  const ProgramResult result =
      run("{ $TOOL/mvinr-encode --cameras cameras.json --gop 1 --effort 9 --time-budget 2 -o - > "
          "part.mvinr & while kill -0 $! && [ ! -s part.mvinr ]; do sleep 0.1; done; "
          "kill -INT $!; wait $!; }");
  EXPECT_EQ(result.exit_code, 130) << result.errors;
  EXPECT_NE(result.errors.find("stopped"), std::string::npos) << result.errors;
  const ProgramResult info = run("$TOOL/mvinr-info --brief part.mvinr");
  EXPECT_EQ(info.exit_code, 0) << info.output << info.errors;
}

TEST_F(Programs, TheEncoderNamesWhatIsWrong) {
  const struct {
    const char* arguments;
    int exit_code;
    const char* message;
  } cases[] = {
      {"--help", 0, "--lambda"},
      {"--cameras cameras.json", 2, "--output"},
      {"--cameras none.json -o x", 1, "none.json"},
      {"--cameras cameras.json --size 64x64 -o x", 1, "cameras.json"},
      {"--cameras cameras.json --views v9 -o x", 2, "v9"},
      {"--cameras cameras.json --lambda 0 -o x", 1, "lambda"},
      {"--cameras cameras.json --lambda 11 -o x", 1, "lambda"},
      {"--cameras cameras.json --gop 0 -o x", 1, "gop"},
      {"--cameras cameras.json --gop 257 -o x", 1, "gop"},
      {"--cameras cameras.json --effort 10 -o x", 1, "effort"},
      {"--cameras cameras.json --profile none -o x", 1, "none"},
      {"--cameras cameras.json --device abacus -o x", 1, "abacus"},
      {"--cameras cameras.json --mode hybrid -o x", 1, "hybrid"},
      {"--cameras cameras.json --start-frame 5 -o x", 2, "5 frames"},
      {"--cameras cameras.json --frames 6 -o x", 2, "only 5"},
      {"--cameras cameras.json --max-memory 0.00001 -o x", 1, "limit_exceeded"},
      {"--cameras cameras.json -o none/x", 1, "none/x"},
      {"--cameras cameras.json --effort 1 --time-budget 1 -o /dev/full", 1, "/dev/full"},
      {"--cameras cameras.json --depth missing.yuv -o x", 2, "--depth"},
      {"--size 60x48 --texture v0_texture_64x48_yuv420p.yuv -o x", 1, "wrong size or format"},
  };
  for (const auto& [arguments, exit_code, message] : cases) {
    const ProgramResult result = run(std::string("$TOOL/mvinr-encode ") + arguments);
    EXPECT_EQ(result.exit_code, exit_code) << arguments << "\n" << result.errors;
    EXPECT_NE((result.output + result.errors).find(message), std::string::npos) << arguments << "\n"
                                                                                << result.errors;
  }
}

TEST_F(Programs, MovingCamerasTravelInTheStream) {
  TemporaryFolder moving;
  write_raw(make_clip({.views = 2, .frames = 3, .width = 32, .height = 32}), moving);
  nlohmann::json cameras = nlohmann::json::parse(moving.read("cameras.json"));
  cameras["Moving_cameras"] = true;
  moving.write("cameras.json", cameras.dump());
  const auto write_poses = [&](int frames) {
    nlohmann::json poses;
    for (int v = 0; v < 2; ++v)
      for (int t = 0; t < frames; ++t)
        poses["frames"][size_t(v)][size_t(t)] = {
            {1, 0, 0, v}, {0, 1, 0, 0}, {0, 0, 1, 0.25 * t}, {0, 0, 0, 1}};
    moving.write("poses.json", poses.dump());
  };
  const auto run_there = [&](const std::string& command) {
    return run_shell("cd '" + moving.path() + "' && { " + command + "; }");
  };
  const std::string encode =
      "$TOOL/mvinr-encode --cameras cameras.json --gop 2 --effort 1 --time-budget 1 --device cpu ";
  write_poses(2);
  ProgramResult result = run_there(encode + "-o x");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.errors.find("poses.json has 2 frames, none for frame 2"), std::string::npos)
      << result.errors;
  write_poses(3);
  result = run_there(encode +
                     "--views v1,v0 --start-frame 1 -o clip.mvinr -q && "
                     "$TOOL/mvinr-info clip.mvinr");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  // One GOP of the frames 1 and 2; view 0 is v1, one metre to the right.
  EXPECT_NE(result.output.find("camera moving"), std::string::npos) << result.output;
  for (const char* line : {"view 0                  0      0.2500   -1.0000",
                           "view 0                  1      0.5000   -1.0000",
                           "view 1                  1      0.5000    0.0000"})
    EXPECT_NE(result.output.find(line), std::string::npos) << line << " in\n" << result.output;
}

}  // namespace
}  // namespace mvinr::testutil
