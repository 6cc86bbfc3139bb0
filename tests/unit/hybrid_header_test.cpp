// Headers of hybrid streams: base views and motion.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "format/access_unit.h"
#include "format/header.h"
#include "unit/bad_header.h"
#include "unit/random_header.h"

namespace mvinr {
namespace {

using testutil::BadHeader;
using testutil::expect_refused;
using testutil::random_header;

/// A header with base views among few views.
Header hybrid_header() {
  uint32_t seed = 0;
  const auto fits = [](const Header& h) {
    return h.base_views.size() >= 2 && h.sequence.views.size() <= 8 && h.model.views >= 2 &&
           h.model.motion == Motion::geometry;
  };
  while (!fits(random_header(seed))) ++seed;
  return random_header(seed);
}

TEST(Header, SomeOfTheRandomHeadersAreHybrid) {
  int hybrid = 0;
  size_t most = 0;
  for (uint32_t seed = 0; seed < 500; ++seed) {
    const Header header = random_header(seed);
    hybrid += !header.base_views.empty();
    most = std::max(most, header.base_views.size());
    EXPECT_EQ(header.network_views().size() + header.base_views.size(),
              header.sequence.views.size());
  }
  EXPECT_GT(hybrid, 50);
  EXPECT_LT(hybrid, 300);
  EXPECT_EQ(most, size_t{kMaxBaseViews});
}

TEST(Header, NetworkViewsAreTheOthersInOrder) {
  Header header;
  header.sequence.views.resize(6);
  EXPECT_EQ(header.network_views(), (std::vector<int>{0, 1, 2, 3, 4, 5}));
  header.base_views = {1, 4};
  EXPECT_EQ(header.network_views(), (std::vector<int>{0, 2, 3, 5}));
}

TEST(Header, WritingRefusesBaseViewsThatCannotBe) {
  const BadHeader cases[] = {
      {"is not there", [](auto& h) { h.base_views.back() = int(h.sequence.views.size()); }},
      {"view is 64, must be 0..63", [](auto& h) { h.base_views.back() = kMaxViews; }},
      {"view is -1", [](auto& h) { h.base_views[0] = -1; }},
      {"not in rising order", [](auto& h) { std::swap(h.base_views[0], h.base_views[1]); }},
      {"not in rising order", [](auto& h) { h.base_views[1] = h.base_views[0]; }},
      {"number of base views is 17, must be 0..16", [](auto& h) { h.base_views.resize(17, 0); }},
      {"has no depth",
       [](auto& h) { h.sequence.views[size_t(h.base_views[1])].depth = SampleFormat::none; }},
      {"has no camera", [](auto& h) { h.sequence.views[size_t(h.base_views[0])].camera.reset(); }},
      {"has no camera",
       [](auto& h) { h.sequence.views[size_t(h.network_views()[0])].camera.reset(); }},
      {"there is a model, but no view for it",
       [](auto& h) {
         h.sequence.views.resize(h.base_views.size());
         for (size_t v = 0; v < h.base_views.size(); ++v) h.base_views[v] = int(v);
       }},
      {"prediction does not agree with the base views", [](auto& h) { h.base_views.clear(); }},
      {"prediction does not agree with the base views",
       [](auto& h) { h.model.prediction = false; }},
      {"geometry needs depth", [](auto& h) { h.model.depth = false; }},
      {"prediction needs the head shuffle420", [](auto& h) { h.model.head = HeadKind::full444; }},
  };
  std::vector<BadHeader> fitted;  // the model has as many views as it then has to
  for (const BadHeader& bad : cases)
    fitted.push_back({bad.words, [&bad](Header& h) {
                        bad.spoil(h);
                        h.model.views = static_cast<uint8_t>(h.network_views().size());
                      }});
  expect_refused(hybrid_header(), fitted);
}

/// A header with learned motion of at least two base views.
Header learned_header() {
  uint32_t seed = 0;
  const auto fits = [](const Header& h) {
    return h.base_views.size() >= 2 && h.model.motion == Motion::learned;
  };
  while (!fits(random_header(seed))) ++seed;
  return random_header(seed);
}

TEST(Header, RefusesMotionThatCannotBe) {
  const BadHeader cases[] = {
      {"flow_stage is 0", [](auto& h) { h.model.flow_stage = 0; }},
      {"flow_stage is",
       [](auto& h) { h.model.flow_stage = static_cast<uint8_t>(h.model.stages.size() + 1); }},
      {"flow_shift is 4", [](auto& h) { h.model.flow_shift = kMaxFlowShift + 1; }},
      {"offset_x is", [](auto& h) { h.model.offsets[0].x = kMaxOffset + 1; }},
      {"offset_y is", [](auto& h) { h.model.offsets.back().y = -kMaxOffset - 1; }},
      {"offsets has", [](auto& h) { h.model.offsets.pop_back(); }},
      {"displaces 1 pictures of",
       [](auto& h) {
         h.model.flow_bases = 1;
         h.model.offsets.resize(h.model.views);
       }},
      {"offsets has", [](auto& h) { h.model.motion = Motion::refined; }},
      {"kind is 3", [](auto& h) { h.model.motion = Motion(3); }},
      {"fusion is 2", [](auto& h) { h.model.fusion = Fusion(2); }},
  };
  expect_refused(learned_header(), cases);
}

TEST(Header, LearnedMotionNeedsNeitherCamerasNorDepth) {
  Header header = learned_header();
  for (ViewInfo& view : header.sequence.views) {
    view.camera.reset();
    view.depth = SampleFormat::none;
  }
  header.model.depth = false;
  const auto bytes = write_header(header);
  ASSERT_TRUE(bytes) << bytes.error().message;
  const auto read = read_header(*bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, header);
}

TEST(Header, ReadingRefusesBaseViewsThatCannotBe) {
  const Header header = hybrid_header();
  const auto& views = header.sequence.views;
  const std::vector<std::byte> good = *write_header(header);
  std::vector<size_t> depth_at;  // offset of each view's depth format
  size_t at = 8 + 2 + 8 + 1;
  for (const ViewInfo& view : views) {
    depth_at.push_back(at + 5);
    at += 7 + (view.camera ? 48 : 0);
  }
  ASSERT_EQ(std::to_integer<size_t>(good[at]), header.base_views.size());
  const auto expect_corrupt = [&](size_t offset, size_t value, const char* words) {
    std::vector<std::byte> bytes = good;
    bytes[offset] = static_cast<std::byte>(value);
    const auto read = read_header(bytes);
    ASSERT_FALSE(read) << words;
    EXPECT_EQ(read.error().code, ErrorCode::corrupt);
    EXPECT_NE(read.error().message.find(words), std::string::npos) << read.error().message;
  };
  const size_t last = at + header.base_views.size();
  expect_corrupt(last, views.size(), "is not there");
  expect_corrupt(last, 64, "must be 0..63");
  expect_corrupt(at + 2, size_t(header.base_views[0]), "not in rising order");
  expect_corrupt(at, 17, "number of base views is 17");
  expect_corrupt(depth_at[size_t(header.base_views[0])], 0, "has no depth");
}

}  // namespace
}  // namespace mvinr
