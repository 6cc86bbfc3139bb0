#include "sums.h"

#include <gtest/gtest.h>

#include "../unit/base_pictures.h"
#include "tools/picture_buffer.h"
#include "tools/quality.h"

namespace mvinr::testutil {
namespace {

constexpr uint32_t kBaseSeed = 6;  // of the base pictures of hybrid streams

}  // namespace

Sums decode(const std::vector<std::byte>& bytes, const DecoderOptions& options) {
  Sums sums;
  auto decoder = Decoder::create(options);
  EXPECT_TRUE(decoder.has_value());
  Bytes rest = bytes;
  while (decoder && !rest.empty()) {
    const auto gop = (*decoder)->start_gop(rest);
    EXPECT_TRUE(gop.has_value()) << gop.error().message;
    if (!gop) break;
    BasePictures(*gop, kBaseSeed).give_to(**decoder);
    std::vector<RenderJob> jobs;
    const int views = int(gop->sequence.views.size());
    std::vector<tools::PictureBuffer> buffers(size_t(2 * views * gop->frames));
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

}  // namespace mvinr::testutil
