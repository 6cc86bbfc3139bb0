// The fuzz target of mvinrseiextract in the ordinary build.
#include <gtest/gtest.h>

#include <cstdio>

#include "replay.h"

namespace mvinr::fuzz {
namespace {

TEST(FuzzReplay, SeiOfStoredInputs) {
  int files = 0;
  for (const auto& path : stored_inputs()) {
    std::printf("%s\n", path.c_str());  // a find ends the process: the last line names it
    std::fflush(stdout);
    sei(read_file(path));
    ++files;
  }
  EXPECT_GT(files, 0);
}

TEST(FuzzReplay, MutatedSeiNeverGivesDamagedAccessUnits) {
  Mutator mutate(false);
  int streams = 0;
  for (const auto& path : stored_inputs()) {
    if (path.parent_path().filename() != "sei") continue;
    const auto stream = read_file(path);
    EXPECT_EQ(sei(stream), 2u) << path;
    for (int i = 0; i < 300; ++i) sei(mutate(stream));
    ++streams;
  }
  EXPECT_GT(streams, 0);
}

}  // namespace
}  // namespace mvinr::fuzz
