// The shuffle420 head, the prediction of hybrid mode, and the squared error, with all gradients: in
// one pass, since it is the last operation of a step.
#pragma once

#include "train/ops/gemm.h"
#include "train/ops/kernels.h"

namespace mvinr::ops::MVINR_OPS_ISA {

inline constexpr int kHeadPixels = 96;
inline constexpr int kTexturePlanes = 6, kDepthPlanes = 4, kPredictionPlanes = 14;

// All outputs of a position: 0-3 Y, 4 U, 5 V, 6-9 depth, 10-13 gates of luma, 14 gate of depth. A
// prediction's planes likewise, 10-13 the mask. Not function arguments: their size differs from
// that of the instruction set's registers.
typedef float Outputs __attribute__((vector_size(4 * kHeadLanes)));
typedef float LooseOutputs __attribute__((vector_size(4 * kHeadLanes), aligned(4), may_alias));
typedef int32_t OutputIndex __attribute__((vector_size(4 * kHeadLanes)));

struct HeadBuffers {
  float *outputs, *product, *texture, *depth, *prediction;
  size_t floats;
  HeadBuffers(const Head& h, Arena arena) {
    outputs = arena.take(kHeadPixels * kHeadLanes);
    product = arena.take(kHeadPixels * size_t(padded(h.channels)));
    // A vector is read at each position: beyond the last one, too.
    texture = arena.take(kHeadPixels * kTexturePlanes + kHeadLanes);
    depth = arena.take(kHeadPixels * kDepthPlanes + kHeadLanes);
    prediction = arena.take(kHeadPixels * kPredictionPlanes + kHeadLanes);
    floats = arena.used;
  }
};
inline size_t head_scratch(const Head& h) { return HeadBuffers(h, Arena{}).floats; }

/// Which outputs of a position count: by whether it is in the last row and column of a picture of
/// odd height and width, whose repeated samples do not. [2 * row + column][output].
struct HeadCounts {
  float on[4][kHeadLanes] = {};
  explicit HeadCounts(const Head& h) {
    const int outputs = h.depth ? 10 : 6;
    for (int edge = 0; edge < 4; ++edge)
      for (int k = 0; k < outputs; ++k) {
        const bool chroma = k == 4 || k == 5;
        const int corner = k < 6 ? k : k - 6;
        const bool right = !chroma && corner % 2 == 1, lower = !chroma && corner / 2 == 1;
        on[edge][k] = (edge & 1 && right) || (edge & 2 && lower) ? 0.0f : 1.0f;
      }
  }
};

template <class Sample>
inline void to_floats(const void* samples, int64_t first, int count, float unit, float* out) {
  const Sample* from = static_cast<const Sample*>(samples) + first;
  for (int i = 0; i < count; ++i) out[i] = float(from[i]) * unit;
}
inline void load_samples(const void* samples, bool wide, int64_t first, int count, float unit,
                         float* out) {
  (wide ? to_floats<uint16_t> : to_floats<uint8_t>)(samples, first, count, unit, out);
}

/// The `seen` first of `count` positions of row `y`, column x, lie in the picture: adds their
/// squared errors to `squares`, and turns the outputs into their gradients.
template <bool Predicted>
inline void head_errors(const Head& h, const HeadCounts& counts, const HeadBuffers& s, int y, int x,
                        int seen, float* squares) {
  const OutputIndex first = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const OutputIndex targets = {0, 1, 2, 3, 4, 5, 16, 17, 18, 19, 0, 0, 0, 0, 0, 0};
  const OutputIndex gates = {10, 11, 12, 13, 15, 15, 14, 14, 14, 14, 15, 15, 15, 15, 15, 15};
  const OutputIndex masks = {10, 11, 12, 13, 15, 15, 10, 11, 12, 13, 15, 15, 15, 15, 15, 15};
  const OutputIndex swap1 = {1, 0, 3, 2, 1, 0, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const OutputIndex swap2 = {2, 3, 0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const OutputIndex luma = {-1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const OutputIndex chroma = {0, 0, 0, 0, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const OutputIndex picture = first < 10;
  const bool last_row = h.picture_height % 2 && y == h.picture_height / 2;
  const bool odd = h.picture_width % 2;
  const Outputs bias = *reinterpret_cast<const LooseOutputs*>(h.b);
  const Outputs weight = 2.0f * *reinterpret_cast<const LooseOutputs*>(h.weight);
  Outputs sum{};
  for (int i = 0; i < seen; ++i) {
    auto* output = reinterpret_cast<LooseOutputs*>(s.outputs + i * kHeadLanes);
    const Outputs o = *output + bias;
    const Outputs texture = *reinterpret_cast<const LooseOutputs*>(s.texture + i * kTexturePlanes);
    const Outputs depth = *reinterpret_cast<const LooseOutputs*>(s.depth + i * kDepthPlanes);
    const bool last_column = odd && x + i == h.picture_width / 2;
    const Outputs on =
        *reinterpret_cast<const LooseOutputs*>(counts.on[2 * int(last_row) + int(last_column)]);
    Outputs value = o, predicted{}, opened{};
    if (Predicted) {  // docs/bitstream.md 5.8
      predicted = *reinterpret_cast<const LooseOutputs*>(s.prediction + i * kPredictionPlanes);
      opened = __builtin_shuffle(o, gates) + __builtin_shuffle(predicted, masks);
      Outputs gate = opened < 0.0f ? Outputs{} : opened;
      gate = gate > 1.0f ? Outputs{} + 1.0f : gate;
      Outputs mean = gate + __builtin_shuffle(gate, swap1);
      mean = 0.25f * (mean + __builtin_shuffle(mean, swap2));
      const Outputs of_chroma = __builtin_shuffle(mean, OutputIndex{});
      value += (chroma ? of_chroma : gate) * predicted;
    }
    const Outputs error =
        on > 0.0f ? value - __builtin_shuffle(texture, depth, targets) : Outputs{};
    sum += error * error;
    const Outputs g = error * weight;
    Outputs gradient = picture ? g : Outputs{};
    if (Predicted) {
      const Outputs p = picture ? g * predicted : Outputs{};
      // Each gate of luma has a quarter of the chroma's part.
      const Outputs uv =
          __builtin_shuffle(p, OutputIndex{} + 4) + __builtin_shuffle(p, OutputIndex{} + 5);
      Outputs to_gate = p + (luma ? 0.25f * uv : Outputs{});
      // Straight through, but not further out of the range.
      to_gate = ((opened >= 1.0f) & (to_gate < 0.0f)) | ((opened <= 0.0f) & (to_gate > 0.0f))
                    ? Outputs{}
                    : to_gate;
      const OutputIndex from_luma = {15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 0, 1, 2, 3, 6, 15};
      const Outputs t = __builtin_shuffle(to_gate, from_luma);
      const OutputIndex d1 = {15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 7, 15};
      const OutputIndex d2 = {15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 8, 15};
      const OutputIndex d3 = {15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 9, 15};
      const Outputs all = t + __builtin_shuffle(to_gate, d1) + __builtin_shuffle(to_gate, d2) +
                          __builtin_shuffle(to_gate, d3);
      gradient = picture ? gradient : (first < 15 ? all : Outputs{});
    }
    *output = gradient;
  }
  *reinterpret_cast<LooseOutputs*>(squares) += sum;
}

inline void head_loss(const Head& h, double* sums, float* dfeatures, float* dw, float* db,
                      int64_t begin, int64_t end, float* scratch) {
  const HeadCounts counts(h);
  const HeadBuffers s(h, Arena{scratch});
  const int cp = padded(h.channels);
  const int rows = (h.picture_height + 1) / 2, columns = (h.picture_width + 1) / 2;
  for (int i = 0; i < kHeadPixels * kDepthPlanes + kHeadLanes; ++i) s.depth[i] = 0.0f;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t image = row / h.height;
    const int y = int(row % h.height);
    float squares[kHeadLanes] = {};
    for (int x = 0; x < h.width; x += kHeadPixels) {
      const int count = smaller(kHeadPixels, h.width - x);
      const int seen = y < rows ? smaller(count, columns > x ? columns - x : 0) : 0;
      const int64_t pixel = row * h.width + x, at = int64_t(y) * columns + x;
      const float* features = h.features + pixel * h.channels;
      if (seen > 0) {
        load_samples(h.texture[image], h.wide_texture, at * kTexturePlanes, seen * kTexturePlanes,
                     h.texture_unit, s.texture);
        if (h.depth)
          load_samples(h.depth[image], h.wide_depth, at * kDepthPlanes, seen * kDepthPlanes,
                       h.depth_unit, s.depth);
        if (h.prediction)
          for (int i = 0; i < seen * kPredictionPlanes; ++i)
            s.prediction[i] = float(h.prediction[pixel * kPredictionPlanes + i]) * (1.0f / 1024.0f);
        multiply(seen, kHeadLanes, h.channels, features, h.channels, h.wt, kHeadLanes, s.outputs,
                 kHeadLanes);
        (h.prediction ? head_errors<true> : head_errors<false>)(h, counts, s, y, x, seen, squares);
      }
      if (!dfeatures) continue;
      for (int i = seen * kHeadLanes; i < count * kHeadLanes; i += kLanes)
        store(s.outputs + i, Vec{});
      for (int c = 0; c < kHeadLanes; c += kLanes) {
        Vec sum = load(db + c);
        for (int i = 0; i < seen; ++i) sum += load(s.outputs + i * kHeadLanes + c);
        store(db + c, sum);
      }
      add_transposed(count, h.channels, kHeadLanes, features, h.channels, s.outputs, kHeadLanes, dw,
                     kHeadLanes);
      multiply(count, cp, h.outputs, s.outputs, kHeadLanes, h.w, cp, s.product, cp);
      for (int i = 0; i < count; ++i)
        for (int c = 0; c < h.channels; c += kLanes)
          store_row(dfeatures + (pixel + i) * h.channels, c, h.channels,
                    load(s.product + i * cp + c));
    }
    for (int k = 0; k < kHeadLanes; ++k) sums[k] += double(squares[k]);
  }
}

}  // namespace mvinr::ops::MVINR_OPS_ISA
