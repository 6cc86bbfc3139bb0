#include "entropy/grid_coder.h"

#include <optional>

#include "entropy/contexts.h"
#include "entropy/side_info.h"

namespace mvinr {
namespace {

constexpr int kSymbolBits = 11;  // of an M

/// What the decoder learns before the symbols.
struct GridModel {
  std::vector<int> max_symbols;  // per channel; 0: the channel is all zero
  std::vector<int> steps;        // per channel that is not
  Shape shape = Shape::laplace;  // factorised only
  std::vector<int> scales;       // factorised only: per channel that is not all zero
};

template <class Coder, class Symbol>
void code_context_row(Coder& coder, int max_symbol, const RowPredictor& predictor,
                      std::span<Symbol> row) {
  int west = 0, west_west = 0;
  for (size_t x = 0; x < row.size(); ++x) {
    const Prediction p = predictor.at(static_cast<int>(x), west, west_west, max_symbol);
    coder.symbol(Distribution(Shape::laplace, max_symbol, p.mean, p.scale), row[x]);
    west_west = west;
    west = clamp_context(row[x]);
  }
}

template <class Coder, class Symbol>
void code(Coder& coder, const GridView& grid, GridModel& model, std::span<Symbol> symbols,
          const ContextModel* context, const GridNeighbours& neighbours) {
  code_list(coder, model.max_symbols, 0, kSymbolBits);
  if (coder.failed()) return;
  std::vector<size_t> slot;  // of each channel among those that are not all zero
  size_t used = 0;
  for (const int m : model.max_symbols) {
    slot.push_back(used);
    used += m > 0;
  }
  if constexpr (Coder::kReads) {
    model.steps.resize(used);
    if (context == nullptr) model.scales.resize(used);
  }
  code_list(coder, model.steps, -128, 8);
  std::optional<RowContexts> rows;
  std::optional<RowPredictor> predictor;
  if (context == nullptr) {
    if (used > 0) coder.bits(model.shape, 1);
    code_list(coder, model.scales, 0, kScaleBits);
    for (const int scale : model.scales)
      if (scale >= kScales) coder.fail();
    if (coder.failed()) return;
  } else {
    rows.emplace(grid, neighbours);
    predictor.emplace(*context, grid.width);
  }
  const size_t width = static_cast<size_t>(grid.width);
  size_t at = 0;
  for (int t = 0; t < grid.time_steps; ++t)
    for (int c = 0; c < grid.channels; ++c) {
      const int max_symbol = model.max_symbols[static_cast<size_t>(c)];
      if (max_symbol == 0) {
        const size_t plane = width * static_cast<size_t>(grid.height);
        if constexpr (Coder::kReads) std::ranges::fill(symbols.subspan(at, plane), Symbol{0});
        at += plane;
        continue;
      }
      for (int y = 0; y < grid.height; ++y, at += width) {
        const std::span<Symbol> row = symbols.subspan(at, width);
        if (context != nullptr) {
          predictor->start_row(rows->gather(t, c, y));
          code_context_row(coder, max_symbol, *predictor, row);
        } else {
          const Distribution distribution(model.shape, max_symbol, 0,
                                          model.scales[slot[static_cast<size_t>(c)]]);
          for (Symbol& symbol : row) coder.symbol(distribution, symbol);
        }
        if (coder.failed()) return;
      }
    }
}

/// False if the data do not fit.
bool choose(const GridView& grid, std::span<const int8_t> steps, const ContextModel* context,
            GridModel& model) {
  if (steps.size() != static_cast<size_t>(grid.channels)) return false;
  if (context != nullptr && context_model_bits(*context) < 0) return false;
  std::vector<Histogram> histograms;
  std::vector<int16_t> channel;
  const ptrdiff_t plane = static_cast<ptrdiff_t>(grid.width) * grid.height;
  for (int c = 0; c < grid.channels; ++c) {
    channel.clear();
    for (int t = 0; t < grid.time_steps; ++t)
      channel.insert(channel.end(), grid.row(t, c, 0), grid.row(t, c, 0) + plane);
    const Histogram histogram(channel);
    model.max_symbols.push_back(histogram.max_symbol());
    if (histogram.max_symbol() > kMaxSymbol) return false;
    if (histogram.max_symbol() == 0) continue;
    model.steps.push_back(steps[static_cast<size_t>(c)]);
    histograms.push_back(histogram);
  }
  if (context != nullptr) return true;
  double least = -1;
  for (const Shape shape : {Shape::laplace, Shape::gaussian}) {
    std::vector<int> scales;
    double bits = 0;
    for (const Histogram& histogram : histograms) {
      scales.push_back(histogram.best_scale(shape, histogram.max_symbol()));
      bits += histogram.cost(shape, histogram.max_symbol(), scales.back());
    }
    if (least >= 0 && bits >= least) continue;
    least = bits;
    model.shape = shape;
    model.scales = scales;
  }
  return true;
}

}  // namespace

void write_grid(RangeEncoder& coder, const GridView& grid, std::span<const int8_t> steps,
                const ContextModel* model, const GridNeighbours& neighbours) {
  GridModel side;
  if (!choose(grid, steps, model, side)) return coder.fail();
  code(coder, grid, side, std::span(grid.data, grid.count()), model, neighbours);
}

double grid_bits(const GridView& grid, std::span<const int8_t> steps, const ContextModel* model,
                 const GridNeighbours& neighbours) {
  GridModel side;
  CostCounter cost;
  if (choose(grid, steps, model, side))
    code(cost, grid, side, std::span(grid.data, grid.count()), model, neighbours);
  return cost.total();
}

void read_grid(RangeDecoder& coder, const GridView& grid, std::span<int16_t> symbols,
               std::span<int8_t> steps, const ContextModel* model,
               const GridNeighbours& neighbours) {
  GridModel side;
  side.max_symbols.resize(static_cast<size_t>(grid.channels));
  code(coder, grid, side, symbols, model, neighbours);
  if (coder.failed()) return;
  size_t slot = 0;
  for (size_t c = 0; c < steps.size(); ++c)
    steps[c] = side.max_symbols[c] > 0 ? static_cast<int8_t>(side.steps[slot++]) : int8_t{0};
}

}  // namespace mvinr
