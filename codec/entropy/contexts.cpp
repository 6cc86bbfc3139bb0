#include "entropy/contexts.h"

#include <algorithm>

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
    out[0] = 0;
    out[1] = row[kNorth][x + 1];
    out[2] = row[kNorth][x];
    out[3] = row[kNorth][x + 2];
    out[4] = 0;
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
        std::copy(from, from + static_cast<ptrdiff_t>(grid.width) * kContexts, out);
        for (int x = 0; x < grid.width; ++x, out += kContexts) {
          if (x > 0) out[0] = static_cast<int16_t>(clamp_context(row[x - 1]));
          if (x > 1) out[4] = static_cast<int16_t>(clamp_context(row[x - 2]));
        }
      }
}

RowPredictor::RowPredictor(const ContextModel& model, int width)
    : width_(width), sums_(static_cast<size_t>(width) * kOutputs) {
  for (int o = 0; o < kOutputs; ++o) {
    const bool hidden = o < kContextHidden;
    const int16_t* from = hidden ? model.hidden_weight[o] : model.skip_weight[o - kContextHidden];
    std::copy(from, from + kContexts, weight_[o]);
    west_[o] = from[0];
    west_west_[o] = from[4];
    bias_[o] = hidden ? model.hidden_bias[o] : model.out_bias[o - kContextHidden];
  }
  for (int o = 0; o < 2; ++o)
    std::copy(model.out_weight[o], model.out_weight[o] + kContextHidden, out_[o]);
}

void RowPredictor::start_row(const int16_t* contexts) {
  int32_t* out = sums_.data();
  for (int x = 0; x < width_; ++x, contexts += kContexts, out += kOutputs)
    for (int o = 0; o < kOutputs; ++o) {
      int32_t sum = 0;
      for (int i = 0; i < kContexts; ++i) sum += int32_t{weight_[o][i]} * contexts[i];
      out[o] = sum + bias_[o];
    }
}

// Nothing overflows: weights are at most 2047 and contexts 127, so a sum is below 2^23 and, hidden
// units being clamped to 32767, an output below 2^30.
Prediction RowPredictor::at(int x, int west, int west_west, int max_symbol) const {
  const int32_t* sums = sums_.data() + static_cast<ptrdiff_t>(x) * kOutputs;
  int32_t value[kOutputs];
  for (int o = 0; o < kOutputs; ++o)
    value[o] = sums[o] + west_[o] * west + west_west_[o] * west_west;
  int32_t mean = 0, scale = 0;
  for (int h = 0; h < kContextHidden; ++h) {
    const int32_t unit = std::clamp(value[h], 0, 32767);
    mean += out_[0][h] * unit;
    scale += out_[1][h] * unit;
  }
  mean = (mean >> 8) + value[kContextHidden];
  scale = (scale >> 8) + value[kContextHidden + 1];
  return {std::clamp((mean + 8) >> 4, -16 * max_symbol, 16 * max_symbol),
          std::clamp(((scale + 16) >> 5) + 32, 0, 79)};
}

Prediction predict(const ContextModel& model, const int16_t contexts[kContexts], int max_symbol) {
  RowPredictor predictor(model, 1);
  int16_t others[kContexts];
  std::copy(contexts, contexts + kContexts, others);
  others[0] = others[4] = 0;
  predictor.start_row(others);
  return predictor.at(0, contexts[0], contexts[4], max_symbol);
}

}  // namespace mvinr
