// A CodedModel as payloads and back (docs/bitstream.md 5.7, 6).
#include "format/model_units.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <thread>

namespace mvinr {
namespace {

ModelConfig small_config() {
  ModelConfig m;
  m.canvas_width = 64;
  m.canvas_height = 32;
  m.frames = 4;
  m.views = 4;
  m.depth = true;
  m.stem_channels = 12;
  m.stages = {{.scale = 2, .channels = 16}, {.scale = 2, .channels = 10, .norm = false}};
  m.grids = {{.stage = 0, .time_steps = 4, .channels = 3},
             {.stage = 0, .per_view = true, .time_steps = 2, .channels = 2},
             {.stage = 1, .local = true, .time_steps = 4, .coding = GridCoding::factorised},
             {.stage = 1, .per_view = true, .channels = 2},
             {.stage = 2, .per_view = true, .channels = 1},
             {.stage = 2,
              .local = true,
              .per_view = true,
              .time_steps = 4,
              .coding = GridCoding::factorised}};
  return m;
}

/// A model with symbols of every kind in every tensor, whose views resemble each other.
CodedModel some_model(const ModelConfig& config, uint32_t seed = 1) {
  std::mt19937 random(seed);
  CodedModel model = empty_model(config);
  const std::vector<TensorSpec> specs = tensor_specs(config);
  for (size_t i = 0; i < specs.size(); ++i) {
    const int limit = specs[i].kind == TensorKind::weight ? 127 : kMaxSymbol;
    std::exponential_distribution<double> magnitude(0.4);
    CodedTensor& tensor = model.tensors[i];
    for (int64_t k = 0; k < specs[i].count(); ++k) {
      const int s = std::min(static_cast<int>(magnitude(random)), limit);
      tensor.symbols.push_back(static_cast<int16_t>(random() & 1 ? s : -s));
    }
    // No channel is all zero: the step of such a channel is not kept.
    const size_t channels = specs[i].kind == TensorKind::grid ? specs[i].dims[1] : 1;
    const size_t plane =
        tensor.symbols.size() / channels /
        static_cast<size_t>(specs[i].kind == TensorKind::grid ? specs[i].dims[0] : 1);
    for (size_t c = 0; c < channels; ++c)
      tensor.symbols[c * plane] = static_cast<int16_t>(i % 4 ? 3 : -limit);
    for (int s = 0; s < specs[i].step_count(); ++s)
      tensor.steps.push_back(static_cast<int8_t>(random() % 20 - 60));
  }
  for (ContextModel& context : model.context_models) {
    context.skip_weight[0][0] = static_cast<int16_t>(random() % 256);
    context.hidden_weight[2][10] = 100;
    context.out_weight[1][2] = 50;
    context.out_bias[1] = 300;
  }
  for (int view = 1; view < config.views; ++view) {
    ViewReference& r = model.references[static_cast<size_t>(view)];
    r.view = static_cast<int8_t>(view == 2 ? -1 : (view - 1) / 2);
    if (r.view < 0) continue;
    for (size_t g = 0; g < config.grids.size(); ++g) {
      if (!config.grids[g].per_view || config.grids[g].coding != GridCoding::context) continue;
      r.dx[g] = static_cast<int8_t>(g == 1 ? -128 : random());
      r.dy[g] = static_cast<int8_t>(random() % 5 - 2);
    }
  }
  return model;
}

Status decode_all(const std::vector<UnitPayload>& units, CodedModel& model,
                  std::vector<TensorBits>* accounting = nullptr) {
  for (const UnitPayload& unit : units) {
    const Status status =
        unit.type == UnitType::network  ? decode_network(unit.payload, model, accounting)
        : unit.type == UnitType::shared ? decode_shared(unit.payload, model, accounting)
                                        : decode_view(unit.index, unit.payload, model, accounting);
    if (!status) return status;
  }
  return ok();
}

void expect_equal(const CodedModel& a, const CodedModel& b) {
  const std::vector<TensorSpec> specs = tensor_specs(a.config);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ(a.tensors[i].symbols, b.tensors[i].symbols) << specs[i].name;
    EXPECT_EQ(a.tensors[i].steps, b.tensors[i].steps) << specs[i].name;
  }
  for (size_t g = 0; g < a.context_models.size(); ++g)
    if (a.config.grids[g].coding == GridCoding::context) {
      EXPECT_EQ(a.context_models[g], b.context_models[g]);
    }
  for (size_t v = 0; v < a.references.size(); ++v) {
    EXPECT_EQ(a.references[v].view, b.references[v].view);
    EXPECT_EQ(a.references[v].dx, b.references[v].dx);
    EXPECT_EQ(a.references[v].dy, b.references[v].dy);
  }
}

TEST(ModelUnits, ReadBackTheModel) {
  const CodedModel model = some_model(small_config());
  std::vector<TensorBits> written, read;
  const auto units = encode_model(model, &written);
  ASSERT_TRUE(units) << units.error().message;
  ASSERT_EQ(units->size(), 6u);
  EXPECT_EQ((*units)[0].type, UnitType::network);
  EXPECT_EQ((*units)[1].type, UnitType::shared);
  for (int view = 0; view < 4; ++view) {
    const UnitPayload& unit = (*units)[static_cast<size_t>(2 + view)];
    EXPECT_EQ(unit.type, UnitType::view);
    EXPECT_EQ(unit.index, view);
    EXPECT_EQ(*reference_of(view, unit.payload), model.references[static_cast<size_t>(view)].view);
  }
  CodedModel copy = empty_model(model.config);
  ASSERT_TRUE(decode_all(*units, copy, &read));
  expect_equal(model, copy);

  // Both sides say the same about where the bits went, and it adds up.
  double bits = 0, bytes = 0;
  ASSERT_EQ(written.size(), read.size());
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(written[i].name, read[i].name);
    EXPECT_NEAR(written[i].bits, read[i].bits, 1e-3);
    EXPECT_GE(read[i].bits, 0);
    bits += read[i].bits;
  }
  for (const UnitPayload& unit : *units) bytes += static_cast<double>(unit.payload.size());
  EXPECT_NEAR(8 * bytes, bits, 32.0 * static_cast<double>(units->size()));
}

TEST(ModelUnits, DecodeViewsOnTheirOwnAndInParallel) {
  const CodedModel model = some_model(small_config(), 2);
  const auto units = encode_model(model);
  ASSERT_TRUE(units);
  auto payload = [&](int view) -> Bytes { return (*units)[static_cast<size_t>(2 + view)].payload; };
  CodedModel copy = empty_model(model.config);
  ASSERT_TRUE(decode_network((*units)[0].payload, copy));
  ASSERT_TRUE(decode_shared((*units)[1].payload, copy));
  // View 3 refers to view 1, view 1 to view 0; view 2 to none.
  EXPECT_EQ(decode_view(3, payload(3), copy).error().code, ErrorCode::invalid_argument);
  std::thread other([&] { EXPECT_TRUE(decode_view(2, payload(2), copy)); });
  EXPECT_TRUE(decode_view(0, payload(0), copy));
  EXPECT_TRUE(decode_view(1, payload(1), copy));
  EXPECT_TRUE(decode_view(3, payload(3), copy));
  other.join();
  expect_equal(model, copy);
}

TEST(ModelUnits, LeaveOutTheUnitsThatHaveNoGrids) {
  ModelConfig config = small_config();
  for (GridConfig& grid : config.grids) grid.per_view = false;
  const auto shared_only = encode_model(some_model(config));
  ASSERT_TRUE(shared_only) << shared_only.error().message;
  EXPECT_EQ(shared_only->size(), 2u);
  for (GridConfig& grid : config.grids) grid.per_view = true;
  const auto views_only = encode_model(some_model(config));
  ASSERT_TRUE(views_only);
  EXPECT_EQ(views_only->size(), 5u);
  CodedModel copy = empty_model(config);
  EXPECT_TRUE(decode_all(*views_only, copy));
}

TEST(ModelUnits, CostAlmostNothingForAnEmptyModel) {
  CodedModel model = empty_model(small_config());
  const std::vector<TensorSpec> specs = tensor_specs(model.config);
  for (size_t i = 0; i < specs.size(); ++i) {
    model.tensors[i].symbols.resize(static_cast<size_t>(specs[i].count()));
    model.tensors[i].steps.resize(static_cast<size_t>(specs[i].step_count()));
  }
  const auto units = encode_model(model);
  ASSERT_TRUE(units);
  size_t bytes = 0;
  for (const UnitPayload& unit : *units) bytes += unit.payload.size();
  EXPECT_LE(bytes, 80u);
}

TEST(ModelUnits, RefuseModelsThatDoNotFitAndNameTheTensor) {
  auto error_of = [](auto change) {
    CodedModel model = some_model(small_config());
    change(model);
    const auto units = encode_model(model);
    if (units) return std::string("no error");
    EXPECT_EQ(units.error().code, ErrorCode::invalid_argument);
    return units.error().message;
  };
  EXPECT_NE(error_of([](CodedModel& m) { m.tensors[0].symbols[5] = 128; }).find("stem.weight"),
            std::string::npos);
  EXPECT_NE(
      error_of([](CodedModel& m) { m.tensors.back().symbols.pop_back(); }).find("grid5.view3"),
      std::string::npos);
  EXPECT_NE(error_of([](CodedModel& m) { m.tensors[1].steps.clear(); }).find("stem.bias"),
            std::string::npos);
  EXPECT_NE(error_of([](CodedModel& m) { m.context_models[3].out_bias[0] = 2048; }).find("grid3"),
            std::string::npos);
  EXPECT_NE(error_of([](CodedModel& m) { m.references[1].view = 1; }).find("reference"),
            std::string::npos);
  EXPECT_NE(error_of([](CodedModel& m) { m.tensors.pop_back(); }), "no error");
  EXPECT_NE(error_of([](CodedModel& m) { m.references[1].dx.clear(); }), "no error");
}

TEST(ModelUnits, SurviveDamage) {
  const CodedModel model = some_model(small_config(), 3);
  const auto units = encode_model(model);
  ASSERT_TRUE(units);
  CodedModel good = empty_model(model.config);
  ASSERT_TRUE(decode_all(*units, good));
  std::mt19937 random(4);
  int errors = 0;
  for (int trial = 0; trial < 1500; ++trial) {
    const UnitPayload& unit = (*units)[static_cast<size_t>(trial) % units->size()];
    std::vector<std::byte> bytes = unit.payload;
    if (trial % 2) bytes.resize(random() % bytes.size());
    if (trial % 3 && !bytes.empty())
      bytes[random() % bytes.size()] ^= static_cast<std::byte>(1u << random() % 8);
    CodedModel copy = good;
    const Status status = decode_all({{unit.type, unit.index, bytes}}, copy);
    if (!status) {
      ++errors;
      EXPECT_TRUE(status.error().code == ErrorCode::corrupt ||
                  status.error().code == ErrorCode::invalid_argument);
    }
    if (unit.type == UnitType::view) {
      const auto reference = reference_of(unit.index, bytes);
      if (reference) {
        EXPECT_LT(*reference, unit.index);
      }
    }
  }
  EXPECT_GT(errors, 700);
}

TEST(ModelUnits, RefineContextModelsToFewerBits) {
  CodedModel model = some_model(small_config(), 6);
  std::mt19937 random(7);
  for (ContextModel& context : model.context_models)  // what training leaves in useless weights
    for (auto& row : context.hidden_weight)
      for (int16_t& w : row) w = static_cast<int16_t>(w + random() % 41 - 20);
  auto bytes = [](const CodedModel& m) {
    const auto units = encode_model(m);
    size_t sum = 0;
    if (units)
      for (const UnitPayload& unit : *units) sum += unit.payload.size();
    return sum;
  };
  CodedModel refined = model;
  refine_context_models(refined);
  EXPECT_LT(bytes(refined) + 200, bytes(model));
  CodedModel sampled = model;  // one view stands for all
  refine_context_models(sampled, 1);
  EXPECT_LT(bytes(sampled) + 200, bytes(model));
  CodedModel copy = empty_model(model.config);
  const auto units = encode_model(refined);
  ASSERT_TRUE(units);
  ASSERT_TRUE(decode_all(*units, copy));
  expect_equal(refined, copy);
  for (size_t i = 0; i < model.tensors.size(); ++i)
    EXPECT_EQ(copy.tensors[i].symbols, model.tensors[i].symbols);
}

TEST(ModelUnits, ReportWhatHistogramCodingWouldCost) {
  const CodedModel model = some_model(small_config(), 5);
  std::vector<TensorBits> accounting;
  ASSERT_TRUE(encode_model(model, &accounting));
  double bits = 0;
  for (const TensorBits& tensor : accounting) bits += tensor.bits;
  int64_t count = 0;
  for (const CodedTensor& tensor : model.tensors)
    count += static_cast<int64_t>(tensor.symbols.size());
  std::printf("%.3f bits per parameter, histogram coding %.3f\n", bits / count,
              histogram_bits(model) / count);
  EXPECT_LT(bits, histogram_bits(model));
}

}  // namespace
}  // namespace mvinr
