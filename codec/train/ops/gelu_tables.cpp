#include <algorithm>
#include <bit>
#include <cmath>

#include "train/ops/kernels.h"

namespace mvinr::ops {
namespace {

double upper_tail(double x) { return std::erfc(x / std::sqrt(2.0)) / 2; }
double density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); }

GeluTables make_tables() {
  GeluTables tables{};
  // t(z) = z * (1 - Phi(z)) on segment k: the Taylor polynomial about the centre c = k / kGeluScale
  // to degree 5, whose last term is spread over the lower ones as the Chebyshev polynomial tells:
  // u^5 = 5/4 h^2 u^3 - 5/16 h^4 u, to h^5 / 16, for |u| <= h. The variable is u * kGeluScale.
  for (int k = 0; k < kGeluSegments; ++k) {
    const double scale = double(kGeluScale), c = k / scale, h = 0.5 / scale, c2 = c * c;
    const double d = density(c);
    double taylor[6] = {c * upper_tail(c),
                        upper_tail(c) - c * d,
                        (c2 - 2) * d / 2,
                        (4 - c2) * c * d / 6,
                        (4 - 7 * c2 + c2 * c2) * d / 24,
                        (-18 + 11 * c2 - c2 * c2) * c * d / 120};
    taylor[3] += taylor[5] * 1.25 * h * h;
    taylor[1] -= taylor[5] * 0.3125 * h * h * h * h;
    for (int i = 0; i < kGeluCoefficients; ++i)
      tables.tail[i][k] = float(taylor[i] * std::pow(scale, -double(i)));
  }
  for (int i = -128; i < 128; ++i) {
    const double x = i / 32.0, cdf = upper_tail(-x);
    const double rounded = std::floor(64 * x * cdf + 0.5);
    const double slope = cdf + x * density(x);
    tables.value[i & 255] = int16_t(std::clamp(rounded, -11.0, 244.0));
    tables.bf16_value[i & 255] =
        int16_t(std::bit_cast<uint32_t>(float(tables.value[i & 255]) * 65536.0f) >> 16);
    tables.slope[i & 255] = int16_t(std::floor(slope * double(kSlopeScale) + 0.5));
  }
  return tables;
}

}  // namespace

const GeluTables& gelu_tables() {
  static const GeluTables tables = make_tables();
  return tables;
}

}  // namespace mvinr::ops
