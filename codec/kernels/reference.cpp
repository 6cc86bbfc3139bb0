// The norm: plain loops that define every result (docs/bitstream.md chapter 5), over the arithmetic
// of one element in scalar.h.
#include "kernels/kernels.h"
#include "kernels/scalar.h"

namespace mvinr {
namespace {

void norm_to_packed(const Plane16& in, const Packed8& out, int begin, int end) {
  check_range(in.height, in.width, begin, end);
  const NormConstants constants = norm_constants(in.channels);
  for (int p = begin; p < end; ++p) {
    const PositionNorm norm = norm_of(in, p, 5, constants);
    for (int c = 0; c < in.channels; ++c) packed_at(out, c, p) = norm.packed(plane_at(in, c, p));
  }
}

void norm_to_plane(const Plane16& in, const Plane16& out, int begin, int end) {
  check_range(in.height, in.width, begin, end);
  const NormConstants constants = norm_constants(in.channels);
  for (int p = begin; p < end; ++p) {
    const PositionNorm norm = norm_of(in, p, 10, constants);
    for (int c = 0; c < in.channels; ++c) plane_at(out, c, p) = norm.plane(plane_at(in, c, p));
  }
}

void quantise(const Plane16& in, const Packed8& out, int begin, int end) {
  check_range(in.height, in.width, begin, end);
  for (int c = 0; c < in.channels; ++c) {
    for (int p = begin; p < end; ++p) packed_at(out, c, p) = quantise_byte(plane_at(in, c, p));
  }
}

void depthwise(const Plane16& in, const int16_t* weight, const Requant* requant, const Plane16& out,
               int y0, int y1) {
  for (int c = 0; c < in.channels; ++c) {
    for (int y = y0; y < y1; ++y) {
      for (int x = 0; x < in.width; ++x) {
        plane_at(out, c, y * in.width + x) =
            requantise(depthwise_at(in, weight + c * 9, c, x, y), requant[c]);
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
      packed_at(out, o, p) = gelu_byte(requantise(dot8(in, layer, o, p), layer.requant[o]));
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
      for (int x = 0; x < out.width; ++x) {
        plane_at(out, c, y * out.width + x) = upsample_at(in, scale, tile, c, x, y);
      }
    }
  }
}

void head(const Plane16& in, const Pointwise16& layer, const HeadRow* rows,
          std::span<const int> outputs, int32_t* out, ptrdiff_t plane, int begin, int end) {
  check_range(in.height, in.width, begin, end);
  for (const int o : outputs) {
    for (int p = begin; p < end; ++p) {
      out[o * plane + p] = head_value(dot16(in, layer, o, p), rows[o]);
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
