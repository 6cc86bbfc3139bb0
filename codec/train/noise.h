// What stands for the rounding of grids in training: uniform noise between two soft roundings
// (Agustsson and Theis, arXiv 2006.09952; for overfitted latents C3, arXiv 2312.02753), with a
// rational function in place of their tanh.
#pragma once

#include <cmath>
#include <cstdint>

namespace mvinr {

/// In [-1/2, 1/2): of value `i` of a tensor with `key`; a hash, so that a backward pass can make it
/// again.
inline float noise_of(uint32_t key, uint32_t i) {
  uint32_t x = i * 0x9E3779B9u ^ key;
  x = (x ^ x >> 16) * 0x7FEB352Du;
  x = (x ^ x >> 15) * 0x846CA68Bu;
  return float(int32_t(x ^ x >> 16)) * 0x1p-32f;
}

/// The key of tensor `index` of a step with `key`.
inline uint32_t tensor_key(uint32_t key, size_t index) {
  return key + uint32_t(index) * 0x85EBCA6Bu;
}

/// A symbol q becomes soften(soften(q) + amplitude * noise). By default: plain noise.
struct SoftRounding {
  float sharpness = 0;  // 0: soften(x) = x; growing: towards floor(x + 1/2)
  float amplitude = 1;

  /// Continuous, fixed at integers and half-way between; there with the slope 1 + sharpness, at
  /// integers with its inverse.
  float soften(float x) const {
    const float r = x - __builtin_floorf(x) - 0.5f;
    return x - r + r * (1 + sharpness) / (1 + 2 * sharpness * __builtin_fabsf(r));
  }
  float slope(float x) const {
    const float r = x - __builtin_floorf(x) - 0.5f;
    const float inverse = 1 / (1 + 2 * sharpness * __builtin_fabsf(r));
    return (1 + sharpness) * inverse * inverse;
  }
  float before(float q, float noise) const { return soften(q) + amplitude * noise; }
  float symbol(float q, float noise) const { return soften(before(q, noise)); }
  /// d symbol / d q.
  float gradient(float q, float noise) const { return slope(before(q, noise)) * slope(q); }
};

}  // namespace mvinr
