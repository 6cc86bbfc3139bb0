#include "entropy/contexts.h"

#include <algorithm>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace mvinr {
namespace {

enum Row { kNorth, kNorthNorth, kPast, kPastSouth, kBelow, kReference, kReferenceSouth, kChannel };
constexpr int kRows = 8;

/// Symbols x0 .. x0 + count - 1 of a row, clamped; 0 where the grid has none.
void load_row(const GridView* grid, int t, int c, int y, int x0, int count, int16_t* out) {
  std::fill(out, out + count, int16_t{0});
  if (grid == nullptr || t < 0 || c < 0 || y < 0 || y >= grid->height) return;
  const int begin = std::max(x0, 0), end = std::min(x0 + count, grid->width);
  const int16_t* row = grid->row(t, c, y);
  for (int x = begin; x < end; ++x) out[x - x0] = static_cast<int16_t>(clamp_context(row[x]));
}

Prediction prediction(int mean, int scale, int max_symbol) {
  return {std::clamp((mean + 8) >> 4, -16 * max_symbol, 16 * max_symbol),
          std::clamp(((scale + 16) >> 5) + 32, 0, 79)};
}

}  // namespace

RowContexts::RowContexts(const GridView& grid, const GridNeighbours& neighbours)
    : grid_(grid),
      neighbours_(neighbours),
      rows_(static_cast<size_t>(kRows) * (static_cast<size_t>(grid.width) + 2)),
      contexts_(static_cast<size_t>(grid.width) * kContexts) {
  if (neighbours.below == nullptr) return;
  for (int x = 0; x < grid.width; ++x)
    below_x_.push_back(static_cast<int>(int64_t{x} * neighbours.below->width / grid.width));
}

int16_t* RowContexts::gather(int t, int c, int y) {
  const int width = grid_.width;
  int16_t* row[kRows];
  for (int i = 0; i < kRows; ++i) row[i] = rows_.data() + i * (width + 2);
  load_row(&grid_, t, c, y - 1, -1, width + 2, row[kNorth]);
  load_row(&grid_, t, c, y - 2, 0, width, row[kNorthNorth]);
  load_row(&grid_, t - 1, c, y, 0, width + 1, row[kPast]);
  load_row(&grid_, t - 1, c, y + 1, 0, width, row[kPastSouth]);
  const GridView* reference = neighbours_.reference;
  const int dx = neighbours_.dx, dy = neighbours_.dy;
  load_row(reference, t, c, y + dy, dx - 1, width + 2, row[kReference]);
  load_row(reference, t, c, y + dy + 1, dx, width, row[kReferenceSouth]);
  load_row(&grid_, t, c - 1, y, 0, width + 1, row[kChannel]);
  if (const GridView* below = neighbours_.below) {
    const int tb = static_cast<int>(int64_t{t} * below->time_steps / grid_.time_steps);
    const int yb = static_cast<int>(int64_t{y} * below->height / grid_.height);
    const int16_t* from = below->row(tb, std::min(c, below->channels - 1), yb);
    for (int x = 0; x < width; ++x)
      row[kBelow][x] = static_cast<int16_t>(clamp_context(from[below_x_[static_cast<size_t>(x)]]));
  }
  int16_t* out = contexts_.data();
  for (int x = 0; x < width; ++x, out += kContexts) {
    out[2] = row[kNorth][x + 1];
    out[3] = row[kNorth][x];
    out[4] = row[kNorth][x + 2];
    out[5] = row[kNorthNorth][x];
    out[6] = row[kPast][x];
    out[7] = row[kPast][x + 1];
    out[8] = row[kPastSouth][x];
    out[9] = row[kBelow][x];
    out[10] = row[kReference][x + 1];
    out[11] = row[kChannel][x];
    out[12] = row[kReference][x + 2];
    out[13] = row[kReference][x];
    out[14] = row[kReferenceSouth][x];
    out[15] = row[kChannel][x + 1];
  }
  return contexts_.data();
}

void gather_contexts(const GridView& grid, const GridNeighbours& neighbours, int16_t* out) {
  RowContexts rows(grid, neighbours);
  for (int t = 0; t < grid.time_steps; ++t)
    for (int c = 0; c < grid.channels; ++c)
      for (int y = 0; y < grid.height; ++y) {
        const int16_t* from = rows.gather(t, c, y);
        const int16_t* row = grid.row(t, c, y);
        for (int x = 0; x < grid.width; ++x, out += kContexts, from += kContexts) {
          for (int i = 0; i < kContexts; ++i) out[i] = from[kContextSlot[i]];
          if (x > 0) out[0] = static_cast<int16_t>(clamp_context(row[x - 1]));
          if (x > 1) out[4] = static_cast<int16_t>(clamp_context(row[x - 2]));
        }
      }
}

RowPredictor::RowPredictor(const ContextModel& model, int width)
    : width_(width), sums_(static_cast<size_t>(width) * kLanes) {
  for (int lane = 0; lane < kContextHidden + 2; ++lane) {
    const bool hidden = lane < kContextHidden;
    const int skip = lane - kContextHidden;
    const int16_t* from = hidden ? model.hidden_weight[lane] : model.skip_weight[skip];
    for (int i = 0; i < kContexts; ++i)
      weight_[kContextSlot[i] / 2][lane][kContextSlot[i] % 2] = from[i];
    bias_[lane] = hidden ? model.hidden_bias[lane] : model.out_bias[skip];
  }
  for (int o = 0; o < 2; ++o)
    std::copy(model.out_weight[o], model.out_weight[o] + kContextHidden, out_[o]);
  for (int pair = 1; pair < kPairs; ++pair)
    if (std::any_of(&weight_[pair][0][0], &weight_[pair][0][0] + 2 * kLanes,
                    [](int16_t w) { return w != 0; }))
      pairs_.push_back(pair);
}

// Nothing overflows below: weights are at most 2047 and contexts 127, so that a sum is below 2^23
// and, hidden units being clamped to 32767, an output below 2^30. (Models that were made otherwise
// do not get here: writing and reading check the weights.)
#if defined(__SSE2__)

void RowPredictor::start_row(const int16_t* contexts) {
  const auto load = [](const void* p) { return _mm_load_si128(static_cast<const __m128i*>(p)); };
  int32_t* out = sums_.data();
  for (int x = 0; x < width_; ++x, contexts += kContexts, out += kLanes) {
    __m128i a = load(bias_), b = load(bias_ + 4), c = load(bias_ + 8);
    for (const int pair : pairs_) {
      int32_t two;
      std::memcpy(&two, contexts + 2 * pair, sizeof two);
      const __m128i value = _mm_set1_epi32(two);
      a = _mm_add_epi32(a, _mm_madd_epi16(value, load(weight_[pair])));
      b = _mm_add_epi32(b, _mm_madd_epi16(value, load(weight_[pair] + 4)));
      c = _mm_add_epi32(c, _mm_madd_epi16(value, load(weight_[pair] + 8)));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), a);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 4), b);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 8), c);
  }
}

Prediction RowPredictor::at(int x, int west, int west_west, int max_symbol) const {
  const auto load = [](const void* p) { return _mm_load_si128(static_cast<const __m128i*>(p)); };
  const auto* sums = reinterpret_cast<const __m128i*>(sums_.data() + ptrdiff_t{x} * kLanes);
  const __m128i value = _mm_set1_epi32((west & 0xFFFF) | west_west << 16);
  const auto sum = [&](int i) {
    return _mm_add_epi32(_mm_loadu_si128(sums + i),
                         _mm_madd_epi16(value, load(weight_[0] + 4 * i)));
  };
  // Saturation to int16 is the clamp to 32767.
  const __m128i units = _mm_max_epi16(_mm_packs_epi32(sum(0), sum(1)), _mm_setzero_si128());
  const __m128i m = _mm_madd_epi16(units, load(out_[0])), s = _mm_madd_epi16(units, load(out_[1]));
  const __m128i both = _mm_add_epi32(_mm_unpacklo_epi32(m, s), _mm_unpackhi_epi32(m, s));
  const __m128i total = _mm_add_epi32(both, _mm_unpackhi_epi64(both, both));
  const __m128i out = _mm_add_epi32(_mm_srai_epi32(total, 8), sum(2));
  const int mean = _mm_cvtsi128_si32(out);
  const int scale = _mm_cvtsi128_si32(_mm_srli_si128(out, 4));
  return prediction(mean, scale, max_symbol);
}

#else

void RowPredictor::start_row(const int16_t* contexts) {
  int32_t* out = sums_.data();
  for (int x = 0; x < width_; ++x, contexts += kContexts, out += kLanes) {
    std::copy(bias_, bias_ + kLanes, out);
    for (const int pair : pairs_)
      for (int lane = 0; lane < kLanes; ++lane)
        out[lane] += weight_[pair][lane][0] * contexts[2 * pair] +
                     weight_[pair][lane][1] * contexts[2 * pair + 1];
  }
}

Prediction RowPredictor::at(int x, int west, int west_west, int max_symbol) const {
  const int32_t* sums = sums_.data() + ptrdiff_t{x} * kLanes;
  const auto sum = [&](int lane) {
    return sums[lane] + weight_[0][lane][0] * west + weight_[0][lane][1] * west_west;
  };
  int32_t mean = 0, scale = 0;
  for (int h = 0; h < kContextHidden; ++h) {
    const int32_t unit = std::clamp(sum(h), 0, 32767);
    mean += out_[0][h] * unit;
    scale += out_[1][h] * unit;
  }
  return prediction((mean >> 8) + sum(kContextHidden), (scale >> 8) + sum(kContextHidden + 1),
                    max_symbol);
}

#endif

Prediction predict(const ContextModel& model, const int16_t contexts[kContexts], int max_symbol) {
  RowPredictor predictor(model, 1);
  int16_t slots[kContexts];
  for (int i = 0; i < kContexts; ++i) slots[kContextSlot[i]] = contexts[i];
  slots[0] = slots[1] = 0;
  predictor.start_row(slots);
  return predictor.at(0, contexts[0], contexts[4], max_symbol);
}

}  // namespace mvinr
