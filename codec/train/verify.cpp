#include "train/verify.h"

#include <chrono>
#include <cmath>

#include "base/owned_picture.h"
#include "base/try.h"
#include "mvinr/decoder.h"

namespace mvinr {
namespace {

struct SquaredErrors {
  double sum[3] = {};
  double count[3] = {};

  void add(const OwnedPicture& decoded, const std::vector<uint16_t>& source) {
    const Picture p = decoded.picture();
    const bool wide = bytes_per_sample(p.format) == 2;
    const auto* bytes = reinterpret_cast<const uint8_t*>(decoded.samples().data());
    const auto* words = reinterpret_cast<const uint16_t*>(decoded.samples().data());
    size_t i = 0;
    for (int plane = 0; plane < plane_count(p.format); ++plane) {
      const size_t n = size_t(plane_size(p.width, plane)) * size_t(plane_size(p.height, plane));
      for (size_t end = i + n; i < end; ++i) {
        const double e = double(wide ? words[i] : bytes[i]) - source[i];
        sum[plane] += e * e;
      }
      count[plane] += double(n);
    }
  }
  /// Lossless planes count as 100 dB.
  double psnr(int plane, SampleFormat format) const {
    if (count[plane] == 0) return 0;
    const double peak = (1 << bit_depth(format)) - 1;
    const double mse = sum[plane] / count[plane];
    return mse > 0 ? std::min(100.0, 10 * std::log10(peak * peak / mse)) : 100.0;
  }
};

}  // namespace

Status verify(Bytes access_unit, const PictureStore& pictures, const BaseStore& base, int threads,
              const Deadline& deadline, std::stop_token stop, GopStats& stats) {
  MVINR_ASSIGN(auto decoder, Decoder::create({.threads = threads}));
  MVINR_ASSIGN(const GopInfo gop, decoder->start_gop(access_unit));
  const auto& views = gop.sequence.views;
  for (const int v : gop.base_views)
    for (const Component c : {Component::texture, Component::depth})
      for (int t = 0; t < gop.frames &&
                      (c == Component::texture || views[size_t(v)].depth != SampleFormat::none);
           ++t)
        MVINR_TRY(decoder->set_base({t, v, c}, base.at({t, v, c}).picture()));
  std::vector<OwnedPicture> texture, depth;
  std::vector<MutablePicture> writable;
  std::vector<RenderJob> jobs;
  for (const ViewInfo& v : views) {
    texture.emplace_back(v.texture, v.width, v.height);
    depth.emplace_back(v.depth, v.width, v.height);
  }
  for (size_t v = 0; v < views.size(); ++v) {
    writable.push_back(texture[v].writable());
    writable.push_back(depth[v].writable());
  }
  for (size_t v = 0; v < views.size(); ++v)
    jobs.push_back(
        {.view = int(v),
         .texture = &writable[2 * v],
         .depth = views[v].depth == SampleFormat::none ? nullptr : &writable[2 * v + 1]});
  std::vector<SquaredErrors> texture_errors(views.size()), depth_errors(views.size());
  const auto start = std::chrono::steady_clock::now();
  int count = gop.frames;
  for (int i = 0; i < count; ++i) {
    const int t = i * gop.frames / count;
    for (RenderJob& job : jobs) job.frame = t;
    MVINR_TRY(decoder->render(jobs, stop));
    for (int v = 0; v < int(views.size()); ++v) {
      texture_errors[size_t(v)].add(texture[size_t(v)],
                                    pictures.samples({t, v, Component::texture}));
      if (jobs[size_t(v)].depth)
        depth_errors[size_t(v)].add(depth[size_t(v)], pictures.samples({t, v, Component::depth}));
    }
    const std::chrono::duration<double> first = std::chrono::steady_clock::now() - start;
    if (i == 0) count = 1 + deadline.verifiable(count - 1, first.count());
  }
  stats.verified_frames = count;
  int depths = 0;
  for (size_t v = 0; v < views.size(); ++v) {
    const SampleFormat f = views[v].texture;
    const SquaredErrors& e = texture_errors[v];
    stats.texture.push_back(
        {.psnr_y = e.psnr(0, f), .psnr_u = e.psnr(1, f), .psnr_v = e.psnr(2, f)});
    stats.mean_texture_psnr += stats.texture.back().psnr_y / double(views.size());
    stats.depth.push_back({.psnr_y = depth_errors[v].psnr(0, views[v].depth)});
    stats.mean_depth_psnr += stats.depth.back().psnr_y;
    depths += views[v].depth != SampleFormat::none;
  }
  if (depths > 0) stats.mean_depth_psnr /= depths;
  if (depths == 0) stats.depth.clear();
  return ok();
}

}  // namespace mvinr
