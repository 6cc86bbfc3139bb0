// The operations of kernels.h on a CUDA device, equal to reference.cpp bit by bit.
//
// Shapes, layouts and ranges are those of kernels.h, but every pointer is to device memory (of
// planes, weights, Requant, HeadRow, tile, list of outputs); the structs themselves are on the host
// and passed by value. Memory from allocate() has the alignment that the kernels need.
//
// Calls return before the work is done; work of one stream is done in order. An error of the work
// itself comes back from a later call, at the latest from synchronise().
//
// Errors: no_device if there is no driver or no CUDA device (then nothing else is ever returned,
// and nothing aborts), limit_exceeded if memory does not suffice, internal (with CUDA's name of the
// error) for everything else. A build without CUDA has the same functions; all return no_device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/kernels.h"
#include "mvinr/types.h"

namespace mvinr {

/// Whether this machine has a driver and a device that can run the kernels.
bool cuda_device_available();

namespace cuda {

using Stream = void*;  // a cudaStream_t; nullptr: the default stream

struct Release {
  void operator()(std::byte* memory) const;
};
using DeviceMemory = std::unique_ptr<std::byte, Release>;

/// `size` bytes of device memory; one byte at least.
Result<DeviceMemory> allocate(size_t size);
Status copy_to_device(void* device, const void* host, size_t size, Stream stream = nullptr);
/// Returns when the bytes are there.
Status copy_to_host(void* host, const void* device, size_t size, Stream stream = nullptr);
/// Waits for the work of the stream.
Status synchronise(Stream stream = nullptr);

Status norm_to_packed(const Plane16& in, const Packed8& out, int begin, int end, Stream stream);
Status norm_to_plane(const Plane16& in, const Plane16& out, int begin, int end, Stream stream);
Status quantise(const Plane16& in, const Packed8& out, int begin, int end, Stream stream);
Status depthwise(const Plane16& in, const int16_t* weight, const Requant* requant,
                 const Plane16& out, int y0, int y1, Stream stream);
Status pointwise_gelu(const Packed8& in, const Pointwise8& layer, const Packed8& out, int begin,
                      int end, Stream stream);
Status pointwise(const Packed8& in, const Pointwise8& layer, bool add, const Plane16& out,
                 int begin, int end, Stream stream);
Status pointwise16(const Plane16& in, const Pointwise16& layer, bool add, const Plane16& out,
                   int begin, int end, Stream stream);
Status upsample(const Plane16& in, int scale, const int16_t* tile, const Plane16& out, int y0,
                int y1, Stream stream);
/// For the `count` outputs listed at `outputs` (device memory too).
Status head(const Plane16& in, const Pointwise16& layer, const HeadRow* rows, const int* outputs,
            int count, int32_t* out, ptrdiff_t plane, int begin, int end, Stream stream);

}  // namespace cuda
}  // namespace mvinr
