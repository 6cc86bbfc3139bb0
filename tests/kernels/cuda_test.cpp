// Every CUDA kernel equals the reference, bit by bit, on the cases of cases.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cases.h"
#include "kernels/buffers.h"
#include "kernels/cuda/cuda_kernels.h"

namespace mvinr::test {
namespace {

constexpr size_t kGuard = 256;
constexpr uint8_t kGuardByte = 0x5A;

std::string first_failure;  // of a call below: a Kernels function cannot return a Status

void note(const Status& status, const char* what) {
  if (!status && first_failure.empty()) first_failure = what + (": " + status.error().message);
}

/// A copy of host memory on the device, between guard bytes.
class Copy {
 public:
  Copy(const void* host, size_t size) : size_(size) {
    std::vector<uint8_t> bytes(size + 2 * kGuard, kGuardByte);
    std::memcpy(bytes.data() + kGuard, host, size);
    Result<cuda::DeviceMemory> memory = cuda::allocate(bytes.size());
    if (!memory) {
      note(memory.error(), "allocate");
      return;
    }
    memory_ = std::move(*memory);
    note(cuda::copy_to_device(memory_.get(), bytes.data(), bytes.size()), "copy_to_device");
    note(cuda::synchronise(), "synchronise");
  }
  template <typename T>
  T* at() const {
    return reinterpret_cast<T*>(memory_.get() + kGuard);
  }
  void copy_back(void* host) const {
    std::vector<uint8_t> bytes(size_ + 2 * kGuard);
    note(cuda::copy_to_host(bytes.data(), memory_.get(), bytes.size()), "copy_to_host");
    const auto is_guard = [](uint8_t byte) { return byte == kGuardByte; };
    if (!std::all_of(bytes.begin(), bytes.begin() + kGuard, is_guard) ||
        !std::all_of(bytes.end() - kGuard, bytes.end(), is_guard)) {
      note(Error{ErrorCode::internal, "bytes outside the buffer were written"}, "guard");
    }
    std::memcpy(host, bytes.data() + kGuard, size_);
  }

 private:
  size_t size_;
  cuda::DeviceMemory memory_;
};

size_t bytes_of(const Plane16& p) { return bytes_for_plane16(p.channels, p.height, p.width); }
size_t bytes_of(const Packed8& p) { return bytes_for_packed8(p.channels, p.height, p.width); }

/// The view `p` of host memory, as a view of its copy.
template <typename View>
View on_device(View p, const Copy& copy) {
  p.data = copy.at<std::remove_pointer_t<decltype(p.data)>>();
  return p;
}

struct Layer8 {
  explicit Layer8(const Pointwise8& l)
      : weight(l.weight, static_cast<size_t>(l.outputs) * ((l.inputs + 3) & ~3)),
        acc_init(l.acc_init, static_cast<size_t>(l.outputs) * sizeof(int32_t)),
        requant(l.requant, static_cast<size_t>(l.outputs) * sizeof(Requant)),
        layer{l.inputs, l.outputs, weight.at<int8_t>(), acc_init.at<int32_t>(),
              requant.at<Requant>()} {}
  Copy weight, acc_init, requant;
  Pointwise8 layer;
};

struct Layer16 {
  explicit Layer16(const Pointwise16& l)
      : weight(l.weight, static_cast<size_t>(l.outputs) * ((l.inputs + 1) & ~1) * 2),
        requant(l.requant, static_cast<size_t>(l.outputs) * sizeof(Requant)),
        layer{l.inputs, l.outputs, weight.at<int16_t>(), requant.at<Requant>()} {}
  Copy weight, requant;
  Pointwise16 layer;
};

/// Copies the operands in, calls function(in, out) for the device, copies the output back.
template <typename In, typename Out, typename Function>
void on_copies(const char* name, const In& in, const Out& out, const Function& function) {
  const Copy input(in.data, bytes_of(in)), output(out.data, bytes_of(out));
  if (!first_failure.empty()) return;
  note(function(on_device(in, input), on_device(out, output)), name);
  output.copy_back(out.data);
}

void norm_to_packed(const Plane16& in, const Packed8& out, int begin, int end) {
  on_copies("norm_to_packed", in, out, [&](const Plane16& a, const Packed8& b) {
    return cuda::norm_to_packed(a, b, begin, end, nullptr);
  });
}
void norm_to_plane(const Plane16& in, const Plane16& out, int begin, int end) {
  on_copies("norm_to_plane", in, out, [&](const Plane16& a, const Plane16& b) {
    return cuda::norm_to_plane(a, b, begin, end, nullptr);
  });
}
void quantise(const Plane16& in, const Packed8& out, int begin, int end) {
  on_copies("quantise", in, out, [&](const Plane16& a, const Packed8& b) {
    return cuda::quantise(a, b, begin, end, nullptr);
  });
}
void depthwise(const Plane16& in, const int16_t* weight, const Requant* requant, const Plane16& out,
               int y0, int y1) {
  const auto channels = static_cast<size_t>(in.channels);
  const Copy w(weight, channels * 9 * sizeof(int16_t)), r(requant, channels * sizeof(Requant));
  on_copies("depthwise", in, out, [&](const Plane16& a, const Plane16& b) {
    return cuda::depthwise(a, w.at<int16_t>(), r.at<Requant>(), b, y0, y1, nullptr);
  });
}
void pointwise_gelu(const Packed8& in, const Pointwise8& layer, const Packed8& out, int begin,
                    int end) {
  const Layer8 copy(layer);
  on_copies("pointwise_gelu", in, out, [&](const Packed8& a, const Packed8& b) {
    return cuda::pointwise_gelu(a, copy.layer, b, begin, end, nullptr);
  });
}
void pointwise(const Packed8& in, const Pointwise8& layer, bool add, const Plane16& out, int begin,
               int end) {
  const Layer8 copy(layer);
  on_copies("pointwise", in, out, [&](const Packed8& a, const Plane16& b) {
    return cuda::pointwise(a, copy.layer, add, b, begin, end, nullptr);
  });
}
void pointwise16(const Plane16& in, const Pointwise16& layer, bool add, const Plane16& out,
                 int begin, int end) {
  const Layer16 copy(layer);
  on_copies("pointwise16", in, out, [&](const Plane16& a, const Plane16& b) {
    return cuda::pointwise16(a, copy.layer, add, b, begin, end, nullptr);
  });
}
void upsample(const Plane16& in, int scale, const int16_t* tile, const Plane16& out, int y0,
              int y1) {
  const int16_t none = 0;
  const auto tile_size = static_cast<size_t>(in.channels) * scale * scale * sizeof(int16_t);
  const Copy t(tile != nullptr ? tile : &none, tile != nullptr ? tile_size : sizeof(none));
  on_copies("upsample", in, out, [&](const Plane16& a, const Plane16& b) {
    return cuda::upsample(a, scale, tile != nullptr ? t.at<int16_t>() : nullptr, b, y0, y1,
                          nullptr);
  });
}
void head(const Plane16& in, const Pointwise16& layer, const HeadRow* rows,
          std::span<const int> outputs, int32_t* out, ptrdiff_t plane, int begin, int end) {
  const Layer16 copy(layer);
  const Copy input(in.data, bytes_of(in)), list(outputs.data(), outputs.size_bytes()),
      head_rows(rows, static_cast<size_t>(layer.outputs) * sizeof(HeadRow)),
      output(out, static_cast<size_t>(layer.outputs * plane) * sizeof(int32_t));
  if (!first_failure.empty()) return;
  note(cuda::head(on_device(in, input), copy.layer, head_rows.at<HeadRow>(), list.at<int>(),
                  static_cast<int>(outputs.size()), output.at<int32_t>(), plane, begin, end,
                  nullptr),
       "head");
  output.copy_back(out);
}

const Kernels kCudaKernels = {"cuda",         norm_to_packed, norm_to_plane, quantise, depthwise,
                              pointwise_gelu, pointwise,      pointwise16,   upsample, head};

class CudaOperation : public testing::TestWithParam<std::tuple<Operation, Vary>> {};

TEST_P(CudaOperation, EqualsTheReference) {
  if (!cuda_device_available()) GTEST_SKIP() << "no CUDA device, or a build without CUDA";
  const auto [operation, vary] = GetParam();
  for (const Case& c : cases(operation, vary)) {
    Operands reference(c), device(c);
    reference.run(kReferenceKernels);
    first_failure.clear();
    device.run(kCudaKernels);
    ASSERT_EQ(first_failure, "") << c.name();
    ASSERT_EQ(device.compare(reference), "") << c.name();
    ASSERT_EQ(device.check_untouched(), "") << c.name();
  }
}

std::string name_of(const testing::TestParamInfo<std::tuple<Operation, Vary>>& info) {
  static const char* const names[] = {"width",    "channels",   "scale",         "part",
                                      "extremes", "real_sizes", "largest_layers"};
  return std::string(to_string(std::get<0>(info.param))) + "_by_" +
         names[static_cast<int>(std::get<1>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(Cuda, CudaOperation,
                         testing::Combine(testing::ValuesIn(all_operations()),
                                          testing::Values(Vary::width, Vary::channels, Vary::scale,
                                                          Vary::part, Vary::extremes,
                                                          Vary::real_sizes, Vary::largest_layers)),
                         name_of);

TEST(Cuda, NormToPlaneWorksInPlace) {
  if (!cuda_device_available()) GTEST_SKIP() << "no CUDA device, or a build without CUDA";
  constexpr int kChannels = 13, kHeight = 7, kWidth = 31;
  std::vector<int16_t> in(bytes_for_plane16(kChannels, kHeight, kWidth) / 2), out(in.size());
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<int16_t>(i * i % 5003);
  const Plane16 a = plane16_at(in.data(), kChannels, kHeight, kWidth);
  const Plane16 b = plane16_at(out.data(), kChannels, kHeight, kWidth);
  kReferenceKernels.norm_to_plane(a, b, 0, kHeight * kWidth);
  first_failure.clear();
  const Copy copy(in.data(), bytes_of(a));
  const Plane16 device = on_device(a, copy);
  note(cuda::norm_to_plane(device, device, 0, kHeight * kWidth, nullptr), "norm_to_plane");
  copy.copy_back(in.data());
  ASSERT_EQ(first_failure, "");
  for (int c = 0; c < kChannels; ++c) {
    for (int p = 0; p < kHeight * kWidth; ++p) {
      ASSERT_EQ(in[c * a.plane + p], out[c * a.plane + p]) << c << " " << p;
    }
  }
}

// Without a driver no call aborts or pretends to have worked.
TEST(Cuda, EveryCallReportsTheMissingDevice) {
  if (cuda_device_available()) GTEST_SKIP() << "there is a CUDA device";
  alignas(64) int16_t data[512] = {};
  const Plane16 plane = plane16_at(data, 1, 8, 8);
  const Packed8 packed = packed8_at(data, 1, 8, 8);
  const Pointwise8 layer8{.inputs = 1, .outputs = 1};
  const Pointwise16 layer16{.inputs = 1, .outputs = 1};
  const int output = 0;
  const Result<cuda::DeviceMemory> memory = cuda::allocate(64);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::no_device) << memory.error().message;
  const Status results[] = {
      cuda::copy_to_device(data, data, 2),
      cuda::copy_to_host(data, data, 2),
      cuda::synchronise(),
      cuda::norm_to_packed(plane, packed, 0, 64, nullptr),
      cuda::norm_to_plane(plane, plane, 0, 64, nullptr),
      cuda::quantise(plane, packed, 0, 64, nullptr),
      cuda::depthwise(plane, data, nullptr, plane, 0, 8, nullptr),
      cuda::pointwise_gelu(packed, layer8, packed, 0, 64, nullptr),
      cuda::pointwise(packed, layer8, false, plane, 0, 64, nullptr),
      cuda::pointwise16(plane, layer16, false, plane, 0, 64, nullptr),
      cuda::upsample(plane, 1, nullptr, plane, 0, 8, nullptr),
      cuda::head(plane, layer16, nullptr, &output, 1, nullptr, 128, 0, 64, nullptr),
  };
  for (const Status& status : results) {
    ASSERT_FALSE(status) << "call " << &status - results;
    EXPECT_EQ(status.error().code, ErrorCode::no_device)
        << "call " << &status - results << ": " << status.error().message;
  }
}

}  // namespace
}  // namespace mvinr::test
