// The single layers of docs/bitstream.md chapter 5 for plain_synthesis.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "format/coded_model.h"

namespace mvinr::testutil::plain {

using Int = int64_t;

inline Int clamp(Int x, Int low, Int high) { return std::min(std::max(x, low), high); }
inline Int sat16(Int x) { return clamp(x, -32768, 32767); }
inline Int sat32(Int x) { return clamp(x, INT32_MIN, INT32_MAX); }
inline Int wrap32(Int x) { return static_cast<int32_t>(static_cast<uint32_t>(x)); }
inline Int floor_div(Int a, Int b) { return a / b - (a % b != 0 && (a % b < 0) != (b < 0)); }

constexpr Int kMantissa[8] = {256, 279, 304, 332, 362, 395, 431, 470};

inline Int round_shift(Int x, Int n) {
  return n >= 0 ? (x + ((Int{1} << n) >> 1)) >> n : x * (1ll << -n);
}

// A feature map: at(channel, y, x).
struct Map {
  int channels = 0, height = 0, width = 0;
  std::vector<Int> values;
  Map(int c, int h, int w) : channels(c), height(h), width(w), values(size_t(c) * h * w) {}
  Int& at(int c, int y, int x) { return values[(size_t(c) * height + y) * width + x]; }
  Int at(int c, int y, int x) const { return values[(size_t(c) * height + y) * width + x]; }
  Int padded(int c, int y, int x) const {
    return y < 0 || x < 0 || y >= height || x >= width ? 0 : at(c, y, x);
  }
};

// 5.2
inline Int requantise(Int acc, int step, int fraction, Int bias) {
  const int n = fraction - 10 - (step >> 3);
  const int right = std::max(n, 0), left = std::max(-n, 0);
  const Int shifted = wrap32(wrap32(acc) * (Int{1} << left));
  const Int p = sat16(wrap32(shifted + ((Int{1} << right) >> 1)) >> right);
  return sat16(((p * kMantissa[step & 7] + 256) >> 9) + bias);
}

struct Layer {
  const CodedTensor* weight = nullptr;
  const CodedTensor* bias = nullptr;
  int columns = 0;
  Int w(int row, int column) const { return weight->symbols[size_t(row) * columns + column]; }
  int step(int row) const {
    return weight->steps.size() == 1 ? weight->steps[0] : weight->steps[row];
  }
  Int bias_q10(int row) const {
    if (bias == nullptr) return 0;
    const int s = bias->steps[0];
    return sat16(round_shift(bias->symbols[row] * 256 * kMantissa[s & 7], 7 - (s >> 3)));
  }
};

inline Int sigmoid(Int v) {
  const auto table = [](Int k) {
    return Int(std::floor(65536 / (1 + std::exp(-double(k - 1024) / 128)) + 0.5));
  };
  const Int y = clamp(sat16((v + 32) >> 6), -8191, 8191);
  const Int i = (y + 8192) >> 3, f = (y + 8192) & 7;
  return table(i) + (((table(i + 1) - table(i)) * f + 4) >> 3);
}

inline Map convolve(const Map& in, const Layer& layer, int outputs) {
  Map out(outputs, in.height, in.width);
  for (int o = 0; o < outputs; ++o)
    for (int y = 0; y < in.height; ++y)
      for (int x = 0; x < in.width; ++x) {
        Int acc = 0;
        for (int c = 0; c < in.channels; ++c)
          for (int tap = 0; tap < 9; ++tap)
            acc += layer.w(o, c * 9 + tap) * in.padded(c, y + tap / 3 - 1, x + tap % 3 - 1);
        out.at(o, y, x) = requantise(acc, layer.step(o), 10, layer.bias_q10(o));
      }
  return out;
}

inline Map pointwise(const Map& in, const Layer& layer, int outputs, int fraction, int zero) {
  Map out(outputs, in.height, in.width);
  for (int o = 0; o < outputs; ++o)
    for (int y = 0; y < in.height; ++y)
      for (int x = 0; x < in.width; ++x) {
        Int acc = 0;
        for (int c = 0; c < in.channels; ++c) acc += layer.w(o, c) * (in.at(c, y, x) - zero);
        out.at(o, y, x) = requantise(acc, layer.step(o), fraction, layer.bias_q10(o));
      }
  return out;
}

inline Map depthwise(const Map& in, const Layer& layer) {
  Map out(in.channels, in.height, in.width);
  for (int c = 0; c < in.channels; ++c)
    for (int y = 0; y < in.height; ++y)
      for (int x = 0; x < in.width; ++x) {
        Int acc = 0;
        for (int tap = 0; tap < 9; ++tap)
          acc += layer.w(c, tap) * in.padded(c, y + tap / 3 - 1, x + tap % 3 - 1);
        out.at(c, y, x) = requantise(acc, layer.step(c), 10, layer.bias_q10(c));
      }
  return out;
}

// 5.5. `fraction` 5: bytes with zero point 128; 10: int16.
inline Map norm(const Map& in, int fraction) {
  Map out(in.channels, in.height, in.width);
  const Int C = in.channels;
  const Int sh = std::max(int(std::ceil(std::log2(double(C)))) - 1, 0);
  const Int K = Int(std::floor(std::sqrt(double(C << (24 - sh)))));
  for (int y = 0; y < in.height; ++y)
    for (int x = 0; x < in.width; ++x) {
      Int sum = 0;
      for (int c = 0; c < C; ++c) sum += in.at(c, y, x);
      const Int mean = floor_div(2 * sum + C, 2 * C);
      std::vector<Int> e(C + 1, 0);
      for (int c = 0; c < C; ++c) e[c] = sat16(in.at(c, y, x) - mean);
      Int v = 1;
      for (int c = 0; c < C; c += 2) v += (e[c] * e[c] + e[c + 1] * e[c + 1]) >> sh;
      v = std::min<Int>(v, UINT32_MAX);
      const Int z = __builtin_clz(uint32_t(v)) & ~1;
      const Int k = (v << z) >> 22;
      const Int R = std::lround(16384 * std::sqrt(256 / (double(k) + 0.5)));
      const Int r = (R * K) >> 12, q = 29 - fraction - z / 2;
      for (int c = 0; c < C; ++c) {
        const Int value = (e[c] * r + (Int{1} << (q - 1))) >> q;
        out.at(c, y, x) = fraction == 5 ? clamp(value, -128, 127) + 128 : sat16(value);
      }
    }
  return out;
}

inline Map gelu(Map map) {
  for (Int& v : map.values) {
    const double x = double(clamp((v + 16) >> 5, -128, 127)) / 32;
    const double y = x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
    v = clamp(Int(std::floor(64 * y + 0.5)) + 11, 0, 255);
  }
  return map;
}

inline Map upsample(const Map& in, int s) {
  const auto taps = [s](int y, int size, int& near, int& far, Int& weight) {
    const int d = 2 * (y % s) + 1 - s;
    weight = (std::abs(d) * 256 + s) / (2 * s);
    near = y / s;
    far = int(clamp(d < 0 ? near - 1 : near + 1, 0, size - 1));
  };
  Map tall(in.channels, in.height * s, in.width), out(in.channels, in.height * s, in.width * s);
  int near, far;
  Int weight;
  for (int c = 0; c < in.channels; ++c)
    for (int y = 0; y < tall.height; ++y)
      for (int x = 0; x < in.width; ++x) {
        taps(y, in.height, near, far, weight);
        tall.at(c, y, x) =
            (in.at(c, near, x) * (256 - weight) + in.at(c, far, x) * weight + 128) >> 8;
      }
  for (int c = 0; c < in.channels; ++c)
    for (int y = 0; y < out.height; ++y)
      for (int x = 0; x < out.width; ++x) {
        taps(x, in.width, near, far, weight);
        out.at(c, y, x) =
            (tall.at(c, y, near) * (256 - weight) + tall.at(c, y, far) * weight + 128) >> 8;
      }
  return out;
}

inline Map sum(Map a, const Map& b) {
  for (size_t i = 0; i < a.values.size(); ++i) a.values[i] = sat16(a.values[i] + b.values[i]);
  return a;
}

}  // namespace mvinr::testutil::plain
