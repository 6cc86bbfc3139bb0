// What the programs say about wrong options and bad files, and the exit codes that scripts rely on.
#include <gtest/gtest.h>

#include "program.h"

namespace mvinr::testutil {
namespace {

struct Case {
  const char* name;
  const char* command;
  int exit_code;
  const char* message;  // part of stderr
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.command; }

class BadInput : public testing::TestWithParam<Case> {};

TEST_P(BadInput, IsNamedInTheMessage) {
  const TemporaryFolder folder;
  folder.write("garbage", std::string(5000, 'g'));
  folder.write("empty", "");
  folder.write("short", "MVNR");
  folder.write("newer", "MVNR\xFF" + std::string(200, '\0'));  // version 255
  const ProgramResult result = run_shell("cd '" + folder.path() + "' && " + GetParam().command);
  EXPECT_EQ(result.exit_code, GetParam().exit_code) << result.errors;
  EXPECT_NE((result.output + result.errors).find(GetParam().message), std::string::npos)
      << result.errors;
}

INSTANTIATE_TEST_SUITE_P(
    Programs, BadInput,
    testing::Values(
        Case{"DecodeUnknownOption", "$TOOL/mvinr-decode x --wrong", 2, "--wrong"},
        Case{"DecodeNoInput", "$TOOL/mvinr-decode", 2, "input is required"},
        Case{"DecodeMissingFile", "$TOOL/mvinr-decode missing.mvinr", 1, "missing.mvinr"},
        Case{"DecodeGarbage", "$TOOL/mvinr-decode garbage --md5", 1, "no MV-INR access unit"},
        Case{"DecodeEmpty", "$TOOL/mvinr-decode empty", 1, "no MV-INR access unit"},
        Case{"DecodeShort", "$TOOL/mvinr-decode short", 1, "no MV-INR access unit"},
        Case{"DecodeNewerVersion", "$TOOL/mvinr-decode newer --md5", 1, "version 255"},
        Case{"InfoNewerVersion", "$TOOL/mvinr-info newer", 1, "version 255"},
        Case{"DecodeUnknownKernels", "$TOOL/mvinr-decode garbage --kernels abacus", 1, "abacus"},
        Case{"DecodeBadComponent", "$TOOL/mvinr-decode garbage --component sound", 2, "sound"},
        Case{"DecodeBadView", "$TOOL/mvinr-decode garbage --views 99", 2, "99"},
        Case{"DecodeNegativeFrames", "$TOOL/mvinr-decode garbage --frames -3", 2, "--frames"},
        Case{"DecodeStdoutTwice", "$TOOL/mvinr-decode garbage -o - --md5", 2, "-o -"},
        Case{"DecodeDirectory", "$TOOL/mvinr-decode .", 1, "cannot be read"},
        Case{"InfoMissingFile", "$TOOL/mvinr-info missing.mvinr", 1, "missing.mvinr"},
        Case{"InfoGarbageOnStdin", "$TOOL/mvinr-info - < garbage", 1, "stdin"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Help, IsPrintedByEveryProgram) {
  for (const char* program : {"mvinr-decode", "mvinr-info", "mvinr-warp"}) {
    const ProgramResult result = run_shell(std::string("$TOOL/") + program + " --help");
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_NE(result.output.find("Usage"), std::string::npos) << program;
    EXPECT_EQ(result.errors, "");
  }
}

}  // namespace
}  // namespace mvinr::testutil
