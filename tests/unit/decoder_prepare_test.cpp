// GOPs that are decoded ahead: Decoder::prepare_gop.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "format/access_unit.h"
#include "mvinr/decoder.h"
#include "random_model.h"
#include "tools/picture_buffer.h"

namespace mvinr {
namespace {

using tools::PictureBuffer;

class PrepareGop : public testing::Test {
 protected:
  PrepareGop() {
    const testutil::NamedConfig named = testutil::test_configs().front();
    for (uint32_t seed = 1; seed <= 3; ++seed)
      units_.push_back(testutil::access_unit_of(testutil::random_coded_model(named.config, seed),
                                                testutil::sequence_for(named.config)));
    decoder_ = std::move(*Decoder::create({.threads = 2}));
  }

  static std::vector<PictureBuffer> render(Decoder& decoder, const GopInfo& gop) {
    std::vector<PictureBuffer> buffers;
    for (int frame = 0; frame < gop.frames; ++frame)
      for (size_t v = 0; v < gop.sequence.views.size(); ++v) {
        const ViewInfo& view = gop.sequence.views[v];
        buffers.emplace_back(view.texture, view.width, view.height);
        MutablePicture picture = buffers.back().mutable_picture();
        const RenderJob job{.frame = frame, .view = int(v), .texture = &picture};
        const Status status = decoder.render({&job, 1});
        EXPECT_TRUE(status.has_value()) << status.error().message;
      }
    return buffers;
  }
  static bool same(const std::vector<PictureBuffer>& a, const std::vector<PictureBuffer>& b) {
    return std::ranges::equal(a, b, [](const PictureBuffer& x, const PictureBuffer& y) {
      return std::ranges::equal(x.bytes(), y.bytes());
    });
  }

  std::vector<std::vector<std::byte>> units_;
  std::unique_ptr<Decoder> decoder_;
};

TEST_F(PrepareGop, MayRunBesideRenderingAndChangesNoPicture) {
  const auto other = std::move(*Decoder::create({.threads = 1}));
  const std::vector<int> views = {0};  // the others are decoded when they are rendered
  auto prepared = decoder_->prepare_gop(units_[0], views);
  for (size_t i = 0; i < units_.size(); ++i) {
    ASSERT_TRUE(prepared.has_value()) << prepared.error().message;
    const auto gop = decoder_->start_gop(std::move(*prepared));
    ASSERT_TRUE(gop.has_value());
    std::thread ahead([&] { prepared = decoder_->prepare_gop(units_[(i + 1) % 3], views); });
    const auto pictures = render(*decoder_, *gop);
    ahead.join();
    EXPECT_TRUE(same(pictures, render(*other, *other->start_gop(units_[i])))) << i;
  }
}

TEST_F(PrepareGop, LeavesTheCurrentGopAlone) {
  const GopInfo gop = *decoder_->start_gop(units_[0]);
  const auto before = render(*decoder_, gop);
  EXPECT_TRUE(decoder_->prepare_gop(units_[1], {}).has_value());
  EXPECT_FALSE(decoder_->prepare_gop(Bytes(units_[1]).first(40), {}).has_value());
  EXPECT_TRUE(same(before, render(*decoder_, gop)));
}

TEST_F(PrepareGop, RefusesWhatCannotBe) {
  EXPECT_EQ(decoder_->start_gop(std::unique_ptr<PreparedGop>()).error().code,
            ErrorCode::invalid_argument);
  for (const int view : {-1, 64}) {
    const auto gop = decoder_->prepare_gop(units_[0], {&view, 1});
    ASSERT_FALSE(gop.has_value());
    EXPECT_EQ(gop.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(gop.error().message.find(std::to_string(view)), std::string::npos);
  }
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(decoder_->prepare_gop(units_[0], {}, stop.get_token()).error().code,
            ErrorCode::cancelled);
}

TEST_F(PrepareGop, ADamagedViewIsAnErrorWhenItIsRendered) {
  std::vector<std::byte> bytes = units_[0];
  const auto units = list_units(bytes);
  for (const UnitInfo& unit : *units)
    if (unit.type == 3 && unit.index == 0) bytes[unit.offset + unit.bytes - 1] ^= std::byte{1};
  const int view = 0;
  auto prepared = decoder_->prepare_gop(bytes, {&view, 1});
  ASSERT_TRUE(prepared.has_value()) << prepared.error().message;
  const GopInfo gop = *decoder_->start_gop(std::move(*prepared));
  PictureBuffer buffer(gop.sequence.views[0].texture, gop.sequence.views[0].width,
                       gop.sequence.views[0].height);
  MutablePicture picture = buffer.mutable_picture();
  const RenderJob job{.frame = 0, .view = 0, .texture = &picture};
  EXPECT_EQ(decoder_->render({&job, 1}).error().code, ErrorCode::corrupt);
}

}  // namespace
}  // namespace mvinr
