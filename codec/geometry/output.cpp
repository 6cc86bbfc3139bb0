// The prediction as planes at half resolution, and as pictures.
#include <algorithm>
#include <cstring>

#include "base/clones.h"
#include "geometry/warp_parts.h"

namespace mvinr {
namespace {

// Q16 -> Q10.
MVINR_CLONES void depth_to_q10(const int32_t* in, int count, int16_t* out) {
  for (int x = 0; x < count; ++x) {
    const int32_t v = (in[x] + 32) >> 6;
    out[x] = static_cast<int16_t>(v < 1023 ? v : 1023);
  }
}

MVINR_CLONES void split(const int16_t* in, int count, int16_t* even, int16_t* odd) {
  for (int x = 0; x < count; ++x) {
    even[x] = in[2 * x];
    odd[x] = in[2 * x + 1];
  }
}

// Even and odd columns of a row of `width` samples, and what repeats the last one (or 0) up to
// `out_width` of each.
void split_row(const int16_t* in, int width, bool repeat, int out_width, int16_t* even,
               int16_t* odd) {
  split(in, width / 2, even, odd);
  const int16_t beyond = repeat ? in[width - 1] : int16_t{0};
  if (width % 2 != 0) even[width / 2] = in[width - 1], odd[width / 2] = beyond;
  const int from = (width + 1) / 2;
  std::fill(even + from, even + out_width, beyond);
  std::fill(odd + from, odd + out_width, beyond);
}

template <typename T, typename Sample>
inline __attribute__((always_inline)) void sample_loop(const T* in, int down, int count,
                                                       Sample* out) {
  const int most = (1 << (8 * sizeof(T) == 16 ? 10 - down : 16 - down)) - 1;
  const int half = (1 << down) >> 1;
  for (int x = 0; x < count; ++x) {
    const int v = (in[x] + half) >> down;
    out[x] = static_cast<Sample>(v < most ? v : most);
  }
}

template <typename T>
void write_row(const T* in, int down, int count, int bytes, std::byte* out) {
  if (bytes == 1) {
    sample_loop(in, down, count, reinterpret_cast<uint8_t*>(out));
  } else {
    sample_loop(in, down, count, reinterpret_cast<uint16_t*>(out));
  }
}

}  // namespace

void write_planes(const PlacedCamera& target, const DepthScale& scale, const WarpedPlanes& out,
                  WarpMemory& memory, ThreadPool* pool) {
  const int width = target.width, height = target.height, half = (width + 1) / 2;
  const ptrdiff_t stride = scratch_stride(width);
  for_each(pool, out.height, [&](int j, int worker) {
    const auto to = [&](int plane) {
      return out.data + plane * out.plane + ptrdiff_t{j} * out.width;
    };
    for (int r = 0; r < 2; ++r) {
      const int y = std::min(2 * j + r, height - 1);
      const ptrdiff_t start = ptrdiff_t{y} * width;
      split_row(memory.luma.data() + start, width, true, out.width, to(2 * r), to(2 * r + 1));
      int32_t* q16 = scratch_row(memory, worker, 0, stride);
      auto* q10 = reinterpret_cast<int16_t*>(scratch_row(memory, worker, 1, stride));
      depth_of_row(scale, memory.depth.data() + start, width, q16);
      depth_to_q10(q16, width, q10);
      split_row(q10, width, true, out.width, to(6 + 2 * r), to(7 + 2 * r));
      if (2 * j + r < height) {
        split_row(memory.mask.data() + start, width, false, out.width, to(10 + 2 * r),
                  to(11 + 2 * r));
      } else {
        std::fill_n(to(10 + 2 * r), out.width, int16_t{0});
        std::fill_n(to(11 + 2 * r), out.width, int16_t{0});
      }
    }
    const ptrdiff_t chroma = ptrdiff_t{std::min(j, (height - 1) / 2)} * half;
    for (int p = 0; p < 2; ++p) {
      const int16_t* in = memory.chroma[p].data() + chroma;
      std::copy_n(in, half, to(4 + p));
      std::fill(to(4 + p) + half, to(4 + p) + out.width, in[half - 1]);
    }
  });
}

void write_pictures(const PlacedCamera& target, const DepthScale& scale,
                    const MutablePicture* texture, const MutablePicture* depth, WarpMemory& memory,
                    ThreadPool* pool) {
  for (int p = 0; texture != nullptr && p < 3; ++p) {
    const int width = plane_size(target.width, p);
    const int16_t* in = p == 0 ? memory.luma.data() : memory.chroma[p - 1].data();
    for_each(pool, plane_size(target.height, p), [&](int y, int) {
      write_row(in + ptrdiff_t{y} * width, 10 - bit_depth(texture->format), width,
                bytes_per_sample(texture->format), texture->data[p] + y * texture->stride[p]);
    });
  }
  if (depth == nullptr) return;
  const ptrdiff_t stride = scratch_stride(target.width);
  for_each(pool, target.height, [&](int y, int worker) {
    int32_t* q16 = scratch_row(memory, worker, 0, stride);
    depth_of_row(scale, memory.depth.data() + ptrdiff_t{y} * target.width, target.width, q16);
    write_row(q16, 16 - bit_depth(depth->format), target.width, bytes_per_sample(depth->format),
              depth->data[0] + y * depth->stride[0]);
  });
}

}  // namespace mvinr
