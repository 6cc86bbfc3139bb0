#include "train/picture_store.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <random>

#include "fixture.h"

namespace mvinr::train_test {
namespace {

tools::PictureBuffer noise(SampleFormat format, int width, int height, uint32_t seed) {
  tools::PictureBuffer buffer(format, width, height);
  std::mt19937 random(seed);
  for (int p = 0; p < plane_count(format); ++p)
    for (int y = 0; y < plane_size(height, p); ++y)
      for (int x = 0; x < plane_size(width, p); ++x)
        tools::set_sample(buffer.mutable_picture(), p, x, y,
                          int(random() & ((1u << bit_depth(format)) - 1)));
  return buffer;
}

std::vector<uint16_t> samples_of(const tools::PictureBuffer& buffer) {
  std::vector<uint16_t> out;
  for (int p = 0; p < plane_count(buffer.format()); ++p)
    for (int y = 0; y < plane_size(buffer.height(), p); ++y)
      for (int x = 0; x < plane_size(buffer.width(), p); ++x)
        out.push_back(uint16_t(tools::sample(buffer.picture(), p, x, y)));
  return out;
}

SequenceInfo one_view(int width, int height, SampleFormat texture, SampleFormat depth) {
  return {.views = {{.width = width, .height = height, .texture = texture, .depth = depth}}};
}

struct Case {
  SampleFormat texture, depth;
  int width, height;
};

class PictureStoreRoundTrip : public testing::TestWithParam<Case> {};

TEST_P(PictureStoreRoundTrip, GivesTheSamplesBack) {
  const Case& c = GetParam();
  PictureStore store(one_view(c.width, c.height, c.texture, c.depth));
  const auto texture = noise(c.texture, c.width, c.height, 1);
  const auto depth = noise(c.depth, c.width, c.height, 2);
  ASSERT_TRUE(store.add({0, 0, Component::texture}, texture.picture()));
  ASSERT_TRUE(store.add({0, 0, Component::depth}, depth.picture()));
  EXPECT_TRUE(store.complete(1));
  EXPECT_EQ(store.samples({0, 0, Component::texture}), samples_of(texture));
  EXPECT_EQ(store.samples({0, 0, Component::depth}), samples_of(depth));
}

INSTANTIATE_TEST_SUITE_P(
    Formats, PictureStoreRoundTrip,
    testing::Values(Case{SampleFormat::yuv420_8, SampleFormat::gray_8, 16, 8},
                    Case{SampleFormat::yuv420_8, SampleFormat::gray_16, 17, 9},
                    Case{SampleFormat::yuv420_10, SampleFormat::gray_10, 16, 9},
                    Case{SampleFormat::yuv420_10, SampleFormat::gray_16, 15, 8},
                    Case{SampleFormat::yuv420_8, SampleFormat::gray_10, 1, 1},
                    Case{SampleFormat::yuv420_8, SampleFormat::gray_8, 1, 6}));

TEST(PictureStore, CopiesRowsWithPaddingAndLaterChangesDoNotMatter) {
  const SequenceInfo sequence = one_view(6, 4, SampleFormat::yuv420_8, SampleFormat::none);
  PictureStore store(sequence);
  std::vector<std::byte> bytes(3 * 64 * 4, std::byte{0xEE});
  Picture picture{.format = SampleFormat::yuv420_8, .width = 6, .height = 4};
  for (int p = 0; p < 3; ++p) {
    picture.data[p] = bytes.data() + p * 64 * 4;
    picture.stride[p] = 64;
    for (int y = 0; y < plane_size(4, p); ++y)
      for (int x = 0; x < plane_size(6, p); ++x)
        bytes[size_t(p * 64 * 4 + y * 64 + x)] = std::byte(p * 50 + y * 10 + x);
  }
  ASSERT_TRUE(store.add({0, 0, Component::texture}, picture));
  std::fill(bytes.begin(), bytes.end(), std::byte{0});
  const auto samples = store.samples({0, 0, Component::texture});
  ASSERT_EQ(samples.size(), 24u + 6 + 6);
  EXPECT_EQ(samples[9], 13);       // luma (3, 1)
  EXPECT_EQ(samples[24 + 5], 62);  // U (2, 1)
  EXPECT_EQ(samples[30 + 5], 112);
}

TEST(PictureStore, TargetsAreFractionsInTheLayoutOfTheHead) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 32, .height = 16});
  const PictureStore store = store_of(clip);
  ModelConfig config;
  config.canvas_width = 32;
  config.canvas_height = 16;
  const Targets targets = store.targets(1, {0, 1}, config, at::kCPU);
  EXPECT_FALSE(targets.mask.defined());
  ASSERT_EQ(targets.texture.sizes(), (std::vector<int64_t>{2, 8, 16, 6}));
  ASSERT_EQ(targets.depth.sizes(), (std::vector<int64_t>{2, 8, 16, 4}));
  const Picture texture = clip.at(1, 1, Component::texture).picture();
  const Picture depth = clip.at(1, 1, Component::depth).picture();
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 32; ++x) {
      const int k = y % 2 * 2 + x % 2;
      EXPECT_FLOAT_EQ(targets.texture[1][y / 2][x / 2][k].item<float>(),
                      float(tools::sample(texture, 0, x, y)) / 256);
      EXPECT_FLOAT_EQ(targets.depth[1][y / 2][x / 2][k].item<float>(),
                      float(tools::sample(depth, 0, x, y)) / 65536);
    }
  EXPECT_FLOAT_EQ(targets.texture[1][3][5][4].item<float>(),
                  float(tools::sample(texture, 1, 5, 3)) / 256);
  EXPECT_FLOAT_EQ(targets.texture[1][3][5][5].item<float>(),
                  float(tools::sample(texture, 2, 5, 3)) / 256);
}

TEST(PictureStore, MaskCountsEverySampleOfAnOddPictureOnce) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 1, .width = 31, .height = 13});
  const PictureStore store = store_of(clip);
  ModelConfig config;
  config.canvas_width = 32;
  config.canvas_height = 16;
  const Targets targets = store.targets(0, {0}, config, at::kCPU);
  ASSERT_TRUE(targets.mask.defined());
  EXPECT_EQ(targets.mask.narrow(2, 0, 4).sum().item<int>(), 31 * 13);
  EXPECT_EQ(targets.mask.select(2, 4).sum().item<int>(), 16 * 7);
  EXPECT_EQ(targets.mask.select(2, 5).sum().item<int>(), 16 * 7);
  EXPECT_EQ(targets.mask.narrow(2, 6, 4).sum().item<int>(), 31 * 13);
}

TEST(PictureStore, GroupsViewsThatFitIntoOneBatch) {
  SequenceInfo sequence = one_view(32, 16, SampleFormat::yuv420_8, SampleFormat::gray_16);
  sequence.views.resize(5, sequence.views[0]);
  sequence.views[1].width = 16;
  sequence.views[3].depth = SampleFormat::none;
  sequence.views[4].texture = SampleFormat::yuv420_10;
  auto groups = PictureStore(sequence).size_groups();
  EXPECT_EQ(groups.size(), 4u);
  std::vector<int64_t> all;
  for (const auto& group : groups) all.insert(all.end(), group.begin(), group.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_NE(std::find(groups.begin(), groups.end(), std::vector<int64_t>{0, 2}), groups.end());
}

TEST(PictureStore, NamesWhatIsWrongWithAPicture) {
  PictureStore store(one_view(16, 8, SampleFormat::yuv420_8, SampleFormat::none));
  const auto good = noise(SampleFormat::yuv420_8, 16, 8, 1);
  auto refused = [&](PictureId id, const Picture& picture, const char* word) {
    const Status status = store.add(id, picture);
    ASSERT_FALSE(status) << word;
    EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(status.error().message.find(word), std::string::npos) << status.error().message;
  };
  refused({0, 1, Component::texture}, good.picture(), "view 1");
  refused({0, -1, Component::texture}, good.picture(), "view -1");
  refused({-1, 0, Component::texture}, good.picture(), "frame -1");
  refused({kMaxGopFrames, 0, Component::texture}, good.picture(), "frame 256");
  refused({0, 0, Component::depth}, noise(SampleFormat::gray_8, 16, 8, 1).picture(), "depth");
  refused({0, 0, Component::texture}, noise(SampleFormat::yuv420_10, 16, 8, 1).picture(),
          "format and size");
  refused({0, 0, Component::texture}, noise(SampleFormat::yuv420_8, 14, 8, 1).picture(),
          "format and size");
  Picture narrow = good.picture();
  narrow.stride[1] = 7;
  refused({0, 0, Component::texture}, narrow, "stride");
  Picture without = good.picture();
  without.data[2] = nullptr;
  refused({0, 0, Component::texture}, without, "no samples");
}

TEST(PictureStore, NamesTheFirstMissingPicture) {
  SequenceInfo sequence = one_view(16, 8, SampleFormat::yuv420_8, SampleFormat::none);
  sequence.views.push_back(sequence.views[0]);
  PictureStore store(sequence);
  const auto picture = noise(SampleFormat::yuv420_8, 16, 8, 1);
  for (const int t : {0, 1, 2})
    for (const int v : {0, 1})
      if (t != 1 || v != 1) {
        ASSERT_TRUE(store.add({t, v, Component::texture}, picture.picture()));
      }
  EXPECT_TRUE(store.complete(1));
  const Status status = store.complete(3);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(status.error().message.find("view 1, frame 1"), std::string::npos)
      << status.error().message;
  store.clear();
  EXPECT_FALSE(store.complete(1));
}

}  // namespace
}  // namespace mvinr::train_test
