// Uniform noise by a hash, so that a backward pass can make it again.
#pragma once

#include <cstdint>

namespace mvinr {

/// In [-1/2, 1/2): of value `i` of a tensor with `key`.
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

}  // namespace mvinr
