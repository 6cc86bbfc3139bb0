#include "train/quantize.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "fixture.h"
#include "train/export.h"

namespace mvinr::train_test {
namespace {

at::Tensor learned(at::Tensor t) { return t.clone().set_requires_grad(true); }

TEST(Steps, AreThoseOfTheBitstream) {
  const int mantissa[8] = {256, 279, 304, 332, 362, 395, 431, 470};
  for (int s = -128; s < 128; ++s) {
    const int octave = s < 0 ? -((-s + 7) / 8) : s / 8;
    EXPECT_EQ(step_value(s), mantissa[s - 8 * octave] / 512.0 * std::pow(2.0, octave)) << s;
  }
}

TEST(Steps, IndexOfAStepIsTheStep) {
  for (int s = -104; s <= 103; ++s) {
    const at::Tensor log_step = at::full({1}, std::log2(step_value(s)));
    EXPECT_EQ(step_index(log_step).item<int64_t>(), s);
    EXPECT_EQ(step_from_log(log_step).item<float>(), float(step_value(s)));
    EXPECT_EQ(to_step_indices(log_step), std::vector<int8_t>{int8_t(s)});
  }
}

TEST(Steps, ExtremeLogarithmsStayInTheTable) {
  const at::Tensor extreme = at::tensor({-1000.f, 1000.f});
  const at::Tensor index = step_index(extreme);
  EXPECT_GE(index[0].item<int64_t>(), -128);
  EXPECT_LE(index[1].item<int64_t>(), 127);
  EXPECT_TRUE(step_from_log(extreme).isfinite().all().item<bool>());
}

TEST(Steps, GradientIsThatOfThePowerOfTwo) {
  const at::Tensor log_step = learned(at::tensor({-7.3f, -2.f, 0.6f}));
  const at::Tensor step = step_from_log(log_step);
  step.sum().backward();
  const at::Tensor expected = step.detach() * std::log(2.0);
  EXPECT_TRUE(at::allclose(log_step.grad(), expected, 1e-5));
  // The table's steps are within half an index of the exact power of two.
  EXPECT_TRUE(at::allclose(step.detach(), at::exp2(log_step.detach()), 0.05));
}

TEST(FakeQuantise, GivesTheNearestMultipleWithinTheLimit) {
  const at::Tensor w =
      at::tensor({0.f, 0.26f, -0.26f, 0.74f, -0.76f, 100.f, -100.f, 0.25f, -0.25f});
  const at::Tensor q = fake_quantise(w, at::tensor({-1.f}), 3);
  const at::Tensor expected = at::tensor({0.f, 0.5f, -0.5f, 0.5f, -1.f, 1.5f, -1.5f, 0.5f, 0.f});
  EXPECT_TRUE(at::equal(q, expected)) << q;
}

TEST(FakeQuantise, SymbolsTimesStepsAreItsValues) {
  at::manual_seed(1);
  const at::Tensor w = at::randn({7, 50});
  const at::Tensor log_step = at::empty({7, 1}).uniform_(-9, 1);
  const at::Tensor value = fake_quantise(w, log_step, 127);
  const auto symbols = to_symbols(w, log_step, 127);
  const auto steps = to_step_indices(log_step);
  for (int r = 0; r < 7; ++r)
    for (int c = 0; c < 50; ++c)
      EXPECT_EQ(value[r][c].item<float>(),
                float(symbols[size_t(r * 50 + c)]) * float(step_value(steps[size_t(r)])));
}

TEST(FakeQuantise, GradientPassesInsideTheLimitOnly) {
  const at::Tensor w = learned(at::tensor({0.1f, -1.4f, 1.7f, 9.f, -9.f}));
  const at::Tensor weight = at::tensor({1.f, 2.f, 3.f, 4.f, 5.f});
  (fake_quantise(w, at::tensor({-1.f}), 3) * weight).sum().backward();
  EXPECT_TRUE(at::equal(w.grad(), at::tensor({1.f, 2.f, 3.f, 0.f, 0.f}))) << w.grad();
}

// LSQ (arXiv 1902.08153, equation 3): the derivative of (w/s + r)·s, where r is the rounding error
// held fixed, or of ±limit·s outside; checked by differences of that surrogate.
TEST(FakeQuantise, GradientOfTheStepIsThatOfTheLsqSurrogate) {
  at::manual_seed(2);
  const int limit = 3;
  const at::Tensor w = at::randn({4, 30});
  // Exact steps, so that the table and the power of two agree.
  const at::Tensor log_step = learned(at::tensor({-2.f, -1.f, 0.f, -3.f}).view({4, 1}));
  const at::Tensor weight = at::randn({4, 30});
  (fake_quantise(w, log_step, limit) * weight).sum().backward();
  ASSERT_EQ(log_step.grad().sizes(), log_step.sizes());
  for (int r = 0; r < 4; ++r) {
    const double at_point = log_step[r].item<double>();
    auto surrogate = [&](double l) {
      double sum = 0;
      for (int c = 0; c < 30; ++c) {
        const double v = w[r][c].item<double>(), q = v / std::exp2(at_point);
        const double k = std::clamp(std::floor(q + 0.5), -double(limit), double(limit));
        const bool inside = std::abs(q) <= limit + 0.5;
        const double s = std::exp2(l);
        sum += weight[r][c].item<double>() * (inside ? (v / s + (k - q)) * s : k * s);
      }
      return sum;
    };
    const double difference = (surrogate(at_point + 1e-4) - surrogate(at_point - 1e-4)) / 2e-4;
    EXPECT_NEAR(log_step.grad()[r].item<double>(), difference, 1e-3 + 1e-3 * std::abs(difference));
  }
}

TEST(RoundTo, RoundsHalvesUpAndPassesTheGradient) {
  const at::Tensor v = learned(at::tensor({0.125f, -0.125f, 0.3f, -7.9f}));
  const at::Tensor r = round_to(v, 4);
  EXPECT_TRUE(at::equal(r, at::tensor({0.25f, 0.f, 0.25f, -8.f}))) << r;
  r.sum().backward();
  EXPECT_TRUE(at::equal(v.grad(), at::ones({4})));
}

// The integers that are written are those of the forward pass, for every tensor and view.
void expect_export_equals_values(const Network& net) {
  const Values values = prepare_values(net, kHard);
  const CodedModel model = export_model(net);
  const auto specs = tensor_specs(net.config);
  ASSERT_EQ(model.tensors.size(), specs.size());
  size_t network_tensor = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    const TensorSpec& spec = specs[i];
    const CodedTensor& coded = model.tensors[i];
    at::Tensor value;
    if (spec.kind == TensorKind::grid) {
      const Parameter& p = net.parameters[size_t(net.grid_parameter(spec.grid))];
      value = fake_quantise(p.value, p.log_step, p.limit).select(0, std::max(0, spec.view));
    } else {
      value = values[network_tensor++];
    }
    ASSERT_EQ(int64_t(coded.symbols.size()), spec.count()) << spec.name;
    ASSERT_EQ(int(coded.steps.size()), spec.step_count()) << spec.name;
    value = value.detach().contiguous();
    int64_t inner = spec.count();  // symbols that share a step, and how steps repeat
    if (spec.kind == TensorKind::grid) inner = int64_t(spec.dims[2]) * spec.dims[3];
    if (spec.kind == TensorKind::weight && spec.step_count() > 1) inner = spec.dims[1];
    for (int64_t k = 0; k < spec.count(); ++k) {
      const double step = step_value(coded.steps[size_t(k / inner % spec.step_count())]);
      ASSERT_EQ(value.data_ptr<float>()[k], float(coded.symbols[size_t(k)]) * float(step))
          << spec.name << " " << k;
    }
  }
}

TEST(Export, WritesTheIntegersThatTheForwardPassUsed) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 4, .width = 32, .height = 32});
  for (const char* profile : {"xxs", "xs", "mv-hinerv-xxs"})
    expect_export_equals_values(random_network(profile_for(clip, profile)));
}

TEST(Export, WritesPrunedWeightsAsZero) {
  const auto clip = testutil::make_clip({.views = 1, .frames = 2, .width = 32, .height = 32});
  Network net = random_network(profile_for(clip));
  Parameter& p = net.parameters[0];
  p.mask = at::ones_like(p.value);
  p.mask.select(0, 3).zero_();
  expect_export_equals_values(net);
  const CodedModel model = export_model(net);
  const size_t columns = size_t(p.spec.dims[1]);
  for (size_t c = 0; c < columns; ++c) EXPECT_EQ(model.tensors[0].symbols[3 * columns + c], 0);
}

TEST(Export, KeepsExtremeContextWeightsCodable) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 32, .height = 32});
  Network net = random_network(profile_for(clip));
  {
    c10::NoGradGuard guard;
    net.contexts[0].skip_weight.fill_(300);
    net.contexts[0].out_bias.fill_(-300);
  }
  EXPECT_FALSE(access_unit_of(clip, net).empty());
}

}  // namespace
}  // namespace mvinr::train_test
