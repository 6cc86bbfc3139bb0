#include "format/model_units.h"

#include <algorithm>
#include <optional>

#include "base/try.h"
#include "entropy/tensor_coder.h"

namespace mvinr {
namespace {

constexpr int kMaxWeightSymbol = 127;
constexpr int kViewBits = 8;

bool uses_context(const GridConfig& grid) { return grid.coding == GridCoding::context; }

int grid_height(const ModelConfig& m, const GridConfig& g) {
  return g.local ? m.stages[g.stage - 1u].scale : m.stage_height(g.stage);
}
int grid_width(const ModelConfig& m, const GridConfig& g) {
  return g.local ? m.stages[g.stage - 1u].scale : m.stage_width(g.stage);
}

/// Index in CodedModel::tensors of a grid of a view (or of a shared grid: view -1).
size_t grid_tensor(const CodedModel& model, int grid, int view) {
  const std::vector<GridConfig>& grids = model.config.grids;
  auto count = [&](bool per_view, int end) {
    return std::count_if(grids.begin(), grids.begin() + end,
                         [&](const GridConfig& g) { return g.per_view == per_view; });
  };
  const int all = static_cast<int>(grids.size());
  const ptrdiff_t shared = count(false, all), per_view = count(true, all);
  const ptrdiff_t network =
      static_cast<ptrdiff_t>(model.tensors.size()) - shared - per_view * model.config.views;
  return static_cast<size_t>(view < 0 ? network + count(false, grid)
                                      : network + shared + view * per_view + count(true, grid));
}

/// The grid before this one whose symbols its contexts look at, or -1.
int grid_below(const ModelConfig& m, int grid) {
  const GridConfig& g = m.grids[static_cast<size_t>(grid)];
  for (int i = grid - 1; i >= 0; --i) {
    const GridConfig& other = m.grids[static_cast<size_t>(i)];
    if (other.per_view == g.per_view && other.local == g.local) return i;
  }
  return -1;
}

GridView grid_view(const CodedModel& model, int grid, int view) {
  const GridConfig& g = model.config.grids[static_cast<size_t>(grid)];
  return {model.tensors[grid_tensor(model, grid, view)].symbols.data(), g.time_steps, g.channels,
          grid_height(model.config, g), grid_width(model.config, g)};
}

struct Neighbours {
  GridView below, reference;
  GridNeighbours all;  // points to the two
};

/// What the contexts of a grid of a view (or of a shared grid: -1) look at. False if the reference
/// view has no symbols.
bool find_neighbours(const CodedModel& model, int g, int view, Neighbours& n) {
  if (const int below = grid_below(model.config, g); below >= 0) {
    n.below = grid_view(model, below, view);
    n.all.below = &n.below;
  }
  if (view < 0) return true;
  const ViewReference& reference = model.references[static_cast<size_t>(view)];
  if (reference.view < 0) return true;
  n.reference = grid_view(model, g, reference.view);
  n.all.reference = &n.reference;
  n.all.dx = reference.dx[static_cast<size_t>(g)];
  n.all.dy = reference.dy[static_cast<size_t>(g)];
  return model.tensors[grid_tensor(model, g, reference.view)].symbols.size() == n.reference.count();
}

TensorLayout layout_of(const TensorSpec& spec) {
  const int rows = spec.kind == TensorKind::weight ? spec.dims[0] : 1;
  return {.rows = rows,
          .columns = static_cast<int>(spec.count() / std::max(rows, 1)),
          .steps = spec.step_count(),
          .limit = spec.kind == TensorKind::weight ? kMaxWeightSymbol : kMaxSymbol};
}

// One name for both directions.
void code_tensor(RangeEncoder& coder, const TensorLayout& layout, const CodedTensor& tensor) {
  write_tensor(coder, layout, tensor.symbols, tensor.steps);
}
void code_tensor(RangeDecoder& coder, const TensorLayout& layout, CodedTensor& tensor) {
  tensor.symbols.resize(static_cast<size_t>(layout.rows) * static_cast<size_t>(layout.columns));
  tensor.steps.resize(static_cast<size_t>(layout.steps));
  read_tensor(coder, layout, tensor.symbols, tensor.steps);
}
void code_context(RangeEncoder& coder, const ContextModel& model) {
  write_context_model(coder, model);
}
void code_context(RangeDecoder& coder, ContextModel& model) { model = read_context_model(coder); }
void code_grid(RangeEncoder& coder, const GridView& grid, const CodedTensor& tensor,
               const ContextModel* context, const GridNeighbours& neighbours) {
  if (tensor.symbols.size() != grid.count()) return coder.fail();
  write_grid(coder, grid, tensor.steps, context, neighbours);
}
void code_grid(RangeDecoder& coder, GridView grid, CodedTensor& tensor, const ContextModel* context,
               const GridNeighbours& neighbours) {
  tensor.symbols.resize(grid.count());
  tensor.steps.resize(static_cast<size_t>(grid.channels));
  grid.data = tensor.symbols.data();
  read_grid(coder, grid, tensor.symbols, tensor.steps, context, neighbours);
}

/// Codes the parts of a model, in either direction: Model is CodedModel, const for encoding.
template <class Coder, class Model>
class UnitCoder {
 public:
  UnitCoder(Coder& coder, Model& model, std::vector<TensorBits>* accounting)
      : coder_(coder), model_(model), accounting_(accounting) {}

  Status network() {
    const ModelConfig& config = model_.config;
    for (size_t g = 0; g < config.grids.size(); ++g) {
      if (!uses_context(config.grids[g])) continue;
      code_context(coder_, model_.context_models[g]);
      MVINR_TRY(account("grid" + std::to_string(g) + ".context", UnitType::network, -1, 0));
    }
    const std::vector<TensorSpec> specs = tensor_specs(config);
    for (size_t i = 0; i < specs.size() && specs[i].unit == UnitType::network; ++i) {
      code_tensor(coder_, layout_of(specs[i]), model_.tensors[i]);
      MVINR_TRY(account(specs[i].name, UnitType::network, -1, specs[i].count()));
    }
    return ok();
  }

  Status grids(int view) {
    if (view >= 0) MVINR_TRY(reference(view));
    for (int g = 0; g < static_cast<int>(model_.config.grids.size()); ++g)
      if (model_.config.grids[static_cast<size_t>(g)].per_view == (view >= 0))
        MVINR_TRY(one_grid(g, view));
    return ok();
  }

 private:
  Status reference(int view) {
    auto& reference = model_.references[static_cast<size_t>(view)];
    int coded = reference.view + 1;
    coder_.bits(coded, kViewBits);
    if (coded < 0 || coded > view) coder_.fail();
    if (coder_.failed()) return account("reference", UnitType::view, view, 0);
    if constexpr (Coder::kReads) reference.view = static_cast<int8_t>(coded - 1);
    if (reference.view >= 0) {
      for (size_t g = 0; g < model_.config.grids.size(); ++g) {
        const GridConfig& grid = model_.config.grids[g];
        if (!grid.per_view || !uses_context(grid)) continue;
        displacement(reference.dx[g]);
        displacement(reference.dy[g]);
      }
    }
    return account("reference", UnitType::view, view, 0);
  }

  /// 0, -1, 1, -2, … as 0, 1, 2, 3, …
  template <class Value>
  void displacement(Value& value) {
    int coded = value < 0 ? -2 * value - 1 : 2 * value;
    coder_.exp_golomb(coded, 1);
    if (coded > 255) return coder_.fail();
    if constexpr (Coder::kReads)
      value = static_cast<int8_t>(coded & 1 ? -((coded + 1) / 2) : coded / 2);
  }

  Status one_grid(int g, int view) {
    const ModelConfig& config = model_.config;
    const bool context = uses_context(config.grids[static_cast<size_t>(g)]);
    Neighbours neighbours;
    if (context && !find_neighbours(model_, g, view, neighbours))
      return Error{ErrorCode::invalid_argument,
                   "view " + std::to_string(view) + " refers to a view that is not there"};
    const GridView grid = grid_view(model_, g, view);
    code_grid(coder_, grid, model_.tensors[grid_tensor(model_, g, view)],
              context ? &model_.context_models[static_cast<size_t>(g)] : nullptr, neighbours.all);
    std::string name = "grid" + std::to_string(g);
    if (view >= 0) name += ".view" + std::to_string(view);
    return account(std::move(name), view < 0 ? UnitType::shared : UnitType::view, view,
                   static_cast<int64_t>(grid.count()));
  }

  Status account(std::string name, UnitType unit, int view, int64_t symbols) {
    if (coder_.failed())
      return Coder::kReads ? Error{ErrorCode::corrupt, "the bits of " + name + " are damaged"}
                           : Error{ErrorCode::invalid_argument,
                                   name + " has a size, symbol or weight that cannot be coded"};
    const double position = coder_.position();
    if (accounting_ != nullptr)
      accounting_->push_back({std::move(name), unit, view, symbols, position - position_});
    position_ = position;
    return ok();
  }

  Coder& coder_;
  Model& model_;
  std::vector<TensorBits>* accounting_;
  double position_ = 0;
};

Status decode_unit(int view, bool network, Bytes payload, CodedModel& model,
                   std::vector<TensorBits>* accounting) {
  RangeDecoder coder(payload);
  UnitCoder unit(coder, model, accounting);
  Status status = network ? unit.network() : unit.grids(view);
  if (status && !coder.finished())
    status = Error{ErrorCode::corrupt, "a payload is longer or shorter than its content"};
  return status;
}

/// A unit that failed leaves no half-decoded tensors behind.
void clear(CodedModel& model, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) model.tensors[i] = {};
}

size_t network_tensors(const CodedModel& model) { return grid_tensor(model, 0, -1); }
size_t shared_end(const CodedModel& model) {
  return grid_tensor(model, static_cast<int>(model.config.grids.size()), -1);
}

Status check_lists(const CodedModel& model, size_t tensors) {
  const size_t grids = model.config.grids.size();
  if (model.tensors.size() != tensors || model.context_models.size() != grids ||
      model.references.size() != model.config.views)
    return Error{ErrorCode::invalid_argument, "a model's lists do not match its configuration"};
  for (const ViewReference& r : model.references)
    if (r.view >= 0 && (r.dx.size() != grids || r.dy.size() != grids))
      return Error{ErrorCode::invalid_argument, "a view's reference lacks displacements"};
  return ok();
}

}  // namespace

CodedModel empty_model(const ModelConfig& config) {
  CodedModel model;
  model.config = config;
  model.tensors.resize(tensor_specs(config).size());
  model.context_models.resize(config.grids.size());
  model.references.resize(config.views);
  for (ViewReference& r : model.references) {
    r.dx.resize(config.grids.size());
    r.dy.resize(config.grids.size());
  }
  return model;
}

Result<std::vector<UnitPayload>> encode_model(const CodedModel& model,
                                              std::vector<TensorBits>* accounting) {
  MVINR_TRY(validate(model.config));
  MVINR_TRY(check_lists(model, tensor_specs(model.config).size()));
  std::vector<UnitPayload> units;
  auto add = [&](UnitType type, int index) -> Status {
    RangeEncoder coder;
    UnitCoder unit(coder, model, accounting);
    MVINR_TRY(type == UnitType::network ? unit.network()
                                        : unit.grids(type == UnitType::shared ? -1 : index));
    units.push_back({type, index, coder.finish()});
    return ok();
  };
  const size_t network = network_tensors(model), shared = shared_end(model);
  MVINR_TRY(add(UnitType::network, 0));
  if (shared > network) MVINR_TRY(add(UnitType::shared, 0));
  if (model.tensors.size() > shared)
    for (int view = 0; view < model.config.views; ++view) MVINR_TRY(add(UnitType::view, view));
  return units;
}

void refine_context_models(CodedModel& model, int64_t max_symbols) {
  const int grids = static_cast<int>(model.config.grids.size());
  for (int g = 0; g < grids; ++g) {
    const GridConfig& grid = model.config.grids[static_cast<size_t>(g)];
    if (!uses_context(grid)) continue;
    ContextModel& best = model.context_models[static_cast<size_t>(g)];
    const int64_t count = static_cast<int64_t>(grid_view(model, g, grid.per_view ? 0 : -1).count());
    const int views = grid.per_view ? model.config.views : 1;
    const int stride = std::clamp<int>(
        static_cast<int>(views * count / std::max<int64_t>(max_symbols, 1)), 1, views);
    auto cost = [&](const ContextModel& context) {
      double bits = 0;
      int used = 0;
      for (int i = views - 1; i >= 0; i -= stride, ++used) {  // the last views have references
        const int view = grid.per_view ? i : -1;
        Neighbours n;
        find_neighbours(model, g, view, n);
        bits += grid_bits(grid_view(model, g, view),
                          model.tensors[grid_tensor(model, g, view)].steps, &context, n.all);
      }
      return bits * views / used + context_model_bits(context);
    };
    const int exact[kContextParts] = {};
    best = coarsen(best, exact);
    double least = cost(best);
    auto consider = [&](const ContextModel& candidate) {
      const double bits = cost(candidate);
      if (bits >= least) return false;
      least = bits;
      best = candidate;
      return true;
    };
    for (int i = 0; i < kContexts; ++i) {
      ContextModel without = best;
      for (auto& row : without.hidden_weight) row[i] = 0;
      for (auto& row : without.skip_weight) row[i] = 0;
      if (without != best) consider(without);
    }
    for (int h = 0; h < kContextHidden; ++h) {
      ContextModel without = best;
      for (auto& row : without.out_weight) row[h] = 0;
      if (without != best) consider(coarsen(without, exact));
    }
    int shift[kContextParts] = {};
    for (int& part : shift) {
      int accepted = 0;
      for (part = 1; part <= kMaxContextShift && part <= accepted + 2; ++part)
        if (consider(coarsen(best, shift))) accepted = part;
      part = accepted;
    }
  }
}

Status decode_network(Bytes payload, CodedModel& model, std::vector<TensorBits>* accounting) {
  Status status = decode_unit(-1, true, payload, model, accounting);
  if (!status) clear(model, 0, network_tensors(model));
  return status;
}

Status decode_shared(Bytes payload, CodedModel& model, std::vector<TensorBits>* accounting) {
  Status status = decode_unit(-1, false, payload, model, accounting);
  if (!status) clear(model, network_tensors(model), shared_end(model));
  return status;
}

Status decode_view(int view, Bytes payload, CodedModel& model,
                   std::vector<TensorBits>* accounting) {
  Status status = decode_unit(view, false, payload, model, accounting);
  if (!status) {
    const int grids = static_cast<int>(model.config.grids.size());
    clear(model, grid_tensor(model, 0, view), grid_tensor(model, grids, view));
  }
  return status;
}

Result<int> reference_of(int view, Bytes payload) {
  RangeDecoder coder(payload);
  int coded = 0;
  coder.bits(coded, kViewBits);
  if (coded > view)
    return Error{ErrorCode::corrupt, "view " + std::to_string(view) + " refers to view " +
                                         std::to_string(coded - 1) + ", which is not before it"};
  return coded - 1;
}

double histogram_bits(const CodedModel& model) {
  double bits = 0;
  for (const CodedTensor& tensor : model.tensors)
    bits += histogram_bits(tensor.symbols) + 8.0 * static_cast<double>(tensor.steps.size());
  return bits;
}

}  // namespace mvinr
