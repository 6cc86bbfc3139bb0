// The loops over rows of warping. Quotients of integers are computed in binary64: for |a| < 2^52
// and b > 0 the floor of the rounded quotient a / b is the floor of the exact one, because an exact
// quotient that is no integer is at least 1 / b away from the next integer, more than the rounding.
#include <algorithm>

#include "base/clones.h"
#include "geometry/warp_parts.h"

namespace mvinr {
namespace {

constexpr double kFarAway = 1 << 24;  // Q8: beyond every picture, and differences stay small

// |v| < 2^31.
inline __attribute__((always_inline)) int32_t floor_of(double v) {
  return static_cast<int32_t>(__builtin_floor(v));
}

inline __attribute__((always_inline)) double clamped(double v, double low, double high) {
  v = v < low ? low : v;
  return v > high ? high : v;
}

template <typename Sample>
inline __attribute__((always_inline)) void inverse_loop(double offset, double step, int most,
                                                        const Sample* in, int count, int32_t* out) {
  for (int x = 0; x < count; ++x) {
    const int sample = in[x] < most ? in[x] : most;
    const int32_t v = static_cast<int32_t>((offset + step * sample) * (1.0 / 65536));
    out[x] = v > 1 ? v : 1;
  }
}

MVINR_CLONES void inverse8(double offset, double step, int most, const uint8_t* in, int count,
                           int32_t* out) {
  inverse_loop(offset, step, most, in, count, out);
}
MVINR_CLONES void inverse16(double offset, double step, int most, const uint16_t* in, int count,
                            int32_t* out) {
  inverse_loop(offset, step, most, in, count, out);
}

MVINR_CLONES void texture8(const uint8_t* in, int shift, int count, int16_t* out) {
  for (int x = 0; x < count; ++x) out[x] = static_cast<int16_t>(in[x] << shift);
}
MVINR_CLONES void texture16(const uint16_t* in, int shift, int count, int16_t* out) {
  for (int x = 0; x < count; ++x)
    out[x] = static_cast<int16_t>((in[x] < 1023 ? in[x] : 1023) << shift);
}

}  // namespace

void inverse_of_row(const DepthScale& s, int most, const void* samples, int bytes, int count,
                    int32_t* out) {
  const double offset = static_cast<double>(s.offset), step = static_cast<double>(s.step);
  if (bytes == 1) {
    inverse8(offset, step, most, static_cast<const uint8_t*>(samples), count, out);
  } else {
    inverse16(offset, step, most, static_cast<const uint16_t*>(samples), count, out);
  }
}

void texture_of_row(const void* samples, int bytes, int shift, int count, int16_t* out) {
  if (bytes == 1) {
    texture8(static_cast<const uint8_t*>(samples), shift, count, out);
  } else {
    texture16(static_cast<const uint16_t*>(samples), shift, count, out);
  }
}

RowProjection project_along(const Projection& p, int y) {
  RowProjection row;
  for (int i = 0; i < 3; ++i) {
    row.h[i] = static_cast<double>(p.a[i][1] * y + p.a[i][2]);
    row.a[i] = static_cast<double>(p.a[i][0]);
    row.b[i] = static_cast<double>(p.b[i]);
  }
  row.one = 1;
  row.most = kMaxInverse;
  row.g = static_cast<double>(p.g);
  row.scale = 1.0 / static_cast<double>(int64_t{1} << p.shift);
  return row;
}

// GCC exports the names of clones that are not local, whatever -fvisibility says.
namespace {

// The position, Q8, of a projected pixel. The dividends are clamped, not the quotients, and
// `one` is a variable: where constants meet divisions and conversions, the compiler makes branches.
// The products are exact.
inline __attribute__((always_inline)) void position(const RowProjection& r, double column,
                                                    double depth, double hz, int32_t& to_x,
                                                    int32_t& to_y) {
  const double hx = r.h[0] + r.a[0] * column + r.b[0] * depth;
  const double hy = r.h[1] + r.a[1] * column + r.b[1] * depth;
  const double by = hz > r.one ? hz : r.one, most = kFarAway * by;
  to_x = floor_of(clamped(hx * 256.0, -most, most) / by);
  to_y = floor_of(clamped(hy * 256.0, -most, most) / by);
}

MVINR_CLONES void project(const RowProjection& row, const int32_t* inverse, int count,
                          const Projected& out) {
  const RowProjection r = row;
  int32_t* __restrict to_x = out.x, * __restrict to_y = out.y, * __restrict to_inverse = out.inverse;
  for (int x = 0; x < count; ++x) {
    const double column = x, depth = inverse[x];
    const double hz = r.h[2] + r.a[2] * column + r.b[2] * depth;
    const int32_t divisor = floor_of(hz * r.scale);
    const double ratio_by = divisor > r.one ? divisor : r.one;
    position(r, column, depth, hz, to_x[x], to_y[x]);
    const int32_t moved =
        static_cast<int32_t>(clamped(depth * r.g, ratio_by, kMaxInverse * ratio_by) / ratio_by);
    // All bits of the sign: 0 if both are positive.
    to_inverse[x] = moved & ~((divisor - 1) >> 31) & ~((inverse[x] - 1) >> 31);
  }
}

MVINR_CLONES void project_positions(const RowProjection& row, const int32_t* inverse, int count,
                                    int32_t* __restrict to_x, int32_t* __restrict to_y) {
  const RowProjection r = row;
  for (int x = 0; x < count; ++x) {
    const double column = x, depth = inverse[x];
    position(r, column, depth, r.h[2] + r.a[2] * column + r.b[2] * depth, to_x[x], to_y[x]);
  }
}

MVINR_CLONES void unproject(const RowProjection& row, const int32_t* inverse, const int32_t* wanted,
                            int count, int32_t* out) {
  const RowProjection r = row;
  for (int x = 0; x < count; ++x) {
    const double hz = r.h[2] + r.a[2] * x + r.b[2] * inverse[x];
    const int32_t divisor = std::clamp(floor_of(hz * r.scale), 0, 1 << 24);
    const double back = wanted[x] * double(divisor);
    // All bits of the sign: 0 where nothing is wanted.
    out[x] =
        static_cast<int32_t>(clamped(back, r.g, r.most * r.g) / r.g) & ~((wanted[x] - 1) >> 31);
  }
}

MVINR_CLONES void to_depth(const DepthScale& scale, const int32_t* inverse, int count,
                           int32_t* out) {
  const double factor = scale.factor, half = static_cast<double>(int64_t{1} << scale.shift) / 2,
               down = 1.0 / static_cast<double>(int64_t{1} << scale.shift);
  const int32_t far = scale.far;
  for (int x = 0; x < count; ++x) {
    const int32_t above = inverse[x] > far ? inverse[x] - far : 0;
    out[x] = static_cast<int32_t>(clamped((above * factor + half) * down, 0, 65535));
  }
}

}  // namespace

void project_row(const RowProjection& row, const int32_t* inverse, int count,
                 const Projected& out) {
  project(row, inverse, count, out);
}

void project_row_positions(const RowProjection& row, const int32_t* inverse, int count, int32_t* x,
                           int32_t* y) {
  project_positions(row, inverse, count, x, y);
}

void unproject_row(const RowProjection& row, const int32_t* inverse, const int32_t* wanted,
                   int count, int32_t* out) {
  unproject(row, inverse, wanted, count, out);
}

void depth_of_row(const DepthScale& scale, const int32_t* inverse, int count, int32_t* out) {
  to_depth(scale, inverse, count, out);
}

}  // namespace mvinr
