// LayerNorm over channels, of kLanes pixels at a time, and the Q5 quantiser behind it.
#pragma once

#include "kernels/scalar.h"
#include "train/ops/kernels.h"
#include "train/ops/vec.h"

namespace mvinr::ops::MVINR_OPS_ISA {

/// All ones in the lanes of channel c, c + 1, ... that exist.
inline IntVec channel_mask(int c, int channels) {
  IntVec index{};
  for (int i = 0; i < kLanes; ++i) index[i] = i;
  return index + c < channels;
}

namespace {  // as kernels/scalar.h

/// The decoder's 1 / sqrt(var), from a table (docs/bitstream.md 5.5): the factor from centred real
/// values to normalised ones. The sum of squares is that of Q10 values.
class DecoderFactor {
 public:
  explicit DecoderFactor(int channels)
      : constants_(norm_constants(channels)),
        scale_(1.0f / float(1 << constants_.shift)),
        // Every pair of squares is rounded down; here all at once, by what that is on average.
        lost_(float((channels + 1) / 2) * 0.5f * (1.0f - scale_)) {}
  float operator()(float squares) const {
    const float sum = squares * scale_ - lost_;
    const uint32_t v = 1 + (sum > 0 ? uint32_t(smaller(sum, 4294967000.0f)) : 0u);
    const int z = leading_zeros(v) & ~1;
    const int factor = (kRsqrtTable[(v << z >> 22) - 256] * constants_.factor) >> 12;
    return float(factor) * (1024.0f / float(1 << (29 - z / 2)));
  }

 private:
  NormConstants constants_;
  float scale_, lost_;
};

}  // namespace

// Both passes below go over all pixels once per step instead of finishing a group at a time: the
// sums over lanes have long chains of dependent instructions, which overlap that way.
inline constexpr int kMaxPixels = 96;

template <bool Q, int FixedVecs>  // vectors of a pixel; 0: any number
inline void normalise_vecs(float* x, int pixels, int channels, int vecs, float* inv) {
  const int cp = (FixedVecs ? FixedVecs : vecs) * kLanes;
  const float unit = 1.0f / float(channels);
  const IntVec last = channel_mask(cp - kLanes, channels);
  for (int p = 0; p < pixels; p += kLanes) {
    Vec sum[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      const float* row = x + (p + i) * cp;
      sum[i] = load(row);
      for (int c = kLanes; c < cp; c += kLanes) sum[i] += load(row + c);
    }
    const Vec mean = lane_sums(sum) * unit;
    store(inv + p, Q ? round10(mean) : mean);
  }
  const DecoderFactor decoder_factor(channels);
  for (int p = 0; p < pixels; p += kLanes) {
    Vec sum[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      float* row = x + (p + i) * cp;
      const Vec mean = broadcast(inv + p + i);
      sum[i] = Vec{};
      int c = 0;
      for (; c < cp - kLanes; c += kLanes) {
        const Vec v = load(row + c) - mean;
        store(row + c, v);
        sum[i] += v * v;
      }
      const Vec v = keep(last, load(row + c) - mean);
      store(row + c, v);
      sum[i] += v * v;
    }
    const Vec squares = lane_sums(sum);
    if (Q) {
      store(inv + p, squares * (1024.0f * 1024.0f));
      for (int i = 0; i < kLanes; ++i) inv[p + i] = decoder_factor(inv[p + i]);
    } else {
      store(inv + p, 1.0f / square_root(squares * unit + 1e-6f));
    }
  }
  for (int p = 0; p < pixels; ++p) {
    const Vec factor = broadcast(inv + p);
    for (int c = 0; c < cp; c += kLanes) store(x + p * cp + c, load(x + p * cp + c) * factor);
  }
}

/// x [pixels][cp] -> (x - mean) / sqrt(var + 1e-6) in place, padding stays 0; inv [pixels] gets the
/// factors 1 / sqrt(...). Q: with the decoder's rounded mean and factor. `pixels` is a multiple of
/// kLanes, at most kMaxPixels.
template <bool Q>
inline void normalise(float* x, int pixels, int channels, int cp, float* inv) {
  const int vecs = cp / kLanes;
  (vecs == 1   ? normalise_vecs<Q, 1>
   : vecs == 2 ? normalise_vecs<Q, 2>
               : normalise_vecs<Q, 0>)(x, pixels, channels, vecs, inv);
}

template <int FixedVecs>
inline void normalise_backward_vecs(const float* y, const float* inv, float* grad, int pixels,
                                    int channels, int vecs) {
  const int cp = (FixedVecs ? FixedVecs : vecs) * kLanes;
  const float unit = 1.0f / float(channels);
  const IntVec last = channel_mask(cp - kLanes, channels);
  float means[kMaxPixels], slopes[kMaxPixels];
  for (int p = 0; p < pixels; p += kLanes) {
    Vec sum[kLanes], product[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      sum[i] = product[i] = Vec{};
      for (int c = 0; c < cp; c += kLanes) {
        const Vec g = load(grad + (p + i) * cp + c);
        sum[i] += g;
        product[i] += g * load(y + (p + i) * cp + c);
      }
    }
    store(means + p, lane_sums(sum) * unit);
    store(slopes + p, lane_sums(product) * unit);
  }
  for (int p = 0; p < pixels; ++p) {
    const Vec mean = broadcast(means + p), slope = broadcast(slopes + p),
              factor = broadcast(inv + p);
    for (int c = 0; c < cp; c += kLanes) {
      Vec v = (load(grad + p * cp + c) - mean - load(y + p * cp + c) * slope) * factor;
      if (c + kLanes >= cp) v = keep(last, v);
      store(grad + p * cp + c, v);
    }
  }
}

/// Gradient of the input of normalise from its output `y`, factors `inv` and `grad` (in place).
inline void normalise_backward(const float* y, const float* inv, float* grad, int pixels,
                               int channels, int cp) {
  const int vecs = cp / kLanes;
  (vecs == 1   ? normalise_backward_vecs<1>
   : vecs == 2 ? normalise_backward_vecs<2>
               : normalise_backward_vecs<0>)(y, inv, grad, pixels, channels, vecs);
}

/// clamp(round(32 x), -128, 127): to(i) gets kInputScale times the Q5 activation. In place if
/// equal.
inline void quantise_input(const float* from, float* to, int count) {
  for (int i = 0; i < count; i += kLanes)
    store(to + i, clamp(scaled_round(load(from + i), kInputScale), -128.0f, 127.0f));
}

/// Where quantise_input clamped, only gradients that lead back into the range (see pulled_back).
inline void mask_clamped_input(const float* from, float* grad, int count) {
  for (int i = 0; i < count; i += kLanes) {
    const Vec r = scaled_round(load(from + i), kInputScale);
    store(grad + i, pulled_back(r, splat(-128.5f), splat(127.5f), load(grad + i)));
  }
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
