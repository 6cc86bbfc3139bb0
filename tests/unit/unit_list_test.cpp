// Access units taken apart and put together by their units, and what a decoder makes of the parts.
#include <gtest/gtest.h>

#include <algorithm>

#include "format/access_unit.h"
#include "format/model_units.h"
#include "mvinr/decoder.h"
#include "tools/picture_buffer.h"
#include "tools/quality.h"
#include "unit/random_model.h"

namespace mvinr {
namespace {

using testutil::random_coded_model;
using testutil::test_configs;
using Data = std::vector<std::byte>;
using enum ViewState;

// Three views: view 1 refers to view 0, view 2 to none.
CodedModel three_views() {
  CodedModel model = random_coded_model(test_configs().front().config, 3);
  for (int v = 0; v < 3; ++v) model.references[size_t(v)].view = int8_t(v == 1 ? 0 : -1);
  return model;
}
Data three_view_unit() {
  const CodedModel model = three_views();
  return testutil::access_unit_of(model, testutil::sequence_for(model.config));
}
Data without(const Data& access_unit, size_t unit) {
  Data units;
  const auto list = *list_units(access_unit);
  for (size_t i = 0; i < list.size(); ++i)
    if (i != unit)
      units.insert(units.end(), access_unit.begin() + ptrdiff_t(list[i].offset),
                   access_unit.begin() + ptrdiff_t(list[i].offset + list[i].bytes));
  return *join_access_unit(access_unit, units);
}
std::string picture_of(const Data& access_unit, int view) {
  const auto decoder = *Decoder::create({.threads = 1});
  const auto gop = decoder->start_gop(access_unit);
  if (!gop) return gop.error().message;
  const ViewInfo& info = gop->sequence.views[size_t(view)];
  tools::PictureBuffer buffer(info.texture, info.width, info.height);
  MutablePicture picture = buffer.mutable_picture();
  const RenderJob job{.frame = 1, .view = view, .texture = &picture};
  const Status status = decoder->render({&job, 1});
  return status ? tools::md5_of(buffer.picture()) : to_string(status.error().code);
}

TEST(UnitList, NamesEveryUnitInOrderAndWithoutAHole) {
  const Data unit = three_view_unit();
  const auto list = list_units(unit);
  ASSERT_TRUE(list) << list.error().message;
  const std::vector<std::pair<int, int>> want = {{1, 0}, {2, 0}, {3, 0}, {3, 1}, {3, 2}};
  ASSERT_EQ(list->size(), want.size());
  size_t end = list->front().offset;
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ((*list)[i].type, want[i].first);
    EXPECT_EQ((*list)[i].index, want[i].second);
    EXPECT_EQ((*list)[i].offset, end);
    EXPECT_TRUE((*list)[i].intact);
    end += (*list)[i].bytes;
  }
  EXPECT_EQ(end, unit.size());
}

TEST(UnitList, JoinedUnitsAreTheSameAccessUnit) {
  const Data unit = three_view_unit();
  const size_t header = list_units(unit)->front().offset;
  EXPECT_EQ(*join_access_unit(Bytes(unit).first(header), Bytes(unit).subspan(header)), unit);
  EXPECT_EQ(join_access_unit(Bytes(unit).first(header - 1), {}).error().code, ErrorCode::truncated);
  EXPECT_EQ(join_access_unit({}, {}).error().code, ErrorCode::truncated);
}

TEST(ViewStates, TellWhatIsThereLeftOutAndDamaged) {
  const Data unit = three_view_unit();
  EXPECT_EQ(*view_states(unit), (std::vector{there, there, there}));
  EXPECT_EQ(*view_states(without(unit, 4)), (std::vector{there, there, left_out}));
  EXPECT_EQ(*view_states(without(unit, 2)), (std::vector{left_out, left_out, there}));  // 1 needs 0
  Data damaged = unit;
  damaged[list_units(unit)->at(4).offset + 12] ^= std::byte{1};
  EXPECT_EQ(*view_states(damaged), (std::vector{there, there, ViewState::damaged}));
  // Behind damage, what is missing may have been there.
  EXPECT_EQ(*view_states(without(damaged, 2)),
            (std::vector{ViewState::damaged, ViewState::damaged, ViewState::damaged}));
  // So it is when the end is missing.
  const Bytes cut = Bytes(unit).first(list_units(unit)->at(4).offset);
  EXPECT_EQ(*view_states(cut), (std::vector{there, there, ViewState::damaged}));
}

TEST(ViewStates, WithoutNetworkOrSharedGridsTheGopIsLost) {
  const Data unit = three_view_unit();
  for (const size_t needed : {0u, 1u}) {
    const auto states = view_states(without(unit, needed));
    ASSERT_FALSE(states);
    EXPECT_EQ(states.error().code, ErrorCode::corrupt);
  }
}

TEST(ViewStates, AgreeWithTheDecoder) {
  const Data whole = three_view_unit();
  for (size_t drop = 2; drop < 5; ++drop) {
    const Data unit = without(whole, drop);
    const auto states = *view_states(unit);
    for (int v = 0; v < 3; ++v)
      EXPECT_EQ(picture_of(unit, v) != "corrupt", states[size_t(v)] == there) << drop << " " << v;
  }
}

TEST(FilterAccessUnit, KeepsTheWantedViewsAndThoseTheyReferTo) {
  const Data unit = three_view_unit();
  const struct {
    std::vector<int> views;
    std::vector<ViewState> states;
  } cases[] = {
      {{0}, {there, left_out, left_out}},   {{1}, {there, there, left_out}},
      {{2}, {left_out, left_out, there}},   {{2, 1}, {there, there, there}},
      {{}, {left_out, left_out, left_out}}, {{2, 2}, {left_out, left_out, there}},
  };
  for (const auto& c : cases) {
    const auto filtered = filter_access_unit(unit, c.views);
    ASSERT_TRUE(filtered) << filtered.error().message;
    EXPECT_EQ(*view_states(*filtered), c.states);
    EXPECT_EQ(read_gop_info(*filtered)->bytes, filtered->size());
    EXPECT_EQ(read_gop_info(*filtered)->sequence, read_gop_info(unit)->sequence);
    for (const int view : c.views) EXPECT_EQ(picture_of(*filtered, view), picture_of(unit, view));
  }
  EXPECT_EQ(*filter_access_unit(unit, std::vector{0, 1, 2}), unit);
}

TEST(FilterAccessUnit, KeepsUnitsThatItDoesNotKnow) {
  const CodedModel model = three_views();
  Header header{.sequence = testutil::sequence_for(model.config),
                .frames = model.config.frames,
                .model = model.config};
  auto units = *encode_model(model);
  units.push_back({UnitType::base, 0, Data(50)});
  units.push_back({static_cast<UnitType>(77), 1, Data(30)});
  const Data unit = *write_access_unit(header, units);
  const auto list = *list_units(*filter_access_unit(unit, std::vector{2}));
  ASSERT_EQ(list.size(), 5u);
  EXPECT_EQ(list[2].index, 2);
  EXPECT_EQ(list[3].type, 4);
  EXPECT_EQ(list[4].type, 77);
}

TEST(FilterAccessUnit, NamesAViewThatIsNotThere) {
  const auto filtered = filter_access_unit(three_view_unit(), std::vector{0, 3});
  ASSERT_FALSE(filtered);
  EXPECT_EQ(filtered.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(filtered.error().message.find("no view 3"), std::string::npos);
}

TEST(FilterAccessUnit, DamageStaysVisible) {
  const Data unit = three_view_unit();
  for (size_t i = 0; i < unit.size(); i += 3) {
    Data damaged = unit;
    damaged[i] ^= std::byte{0x20};
    const auto filtered = filter_access_unit(damaged, std::vector{1});
    if (!filtered) {
      EXPECT_NE(filtered.error().code, ErrorCode::internal);
      continue;
    }
    // Never a view that the decoder cannot show.
    const auto states = view_states(*filtered);
    if (states && (*states)[1] == there) {
      EXPECT_EQ(picture_of(*filtered, 1), picture_of(unit, 1)) << i;
    }
  }
}

TEST(FilterAccessUnit, TruncatedInputGivesAnErrorOrAnAccessUnit) {
  const Data unit = three_view_unit();
  for (size_t size = 0; size < unit.size(); ++size) {
    const auto filtered = filter_access_unit(Bytes(unit).first(size), std::vector{0, 2});
    if (filtered) {
      EXPECT_TRUE(read_gop_info(*filtered)) << size;
    }
  }
}

}  // namespace
}  // namespace mvinr
