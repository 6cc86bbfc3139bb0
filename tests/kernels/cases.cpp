#include "cases.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>

#include "kernels/buffers.h"

namespace mvinr::test {
namespace {

constexpr size_t kGuard = 256;
constexpr uint8_t kGuardByte = 0xA5;

enum class Tail { guard, none };

/// `size` bytes at a 64-byte boundary behind guard bytes. With Tail::none the allocation ends
/// there, so that AddressSanitizer sees every read behind the end; with Tail::guard more guard
/// bytes follow, so that writes are seen without it too.
struct Buffer {
  Buffer(size_t size, Tail tail) : size(size), tail(tail == Tail::guard ? kGuard : 0) {
    void* p = nullptr;
    if (posix_memalign(&p, 64, kGuard + size + this->tail) != 0) std::abort();
    memory = static_cast<uint8_t*>(p);
    std::memset(memory, kGuardByte, kGuard + size + this->tail);
  }
  ~Buffer() { std::free(memory); }
  Buffer(const Buffer&) = delete;
  uint8_t* data() const { return memory + kGuard; }
  bool guards_hold() const {
    return std::all_of(memory, data(), is_guard) &&
           std::all_of(data() + size, data() + size + tail, is_guard);
  }
  static bool is_guard(uint8_t byte) { return byte == kGuardByte; }

  size_t size, tail;
  uint8_t* memory;
};

class Random {
 public:
  Random(uint32_t seed, Fill fill) : engine_(seed * 7919u + 13u), fill_(fill) {}
  uint32_t bits() { return static_cast<uint32_t>(engine_()); }
  int between(int low, int high) {
    return low + static_cast<int>(bits() % static_cast<uint32_t>(high - low + 1));
  }
  /// A value of [low, high]; `typical` is the range that trained networks use.
  int value(int low, int high, int typical) {
    switch (fill_) {
      case Fill::typical:
        return between(std::max(low, -typical), std::min(high, typical));
      case Fill::random:
        return between(low, high);
      case Fill::extremes:
        break;
    }
    const int near = static_cast<int>(bits() % 3);
    switch (bits() % 4) {
      case 0:
        return std::min(high, low + near);
      case 1:
        return std::max(low, high - near);
      case 2:
        return (low + high + 1) / 2;
      default:
        return bits() % 2 != 0 ? low : high;
    }
  }
  Fill fill() const { return fill_; }

 private:
  std::mt19937 engine_;
  Fill fill_;
};

bool is_pointwise8(Operation o) {
  return o == Operation::pointwise || o == Operation::pointwise_add ||
         o == Operation::pointwise_gelu;
}
bool is_upsample(Operation o) { return o == Operation::upsample || o == Operation::upsample_tile; }
bool works_on_rows(Operation o) { return is_upsample(o) || o == Operation::depthwise; }
bool is_packed_output(Operation o) {
  return o == Operation::norm_to_packed || o == Operation::quantise ||
         o == Operation::pointwise_gelu;
}
bool changes_channels(Operation o) {
  return is_pointwise8(o) || o == Operation::pointwise16 || o == Operation::pointwise16_add ||
         o == Operation::head;
}

}  // namespace

const std::vector<Operation>& all_operations() {
  static const std::vector<Operation> all = {
      Operation::norm_to_packed, Operation::norm_to_plane,  Operation::quantise,
      Operation::depthwise,      Operation::pointwise_gelu, Operation::pointwise,
      Operation::pointwise_add,  Operation::pointwise16,    Operation::pointwise16_add,
      Operation::upsample,       Operation::upsample_tile,  Operation::head};
  return all;
}

const char* to_string(Operation operation) {
  static const char* const names[] = {"norm_to_packed", "norm_to_plane",  "quantise",
                                      "depthwise",      "pointwise_gelu", "pointwise",
                                      "pointwise_add",  "pointwise16",    "pointwise16_add",
                                      "upsample",       "upsample_tile",  "head"};
  return names[static_cast<int>(operation)];
}

std::string Case::name() const {
  static const char* const fills[] = {"typical", "random", "extremes"};
  std::string text = std::string(to_string(operation)) + " " + std::to_string(inputs) + "->" +
                     std::to_string(outputs) + " at " + std::to_string(width) + "x" +
                     std::to_string(height);
  if (is_upsample(operation)) text += " x" + std::to_string(scale);
  return text + " " + fills[static_cast<int>(fill)] + (part ? " part" : "") + " seed " +
         std::to_string(seed);
}

int64_t Case::multiply_adds() const {
  const int64_t positions = int64_t{height} * width;
  if (operation == Operation::depthwise) return positions * inputs * 9;
  return changes_channels(operation) ? positions * inputs * outputs : 0;
}

int64_t Case::outputs_written() const {
  const int64_t factor = is_upsample(operation) ? scale * scale : 1;
  return int64_t{height} * width * factor * (changes_channels(operation) ? outputs : inputs);
}

std::vector<Case> cases(Operation operation, Vary vary) {
  std::vector<Case> list;
  const auto add = [&](int inputs, int outputs, int width, int height, uint32_t seed) -> Case& {
    Case c;
    c.operation = operation;
    c.inputs = inputs;
    c.outputs = outputs;
    c.width = width;
    c.height = height;
    c.scale = 1 + static_cast<int>(seed % 5);
    c.fill = static_cast<Fill>(seed % 3);
    c.seed = seed;
    return list.emplace_back(c);
  };
  switch (vary) {
    case Vary::width:
      for (uint32_t i = 1; i <= 70; ++i) add(5, 6, i, 1 + i % 4, i);
      break;
    case Vary::channels:
      for (int channels = 1; channels <= 70; ++channels) {
        for (const int other : {channels, 71 - channels}) {
          Case& c = add(channels, other, 19, 5, static_cast<uint32_t>(channels + other));
          c.scale = 1 + channels % 5;
          c.fill = static_cast<Fill>(channels % 3);
        }
      }
      break;
    case Vary::scale:
      for (int scale = 1; scale <= 5; ++scale) {
        for (const int width : {1, 2, 31, 32, 33, 255, 256, 257, 300, 520}) {
          Case& c = add(3, 3, width, 3, 1);
          c.scale = scale;
          c.fill = static_cast<Fill>((scale + width) % 3);
        }
      }
      break;
    case Vary::part:
      for (uint32_t i = 1; i <= 40; ++i) {
        add(4 + i % 7, 3 + i % 9, 3 + i * 37 % 90, 2 + i * 11 % 23, i).part = true;
      }
      break;
    case Vary::extremes:
      for (uint32_t i = 1; i <= 60; ++i) {
        Case& c = add(1 + i * 13 % 66, 1 + i * 29 % 40, 40, 4, i);
        c.fill = i % 4 == 0 ? Fill::random : Fill::extremes;
      }
      break;
    case Vary::real_sizes:
      for (const int channels : {16, 64}) {
        Case& c = add(channels, 48, 128, 24, static_cast<uint32_t>(channels));
        c.scale = 2;
        c.fill = Fill::typical;
      }
      break;
    case Vary::largest_layers:
      if (changes_channels(operation)) {
        add(kMaxInputs8, 5, 9, 9, 1).fill = Fill::extremes;
      } else {
        for (const Fill fill : {Fill::typical, Fill::random, Fill::extremes}) {
          add(1024, 1024, 9, 5, 1).fill = fill;
        }
      }
      break;
  }
  return list;
}

struct Operands::Data {
  explicit Data(const Case& c);

  Case c;
  int out_channels, out_height, out_width;
  ptrdiff_t in_plane, out_plane;
  Buffer input, output, initial;
  std::vector<int16_t> tile;
  std::unique_ptr<Buffer> weight;
  std::vector<int32_t> acc_init;
  std::vector<Requant> requant;
  std::vector<HeadRow> head_rows;
  std::vector<int> head_outputs;
  int begin = 0, end = 0;  // positions of the output, or rows times out_width

  size_t element() const {
    return c.operation == Operation::head ? 4 : is_packed_output(c.operation) ? 1 : 2;
  }
  size_t offset(int channel, ptrdiff_t position) const {
    if (is_packed_output(c.operation)) {
      return static_cast<size_t>((channel / 4 * out_plane + position) * 4 + channel % 4);
    }
    return static_cast<size_t>(channel * out_plane + position) * element();
  }
  static size_t bytes(int channels, int h, int w, bool packed) {
    return packed ? bytes_for_packed8(channels, h, w) : bytes_for_plane16(channels, h, w);
  }
  static size_t output_bytes(const Case& c) {
    const int s = is_upsample(c.operation) ? c.scale : 1;
    const int channels = changes_channels(c.operation) ? c.outputs : c.inputs;
    const size_t all = bytes(channels, c.height * s, c.width * s, is_packed_output(c.operation));
    return c.operation == Operation::head ? 2 * all : all;
  }
};

Operands::Data::Data(const Case& spec)
    : c(spec),
      out_channels(changes_channels(c.operation) ? c.outputs : c.inputs),
      out_height(c.height * (is_upsample(c.operation) ? c.scale : 1)),
      out_width(c.width * (is_upsample(c.operation) ? c.scale : 1)),
      in_plane(plane_stride(c.height, c.width)),
      out_plane(plane_stride(out_height, out_width)),
      input(bytes(c.inputs, c.height, c.width, is_pointwise8(c.operation)), Tail::none),
      output(output_bytes(c), Tail::guard),
      initial(output.size, Tail::none) {
  Random random(c.seed, c.fill);
  if (is_pointwise8(c.operation)) {
    for (size_t i = 0; i < input.size; ++i) {
      input.data()[i] = static_cast<uint8_t>(random.value(0, 255, 255));
    }
  } else {
    auto* samples = reinterpret_cast<int16_t*>(input.data());
    for (size_t i = 0; i < input.size / 2; ++i) {
      samples[i] = static_cast<int16_t>(random.value(-32768, 32767, 4000));
    }
    // LayerNorm of nearly equal channels: small variances, large factors.
    if (c.seed % 3 == 0 && c.fill == Fill::typical) {
      for (size_t i = 0; i < input.size / 2; ++i) {
        const size_t position = i % static_cast<size_t>(in_plane);
        samples[i] = static_cast<int16_t>(samples[position] + random.between(0, 1 + c.seed % 5));
      }
    }
  }
  for (size_t i = 0; i < initial.size; i += 2) {
    const int value = random.value(-32768, 32767, 4000);
    std::memcpy(initial.data() + i, &value, 2);
  }

  const int rows = changes_channels(c.operation) ? c.outputs : c.inputs;
  const int columns = c.operation == Operation::depthwise ? 9 : c.inputs;
  if (is_pointwise8(c.operation)) {
    const int padded = (columns + 3) / 4 * 4;
    weight = std::make_unique<Buffer>(static_cast<size_t>(rows) * padded, Tail::none);
    for (int r = 0; r < rows; ++r) {
      int sum = 0;
      for (int k = 0; k < padded; ++k) {
        const int value = k < columns ? random.value(-128, 127, 60) : 0;
        weight->data()[r * padded + k] = static_cast<uint8_t>(value);
        sum += value;
      }
      acc_init.push_back(c.fill == Fill::extremes && random.bits() % 4 == 0
                             ? static_cast<int32_t>(random.bits())
                             : -kNormZero * sum);
    }
  } else {
    const int padded = c.operation == Operation::depthwise ? 9 : (columns + 1) / 2 * 2;
    weight = std::make_unique<Buffer>(static_cast<size_t>(rows) * padded * 2, Tail::none);
    auto* values = reinterpret_cast<int16_t*>(weight->data());
    for (int i = 0; i < rows * padded; ++i) {
      values[i] = i % padded < columns ? static_cast<int16_t>(random.value(-128, 127, 60)) : 0;
    }
  }
  for (int r = 0; r < rows; ++r) {
    Requant q;
    const bool typical = c.fill == Fill::typical;
    // Typical layers shift right by a few bits; every eighth other case has rows that shift left.
    const bool left = !typical && c.seed % 2 != 0 && random.bits() % 4 == 0;
    const int shift = typical ? random.between(4, 9) : random.value(0, 31, 0);
    (left ? q.left : q.right) = static_cast<uint8_t>(shift);
    q.mantissa = static_cast<int16_t>(random.between(256, 511));
    q.bias = static_cast<int16_t>(random.value(-32768, 32767, 3000));
    requant.push_back(q);
    head_rows.push_back(
        {random.between(256, 511), typical ? random.between(0, 6) : random.value(-12, 19, 0),
         typical ? random.between(-70000, 70000) : static_cast<int32_t>(random.bits())});
    if (rows < 4 || random.bits() % 4 != 0) head_outputs.push_back(r);
  }
  tile.resize(static_cast<size_t>(c.inputs * c.scale * c.scale));
  for (int16_t& t : tile) t = static_cast<int16_t>(random.value(-32768, 32767, 2000));

  const int positions = out_height * out_width;
  end = positions;
  if (c.part && works_on_rows(c.operation)) {
    const int first = random.between(0, out_height - 1);
    begin = first * out_width;
    end = random.between(first + 1, out_height) * out_width;
  } else if (c.part && positions >= 2 * kPositionStep) {
    const int steps = positions / kPositionStep;
    const int first = random.between(0, steps - 1);
    begin = first * kPositionStep;
    end = random.between(first + 1, steps) * kPositionStep;
  }
}

Operands::Operands(const Case& c) : data_(std::make_unique<Data>(c)) { reset(); }
Operands::~Operands() = default;

void Operands::reset() {
  std::memcpy(data_->output.data(), data_->initial.data(), data_->output.size);
}

void Operands::run(const Kernels& k) {
  Data& d = *data_;
  const Case& c = d.c;
  const Plane16 in16 = plane16_at(d.input.data(), c.inputs, c.height, c.width);
  const Packed8 in8 = packed8_at(d.input.data(), c.inputs, c.height, c.width);
  const Plane16 out16 = plane16_at(d.output.data(), d.out_channels, d.out_height, d.out_width);
  const Packed8 out8 = packed8_at(d.output.data(), d.out_channels, d.out_height, d.out_width);
  const auto* weight16 = reinterpret_cast<const int16_t*>(d.weight->data());
  const Pointwise8 layer8{c.inputs, d.out_channels,
                          reinterpret_cast<const int8_t*>(d.weight->data()), d.acc_init.data(),
                          d.requant.data()};
  const Pointwise16 layer16{c.inputs, d.out_channels, weight16, d.requant.data()};
  const int y0 = d.begin / d.out_width, y1 = d.end / d.out_width;
  switch (c.operation) {
    case Operation::norm_to_packed:
      return k.norm_to_packed(in16, out8, d.begin, d.end);
    case Operation::norm_to_plane:
      return k.norm_to_plane(in16, out16, d.begin, d.end);
    case Operation::quantise:
      return k.quantise(in16, out8, d.begin, d.end);
    case Operation::depthwise:
      return k.depthwise(in16, weight16, d.requant.data(), out16, y0, y1);
    case Operation::pointwise_gelu:
      return k.pointwise_gelu(in8, layer8, out8, d.begin, d.end);
    case Operation::pointwise:
      return k.pointwise(in8, layer8, false, out16, d.begin, d.end);
    case Operation::pointwise_add:
      return k.pointwise(in8, layer8, true, out16, d.begin, d.end);
    case Operation::pointwise16:
      return k.pointwise16(in16, layer16, false, out16, d.begin, d.end);
    case Operation::pointwise16_add:
      return k.pointwise16(in16, layer16, true, out16, d.begin, d.end);
    case Operation::upsample:
      return k.upsample(in16, c.scale, nullptr, out16, y0, y1);
    case Operation::upsample_tile:
      return k.upsample(in16, c.scale, d.tile.data(), out16, y0, y1);
    case Operation::head:
      return k.head(in16, layer16, d.head_rows.data(), d.head_outputs,
                    reinterpret_cast<int32_t*>(d.output.data()), d.out_plane, d.begin, d.end);
  }
}

std::string Operands::compare(const Operands& other) const {
  const Data& d = *data_;
  const auto read = [&](const Buffer& b, size_t at) {
    int32_t value = 0;
    std::memcpy(&value, b.data() + at, d.element());
    if (d.element() == 2) value = static_cast<int16_t>(value);
    return value;
  };
  for (int channel = 0; channel < d.out_channels; ++channel) {
    for (int p = d.begin; p < d.end; ++p) {
      const size_t at = d.offset(channel, p);
      const int32_t mine = read(d.output, at), theirs = read(other.data_->output, at);
      if (mine == theirs) continue;
      return "channel " + std::to_string(channel) + " position " + std::to_string(p) + " (x " +
             std::to_string(p % d.out_width) + ", y " + std::to_string(p / d.out_width) +
             "): " + std::to_string(mine) + " instead of " + std::to_string(theirs);
    }
  }
  return "";
}

std::string Operands::check_untouched() const {
  const Data& d = *data_;
  if (!d.output.guards_hold()) return "bytes outside the output buffer were written";
  if (!d.input.guards_hold()) return "bytes outside the input buffer were written";
  const bool to_end = d.end == d.out_height * d.out_width && d.c.operation != Operation::head;
  const int groups = is_packed_output(d.c.operation) ? (d.out_channels + 3) / 4 : d.out_channels;
  const size_t size = is_packed_output(d.c.operation) ? 4 : d.element();
  for (int g = 0; g < groups; ++g) {
    for (ptrdiff_t p = 0; p < d.out_plane; ++p) {
      if (p >= d.begin && (p < d.end || to_end)) continue;
      const size_t at = static_cast<size_t>(g * d.out_plane + p) * size;
      if (std::memcmp(d.output.data() + at, d.initial.data() + at, size) != 0) {
        return "position " + std::to_string(p) + " of channel or group " + std::to_string(g) +
               " was written, the call is for " + std::to_string(d.begin) + ".." +
               std::to_string(d.end);
      }
    }
  }
  return "";
}

}  // namespace mvinr::test
