// Stored streams must decode to the stored MD5 of every picture, on every kernel set that this
// machine has. The streams come from the real encoder (make.sh); NAME.md5 is what
// `mvinr-decode NAME.mvinr --md5-pictures` printed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "mvinr/decoder.h"
#include "tools/picture_buffer.h"
#include "tools/quality.h"

namespace mvinr {
namespace {

using tools::PictureBuffer;

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

// "v0 texture frame 3" -> MD5.
using Sums = std::map<std::string, std::string>;

Sums read_sums(const std::filesystem::path& path) {
  Sums sums;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (const size_t gap = line.find("  "); gap == 32)
      sums[line.substr(gap + 2)] = line.substr(0, gap);
  return sums;
}

Sums decode(const std::vector<std::byte>& bytes, const DecoderOptions& options) {
  Sums sums;
  auto decoder = Decoder::create(options);
  EXPECT_TRUE(decoder.has_value());
  Bytes rest = bytes;
  while (decoder && !rest.empty()) {
    const auto gop = (*decoder)->start_gop(rest);
    EXPECT_TRUE(gop.has_value()) << gop.error().message;
    if (!gop) break;
    std::vector<RenderJob> jobs;
    const int views = int(gop->sequence.views.size());
    std::vector<PictureBuffer> buffers(size_t(2 * views * gop->frames));
    std::vector<MutablePicture> pictures(buffers.size());
    for (size_t i = 0; i < buffers.size(); i += 2) {
      const int index = int(i / 2);
      const ViewInfo& view = gop->sequence.views[size_t(index % views)];
      buffers[i] = {view.texture, view.width, view.height};
      buffers[i + 1] = {view.depth, view.width, view.height};
      pictures[i] = buffers[i].mutable_picture();
      pictures[i + 1] = buffers[i + 1].mutable_picture();
      jobs.push_back({.frame = index / views,
                      .view = index % views,
                      .texture = &pictures[i],
                      .depth = view.depth == SampleFormat::none ? nullptr : &pictures[i + 1]});
    }
    const Status status = (*decoder)->render(jobs);
    EXPECT_TRUE(status.has_value()) << status.error().message;
    for (size_t i = 0; i < buffers.size(); ++i) {
      if (buffers[i].format() == SampleFormat::none) continue;
      const RenderJob& job = jobs[i / 2];
      sums["v" + std::to_string(job.view) + (i % 2 == 0 ? " texture" : " depth") + " frame " +
           std::to_string(gop->first_frame + uint64_t(job.frame))] =
          tools::md5_of(buffers[i].picture());
    }
    rest = rest.subspan(gop->bytes);
  }
  return sums;
}

TEST(Golden, StreamsOfSeveralProfilesAreThere) {
  const std::vector<std::string> names = stream_names();
  EXPECT_GE(names.size(), 4u) << "in " << folder();
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
