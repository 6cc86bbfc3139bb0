// The norm: plain loops that define every result (docs/bitstream.md chapter 5).
#include "kernels/kernels.h"
#include "kernels/scalar.h"
#include "kernels/tables.inc"

namespace mvinr {
namespace {

int8_t quantise_q5(int16_t x) { return static_cast<int8_t>(clamp_int((x + 16) >> 5, -128, 127)); }

uint8_t& packed_at(const Packed8& p, int channel, int position) {
  return p.data[(channel / 4 * p.plane + position) * 4 + channel % 4];
}

int16_t& plane_at(const Plane16& p, int channel, int position) {
  return p.data[channel * p.plane + position];
}

/// Calls write(c, e_c * r, q without the output's fractional bits) for the channels of a position.
template <typename Write>
void norm_position(const Plane16& in, int position, int fraction, Write write) {
  const int channels = in.channels;
  const NormConstants constants = norm_constants(channels);
  int32_t sum = 0;
  for (int c = 0; c < channels; ++c) sum += plane_at(in, c, position);
  const int32_t numerator = 2 * sum + channels, denominator = 2 * channels;
  int32_t mean = numerator / denominator;
  if (mean * denominator > numerator) --mean;  // floor
  const auto centred = [&](int c) -> int32_t {
    return c < channels ? sat16(plane_at(in, c, position) - mean) : 0;
  };
  uint32_t v = 1;
  for (int c = 0; c < channels; c += 2) {
    const int32_t a = centred(c), b = centred(c + 1);
    v += (static_cast<uint32_t>(a * a) + static_cast<uint32_t>(b * b)) >> constants.shift;
  }
  const int z = __builtin_clz(v) & ~1;
  const int32_t root = kRsqrtTable[(v << z >> 22) - 256];
  const int32_t r = (root * constants.factor) >> 12;
  const int q = 29 - fraction - z / 2;
  for (int c = 0; c < channels; ++c) write(c, (centred(c) * r + (1 << (q - 1))) >> q);
}

void norm_to_packed(const Plane16& in, const Packed8& out, int begin, int end) {
  check_range(in.height, in.width, begin, end);
  for (int p = begin; p < end; ++p) {
    norm_position(in, p, 5, [&](int c, int32_t value) {
      packed_at(out, c, p) = static_cast<uint8_t>(clamp_int(value, -128, 127) + kNormZero);
    });
  }
}

void norm_to_plane(const Plane16& in, const Plane16& out, int begin, int end) {
  check_range(in.height, in.width, begin, end);
  for (int p = begin; p < end; ++p) {
    norm_position(in, p, 10, [&](int c, int32_t value) { plane_at(out, c, p) = sat16(value); });
  }
}

void quantise(const Plane16& in, const Packed8& out, int begin, int end) {
  check_range(in.height, in.width, begin, end);
  for (int c = 0; c < in.channels; ++c) {
    for (int p = begin; p < end; ++p) {
      packed_at(out, c, p) = static_cast<uint8_t>(quantise_q5(plane_at(in, c, p)) + kNormZero);
    }
  }
}

void depthwise(const Plane16& in, const int16_t* weight, const Requant* requant, const Plane16& out,
               int y0, int y1) {
  for (int c = 0; c < in.channels; ++c) {
    for (int y = y0; y < y1; ++y) {
      for (int x = 0; x < in.width; ++x) {
        uint32_t acc = 0;
        for (int tap = 0; tap < 9; ++tap) {
          const int row = y + tap / 3 - 1, column = x + tap % 3 - 1;
          if (row < 0 || row >= in.height || column < 0 || column >= in.width) continue;
          acc +=
              static_cast<uint32_t>(weight[c * 9 + tap] * plane_at(in, c, row * in.width + column));
        }
        plane_at(out, c, y * in.width + x) = requantise(acc, requant[c]);
      }
    }
  }
}

uint32_t dot8(const Packed8& in, const Pointwise8& layer, int output, int position) {
  const int8_t* weight = layer.weight + static_cast<ptrdiff_t>(output) * ((layer.inputs + 3) & ~3);
  uint32_t acc = static_cast<uint32_t>(layer.acc_init[output]);
  for (int c = 0; c < layer.inputs; ++c) {
    acc += static_cast<uint32_t>(packed_at(in, c, position) * weight[c]);
  }
  return acc;
}

uint32_t dot16(const Plane16& in, const Pointwise16& layer, int output, int position) {
  const int16_t* weight = layer.weight + static_cast<ptrdiff_t>(output) * ((layer.inputs + 1) & ~1);
  uint32_t acc = 0;
  for (int c = 0; c < layer.inputs; ++c) {
    acc += static_cast<uint32_t>(plane_at(in, c, position) * weight[c]);
  }
  return acc;
}

void pointwise_gelu(const Packed8& in, const Pointwise8& layer, const Packed8& out, int begin,
                    int end) {
  check_range(in.height, in.width, begin, end);
  for (int o = 0; o < layer.outputs; ++o) {
    for (int p = begin; p < end; ++p) {
      const int16_t y = requantise(dot8(in, layer, o, p), layer.requant[o]);
      packed_at(out, o, p) = kGeluTable[quantise_q5(y) + 128];
    }
  }
}

void store(const Plane16& out, int channel, int position, int16_t y, bool add) {
  int16_t& target = plane_at(out, channel, position);
  target = add ? sat16(target + y) : y;
}

void pointwise(const Packed8& in, const Pointwise8& layer, bool add, const Plane16& out, int begin,
               int end) {
  check_range(in.height, in.width, begin, end);
  for (int o = 0; o < layer.outputs; ++o) {
    for (int p = begin; p < end; ++p) {
      store(out, o, p, requantise(dot8(in, layer, o, p), layer.requant[o]), add);
    }
  }
}

void pointwise16(const Plane16& in, const Pointwise16& layer, bool add, const Plane16& out,
                 int begin, int end) {
  check_range(in.height, in.width, begin, end);
  for (int o = 0; o < layer.outputs; ++o) {
    for (int p = begin; p < end; ++p) {
      store(out, o, p, requantise(dot16(in, layer, o, p), layer.requant[o]), add);
    }
  }
}

void upsample(const Plane16& in, int scale, const int16_t* tile, const Plane16& out, int y0,
              int y1) {
  for (int c = 0; c < in.channels; ++c) {
    for (int y = y0; y < y1; ++y) {
      const BilinearTap row = bilinear_tap(y % scale, scale);
      const int near_row = y / scale;
      const int far_row = clamp_int(near_row + row.side, 0, in.height - 1);
      const auto vertical = [&](int x) {
        return lerp(plane_at(in, c, near_row * in.width + x),
                    plane_at(in, c, far_row * in.width + x), row.weight);
      };
      for (int x = 0; x < out.width; ++x) {
        const BilinearTap column = bilinear_tap(x % scale, scale);
        const int near = x / scale;
        const int far = clamp_int(near + column.side, 0, in.width - 1);
        int32_t value = lerp(vertical(near), vertical(far), column.weight);
        if (tile != nullptr) value += tile[(c * scale + y % scale) * scale + x % scale];
        plane_at(out, c, y * out.width + x) = sat16(value);
      }
    }
  }
}

int32_t sat32(int64_t x) {
  return static_cast<int32_t>(x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : x);
}

void head(const Plane16& in, const Pointwise16& layer, const HeadRow* rows,
          std::span<const int> outputs, int32_t* out, ptrdiff_t plane, int begin, int end) {
  check_range(in.height, in.width, begin, end);
  for (const int o : outputs) {
    const HeadRow& row = rows[o];
    for (int p = begin; p < end; ++p) {
      const int64_t product =
          static_cast<int64_t>(static_cast<int32_t>(dot16(in, layer, o, p))) * row.mantissa;
      const int64_t scaled = row.shift > 0
                                 ? (product + (int64_t{1} << (row.shift - 1))) >> row.shift
                                 : product * (int64_t{1} << -row.shift);
      out[o * plane + p] = sat32(int64_t{sat32(scaled)} + row.bias);
    }
  }
}

}  // namespace

const Kernels kReferenceKernels = {
    .name = "reference",
    .norm_to_packed = norm_to_packed,
    .norm_to_plane = norm_to_plane,
    .quantise = quantise,
    .depthwise = depthwise,
    .pointwise_gelu = pointwise_gelu,
    .pointwise = pointwise,
    .pointwise16 = pointwise16,
    .upsample = upsample,
    .head = head,
};

}  // namespace mvinr
