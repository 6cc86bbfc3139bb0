#include "mvinr/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "base_pictures.h"
#include "format/access_unit.h"
#include "plain_synthesis.h"
#include "random_model.h"
#include "tools/picture_buffer.h"

namespace mvinr {
namespace {

using testutil::Content;
using testutil::random_coded_model;
using testutil::test_configs;
using tools::PictureBuffer;

std::unique_ptr<Decoder> make_decoder(const std::string& kernels = "reference", int threads = 1) {
  auto decoder = Decoder::create({.threads = threads, .kernels = kernels});
  EXPECT_TRUE(decoder.has_value());
  return std::move(*decoder);
}

PictureBuffer buffer_for(const ViewInfo& view, Component component) {
  return {component == Component::texture ? view.texture : view.depth, view.width, view.height};
}

// Hybrid mode: with base pictures.
Result<GopInfo> start(Decoder& decoder, Bytes access_unit, uint32_t base_seed = 4) {
  auto gop = decoder.start_gop(access_unit);
  if (gop) testutil::BasePictures(*gop, base_seed).give_to(decoder);
  return gop;
}

// Texture and depth (if there is one) of one view at one instant.
struct Pair {
  PictureBuffer texture, depth;
  bool operator==(const Pair& other) const {
    return std::ranges::equal(texture.bytes(), other.texture.bytes()) &&
           std::ranges::equal(depth.bytes(), other.depth.bytes());
  }
};

Result<Pair> render(Decoder& decoder, const GopInfo& gop, int frame, int view) {
  const ViewInfo& info = gop.sequence.views[size_t(view)];
  Pair pair{buffer_for(info, Component::texture), buffer_for(info, Component::depth)};
  MutablePicture texture = pair.texture.mutable_picture(), depth = pair.depth.mutable_picture();
  const RenderJob job{.frame = frame,
                      .view = view,
                      .texture = &texture,
                      .depth = info.depth == SampleFormat::none ? nullptr : &depth};
  const Status status = decoder.render({&job, 1});
  if (!status) return status.error();
  return pair;
}

// All views of all frames with one call.
std::vector<Pair> render_all(Decoder& decoder, const GopInfo& gop) {
  const size_t views = gop.sequence.views.size();
  std::vector<Pair> pairs(views * size_t(gop.frames));
  std::vector<MutablePicture> pictures(2 * pairs.size());
  std::vector<RenderJob> jobs;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const ViewInfo& info = gop.sequence.views[i % views];
    pairs[i] = {buffer_for(info, Component::texture), buffer_for(info, Component::depth)};
    pictures[2 * i] = pairs[i].texture.mutable_picture();
    pictures[2 * i + 1] = pairs[i].depth.mutable_picture();
    jobs.push_back({.frame = int(i / views),
                    .view = int(i % views),
                    .texture = &pictures[2 * i],
                    .depth = info.depth == SampleFormat::none ? nullptr : &pictures[2 * i + 1]});
  }
  const Status status = decoder.render(jobs);
  EXPECT_TRUE(status.has_value()) << status.error().message;
  return pairs;
}

std::vector<int> samples_of(const PictureBuffer& buffer, int plane) {
  std::vector<int> samples;
  const Picture p = buffer.picture();
  for (int y = 0; y < plane_size(p.height, plane); ++y)
    for (int x = 0; x < plane_size(p.width, plane); ++x)
      samples.push_back(tools::sample(p, plane, x, y));
  return samples;
}

class DecoderOf : public testing::TestWithParam<int> {
 protected:
  DecoderOf() : named_(test_configs()[size_t(GetParam())]), config_(named_.config) {}
  std::vector<std::byte> access_unit(uint32_t seed, Content content = Content::natural) {
    model_ = random_coded_model(config_, seed, content);
    return testutil::access_unit_of(model_, testutil::sequence_for(config_));
  }
  // A view that the network renders.
  int some_view() const { return config_.prediction ? 1 : 0; }

  testutil::NamedConfig named_;
  const ModelConfig& config_;
  CodedModel model_;
};
INSTANTIATE_TEST_SUITE_P(Configs, DecoderOf, testing::Range(0, int(test_configs().size())),
                         [](const auto& info) { return test_configs()[size_t(info.param)].name; });

TEST_P(DecoderOf, EqualsThePlainReadingOfTheSpecification) {
  for (const Content content : {Content::natural, Content::extreme}) {
    for (uint32_t seed = 1; seed <= (content == Content::extreme ? 6 : 1); ++seed) {
      const auto decoder = make_decoder();
      const auto gop = start(*decoder, access_unit(seed, content), seed);
      ASSERT_TRUE(gop.has_value()) << gop.error().message;
      const testutil::BasePictures bases(*gop, seed);
      const Header header{.sequence = gop->sequence, .base_views = gop->base_views};
      const std::vector<int> views = header.network_views();
      ASSERT_EQ(int(views.size()), config_.views);
      for (int k = 0; k < config_.views; ++k) {
        const int view = views[size_t(k)];
        for (const int frame : {0, config_.frames - 1, config_.frames / 2}) {
          const auto pair = render(*decoder, *gop, frame, view);
          ASSERT_TRUE(pair.has_value()) << pair.error().message;
          const ViewInfo& info = gop->sequence.views[size_t(view)];
          const testutil::PlainPicture plain = testutil::plain_render(
              model_, info, frame, k,
              bases.predict(frame, view, config_.canvas_width, config_.canvas_height),
              bases.plain(frame));
          for (int p = 0; p < 3; ++p)
            ASSERT_EQ(samples_of(pair->texture, p), plain.texture[size_t(p)])
                << "seed " << seed << ", view " << view << ", frame " << frame << ", plane " << p;
          if (info.depth != SampleFormat::none) {
            ASSERT_EQ(samples_of(pair->depth, 0), plain.depth) << view << " " << frame;
          }
        }
      }
    }
  }
}

TEST_P(DecoderOf, NaturalPicturesHaveContent) {
  const auto decoder = make_decoder();
  const auto gop = start(*decoder, access_unit(1));
  ASSERT_TRUE(gop.has_value());
  const auto pair = render(*decoder, *gop, 0, some_view());
  ASSERT_TRUE(pair.has_value());
  std::vector<int> luma = samples_of(pair->texture, 0);
  std::sort(luma.begin(), luma.end());
  luma.erase(std::unique(luma.begin(), luma.end()), luma.end());
  EXPECT_GT(luma.size(), 20u);  // otherwise the comparisons of this file would prove nothing
}

TEST_P(DecoderOf, GivesTheSamePicturesOnEveryKernelSetAndNumberOfThreads) {
  for (const Content content : {Content::natural, Content::extreme}) {
    for (uint32_t seed = 7; seed < 10; ++seed) {
      const std::vector<std::byte> bytes = access_unit(seed, content);
      const auto reference = make_decoder();
      const auto gop = start(*reference, bytes, seed);
      ASSERT_TRUE(gop.has_value());
      const int last = int(gop->sequence.views.size()) - 1;
      const std::vector<Pair> expected = render_all(*reference, *gop);
      for (const std::string& kernels : available_kernels()) {
        for (const int threads : {1, 2, 5}) {
          const auto decoder = make_decoder(kernels, threads);
          ASSERT_TRUE(start(*decoder, bytes, seed).has_value());
          const std::vector<Pair> pairs = render_all(*decoder, *gop);
          for (size_t i = 0; i < pairs.size(); ++i)
            ASSERT_TRUE(pairs[i] == expected[i])
                << kernels << ", " << threads << " threads, picture " << i;
          // One picture that all threads share.
          const auto pair = render(*decoder, *gop, 0, last);
          ASSERT_TRUE(pair.has_value());
          ASSERT_TRUE(*pair == expected[size_t(last)]) << kernels << " " << threads;
        }
      }
    }
  }
}

TEST_P(DecoderOf, GivesTheSamePictureWhateverWasRenderedBefore) {
  const std::vector<std::byte> bytes = access_unit(3);
  const auto whole = make_decoder("auto");
  const auto gop = start(*whole, bytes);
  ASSERT_TRUE(gop.has_value());
  const int views = int(gop->sequence.views.size());
  const std::vector<Pair> expected = render_all(*whole, *gop);
  for (int i = int(expected.size()) - 1; i >= 0; i -= 2) {
    const auto fresh = make_decoder("auto");
    ASSERT_TRUE(start(*fresh, bytes).has_value());
    const auto pair = render(*fresh, *gop, i / views, i % views);
    ASSERT_TRUE(pair.has_value());
    ASSERT_TRUE(*pair == expected[size_t(i)]) << i;
  }
}

TEST_P(DecoderOf, OneComponentAloneIsTheSameAsBoth) {
  const auto decoder = make_decoder("auto");
  const auto gop = start(*decoder, access_unit(4));
  ASSERT_TRUE(gop.has_value());
  const int view = some_view();
  const ViewInfo& info = gop->sequence.views[size_t(view)];
  const auto both = render(*decoder, *gop, 1, view);
  ASSERT_TRUE(both.has_value());
  for (const Component component : {Component::texture, Component::depth}) {
    PictureBuffer buffer = buffer_for(info, component);
    if (buffer.format() == SampleFormat::none) continue;
    MutablePicture picture = buffer.mutable_picture();
    RenderJob job{.frame = 1, .view = view};
    (component == Component::texture ? job.texture : job.depth) = &picture;
    ASSERT_TRUE(decoder->render({&job, 1}).has_value());
    EXPECT_TRUE(std::ranges::equal(buffer.bytes(), component == Component::texture
                                                       ? both->texture.bytes()
                                                       : both->depth.bytes()));
  }
}

}  // namespace
}  // namespace mvinr
