#include "train/picture_store.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "base/owned_picture.h"

namespace mvinr {
namespace {

uint16_t sample_at(const Picture& p, int plane, int x, int y) {
  const std::byte* row = p.data[plane] + ptrdiff_t(y) * p.stride[plane];
  if (bytes_per_sample(p.format) == 1) return uint8_t(row[x]);
  return uint16_t(uint8_t(row[2 * x]) | uint8_t(row[2 * x + 1]) << 8);
}

/// Space to depth; odd sizes repeat the last row and column.
template <typename Sample>
void pack(const Picture& p, Sample* out) {
  const bool texture = plane_count(p.format) == 3;
  const int limit = (1 << bit_depth(p.format)) - 1;
  auto get = [&](int plane, int x, int y) {
    return Sample(std::min<int>(sample_at(p, plane, x, y), limit));
  };
  for (int y = 0; y < p.height; y += 2) {
    const int y1 = std::min(y + 1, p.height - 1);
    for (int x = 0; x < p.width; x += 2) {
      const int x1 = std::min(x + 1, p.width - 1);
      *out++ = get(0, x, y);
      *out++ = get(0, x1, y);
      *out++ = get(0, x, y1);
      *out++ = get(0, x1, y1);
      if (!texture) continue;
      *out++ = get(1, x / 2, y / 2);
      *out++ = get(2, x / 2, y / 2);
    }
  }
}

}  // namespace

PictureStore::PictureStore(const SequenceInfo& sequence, std::vector<int> views)
    : sequence_(sequence), views_(std::move(views)) {
  if (views_.empty()) {
    views_.resize(sequence.views.size());
    std::iota(views_.begin(), views_.end(), 0);
  }
  clear();
}

void PictureStore::clear() {
  for (auto& component : pictures_) {
    component.clear();
    component.resize(sequence_.views.size());
  }
}

Status PictureStore::add(const PictureId& id, const Picture& p) {
  if (id.view < 0 || id.view >= int(sequence_.views.size()))
    return Error{ErrorCode::invalid_argument, "there is no view " + std::to_string(id.view)};
  if (id.frame < 0 || id.frame >= kMaxGopFrames)
    return Error{ErrorCode::invalid_argument, "frame " + std::to_string(id.frame) +
                                                  " is outside 0.." +
                                                  std::to_string(kMaxGopFrames - 1)};
  const ViewInfo& view = sequence_.views[size_t(id.view)];
  const SampleFormat format = id.component == Component::texture ? view.texture : view.depth;
  if (format == SampleFormat::none || p.format != format || p.width != view.width ||
      p.height != view.height)
    return Error{ErrorCode::invalid_argument,
                 picture_name(id) + " is not of the format and size of its view"};
  for (int plane = 0; plane < plane_count(p.format); ++plane) {
    if (!p.data[plane] ||
        p.stride[plane] < ptrdiff_t(plane_size(p.width, plane)) * bytes_per_sample(p.format))
      return Error{ErrorCode::invalid_argument,
                   picture_name(id) + " has no samples or too small a stride"};
  }
  const bool wide = bytes_per_sample(p.format) == 2;
  const int channels = id.component == Component::texture ? 6 : 4;
  at::Tensor data =
      at::empty({(p.height + 1) / 2, (p.width + 1) / 2, channels}, wide ? at::kUInt16 : at::kByte);
  if (wide)
    pack(p, data.mutable_data_ptr<uint16_t>());
  else
    pack(p, data.mutable_data_ptr<uint8_t>());
  auto& frames = pictures_[size_t(id.component)][size_t(id.view)];
  if (frames.size() <= size_t(id.frame)) frames.resize(size_t(id.frame) + 1);
  frames[size_t(id.frame)].data = data;
  return ok();
}

Status PictureStore::complete(int count) const {
  for (int v = 0; v < int(sequence_.views.size()); ++v) {
    for (const Component c : {Component::texture, Component::depth}) {
      if (c == Component::depth && sequence_.views[size_t(v)].depth == SampleFormat::none) continue;
      const auto& frames = pictures_[size_t(c)][size_t(v)];
      for (int t = 0; t < count; ++t) {
        if (t >= int(frames.size()) || !frames[size_t(t)].data.defined())
          return Error{ErrorCode::invalid_argument, picture_name({t, v, c}) + " is missing"};
      }
    }
  }
  return ok();
}

Targets PictureStore::targets(int frame, const std::vector<int64_t>& views,
                              const ModelConfig& config, at::Device device) const {
  const ViewInfo& first = sequence_.views[size_t(views_[size_t(views[0])])];
  const int64_t h = config.canvas_height / 2, w = config.canvas_width / 2;
  const int64_t ph = (first.height + 1) / 2, pw = (first.width + 1) / 2;
  auto stack = [&](Component c, int bits) {
    std::vector<at::Tensor> parts;
    for (int64_t v : views)
      parts.push_back(
          pictures_[size_t(c)][size_t(views_[size_t(v)])][size_t(frame)].data.to(device).to(
              at::kFloat));
    at::Tensor t = at::stack(parts).mul_(1.0 / double(1 << bits));
    return ph == h && pw == w ? t : at::constant_pad_nd(t, {0, 0, 0, w - pw, 0, h - ph});
  };
  Targets out;
  out.texture = stack(Component::texture, bit_depth(first.texture));
  if (first.depth != SampleFormat::none)
    out.depth = stack(Component::depth, bit_depth(first.depth));
  if (first.width != config.canvas_width || first.height != config.canvas_height) {
    out.mask = at::zeros({h, w, 10});
    out.mask.narrow(0, 0, ph).narrow(1, 0, pw).fill_(1);
    // The repeated samples of odd sizes do not count.
    auto zero = [&](at::Tensor edge, std::initializer_list<int64_t> channels) {
      for (int64_t c : channels) edge.select(-1, c).zero_();
    };
    if (first.width % 2) zero(out.mask.select(1, pw - 1), {1, 3, 7, 9});
    if (first.height % 2) zero(out.mask.select(0, ph - 1), {2, 3, 8, 9});
    out.mask = out.mask.to(device);
  }
  return out;
}

ops::HeadTargets PictureStore::packed(int frame, const std::vector<int64_t>& views) const {
  const ViewInfo& first = sequence_.views[size_t(views_[size_t(views[0])])];
  ops::HeadTargets out{
      .texture_bits = bit_depth(first.texture), .height = first.height, .width = first.width};
  for (const int64_t v : views) {
    const size_t view = size_t(views_[size_t(v)]);
    out.texture.push_back(pictures_[0][view][size_t(frame)].data);
    if (first.depth == SampleFormat::none) continue;
    out.depth_bits = bit_depth(first.depth);
    out.depth.push_back(pictures_[1][view][size_t(frame)].data);
  }
  return out;
}

std::vector<std::vector<int64_t>> PictureStore::size_groups() const {
  std::map<std::tuple<int, int, SampleFormat, SampleFormat>, std::vector<int64_t>> groups;
  for (size_t k = 0; k < views_.size(); ++k) {
    const ViewInfo& info = sequence_.views[size_t(views_[k])];
    groups[{info.width, info.height, info.texture, info.depth}].push_back(int64_t(k));
  }
  std::vector<std::vector<int64_t>> out;
  for (auto& [key, views] : groups) out.push_back(std::move(views));
  return out;
}

std::vector<uint16_t> PictureStore::samples(const PictureId& id) const {
  const ViewInfo& view = sequence_.views[size_t(id.view)];
  const at::Tensor t = pictures_[size_t(id.component)][size_t(id.view)][size_t(id.frame)]
                           .data.to(at::kInt)
                           .contiguous();
  const int64_t channels = t.size(2), w2 = t.size(1);
  const int* data = t.data_ptr<int>();
  std::vector<uint16_t> out;
  for (int y = 0; y < view.height; ++y)
    for (int x = 0; x < view.width; ++x)
      out.push_back(uint16_t(data[((y / 2) * w2 + x / 2) * channels + (y % 2) * 2 + x % 2]));
  for (int64_t c = 4; c < channels; ++c)
    for (int64_t i = 0; i < t.size(0) * w2; ++i) out.push_back(uint16_t(data[i * channels + c]));
  return out;
}

uint64_t PictureStore::bytes(const SequenceInfo& sequence, int frames) {
  uint64_t total = 0;
  for (const ViewInfo& v : sequence.views) {
    const uint64_t blocks = uint64_t((v.width + 1) / 2) * uint64_t((v.height + 1) / 2);
    total += blocks * 6 * uint64_t(bytes_per_sample(v.texture));
    if (v.depth != SampleFormat::none) total += blocks * 4 * uint64_t(bytes_per_sample(v.depth));
  }
  return total * uint64_t(frames);
}

}  // namespace mvinr
