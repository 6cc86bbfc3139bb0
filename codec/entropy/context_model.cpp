// Coding of the context models themselves (docs/bitstream.md 6.6).
#include "entropy/grid_coder.h"
#include "entropy/side_info.h"

namespace mvinr {
namespace {

constexpr int kShiftBits = 3;
constexpr int kMaskBits[2] = {kContexts, kContextHidden};

/// Calls visit(part, weight) for every weight whose context and hidden unit are in use, in coding
/// order.
template <class Model, class Visit>
void for_each_weight(Model& model, uint32_t contexts, uint32_t units, Visit visit) {
  auto used = [](uint32_t mask, int i) { return (mask >> i & 1) != 0; };
  for (int h = 0; h < kContextHidden; ++h)
    for (int i = 0; i < kContexts; ++i)
      if (used(units, h) && used(contexts, i)) visit(0, model.hidden_weight[h][i]);
  for (int h = 0; h < kContextHidden; ++h)
    if (used(units, h)) visit(1, model.hidden_bias[h]);
  for (int o = 0; o < 2; ++o)
    for (int h = 0; h < kContextHidden; ++h)
      if (used(units, h)) visit(2, model.out_weight[o][h]);
  for (int o = 0; o < 2; ++o)
    for (int i = 0; i < kContexts; ++i)
      if (used(contexts, i)) visit(3, model.skip_weight[o][i]);
  for (int o = 0; o < 2; ++o) visit(4, model.out_bias[o]);
}

/// Hidden units with an effect, and contexts that are looked at.
void masks(const ContextModel& model, uint32_t& contexts, uint32_t& units) {
  contexts = units = 0;
  for (int h = 0; h < kContextHidden; ++h)
    if (model.out_weight[0][h] != 0 || model.out_weight[1][h] != 0) units |= 1u << h;
  for (int i = 0; i < kContexts; ++i) {
    bool used = model.skip_weight[0][i] != 0 || model.skip_weight[1][i] != 0;
    for (int h = 0; h < kContextHidden; ++h)
      used |= (units >> h & 1) != 0 && model.hidden_weight[h][i] != 0;
    if (used) contexts |= 1u << i;
  }
}

struct PartModel {
  int shift = 0, max_symbol = 0, scale = 0;
};

PartModel choose(std::span<const int16_t> weights) {
  PartModel part;
  uint32_t bits = 0;
  for (const int w : weights) bits |= static_cast<uint32_t>(std::abs(w));
  if (bits == 0) return part;
  part.shift = std::min(std::countr_zero(bits), kMaxContextShift);
  std::vector<int16_t> symbols;
  for (const int w : weights) symbols.push_back(static_cast<int16_t>(w >> part.shift));
  const Histogram histogram(symbols);
  part.max_symbol = histogram.max_symbol();
  if (part.max_symbol <= kMaxSymbol)
    part.scale = histogram.best_scale(Shape::laplace, part.max_symbol);
  return part;
}

template <class Coder, class Model>
void code(Coder& coder, Model& model) {
  uint32_t contexts = 0, units = 0;
  std::vector<int16_t> weights[kContextParts];
  if constexpr (!Coder::kReads) {
    masks(model, contexts, units);
    for_each_weight(model, contexts, units,
                    [&](int part, int16_t w) { weights[part].push_back(w); });
  }
  coder.bits(contexts, kMaskBits[0]);
  coder.bits(units, kMaskBits[1]);
  PartModel parts[kContextParts];
  int current = -1;
  for_each_weight(model, contexts, units, [&](int index, auto& weight) {
    PartModel& part = parts[index];
    if (coder.failed()) return;
    if (current != index) {
      current = index;
      if constexpr (!Coder::kReads) part = choose(weights[index]);
      coder.exp_golomb(part.max_symbol, 3);
      if (part.max_symbol > kMaxContextWeight) return coder.fail();
      if (part.max_symbol > 0) {
        coder.bits(part.shift, kShiftBits);
        coder.bits(part.scale, kScaleBits);
        if (part.shift > kMaxContextShift || part.scale >= kScales) return coder.fail();
      }
    }
    if (!Coder::kReads && std::abs(weight) > kMaxContextWeight) return coder.fail();
    if (part.max_symbol == 0) return;
    int symbol = weight >> part.shift;
    coder.symbol(Distribution(Shape::laplace, part.max_symbol, 0, part.scale), symbol);
    if constexpr (Coder::kReads) {
      const int value = symbol * (1 << part.shift);
      if (std::abs(value) > kMaxContextWeight) return coder.fail();
      weight = static_cast<int16_t>(value);
    }
  });
}

}  // namespace

ContextModel coarsen(const ContextModel& model, const int (&shift)[kContextParts]) {
  ContextModel rounded = model;
  for_each_weight(rounded, 0xFFFF, 0xFF, [&](int part, int16_t& w) {
    const int step = 1 << shift[part];
    const int limit = kMaxContextWeight / step * step;
    const int nearest = ((w + (step >> 1)) >> shift[part]) * step;
    w = static_cast<int16_t>(std::clamp(nearest, -limit, limit));
  });
  uint32_t contexts, units;
  masks(rounded, contexts, units);
  ContextModel result;
  std::vector<int16_t> kept;
  for_each_weight(rounded, contexts, units, [&](int, int16_t w) { kept.push_back(w); });
  size_t i = 0;
  for_each_weight(result, contexts, units, [&](int, int16_t& w) { w = kept[i++]; });
  return result;
}

void write_context_model(RangeEncoder& coder, const ContextModel& model) { code(coder, model); }

double context_model_bits(const ContextModel& model) {
  CostCounter cost;
  code(cost, model);
  return cost.failed() ? -1 : cost.total();
}

ContextModel read_context_model(RangeDecoder& coder) {
  ContextModel model;
  code(coder, model);
  return model;
}

}  // namespace mvinr
