#include "entropy/tensor_coder.h"

#include "entropy/side_info.h"

namespace mvinr {
namespace {

/// What the decoder learns before the symbols.
struct TensorModel {
  int max_symbol = 0;
  Shape shape = Shape::laplace;
  bool row_scales = false;
  std::vector<int> steps;
  std::vector<int> scales;  // 1, or one per row
};

template <class Coder, class Symbol>
void code(Coder& coder, const TensorLayout& layout, TensorModel& model, std::span<Symbol> symbols) {
  coder.exp_golomb(model.max_symbol, 2);
  if (model.max_symbol > layout.limit) return coder.fail();
  if (model.max_symbol == 0) {
    if constexpr (Coder::kReads) {
      std::fill(symbols.begin(), symbols.end(), Symbol{0});
      std::fill(model.steps.begin(), model.steps.end(), 0);
    }
    return;
  }
  code_list(coder, model.steps, -128, 8);
  coder.bits(model.shape, 1);
  if (layout.rows > 1) coder.bits(model.row_scales, 1);
  if constexpr (Coder::kReads)
    model.scales.resize(model.row_scales ? static_cast<size_t>(layout.rows) : 1);
  code_list(coder, model.scales, 0, kScaleBits);
  if (coder.failed() || std::ranges::max(model.scales) >= kScales) return coder.fail();
  const size_t columns = static_cast<size_t>(layout.columns);
  for (size_t row = 0; row < static_cast<size_t>(layout.rows); ++row) {
    const int scale = model.scales[model.row_scales ? row : 0];
    const Distribution distribution(model.shape, model.max_symbol, 0, scale);
    for (Symbol& symbol : symbols.subspan(row * columns, columns))
      coder.symbol(distribution, symbol);
    if (coder.failed()) return;
  }
}

/// The cheapest model; false if the data do not fit the layout.
bool choose(const TensorLayout& layout, std::span<const int16_t> symbols,
            std::span<const int8_t> steps, TensorModel& best) {
  if (symbols.size() != static_cast<size_t>(layout.rows) * static_cast<size_t>(layout.columns) ||
      steps.size() != static_cast<size_t>(layout.steps))
    return false;
  const Histogram all(symbols);
  best.max_symbol = all.max_symbol();
  if (best.max_symbol > layout.limit) return false;
  best.steps.assign(steps.begin(), steps.end());
  if (best.max_symbol == 0) return true;
  double least = 0;
  for (const Shape shape : {Shape::laplace, Shape::gaussian}) {
    TensorModel model = best;
    model.shape = shape;
    auto keep_if_better = [&] {
      CostCounter cost;
      code(cost, layout, model, symbols);
      if (least > 0 && cost.total() >= least) return;
      least = cost.total();
      best = model;
    };
    model.row_scales = false;
    model.scales = {all.best_scale(shape, model.max_symbol)};
    keep_if_better();
    if (layout.rows == 1) continue;
    model.row_scales = true;
    model.scales.clear();
    for (size_t row = 0; row < static_cast<size_t>(layout.rows); ++row) {
      const size_t columns = static_cast<size_t>(layout.columns);
      const Histogram histogram(symbols.subspan(row * columns, columns));
      model.scales.push_back(histogram.best_scale(shape, model.max_symbol));
    }
    keep_if_better();
  }
  return true;
}

}  // namespace

void write_tensor(RangeEncoder& coder, const TensorLayout& layout, std::span<const int16_t> symbols,
                  std::span<const int8_t> steps) {
  TensorModel model;
  if (!choose(layout, symbols, steps, model)) return coder.fail();
  code(coder, layout, model, symbols);
}

double tensor_bits(const TensorLayout& layout, std::span<const int16_t> symbols,
                   std::span<const int8_t> steps) {
  TensorModel model;
  CostCounter cost;
  if (choose(layout, symbols, steps, model)) code(cost, layout, model, symbols);
  return cost.total();
}

void read_tensor(RangeDecoder& coder, const TensorLayout& layout, std::span<int16_t> symbols,
                 std::span<int8_t> steps) {
  TensorModel model;
  model.steps.resize(steps.size());
  code(coder, layout, model, symbols);
  std::copy(model.steps.begin(), model.steps.end(), steps.begin());
}

double histogram_bits(std::span<const int16_t> symbols) {
  const Histogram histogram(symbols);
  return histogram.entropy() + 16.0 * histogram.distinct();
}

}  // namespace mvinr
