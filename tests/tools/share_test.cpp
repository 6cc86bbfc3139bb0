// Several processes that share an encode: mvinr-encode --workers and --share.
#include <gtest/gtest.h>

#include "program.h"

namespace mvinr::testutil {
namespace {

// Six GOPs of one frame, encoded once by one process.
class SharedEncode : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    write_raw(make_clip({.views = 2, .frames = 6, .width = 64, .height = 48}), *folder_);
    alone_ = run(kEncode + "-o alone.mvinr");
  }
  static void TearDownTestSuite() { delete folder_; }
  void SetUp() override {
    ASSERT_EQ(alone_.exit_code, 0) << alone_.errors;
    ASSERT_FALSE(folder_->read("alone.mvinr").empty());
  }

  static ProgramResult run(const std::string& command) {
    return run_shell("cd '" + folder_->path() + "' && { " + command + "; }");
  }
  static void expect_same(const std::string& file) {
    EXPECT_TRUE(folder_->read(file) == folder_->read("alone.mvinr")) << file;
  }
  static bool exists(const std::string& name) {
    return std::filesystem::exists(folder_->path(name));
  }

  inline static const std::string kEncode =
      "$TOOL/mvinr-encode --cameras cameras.json --gop 1 --effort 1 --profile xxs --device cpu "
      "--threads 1 --no-depth ";
  // Waits until somebody works on part $1 and gives that process's number.
  inline static const std::string kOwner =
      "owner() { until [ -s parts/part-00000$1.lock ]; do sleep 0.02; done; "
      "read host pid < parts/part-00000$1.lock; echo $pid; }; ";
  inline static TemporaryFolder* folder_ = nullptr;
  inline static ProgramResult alone_;
};

TEST_F(SharedEncode, AnyNumberOfWorkersGivesTheBytesOfOneProcess) {
  for (const std::string workers : {"2", "4"}) {
    const ProgramResult result =
        run(kEncode + "--workers " + workers + " --stats w.json -o w" + workers + ".mvinr");
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    expect_same("w" + workers + ".mvinr");
    EXPECT_FALSE(exists("w" + workers + ".mvinr.parts"));
    // The table of all GOPs, once.
    EXPECT_NE(result.errors.find("6 frames of 2 views"), std::string::npos) << result.errors;
    EXPECT_EQ(result.errors.find("6 frames of 2 views"), result.errors.rfind("6 frames of"));
    EXPECT_NE(folder_->read("w.json").find("\"first_frame\": 5"), std::string::npos);
  }
}

TEST_F(SharedEncode, AKilledProcessCostsOnlyTheGopItWasAt) {
  const std::string share = kEncode + "--share parts -o killed.mvinr";
  const ProgramResult first =
      run(kOwner + share + " & kill -9 $(owner 2); wait $!; ls parts/part-000001 && rm -f x");
  ASSERT_EQ(first.exit_code, 0) << first.errors;
  EXPECT_FALSE(exists("killed.mvinr"));
  const ProgramResult second = run(share);
  ASSERT_EQ(second.exit_code, 0) << second.errors;
  expect_same("killed.mvinr");
  EXPECT_EQ(second.errors.find("GOP 1/6"), std::string::npos) << second.errors;
  EXPECT_EQ(second.errors.find("GOP 2/6"), std::string::npos) << second.errors;
  EXPECT_NE(second.errors.find("GOP 3/6"), std::string::npos) << second.errors;
  // Too late: nothing is done again.
  const ProgramResult late = run(share);
  EXPECT_EQ(late.exit_code, 0) << late.errors;
  EXPECT_EQ(late.errors, "");
  std::filesystem::remove_all(folder_->path("parts"));
}

TEST_F(SharedEncode, TheOthersDoTheWorkOfAKilledRank) {
  // Three ranks as mpirun would start them; the one that takes the second GOP dies in it.
  const ProgramResult result =
      run(kOwner + "export OMPI_COMM_WORLD_SIZE=3; for OMPI_COMM_WORLD_RANK in 0 1 2; do " +
          kEncode + "--share parts -o ranks.mvinr & done; kill -9 $(owner 1); wait; true");
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  expect_same("ranks.mvinr");
  std::filesystem::remove_all(folder_->path("parts"));
}

TEST_F(SharedEncode, AnInterruptedEncodeGoesOn) {
  const std::string command = kEncode + "--workers 2 -o again.mvinr";
  const ProgramResult stopped =
      run(command +
          " & until [ -e again.mvinr.parts/part-000001 ]; do sleep 0.02; done; kill -TERM "
          "$!; wait $!");
  EXPECT_EQ(stopped.exit_code, 130) << stopped.errors;
  EXPECT_NE(stopped.errors.find("goes on"), std::string::npos) << stopped.errors;
  EXPECT_TRUE(exists("again.mvinr.parts/part-000001"));
  const ProgramResult again = run(command);
  EXPECT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_EQ(again.errors.find("GOP 2/6"), std::string::npos) << again.errors;
  expect_same("again.mvinr");
}

TEST_F(SharedEncode, WhatCannotBeIsNamed) {
  const ProgramResult started =
      run(kOwner + kEncode + "--share parts -o x.mvinr & kill -9 $(owner 0); wait; true");
  ASSERT_EQ(started.exit_code, 0) << started.errors;
  const struct {
    std::string command;
    int exit_code;
    const char* message;
  } cases[] = {
      {kEncode + "--share parts --lambda 0.5 -o x.mvinr", 1, "other input or options"},
      {kEncode + "--share parts --workers 2 -o x.mvinr", 2, "--workers"},
      {kEncode + "--share parts -o -", 2, "-o -"},
      {kEncode + "--workers 0 -o x.mvinr", 2, "--workers"},
      {kEncode + "--share /proc/none -o x.mvinr", 1, "/proc/none"},
      {"OMPI_COMM_WORLD_SIZE=4 " + kEncode + "-o x.mvinr", 2, "--share"},
  };
  for (const auto& [command, exit_code, message] : cases) {
    const ProgramResult result = run(command);
    EXPECT_EQ(result.exit_code, exit_code) << command << "\n" << result.errors;
    EXPECT_NE(result.errors.find(message), std::string::npos) << command << "\n" << result.errors;
  }
  std::filesystem::remove_all(folder_->path("parts"));
}

}  // namespace
}  // namespace mvinr::testutil
