// Stored streams must decode to the stored MD5 of every picture, on every kernel set that this
// machine has. make.sh makes both: implicit streams with the real encoder, hybrid ones from
// random symbols.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "sums.h"

namespace mvinr {
namespace {

using testutil::decode;
using testutil::Sums;

std::filesystem::path folder() {
  const char* path = std::getenv("MVINR_GOLDEN_DIR");
  return path != nullptr ? path : ".";
}

std::vector<std::string> stream_names() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder(), error))
    if (entry.path().extension() == ".mvinr") names.push_back(entry.path().stem());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  return {bytes, bytes + text.size()};
}

Sums read_sums(const std::filesystem::path& path) {
  Sums sums;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (const size_t gap = line.find("  "); gap == 32)
      sums[line.substr(gap + 2)] = line.substr(0, gap);
  return sums;
}

TEST(Golden, StreamsOfSeveralProfilesAreThere) {
  const std::vector<std::string> names = stream_names();
  EXPECT_GE(names.size(), 9u) << "in " << folder();
  for (const std::string& name : names) {
    EXPECT_LE(std::filesystem::file_size(folder() / (name + ".mvinr")), 40'000u) << name;
    EXPECT_FALSE(read_sums(folder() / (name + ".md5")).empty()) << name;
  }
}

class GoldenStream : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Streams, GoldenStream, testing::ValuesIn(stream_names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenStream);  // the test above says so

TEST_P(GoldenStream, DecodesToTheStoredSumsOnEveryKernelSet) {
  const std::vector<std::byte> bytes = read_file(folder() / (GetParam() + ".mvinr"));
  const Sums expected = read_sums(folder() / (GetParam() + ".md5"));
  ASSERT_FALSE(bytes.empty());
  for (const std::string& kernels : available_kernels())
    for (const int threads : {1, 2})
      EXPECT_EQ(decode(bytes, {.threads = threads, .kernels = kernels}), expected)
          << kernels << ", " << threads << " threads";
}

}  // namespace
}  // namespace mvinr
