// mvinr-warp, run as a user runs it.
#include <gtest/gtest.h>

#include <cstring>

#include "program.h"
#include "tools/quality.h"

namespace mvinr::testutil {
namespace {

TEST(WarpTool, RendersNamedAndVirtualCamerasFromTheOthers) {
  const Clip clip = make_clip({.views = 3, .frames = 2});
  const TemporaryFolder folder;
  write_raw(clip, folder);
  const std::string input = "'" + folder.path() + "'";
  const ProgramResult result =
      run_shell("$TOOL/mvinr-warp --input-dir " + input + " --cameras " + input +
                "/cameras.json --views v0,v2 --target v1,v0:v2,v2 -o " + input + "/out");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  for (const Component component : {Component::texture, Component::depth}) {
    const bool texture = component == Component::texture;
    const std::string ending = texture ? "_texture_64x48_yuv420p.yuv" : "_depth_64x48_gray16le.yuv";
    const std::string named = folder.read("out/v1" + ending);
    EXPECT_EQ(named, folder.read("out/v0-v2" + ending)) << "v1 is half-way between v0 and v2";
    tools::PsnrMeter meter;
    size_t at = 0;
    for (int t = 0; t < clip.frames; ++t) {
      tools::PictureBuffer picture = clip.at(t, 1, component);
      ASSERT_LE(at + picture.bytes().size(), named.size());
      std::memcpy(picture.bytes().data(), named.data() + at, picture.bytes().size());
      at += picture.bytes().size();
      meter.add(picture.picture(), clip.at(t, 1, component).picture());
    }
    EXPECT_EQ(at, named.size());
    EXPECT_GT(meter.psnr(0), 25) << ending;
  }
}

TEST(WarpTool, NamesWhatIsWrong) {
  const Clip clip = make_clip({.views = 2, .frames = 1});
  const TemporaryFolder folder;
  write_raw(clip, folder);
  const auto run = [&](const std::string& options) {
    return run_shell("cd '" + folder.path() + "' && $TOOL/mvinr-warp --cameras cameras.json " +
                     options);
  };
  struct Case {
    const char *options, *message;
  };
  for (const Case& c : {Case{"--views v0", "--target"}, Case{"--target v0", "--views"},
                        Case{"--views v0 --target v9", "v9"}, Case{"--views v8 --target v0", "v8"},
                        Case{"--views v0 --target v1 --frames 7", "--frames"},
                        Case{"--views v0 --target v0:v7", "v7"}}) {
    const ProgramResult result = run(c.options);
    EXPECT_EQ(result.exit_code, 2) << c.options;
    EXPECT_NE((result.output + result.errors).find(c.message), std::string::npos) << result.errors;
  }
}

}  // namespace
}  // namespace mvinr::testutil
