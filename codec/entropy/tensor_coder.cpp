#include "entropy/tensor_coder.h"

#include <cmath>

#include "entropy/side_info.h"

namespace mvinr {
namespace {

constexpr int kOffsetUnit = 4;  // scale indices
constexpr int kOffsetBits = 5;
constexpr int kLowestOffset = -16;

/// What the decoder learns before the symbols.
struct TensorModel {
  int max_symbol = 0;
  Shape shape = Shape::laplace;
  std::vector<int> steps;
  // The scale of a symbol is that of the tensor plus, in half octaves, offsets of its row and its
  // column (where the tensor has them: a finer grain costs more in the lists than it saves).
  int scale = 0;
  bool has_rows = false, has_columns = false;
  std::vector<int> rows, columns;
  int scale_at(size_t row, size_t column) const {
    const int offset = (has_rows ? rows[row] : 0) + (has_columns ? columns[column] : 0);
    return std::clamp(scale + kOffsetUnit * offset, 0, kScales - 1);
  }
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
  coder.bits(model.scale, kScaleBits);
  if (model.scale >= kScales) return coder.fail();
  const size_t rows = static_cast<size_t>(layout.rows);
  const size_t columns = static_cast<size_t>(layout.columns);
  if (rows > 1) {
    coder.bits(model.has_rows, 1);
    coder.bits(model.has_columns, 1);
  }
  if constexpr (Coder::kReads) {
    model.rows.resize(model.has_rows ? rows : 0);
    model.columns.resize(model.has_columns ? columns : 0);
  }
  code_list(coder, model.rows, kLowestOffset, kOffsetBits);
  code_list(coder, model.columns, kLowestOffset, kOffsetBits);
  if (coder.failed()) return;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column)
      coder.symbol(Distribution(model.shape, model.max_symbol, 0, model.scale_at(row, column)),
                   symbols[row * columns + column]);
    if (coder.failed()) return;
  }
}

/// Offset in half octaves that brings magnitudes of this mean to 1.
int offset_of(double mean) {
  const double octaves = std::log2(std::max(mean, 1e-4));
  return std::clamp(static_cast<int>(std::lround(8 * octaves / kOffsetUnit)), kLowestOffset,
                    kLowestOffset + (1 << kOffsetBits) - 1);
}

/// Offsets of rows and columns by maximum likelihood, each given the other.
void fit_offsets(const TensorLayout& layout, std::span<const int16_t> symbols, double mean,
                 TensorModel& model) {
  const size_t rows = static_cast<size_t>(layout.rows);
  const size_t columns = static_cast<size_t>(layout.columns);
  auto factor = [](int offset) { return std::exp2(offset * kOffsetUnit / 8.0); };
  model.rows.assign(rows, 0);
  model.columns.assign(columns, 0);
  for (int pass = 0; pass < (model.has_rows && model.has_columns ? 2 : 1); ++pass) {
    std::vector<double> row_sum(rows), column_sum(columns);
    if (model.has_columns) {
      for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < columns; ++c)
          column_sum[c] += std::abs(symbols[r * columns + c]) / factor(model.rows[r]);
      for (size_t c = 0; c < columns; ++c)
        model.columns[c] = offset_of(column_sum[c] / (static_cast<double>(rows) * mean));
    }
    if (model.has_rows)
      for (size_t r = 0; r < rows; ++r) {
        for (size_t c = 0; c < columns; ++c)
          row_sum[r] += std::abs(symbols[r * columns + c]) / factor(model.columns[c]);
        model.rows[r] = offset_of(row_sum[r] / (static_cast<double>(columns) * mean));
      }
  }
  if (!model.has_rows) model.rows.clear();
  if (!model.has_columns) model.columns.clear();
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
  auto consider = [&](Shape shape, int axes) {
    TensorModel model;
    model.max_symbol = best.max_symbol;
    model.steps = best.steps;
    model.shape = shape;
    model.has_rows = (axes & 1) != 0;
    model.has_columns = (axes & 2) != 0;
    const int scale = all.best_scale(shape, model.max_symbol);
    fit_offsets(layout, symbols, all.mean_magnitude(), model);
    // Offsets make the tensor's own scale a little smaller.
    for (const int lower : {0, 2, 4}) {
      model.scale = std::max(scale - lower, 0);
      CostCounter cost;
      code(cost, layout, model, symbols);
      if (least == 0 || cost.total() < least) {
        least = cost.total();
        best = model;
      }
      if (axes == 0) break;
    }
  };
  for (const Shape shape : {Shape::laplace, Shape::gaussian})
    for (int axes = 0; axes < (layout.rows > 1 ? 4 : 1); ++axes) consider(shape, axes);
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
