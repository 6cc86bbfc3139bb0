#include "geometry/displace.h"

#include <algorithm>

#include "base/clones.h"
#include "geometry/interpolate.h"
#include "geometry/warp_parts.h"
#include "mvinr/stream.h"

namespace mvinr {
namespace {

constexpr int kChunk = 64;
constexpr int kValues = 10;  // of a position: 4 luma, U, V, 4 depth
constexpr int32_t kFull = 1024;

/// One plane of a prepared picture, and how its samples are found.
struct Source {
  const int16_t* origin = nullptr;
  ptrdiff_t stride = 0;
  int32_t most_x = 0, most_y = 0;  // Q8 luma positions end here
  int half = 0;                    // 1: chroma
};

Source source_of(const DisplacedPicture& picture, DisplacedPicture::Plane plane) {
  const AlignedArray<int16_t>& memory = picture.memory[plane];
  if (memory.size() == 0) return {};
  const bool chroma = plane == DisplacedPicture::u || plane == DisplacedPicture::v;
  const ptrdiff_t stride = plane_size(picture.width, chroma ? 1 : 0) + 2 * kWarpBorder;
  return {memory.data() + kWarpBorder * stride + kWarpBorder, stride, 256 * (picture.width + 1),
          256 * (picture.height + 1), chroma ? 1 : 0};
}

inline __attribute__((always_inline)) int32_t between(int32_t v, int32_t low, int32_t high) {
  v = v < low ? low : v;
  return v > high ? high : v;
}

/// Displacements (1/256 luma samples) and weights of `count` positions.
struct Vectors {
  int32_t x[kChunk], y[kChunk], weight[kChunk];
};

void read_vectors(const DisplaceBase& base, const FlowPlanes& flow, int index, int shift,
                  ptrdiff_t start, int count, Vectors& out) {
  const int16_t* x = flow.data + kFlowPlanes * index * flow.plane + start;
  const int16_t *y = x + flow.plane, *confidence = y + flow.plane;
  for (int i = 0; i < count; ++i) {
    out.x[i] = (int32_t{x[i]} << shift) + 256 * base.offset_x;
    out.y[i] = (int32_t{y[i]} << shift) + 256 * base.offset_y;
    out.weight[i] = between(kFull + confidence[i], 0, kFull);
  }
}

/// Samples one value per position; (x, y) is the Q8 luma position of position 0 without its
/// displacement.
MVINR_CLONES void sample_chunk(const Source& from, int32_t x, int32_t y, const Vectors& vectors,
                               int count, int32_t most, int32_t* out) {
  for (int i = 0; i < count; ++i) {
    const int32_t px = between(x + 512 * i + vectors.x[i], -256, from.most_x) >> from.half;
    const int32_t py = between(y + vectors.y[i], -256, from.most_y) >> from.half;
    out[i] = interpolate(from.origin, from.stride, px, py, most);
  }
}

/// Q8 position in luma samples of value `v` of the trunk position (x, y).
struct Place {
  int32_t x, y;
};
Place place_of(int v, int x, int y) {
  if (v == 4 || v == 5) return {512 * x + 256, 512 * y + 256};
  const int phase = v < 4 ? v : v - 6;
  return {512 * x + 256 * (phase & 1) + 128, 512 * y + 256 * (phase >> 1) + 128};
}
DisplacedPicture::Plane plane_of(int v) {
  return v < 4    ? DisplacedPicture::luma
         : v == 4 ? DisplacedPicture::u
         : v == 5 ? DisplacedPicture::v
                  : DisplacedPicture::depth;
}

/// The values of `count` positions from (x, y) on: those of one base.
void sample_values(const DisplacedPicture& picture, const Vectors& vectors, int x, int y, int count,
                   int values, int32_t (*out)[kChunk]) {
  for (int v = 0; v < values; ++v) {
    const Source from = source_of(picture, plane_of(v));
    const Place at = place_of(v, x, y);
    if (from.origin == nullptr)
      std::fill_n(out[v], count, 512);
    else
      sample_chunk(from, at.x, at.y, vectors, count, 1023, out[v]);
  }
}

/// The masks of one base, before its confidence weighs them.
void sample_masks(const DisplacedPicture& picture, const Vectors& vectors, int x, int y, int count,
                  int32_t (*out)[kChunk]) {
  const Source from = source_of(picture, DisplacedPicture::mask);
  for (int p = 0; p < 4; ++p) {
    const Place at = place_of(p, x, y);
    if (from.origin == nullptr)
      std::fill_n(out[p], count, kFull);
    else
      sample_chunk(from, at.x, at.y, vectors, count, kFull, out[p]);
  }
}

struct Blended {
  int32_t sum[kValues][kChunk], total[kChunk], mask[4][kChunk];
};

MVINR_CLONES void blend(const int32_t (*value)[kChunk], const int32_t (*mask)[kChunk], int values,
                        const int32_t* weight, int count, Blended& to) {
  for (int i = 0; i < count; ++i) to.total[i] += std::max(weight[i], 1);
  for (int v = 0; v < values; ++v)
    for (int i = 0; i < count; ++i) to.sum[v][i] += value[v][i] * std::max(weight[i], 1);
  for (int p = 0; p < 4; ++p)
    for (int i = 0; i < count; ++i)
      to.mask[p][i] = std::max(to.mask[p][i], (mask[p][i] * weight[i] + 512) >> 10);
}

// --- Gradients ---

constexpr auto make_float_filter(bool derivative) {
  std::array<std::array<float, 4>, 16> filter{};
  for (int c = 0; c < 16; ++c) {
    const float t = float(c) / 16, t2 = t * t, t3 = t2 * t;
    if (derivative)
      filter[c] = {(-3 * t2 + 4 * t - 1) / 2, (9 * t2 - 10 * t) / 2, (-9 * t2 + 8 * t + 1) / 2,
                   (3 * t2 - 2 * t) / 2};
    else
      filter[c] = {(-t3 + 2 * t2 - t) / 2, (3 * t3 - 5 * t2 + 2) / 2, (-3 * t3 + 4 * t2 + t) / 2,
                   (t3 - t2) / 2};
  }
  return filter;
}
alignas(16) constexpr auto kTaps = make_float_filter(false);
alignas(16) constexpr auto kSlopes = make_float_filter(true);

/// Value and slopes per sample of the plane.
struct Sampled {
  float value, slope_x, slope_y;
};
inline __attribute__((always_inline)) Sampled sample_with_slope(const Source& from, Place at) {
  using Half4 [[gnu::vector_size(8)]] = int16_t;
  using Float4 [[gnu::vector_size(16)]] = float;
  const int32_t px = between(at.x, -256, from.most_x) >> from.half;
  const int32_t py = between(at.y, -256, from.most_y) >> from.half;
  const int32_t sx = (px - 120) >> 4, sy = (py - 120) >> 4;
  const int16_t* row = from.origin + ((sy >> 4) - 1) * from.stride + (sx >> 4) - 1;
  Float4 across, across_slope, column = {}, column_slope = {};
  std::memcpy(&across, kTaps[sx & 15].data(), sizeof across);
  std::memcpy(&across_slope, kSlopes[sx & 15].data(), sizeof across);
  for (int y = 0; y < 4; ++y) {
    Half4 samples;
    std::memcpy(&samples, row + y * from.stride, sizeof samples);
    const Float4 s = __builtin_convertvector(samples, Float4);
    column += kTaps[sy & 15][y] * s;
    column_slope += kSlopes[sy & 15][y] * s;
  }
  const auto sum = [](const Float4& v) { return v[0] + v[1] + v[2] + v[3]; };
  const float scale = from.half ? 0.5f : 1.0f;
  return {sum(column * across), sum(column * across_slope) * scale,
          sum(column_slope * across) * scale};
}

/// clamp(1024 + confidence, 0, 1024) lets through what leads back into its range.
float through_clamp(float gradient, int confidence) {
  if (confidence >= 0) return std::max(gradient, 0.0f);
  if (confidence <= -kFull) return std::min(gradient, 0.0f);
  return gradient;
}

struct GradientBase {
  Source plane[5];
  int offset_x, offset_y;
};

Status allocate(DisplacedPicture& picture, int width, int height, bool depth, bool mask) {
  picture.width = width;
  picture.height = height;
  for (int p = 0; p < 5; ++p) {
    const bool chroma = p == DisplacedPicture::u || p == DisplacedPicture::v;
    const bool wanted = p == DisplacedPicture::depth  ? depth
                        : p == DisplacedPicture::mask ? mask
                                                      : true;
    const size_t values = size_t(plane_size(width, chroma) + 2 * kWarpBorder) *
                          size_t(plane_size(height, chroma) + 2 * kWarpBorder);
    if (!wanted)
      picture.memory[p] = {};
    else if (picture.memory[p].size() != values && !picture.memory[p].allocate(values))
      return Error{ErrorCode::limit_exceeded, "not enough memory for the pictures to displace"};
  }
  return ok();
}

}  // namespace

Status prepare_displaced(const Picture& texture, const Picture* depth, DisplacedPicture& out,
                         ThreadPool* pool) {
  const int width = texture.width, height = texture.height;
  if (Status status = allocate(out, width, height, depth != nullptr, false); !status) return status;
  for (int p = 0; p < (depth != nullptr ? 4 : 3); ++p) {
    const int chroma = p == 1 || p == 2 ? 1 : 0;
    const Area<int16_t> area =
        bordered(out.memory[p], plane_size(width, chroma), plane_size(height, chroma));
    const Picture& from = p < 3 ? texture : *depth;
    const int plane = p < 3 ? p : 0, bits = bit_depth(from.format);
    const int bytes = bytes_per_sample(from.format);
    for_each(pool, area.height, [&](int y, int) {
      const std::byte* row = from.data[plane] + y * from.stride[plane];
      int16_t* to = area.row(y);
      if (bits <= 10) {
        texture_of_row(row, bytes, 10 - bits, area.width, to);
      } else {
        const auto* samples = reinterpret_cast<const uint16_t*>(row);
        for (int x = 0; x < area.width; ++x)
          to[x] = int16_t(std::min((samples[x] + 32) >> 6, 1023));
      }
      add_side_borders(area, y);
    });
    add_top_and_bottom(area);
  }
  return ok();
}

Status prepare_displaced(const WarpedPlanes& planes, DisplacedPicture& out, ThreadPool* pool) {
  const int width = 2 * planes.width, height = 2 * planes.height;
  if (Status status = allocate(out, width, height, true, true); !status) return status;
  constexpr int kFirst[5] = {0, 4, 5, 6, 10};
  for (int p = 0; p < 5; ++p) {
    const bool chroma = p == 1 || p == 2;
    const Area<int16_t> area =
        bordered(out.memory[p], plane_size(width, chroma), plane_size(height, chroma));
    for_each(pool, area.height, [&](int y, int) {
      const int16_t* from = planes.data + (kFirst[p] + (chroma ? 0 : 2 * (y & 1))) * planes.plane +
                            ptrdiff_t{chroma ? y : y / 2} * planes.width;
      int16_t* to = area.row(y);
      if (chroma) {
        std::copy_n(from, planes.width, to);
      } else {
        for (int x = 0; x < planes.width; ++x) {
          to[2 * x] = from[x];
          to[2 * x + 1] = from[planes.plane + x];
        }
      }
      add_side_borders(area, y);
    });
    add_top_and_bottom(area);
  }
  return ok();
}

void displace(std::span<const DisplaceBase> bases, const FlowPlanes& flow, int shift, bool depth,
              const WarpedPlanes& out, int y0, int y1) {
  const int values = depth ? kValues : 6;
  Vectors vectors;
  int32_t value[kValues][kChunk], mask[4][kChunk];
  for (int y = y0; y < y1; ++y) {
    for (int x = 0; x < out.width; x += kChunk) {
      const int count = std::min(kChunk, out.width - x);
      const ptrdiff_t start = ptrdiff_t{y} * out.width + x;
      Blended blended{};
      for (size_t b = 0; b < bases.size(); ++b) {
        read_vectors(bases[b], flow, static_cast<int>(b), shift, start, count, vectors);
        sample_values(*bases[b].picture, vectors, x, y, count, values, value);
        sample_masks(*bases[b].picture, vectors, x, y, count, mask);
        blend(value, mask, values, vectors.weight, count, blended);
      }
      for (int v = 0; v < values; ++v) {
        int16_t* to = out.data + v * out.plane + start;
        for (int i = 0; i < count; ++i)
          to[i] = bases.size() == 1
                      ? int16_t(value[v][i])
                      : int16_t((blended.sum[v][i] + blended.total[i] / 2) / blended.total[i]);
      }
      for (int p = 0; p < 4; ++p) {
        int16_t* to = out.data + (values + p) * out.plane + start;
        for (int i = 0; i < count; ++i) to[i] = int16_t(blended.mask[p][i]);
      }
    }
  }
}

void displace_gradient(std::span<const DisplaceBase> bases, const FlowPlanes& flow, int shift,
                       bool depth, int width, int y0, int y1, const float* result_gradient,
                       float* flow_gradient) {
  const int values = depth ? kValues : 6, planes = values + 4;
  const int count = static_cast<int>(bases.size());
  GradientBase from[kMaxBaseViews];
  for (int b = 0; b < count; ++b) {
    for (int p = 0; p < 5; ++p)
      from[b].plane[p] = source_of(*bases[b].picture, DisplacedPicture::Plane(p));
    from[b].offset_x = bases[b].offset_x, from[b].offset_y = bases[b].offset_y;
  }
  const float per_unit = float(1 << shift) / 256;  // of a slope per sample
  for (int y = y0; y < y1; ++y) {
    for (int x = 0; x < width; ++x) {
      const ptrdiff_t at = ptrdiff_t{y} * width + x;
      const float* gradient = result_gradient + at * planes;
      float* out = flow_gradient + at * kFlowPlanes * count;
      Sampled sampled[kMaxBaseViews][kValues];
      float weight[kMaxBaseViews], total = 0, mean[kValues] = {};
      int confidence[kMaxBaseViews];
      for (int b = 0; b < count; ++b) {
        const int16_t* v = flow.data + kFlowPlanes * b * flow.plane + at;
        const int32_t dx = (int32_t{v[0]} << shift) + 256 * from[b].offset_x;
        const int32_t dy = (int32_t{v[flow.plane]} << shift) + 256 * from[b].offset_y;
        confidence[b] = v[2 * flow.plane];
        weight[b] = float(std::max(between(kFull + confidence[b], 0, kFull), 1));
        total += weight[b];
        for (int k = 0; k < values; ++k) {
          const Source& source = from[b].plane[plane_of(k)];
          const Place place = place_of(k, x, y);
          sampled[b][k] = source.origin == nullptr
                              ? Sampled{512, 0, 0}
                              : sample_with_slope(source, {place.x + dx, place.y + dy});
          mean[k] += weight[b] * sampled[b][k].value;
        }
        out[kFlowPlanes * b + 2] = 0;
      }
      for (int k = 0; k < values; ++k) mean[k] /= total;
      for (int b = 0; b < count; ++b) {
        float gx = 0, gy = 0, gw = 0;
        for (int k = 0; k < values; ++k) {
          gx += gradient[k] * sampled[b][k].slope_x;
          gy += gradient[k] * sampled[b][k].slope_y;
          gw += gradient[k] * (sampled[b][k].value - mean[k]);
        }
        out[kFlowPlanes * b] = gx * (weight[b] / total) * per_unit;
        out[kFlowPlanes * b + 1] = gy * (weight[b] / total) * per_unit;
        out[kFlowPlanes * b + 2] += gw / total;
      }
      for (int p = 0; p < 4; ++p) {
        // The mask is that of the base which shows most.
        int best = 0;
        float most = -1, slope_x = 0, slope_y = 0, seen = 0;
        for (int b = 0; b < count; ++b) {
          const Source& source = from[b].plane[DisplacedPicture::mask];
          const float clamped = float(between(kFull + confidence[b], 0, kFull));
          Sampled s{float(kFull), 0, 0};
          if (source.origin != nullptr) {
            const int16_t* v = flow.data + kFlowPlanes * b * flow.plane + at;
            const Place place = place_of(p, x, y);
            s = sample_with_slope(
                source, {place.x + (int32_t{v[0]} << shift) + 256 * from[b].offset_x,
                         place.y + (int32_t{v[flow.plane]} << shift) + 256 * from[b].offset_y});
          }
          if (s.value * clamped <= most) continue;
          most = s.value * clamped, best = b, seen = s.value;
          slope_x = s.slope_x * clamped / kFull, slope_y = s.slope_y * clamped / kFull;
        }
        out[kFlowPlanes * best] += gradient[values + p] * slope_x * per_unit;
        out[kFlowPlanes * best + 1] += gradient[values + p] * slope_y * per_unit;
        out[kFlowPlanes * best + 2] += gradient[values + p] * seen / kFull;
      }
      for (int b = 0; b < count; ++b) {
        float& g = out[kFlowPlanes * b + 2];
        g = through_clamp(g, confidence[b]);
      }
    }
  }
}

}  // namespace mvinr
