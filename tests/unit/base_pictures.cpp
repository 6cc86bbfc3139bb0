#include "base_pictures.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "geometry/warp.h"
#include "tools/picture_buffer.h"

namespace mvinr::testutil {
namespace {

void check(bool ok, const std::string& message) {
  if (ok) return;
  std::fprintf(stderr, "BasePictures: %s\n", message.c_str());
  std::abort();
}

PlacedCamera placed(const ViewInfo& view) {
  return {*view.camera, view.width, view.height, view.texture, view.depth};
}

OwnedPicture draw(SampleFormat format, const ViewInfo& view, bool noise, std::mt19937& random) {
  OwnedPicture picture(format, view.width, view.height);
  const MutablePicture out = picture.writable();
  const int most = (1 << bit_depth(format)) - 1;
  const int phase = int(random() % 64);
  for (int p = 0; p < plane_count(format); ++p)
    for (int y = 0; y < plane_size(view.height, p); ++y)
      for (int x = 0; x < plane_size(view.width, p); ++x) {
        const int drawn = int(random() % uint32_t(most + 1));
        // Blocks at several levels, the rest a ramp.
        const int block = (x / 9 + y / 7 + phase) % 3;
        const int level =
            block == 0 ? most / 5 + most / 3 * (x / 9 % 2) : most / 2 + (x + 2 * y) * (most / 400);
        tools::set_sample(out, p, x, y, noise ? drawn : std::min(level + drawn / 64, most));
      }
  return picture;
}

}  // namespace

BasePictures::BasePictures(const GopInfo& gop, uint32_t seed) : gop_(gop) {
  std::mt19937 random(seed);
  for (const int v : gop.base_views) {
    const ViewInfo& view = gop.sequence.views[size_t(v)];
    for (int t = 0; t < gop.frames; ++t)
      for (const SampleFormat format : {view.texture, view.depth})  // none: an empty picture
        pictures_.push_back(draw(format, view, seed % 2 != 0, random));
  }
}

const OwnedPicture& BasePictures::at(const PictureId& id) const {
  const auto found = std::find(gop_.base_views.begin(), gop_.base_views.end(), id.view);
  const size_t base = size_t(found - gop_.base_views.begin());
  return pictures_[(base * size_t(gop_.frames) + size_t(id.frame)) * 2 + size_t(id.component)];
}

void BasePictures::give_to(Decoder& decoder) const {
  for (const int v : gop_.base_views)
    for (int t = 0; t < gop_.frames; ++t)
      for (const Component component : {Component::texture, Component::depth}) {
        const PictureId id{t, v, component};
        if (at(id).empty()) continue;
        const Status status = decoder.set_base(id, at(id).picture());
        check(status.has_value(), status ? "" : status.error().message);
      }
}

std::vector<PlainBase> BasePictures::plain(int frame) const {
  std::vector<PlainBase> bases;
  for (const int v : gop_.base_views)
    bases.push_back(
        {at({frame, v, Component::texture}).picture(), at({frame, v, Component::depth}).picture()});
  return bases;
}

std::vector<int16_t> BasePictures::predict(int frame, int view, int canvas_width,
                                           int canvas_height) const {
  if (gop_.base_views.empty() || gop_.motion == Motion::learned) return {};
  const auto& views = gop_.sequence.views;
  const PlacedCamera target = placed(views[size_t(view)]);
  std::vector<ViewMap> maps;
  for (const int v : gop_.base_views) {
    auto map = make_view_map(placed(views[size_t(v)]), target);
    check(map.has_value(), map ? "" : map.error().message);
    maps.push_back(*map);
  }
  std::vector<BaseInput> inputs;
  for (size_t b = 0; b < maps.size(); ++b)
    inputs.push_back({&maps[b], at({frame, gop_.base_views[b], Component::texture}).picture(),
                      at({frame, gop_.base_views[b], Component::depth}).picture()});
  const int width = canvas_width / 2, height = canvas_height / 2;
  std::vector<int16_t> planes(size_t(kWarpPlanes) * size_t(width) * size_t(height));
  WarpMemory memory;
  const Status status =
      warp(inputs, target, {planes.data(), ptrdiff_t{width} * height, width, height}, memory);
  check(status.has_value(), status ? "" : status.error().message);
  return planes;
}

}  // namespace mvinr::testutil
