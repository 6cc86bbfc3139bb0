#include "decode/head.h"

#include <algorithm>

#include "base/clones.h"
#include "kernels/tables.inc"

namespace mvinr {
namespace {

// First the range, then the rounding: the sum then cannot overflow, and the result is the same.
template <int kBits>
inline uint16_t to_sample(int32_t v) {
  v = std::clamp(v, 0, 65536);
  if constexpr (kBits == 16) return static_cast<uint16_t>(std::min(v, 65535));
  constexpr int kHalf = kBits == 16 ? 0 : 1 << (15 - kBits);
  return static_cast<uint16_t>(std::min((v + kHalf) >> (16 - kBits), (1 << kBits) - 1));
}

template <int kBits>
using SampleOf = std::conditional_t<kBits == 8, uint8_t, uint16_t>;

template <int kBits>
SampleOf<kBits>* row_of(const MutablePicture& picture, int plane, int y) {
  return reinterpret_cast<SampleOf<kBits>*>(picture.data[plane] + y * picture.stride[plane]);
}

// `count` samples of one row.
template <int kBits>
inline __attribute__((always_inline)) void row_loop(const int32_t* values, int count,
                                                    SampleOf<kBits>* out) {
  for (int x = 0; x < count; ++x)
    out[x] = static_cast<SampleOf<kBits>>(to_sample<kBits>(values[x]));
}

// `count` samples, those at even and at odd places from one output each.
template <int kBits>
inline __attribute__((always_inline)) void pairs_loop(const int32_t* even, const int32_t* odd,
                                                      int count, SampleOf<kBits>* out) {
  for (int x = 0; x < count / 2; ++x) {
    out[2 * x] = static_cast<SampleOf<kBits>>(to_sample<kBits>(even[x]));
    out[2 * x + 1] = static_cast<SampleOf<kBits>>(to_sample<kBits>(odd[x]));
  }
  if (count % 2 != 0)
    out[count - 1] = static_cast<SampleOf<kBits>>(to_sample<kBits>(even[count / 2]));
}

// One function per depth: clones cannot be templates.
template <int kBits>
void write_row(const int32_t* values, int count, SampleOf<kBits>* out);
template <int kBits>
void write_pairs(const int32_t* even, const int32_t* odd, int count, SampleOf<kBits>* out);

#define MVINR_WRITERS(bits)                                                                        \
  MVINR_CLONES void row_##bits(const int32_t* v, int n, SampleOf<bits>* out) {                     \
    row_loop<bits>(v, n, out);                                                                     \
  }                                                                                                \
  MVINR_CLONES void pairs_##bits(const int32_t* a, const int32_t* b, int n, SampleOf<bits>* out) { \
    pairs_loop<bits>(a, b, n, out);                                                                \
  }                                                                                                \
  template <>                                                                                      \
  void write_row<bits>(const int32_t* v, int n, SampleOf<bits>* out) {                             \
    row_##bits(v, n, out);                                                                         \
  }                                                                                                \
  template <>                                                                                      \
  void write_pairs<bits>(const int32_t* a, const int32_t* b, int n, SampleOf<bits>* out) {         \
    pairs_##bits(a, b, n, out);                                                                    \
  }
MVINR_WRITERS(8)
MVINR_WRITERS(10)
MVINR_WRITERS(16)
#undef MVINR_WRITERS

struct Rows {
  int32_t* values;
  ptrdiff_t plane;
  int width, y0, rows;
  const int32_t* row(int output, int y) const {
    return values + output * plane + ptrdiff_t{y - y0} * width;
  }
};

// Four outputs from `first` on make the 2x2 pixels of plane 0.
template <int kBits>
void write_shuffled(const Rows& in, int first, const MutablePicture& out) {
  for (int y = 2 * in.y0; y < std::min(2 * (in.y0 + in.rows), out.height); ++y) {
    const int output = first + y % 2 * 2;
    write_pairs<kBits>(in.row(output, y / 2), in.row(output + 1, y / 2), out.width,
                       row_of<kBits>(out, 0, y));
  }
}

// One output makes one plane.
template <int kBits>
void write_plane(const Rows& in, int output, const MutablePicture& out, int plane) {
  const int end = std::min(in.y0 + in.rows, plane_size(out.height, plane));
  for (int y = in.y0; y < end; ++y)
    write_row<kBits>(in.row(output, y), plane_size(out.width, plane), row_of<kBits>(out, plane, y));
}

// Value and distance to the next value, in one word so that one gather fetches both.
struct SigmoidTable {
  int32_t entry[2048];
};
constexpr SigmoidTable make_sigmoid_table() {
  SigmoidTable table{};
  for (int i = 0; i < 2048; ++i)
    table.entry[i] = kSigmoidTable[i] * 256 + (kSigmoidTable[i + 1] - kSigmoidTable[i]);
  return table;
}
constexpr SigmoidTable kSigmoid = make_sigmoid_table();

MVINR_CLONES void apply_sigmoid(int32_t* values, int count) {
  for (int i = 0; i < count; ++i) {
    // A clamp to more than what follows keeps the addition in range.
    const int32_t v = std::clamp(values[i], -(1 << 24), 1 << 24);
    const int32_t y = std::clamp((v + 32) >> 6, -8191, 8191) + 8192;
    const int32_t entry = kSigmoid.entry[y >> 3];
    values[i] = (entry >> 8) + (((entry & 255) * (y & 7) + 4) >> 3);
  }
}

MVINR_CLONES void average_rows(const int32_t* a, const int32_t* b, int count, int32_t* out) {
  for (int x = 0; x < count; ++x)
    out[x] = (a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1] + 2) >> 2;
}

// Means of 2x2 positions, in place: row y of the result is row y / 2 of the rows given.
void average(Rows& in, int output) {
  int32_t* to = in.values + output * in.plane;
  for (int y = in.y0; y + 1 < in.y0 + in.rows; y += 2) {
    const int32_t* a = in.row(output, y);
    const int32_t* b = in.row(output, y + 1);
    average_rows(a, b, in.width / 2, to);
    to += in.width / 2;
  }
}

// --- The prediction of hybrid mode (docs/bitstream.md 5.8) ---
inline int32_t gate(int32_t mask, int32_t output) {
  // A clamp to more than what follows keeps the addition in range.
  return std::clamp((mask << 6) + std::clamp(output, -(1 << 20), 1 << 20), 0, 65536);
}
inline int32_t weighed(int32_t output, int32_t warped, int32_t gate) {
  return std::clamp(output, -(1 << 29), 1 << 29) + ((warped * gate + 512) >> 10);
}

// The gates of `count` positions, in place of the head's outputs.
MVINR_CLONES void clamp_gate(const int16_t* mask, int32_t* gates, int count) {
  for (int x = 0; x < count; ++x) gates[x] = gate(mask[x], gates[x]);
}
MVINR_CLONES void add_weighed(const int16_t* warped, const int32_t* gates, int count,
                              int32_t* out) {
  for (int x = 0; x < count; ++x) out[x] = weighed(out[x], warped[x], gates[x]);
}
MVINR_CLONES void add_gated(const int16_t* warped, const int16_t* mask, const int32_t* gates,
                            int count, int32_t* out) {
  for (int x = 0; x < count; ++x) out[x] = weighed(out[x], warped[x], gate(mask[x], gates[x]));
}
// Softmax fusion: the weights are Q16.
MVINR_CLONES void add_fused(const int16_t* warped, const int32_t* weights, int count,
                            int32_t* out) {
  for (int x = 0; x < count; ++x) {
    const int32_t own = std::clamp(out[x], 0, 65536);
    out[x] = own + (((warped[x] * 64 - own) * ((weights[x] + 2) >> 2) + 8192) >> 14);
  }
}
// Chroma: the mean of the four luma gates, in place of the first.
MVINR_CLONES void average_gates(int32_t* gates, ptrdiff_t plane, int count) {
  for (int x = 0; x < count; ++x)
    gates[x] = (gates[x] + gates[plane + x] + gates[2 * plane + x] + gates[3 * plane + x] + 2) >> 2;
}

template <int kBits>
void write_texture(const ModelConfig& config, Rows in, const MutablePicture& out) {
  if (config.head == HeadKind::shuffle420) {
    write_shuffled<kBits>(in, 0, out);
    write_plane<kBits>(in, 4, out, 1);
    write_plane<kBits>(in, 5, out, 2);
    return;
  }
  write_plane<kBits>(in, 0, out, 0);
  average(in, 1);
  average(in, 2);
  const Rows half{in.values, in.plane, in.width / 2, in.y0 / 2, in.rows / 2};
  write_plane<kBits>(half, 1, out, 1);
  write_plane<kBits>(half, 2, out, 2);
}

template <int kBits>
void write_depth(const ModelConfig& config, const Rows& in, const MutablePicture& out) {
  if (config.head == HeadKind::shuffle420)
    write_shuffled<kBits>(in, 6, out);
  else
    write_plane<kBits>(in, 3, out, 0);
}

}  // namespace

HeadOutputs head_outputs(const ModelConfig& config, bool texture, bool depth) {
  const int split = config.head == HeadKind::shuffle420 ? 6 : 3;
  const int gates = config.picture_outputs();
  HeadOutputs outputs;
  for (int o = 0; o < config.head_outputs(); ++o) {
    const bool of_texture = o < split || (o >= gates && o < gates + 4);
    if (of_texture ? texture : depth) outputs.index[outputs.count++] = o;
  }
  return outputs;
}

void add_prediction(const ModelConfig& config, const Plane16& prediction, int32_t* values,
                    ptrdiff_t plane, int y0, int rows, bool texture, bool depth) {
  const ptrdiff_t begin = ptrdiff_t{y0} * prediction.width;
  const int count = rows * prediction.width;
  const auto warped = [&](int p) { return prediction.data + p * prediction.plane + begin; };
  const auto output = [&](int o) { return values + o * plane; };
  const int gates = config.picture_outputs();  // the first of four, as the first mask's plane
  const bool softmax = config.fusion == Fusion::softmax;
  if (depth) {
    int32_t* gate = output(gates + 4);
    if (softmax) apply_sigmoid(gate, count);
    for (int i = 6; i < 10; ++i) {
      if (softmax)
        add_fused(warped(i), gate, count, output(i));
      else
        add_gated(warped(i), warped(gates + i - 6), gate, count, output(i));
    }
  }
  if (!texture) return;
  const auto add = softmax ? add_fused : add_weighed;
  for (int i = 0; i < 4; ++i) {
    if (softmax)
      apply_sigmoid(output(gates + i), count);
    else
      clamp_gate(warped(gates + i), output(gates + i), count);
    add(warped(i), output(gates + i), count, output(i));
  }
  average_gates(output(gates), plane, count);
  for (int i = 4; i < 6; ++i) add(warped(i), output(gates), count, output(i));
}

void write_head_rows(const ModelConfig& config, int32_t* values, ptrdiff_t plane, int width, int y0,
                     int rows, const MutablePicture* texture, const MutablePicture* depth) {
  if (config.head == HeadKind::full444) {
    const HeadOutputs outputs = head_outputs(config, texture != nullptr, depth != nullptr);
    for (const int o : outputs.span()) apply_sigmoid(values + o * plane, rows * width);
  }
  const Rows in{values, plane, width, y0, rows};
  if (texture != nullptr) {
    if (bit_depth(texture->format) == 8)
      write_texture<8>(config, in, *texture);
    else
      write_texture<10>(config, in, *texture);
  }
  if (depth != nullptr) {
    switch (bit_depth(depth->format)) {
      case 8:
        write_depth<8>(config, in, *depth);
        break;
      case 10:
        write_depth<10>(config, in, *depth);
        break;
      default:
        write_depth<16>(config, in, *depth);
        break;
    }
  }
}

}  // namespace mvinr
