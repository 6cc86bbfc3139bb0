#include "decode/grids.h"

#include <algorithm>
#include <cstring>

namespace mvinr {
namespace {

// |u| <= 2047 * 256 and M <= 470, so u * M < 2^28 and everything fits 32 bits: n is in -8..23, and
// before a left shift the value is clamped to what saturates anyway.
template <typename Value>
void scale_row(Value value, int count, int step, int16_t* out) {
  const int32_t mantissa = kStepMantissa[step & 7];
  const int n = 7 - (step >> 3);
  if (n >= 0) {
    const int32_t half = (1 << n) >> 1;
    for (int i = 0; i < count; ++i)
      out[i] = static_cast<int16_t>(std::clamp((value(i) * mantissa + half) >> n, -32768, 32767));
  } else {
    const int32_t factor = 1 << -n;
    for (int i = 0; i < count; ++i)
      out[i] = static_cast<int16_t>(
          std::clamp(std::clamp(value(i) * mantissa, -32768, 32767) * factor, -32768, 32767));
  }
}

}  // namespace

TimePosition time_position(int frame, int frames, int time_steps, bool nearest) {
  if (nearest) {
    const int first = frame * time_steps / frames;
    return {first, first, 0};
  }
  const int num = (2 * frame + 1) * time_steps - frames;
  if (num < 0) return {0, std::min(1, time_steps - 1), 0};
  TimePosition p;
  p.first = std::min(num / (2 * frames), time_steps - 1);
  p.second = std::min(p.first + 1, time_steps - 1);
  if (p.first < time_steps - 1) p.weight = (num % (2 * frames) * 256 + frames) / (2 * frames);
  return p;
}

void grid_to_planes(const TensorSpec& spec, const CodedTensor& grid, int frame, int frames,
                    bool nearest, const Plane16& out) {
  const int channels = spec.dims[1];
  const int count = spec.dims[2] * spec.dims[3];
  const TimePosition time = time_position(frame, frames, spec.dims[0], nearest);
  for (int c = 0; c < channels; ++c) {
    const int16_t* a = grid.symbols.data() + (size_t(time.first) * channels + c) * count;
    const int16_t* b = grid.symbols.data() + (size_t(time.second) * channels + c) * count;
    const int step = grid.steps.size() == 1 ? grid.steps[0] : grid.steps[c];
    int16_t* to = out.data + c * out.plane;
    if (time.weight == 0) {
      scale_row([a](int i) { return a[i] * 256; }, count, step, to);
    } else {
      const int far = time.weight, near = 256 - far;
      scale_row([=](int i) { return a[i] * near + b[i] * far; }, count, step, to);
    }
  }
}

void shift_taps(const Plane16& in, const Plane16& out) {
  const int h = in.height, w = in.width;
  for (int c = 0; c < in.channels; ++c) {
    for (int tap = 0; tap < 9; ++tap) {
      const int dy = tap / 3 - 1, dx = tap % 3 - 1;
      const int x0 = std::max(0, -dx), x1 = std::min(w, w - dx);
      int16_t* to = out.data + (c * 9 + tap) * out.plane;
      for (int y = 0; y < h; ++y, to += w) {
        const int from = y + dy;
        if (from < 0 || from >= h || x1 <= x0) {
          std::fill_n(to, w, int16_t{0});
          continue;
        }
        to[0] = to[w - 1] = 0;
        std::memcpy(to + x0, in.data + c * in.plane + from * w + x0 + dx,
                    size_t(x1 - x0) * sizeof(int16_t));
      }
    }
  }
}

}  // namespace mvinr
