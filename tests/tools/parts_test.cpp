#include <gtest/gtest.h>

#include <cmath>

#include "program.h"
#include "tools/cli.h"
#include "tools/encode_input.h"
#include "tools/quality.h"
#include "tools/raw_video.h"

namespace mvinr::tools {
namespace {

using testutil::make_clip;
using testutil::TemporaryFolder;

TEST(Pattern, FillsInEveryField) {
  const PatternFields fields{"v7", 3, Component::depth, 640, 360, "gray16le"};
  EXPECT_EQ(expand_pattern(kDefaultPattern, fields), "v7_depth_640x360_gray16le.yuv");
  EXPECT_EQ(expand_pattern("a{index}b{name}{name}", fields), "a3bv7v7");
  EXPECT_EQ(expand_pattern("plain", fields), "plain");
}

TEST(Pattern, RefusesUnknownAndUnclosedFields) {
  EXPECT_THROW(expand_pattern("{nam}", {}), ToolError);
  EXPECT_THROW(expand_pattern("{name", {}), ToolError);
  EXPECT_THROW(expand_pattern("{}", {}), ToolError);
}

TEST(RawFormats, SuitTheirComponent) {
  EXPECT_EQ(parse_raw_format("yuv420p10le", Component::texture).samples, SampleFormat::yuv420_10);
  EXPECT_FALSE(parse_raw_format("gray16le", Component::depth).skip_chroma);
  EXPECT_TRUE(parse_raw_format("yuv420p16le", Component::depth).skip_chroma);
  EXPECT_EQ(parse_raw_format("yuv420p16le", Component::depth).samples, SampleFormat::gray_16);
  EXPECT_THROW(parse_raw_format("gray16le", Component::texture), ToolError);
  EXPECT_THROW(parse_raw_format("rgb24", Component::texture), ToolError);
}

TEST(RawVideo, ReadsBackAnyPictureOfWhatWasWritten) {
  const testutil::Clip clip = make_clip({.views = 1, .frames = 3, .width = 17, .height = 9});
  const TemporaryFolder folder;
  {
    OutputFile file(folder.path("a.yuv"));
    for (int t = 0; t < 3; ++t) file.write(clip.at(t, 0, Component::texture).picture());
    file.flush();
  }
  RawVideoReader reader(folder.path("a.yuv"), parse_raw_format("yuv420p", Component::texture), 17,
                        9);
  ASSERT_EQ(reader.frames(), 3);
  for (const int t : {2, 0, 1})
    EXPECT_EQ(md5_of(reader.read(t).picture()),
              md5_of(clip.at(t, 0, Component::texture).picture()));
}

TEST(RawVideo, SkipsTheChromaOfDepthFiles) {
  const TemporaryFolder folder;
  // Two pictures of 2x2: luma 1 2 3 4, then chroma; 16 bits, little-endian.
  std::string file;
  for (const int value : {1, 2, 3, 4, 99, 99, 5, 6, 7, 8, 99, 99}) file += {char(value), char(0)};
  folder.write("d.yuv", file);
  RawVideoReader reader(folder.path("d.yuv"), parse_raw_format("yuv420p16le", Component::depth), 2,
                        2);
  ASSERT_EQ(reader.frames(), 2);
  const Picture picture = reader.read(1).picture();
  EXPECT_EQ(sample(picture, 0, 0, 0), 5);
  EXPECT_EQ(sample(picture, 0, 1, 1), 8);
}

TEST(RawVideo, RefusesFilesThatAreNoWholeNumberOfPictures) {
  const TemporaryFolder folder;
  folder.write("a.yuv", std::string(7, 'x'));
  const RawFormat format = parse_raw_format("yuv420p", Component::texture);
  EXPECT_THROW(RawVideoReader(folder.path("a.yuv"), format, 2, 2), ToolError);
  EXPECT_THROW(RawVideoReader(folder.path("missing"), format, 2, 2), ToolError);
  folder.write("empty.yuv", "");
  EXPECT_THROW(RawVideoReader(folder.path("empty.yuv"), format, 2, 2), ToolError);
}

TEST(Psnr, IsThatOfTheMeanSquaredError) {
  PictureBuffer a(SampleFormat::gray_8, 4, 2), b(SampleFormat::gray_8, 4, 2);
  set_sample(b.mutable_picture(), 0, 3, 1, 16);  // mean squared error 256 / 8 = 32
  PsnrMeter meter;
  EXPECT_TRUE(meter.empty());
  meter.add(a.picture(), b.picture());
  EXPECT_NEAR(meter.psnr(0), 10 * std::log10(255.0 * 255 / 32), 1e-9);
  meter.add(a.picture(), a.picture());  // half of the samples are equal now
  EXPECT_NEAR(meter.psnr(0), 10 * std::log10(255.0 * 255 / 16), 1e-9);
}

TEST(Psnr, UsesThePeakOfTheBitDepth) {
  PictureBuffer a(SampleFormat::gray_16, 1, 1), b(SampleFormat::gray_16, 1, 1);
  set_sample(b.mutable_picture(), 0, 0, 0, 65535);
  PsnrMeter meter;
  meter.add(a.picture(), b.picture());
  EXPECT_NEAR(meter.psnr(0), 0, 1e-9);
  PsnrMeter same;
  same.add(a.picture(), a.picture());
  EXPECT_EQ(same.psnr(0), 100);
}

TEST(Md5, EqualsThatOfTheFileAndIgnoresPadding) {
  PictureBuffer packed(SampleFormat::gray_8, 3, 1);
  for (int x = 0; x < 3; ++x) set_sample(packed.mutable_picture(), 0, x, 0, "abc"[x]);
  EXPECT_EQ(md5_of(packed.picture()), "900150983cd24fb0d6963f7d28e17f72");  // RFC 1321, A.5
  PictureBuffer wide(SampleFormat::gray_8, 5, 1);
  for (int x = 0; x < 5; ++x) set_sample(wide.mutable_picture(), 0, x, 0, "abcXY"[x]);
  Picture cropped = wide.picture();
  cropped.width = 3;
  EXPECT_EQ(md5_of(cropped), md5_of(packed.picture()));
}

TEST(FrameRate, AcceptsWholeFractionalAndBroadcastRates) {
  EXPECT_EQ(parse_frame_rate("30"), (Fraction{30, 1}));
  EXPECT_EQ(parse_frame_rate("30000/1001"), (Fraction{30000, 1001}));
  EXPECT_EQ(parse_frame_rate("29.97"), (Fraction{30000, 1001}));
  EXPECT_EQ(parse_frame_rate("23.976"), (Fraction{24000, 1001}));
  EXPECT_EQ(parse_frame_rate("12.5"), (Fraction{12500, 1000}));
  for (const char* bad : {"", "x", "0", "-1", "30/0", "30/1/1", "1e9"})
    EXPECT_THROW(parse_frame_rate(bad), ToolError) << bad;
}

TEST(Input, IsWhatTheCamerasFileSays) {
  const testutil::Clip clip = make_clip({.views = 2, .frames = 3, .width = 32, .height = 16});
  const TemporaryFolder folder;
  write_raw(clip, folder);
  Input input = open_input({.directory = folder.path(), .cameras = folder.path("cameras.json")});
  EXPECT_EQ(input.frames, 3);
  EXPECT_EQ(input.sequence.frame_rate, (Fraction{30, 1}));
  ASSERT_EQ(input.views.size(), 2u);
  EXPECT_EQ(input.sequence.views[1].depth, SampleFormat::gray_16);
  ASSERT_TRUE(input.sequence.views[1].camera.has_value());
  EXPECT_FLOAT_EQ(input.sequence.views[1].camera->position[1], -0.1f);
  EXPECT_EQ(md5_of(input.views[1].depth->read(2).picture()),
            md5_of(clip.at(2, 1, Component::depth).picture()));
}

TEST(Input, TakesSomeViewsAndNoDepth) {
  const testutil::Clip clip = make_clip({.views = 3, .frames = 1, .width = 32, .height = 16});
  const TemporaryFolder folder;
  write_raw(clip, folder);
  Input input = open_input({.directory = folder.path(),
                            .cameras = folder.path("cameras.json"),
                            .views = {"v2", "v0"},
                            .no_depth = true});
  ASSERT_EQ(input.views.size(), 2u);
  EXPECT_EQ(input.views[0].name, "v2");
  EXPECT_EQ(input.views[0].depth, nullptr);
  EXPECT_EQ(input.sequence.views[0].depth, SampleFormat::none);
  EXPECT_EQ(md5_of(input.views[0].texture->read(0).picture()),
            md5_of(clip.at(0, 2, Component::texture).picture()));
}

TEST(Input, UsesTheFramesThatEveryFileHas) {
  const testutil::Clip clip = make_clip({.views = 2, .frames = 3, .width = 32, .height = 16});
  const TemporaryFolder folder;
  write_raw(clip, folder);
  std::filesystem::resize_file(folder.path("v1_depth_32x16_gray16le.yuv"), 2 * 32 * 16 * 2);
  const Input input =
      open_input({.directory = folder.path(), .cameras = folder.path("cameras.json")});
  EXPECT_EQ(input.frames, 2);
}

TEST(Input, RefusesOptionsThatDisagree) {
  const TemporaryFolder folder;
  EXPECT_THROW(open_input({}), ToolError);
  EXPECT_THROW(open_input({.texture = {"a"}, .size = "0x4"}), ToolError);
  EXPECT_THROW(open_input({.texture = {"a"}, .size = "4x4x4"}), ToolError);
  EXPECT_THROW(open_input({.texture = {"a", "b"}, .depth = {"c"}, .size = "4x4"}), ToolError);
  EXPECT_THROW(open_input({.views = {"x"}, .texture = {"a", "b"}, .size = "4x4"}), ToolError);
}

}  // namespace
}  // namespace mvinr::tools
