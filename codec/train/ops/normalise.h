// LayerNorm over channels, of kLanes pixels at a time, and the Q5 quantiser behind it.
#pragma once

#include "train/ops/kernels.h"
#include "train/ops/vec.h"

namespace mvinr::ops::MVINR_OPS_ISA {

/// All ones in the lanes of channel c, c + 1, ... that exist.
inline IntVec channel_mask(int c, int channels) {
  IntVec index{};
  for (int i = 0; i < kLanes; ++i) index[i] = i;
  return index + c < channels;
}

/// x [pixels][cp] -> (x - mean) / sqrt(var + 1e-6) in place, padding stays 0; inv [pixels] gets the
/// factors 1 / sqrt(...). `pixels` is a multiple of kLanes.
inline void normalise(float* x, int pixels, int channels, int cp, float* inv) {
  const float unit = 1.0f / float(channels);
  const IntVec last = channel_mask(cp - kLanes, channels);
  for (int p = 0; p < pixels; p += kLanes, x += kLanes * cp) {
    Vec sum[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      sum[i] = load(x + i * cp);
      for (int c = kLanes; c < cp; c += kLanes) sum[i] += load(x + i * cp + c);
    }
    float mean[kLanes];
    store(mean, lane_sums(sum) * unit);
    for (int i = 0; i < kLanes; ++i) {
      const Vec m = broadcast(mean + i);
      sum[i] = Vec{};
      int c = 0;
      for (; c < cp - kLanes; c += kLanes) {
        const Vec v = load(x + i * cp + c) - m;
        store(x + i * cp + c, v);
        sum[i] += v * v;
      }
      const Vec v = keep(last, load(x + i * cp + c) - m);
      store(x + i * cp + c, v);
      sum[i] += v * v;
    }
    const Vec factor = 1.0f / square_root(lane_sums(sum) * unit + 1e-6f);
    store(inv + p, factor);
    for (int i = 0; i < kLanes; ++i) {
      const Vec f = broadcast(inv + p + i);
      for (int c = 0; c < cp; c += kLanes) store(x + i * cp + c, load(x + i * cp + c) * f);
    }
  }
}

/// Gradient of the input of normalise from its output `y`, factors `inv` and `grad` (in place).
inline void normalise_backward(const float* y, const float* inv, float* grad, int pixels,
                               int channels, int cp) {
  const float unit = 1.0f / float(channels);
  const IntVec last = channel_mask(cp - kLanes, channels);
  for (int p = 0; p < pixels; p += kLanes, y += kLanes * cp, grad += kLanes * cp) {
    Vec sum[kLanes], product[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      sum[i] = product[i] = Vec{};
      for (int c = 0; c < cp; c += kLanes) {
        const Vec g = load(grad + i * cp + c);
        sum[i] += g;
        product[i] += g * load(y + i * cp + c);
      }
    }
    float mean[kLanes], slope[kLanes];
    store(mean, lane_sums(sum) * unit);
    store(slope, lane_sums(product) * unit);
    for (int i = 0; i < kLanes; ++i) {
      const Vec m = broadcast(mean + i), s = broadcast(slope + i), f = broadcast(inv + p + i);
      for (int c = 0; c < cp; c += kLanes) {
        Vec v = (load(grad + i * cp + c) - m - load(y + i * cp + c) * s) * f;
        if (c + kLanes >= cp) v = keep(last, v);
        store(grad + i * cp + c, v);
      }
    }
  }
}

/// clamp(round(32 x), -128, 127): to(i) gets kInputScale times the Q5 activation. In place if
/// equal.
inline void quantise_input(const float* from, float* to, int count) {
  for (int i = 0; i < count; i += kLanes)
    store(to + i, clamp(scaled_round(load(from + i), kInputScale), -128.0f, 127.0f));
}

/// grad = 0 where quantise_input clamped.
inline void mask_clamped_input(const float* from, float* grad, int count) {
  for (int i = 0; i < count; i += kLanes) {
    const Vec r = scaled_round(load(from + i), kInputScale);
    store(grad + i, keep((r >= -128.0f) & (r <= 127.0f), load(grad + i)));
  }
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
