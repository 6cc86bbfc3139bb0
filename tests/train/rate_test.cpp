#include "train/rate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <random>

#include "entropy/grid_coder.h"
#include "fixture.h"
#include "format/model_units.h"
#include "train/context_bits.h"
#include "train/export.h"
#include "train/noisy_rate.h"
#include "train/ops/ops.h"
#include "train/quantize.h"

namespace mvinr::train_test {
namespace {

TEST(LaplaceBits, AreProbabilitiesThatAddUpToOne) {
  const at::Tensor k = at::arange(-3000, 3001).to(at::kDouble);
  for (const double mean : {0.0, 0.3, -2.5, 17.0625})
    for (const double log_scale : {-4.0, -1.5, 0.0, 2.0, 5.875}) {
      const at::Tensor bits =
          laplace_bits(k, at::full({}, mean, k.options()), at::full({}, log_scale, k.options()));
      EXPECT_NEAR(at::exp2(-bits).sum().item<double>(), 1, 2e-4) << mean << " " << log_scale;
    }
}

TEST(LaplaceBits, AreWhatTheEntropyCoderTakes) {
  std::mt19937 random(1);
  for (const int scale : {4, 16, 28, 32, 44, 60, 79})
    for (const int mean : {0, 5, -40}) {
      const double b = std::exp2(scale / 8.0 - 4);
      CostCounter cost;
      std::vector<float> symbols;
      for (int i = 0; i < 4000; ++i) {
        const double u = (double(random()) + 0.5) / 4294967296.0 - 0.5;
        const double x = mean / 16.0 - b * (u < 0 ? -1 : 1) * std::log(1 - 2 * std::abs(u));
        const int k = int(std::lround(std::clamp(x, -2000.0, 2000.0)));
        symbols.push_back(float(k));
        cost.symbol(Distribution(Shape::laplace, kMaxSymbol, mean, scale), k);
      }
      const double bits = laplace_bits(at::tensor(symbols), at::full({}, mean / 16.0),
                                       at::full({}, scale / 8.0 - 4))
                              .sum()
                              .item<double>();
      EXPECT_NEAR(bits, cost.total(), 0.01 * cost.total() + 40) << scale << " " << mean;
    }
}

TEST(LaplaceBits, HaveTheGradientOfTheirDifferences) {
  auto f = [](const at::Tensor& s, const at::Tensor& m, const at::Tensor& l) {
    return laplace_bits(s, m, l).sum();
  };
  const at::Tensor s = at::tensor({0.1, 0.3, -0.2, 1.4, -3.0, 9.0}, at::kDouble);
  const at::Tensor m = at::tensor({0.0, 0.1, 0.1, 0.4, -1.0, 0.2}, at::kDouble);
  const at::Tensor l = at::tensor({-1.0, 0.5, 2.0, -0.5, 0.0, 1.0}, at::kDouble);
  std::vector<at::Tensor> point = {s, m, l};
  for (at::Tensor& t : point) t.set_requires_grad(true);
  f(s, m, l).backward();
  c10::NoGradGuard guard;
  for (size_t which = 0; which < 3; ++which)
    for (int64_t i = 0; i < 6; ++i) {
      auto moved = [&](double by) {
        std::vector<at::Tensor> p = {s.clone(), m.clone(), l.clone()};
        p[which][i] += by;
        return f(p[0], p[1], p[2]).item<double>();
      };
      const double difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
      EXPECT_NEAR(point[which].grad()[i].item<double>(), difference, 1e-4) << which << " " << i;
    }
}

TEST(ContextBits, HaveTheGradientOfTheirDifferences) {
  at::manual_seed(3);
  auto normal = [](at::IntArrayRef shape, double deviation) {
    return (at::randn(shape) * deviation).set_requires_grad(true);
  };
  const at::Tensor symbols = normal({2, 2, 3, 5, 7}, 3), below = normal({2, 1, 2, 3, 4}, 3);
  const ContextParameters model{.hidden_weight = normal({kContextHidden, kContexts}, 0.1),
                                .hidden_bias = normal({kContextHidden}, 0.1),
                                .out_weight = normal({2, kContextHidden}, 0.1),
                                .skip_weight = normal({2, kContexts}, 0.02),
                                .out_bias = normal({2}, 0.5)};
  context_bits(symbols, below, model).backward();
  std::vector<at::Tensor> inputs = model.all();
  inputs.push_back(symbols);
  inputs.push_back(below);
  c10::NoGradGuard guard;
  for (size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_TRUE(inputs[i].grad().defined()) << i;
    for (int repeat = 0; repeat < 4; ++repeat) {
      // Along the gradient, roughly: differences of a sum of hundreds of bits are coarse.
      const at::Tensor direction =
          inputs[i].grad() / inputs[i].grad().norm() +
          0.5 * at::randn_like(inputs[i]) / std::sqrt(double(inputs[i].numel()));
      const double step = 4e-3;
      inputs[i].add_(direction, step);
      const double up = context_bits(symbols, below, model).item<double>();
      inputs[i].add_(direction, -2 * step);
      const double down = context_bits(symbols, below, model).item<double>();
      inputs[i].add_(direction, step);
      const double expected = (inputs[i].grad() * direction).sum().item<double>();
      EXPECT_NEAR((up - down) / (2 * step), expected, 0.03 * std::abs(expected) + 0.1) << i;
    }
  }
}

void expect_noisy_rate_equals_libtorchs(const SoftRounding& soft) {
  at::manual_seed(4);
  auto leaf = [](at::IntArrayRef shape, double deviation) {
    return (at::randn(shape) * deviation).set_requires_grad(true);
  };
  // A bias, a weight with a step per row, one whose scale is at its least, and a grid.
  const std::vector<at::Tensor> values = {leaf({1, 37}, 1), leaf({70, 33}, 0.4), leaf({9, 5}, 1e-3),
                                          leaf({2, 3, 4, 5, 19}, 2)};
  const std::vector<at::Tensor> log_steps = {
      at::full({1, 1}, -9.0).set_requires_grad(true),
      (at::randn({70, 1}) - 3).set_requires_grad(true),
      at::full({1, 1}, -2.0).set_requires_grad(true),
      (at::randn({1, 1, 4, 1, 1}) - 1).set_requires_grad(true)};
  const std::vector<bool> by_step = {false, false, false, true};
  const std::vector<uint32_t> keys = {1, 77, 5, 123456789};
  std::vector<at::Tensor> inputs = values;
  inputs.insert(inputs.end(), log_steps.begin(), log_steps.end());

  const std::vector<at::Tensor> fused_symbols = noisy_symbols(values, log_steps, keys, soft);
  const std::vector<at::Tensor> noisy = noisy_symbols(values, log_steps, keys);
  std::vector<at::Tensor> symbols;
  at::Tensor expected_bits = at::zeros({});
  for (size_t i = 0; i < values.size(); ++i) {
    const at::Tensor q = values[i] / step_from_log(log_steps[i]);
    const at::Tensor noise = (noisy[i] - q).detach();
    EXPECT_LE(noise.abs().max().item<double>(), 0.5 + 1e-3);
    EXPECT_GT(noise.abs().max().item<double>(), 0.45);
    EXPECT_NEAR(noise.mean().item<double>(), 0, 2 / std::sqrt(12.0 * double(noise.numel())));
    symbols.push_back(soft_symbols(q, noise, soft));
    const at::Tensor s = symbols.back(), magnitude = s.abs();
    const at::Tensor scale = by_step[i] ? magnitude.mean({0, 1, 3, 4}, true) : magnitude.mean();
    expected_bits = expected_bits +
                    laplace_bits(s, at::zeros({}), scale.clamp_min(kLeastNoisyScale).log2()).sum();
  }
  auto gradients = [&](const at::Tensor& of) {
    return torch::autograd::grad({of}, inputs, {}, true, false, true);
  };
  auto expect_equal = [&](const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const double size = b[i].abs().max().item<double>();
      EXPECT_LE((a[i] - b[i]).abs().max().item<double>(), 2e-3 * size) << i;
      EXPECT_GT(size, 0) << i;
    }
  };
  auto weighted = [&](const std::vector<at::Tensor>& list) {
    at::Tensor sum = at::zeros({});
    for (const at::Tensor& s : list) sum = sum + (s * s).sum();
    return sum;
  };
  expect_equal(gradients(weighted(fused_symbols)), gradients(weighted(symbols)));
  const auto expected = gradients(3 * expected_bits);
  for (const std::string& set : ops::kernel_sets()) {
    SCOPED_TRACE(set);
    ASSERT_TRUE(ops::use_kernel_set(set));
    const at::Tensor bits = noisy_bits(values, log_steps, by_step, keys, soft);
    EXPECT_NEAR(bits.item<double>(), expected_bits.item<double>(),
                1e-4 * expected_bits.item<double>());
    expect_equal(gradients(3 * bits), expected);
  }
  ops::use_kernel_set(ops::kernel_sets().front());
}

TEST(NoisyRate, EqualsLibTorchsOperationsOnEveryKernelSet) {
  expect_noisy_rate_equals_libtorchs({});
}

TEST(NoisyRate, EqualsLibTorchsOperationsWithSoftRounding) {
  expect_noisy_rate_equals_libtorchs({.sharpness = 3, .amplitude = 0.7f});
}

TEST(SoftRounding, FixesIntegersAndHalvesAndGrowsEverywhere) {
  const SoftRounding soft{.sharpness = 4};
  for (int i = -3; i <= 3; ++i) {
    EXPECT_FLOAT_EQ(soft.soften(float(i)), float(i));
    EXPECT_FLOAT_EQ(soft.soften(float(i) + 0.5f), float(i) + 0.5f);
    EXPECT_FLOAT_EQ(soft.slope(float(i)), 0.2f);
    EXPECT_FLOAT_EQ(soft.slope(float(i) + 0.5f), 5.0f);
    EXPECT_LT(std::abs(soft.soften(float(i) + 0.25f) - float(i)), 0.1f);
  }
  for (float x = -2; x < 2; x += 0.01f) {
    EXPECT_LT(soft.soften(x), soft.soften(x + 0.01f));
    EXPECT_FLOAT_EQ(SoftRounding().symbol(x, 0.3f), x + 0.3f);
    const double difference = double(soft.symbol(x + 1e-3f, 0.2f)) - double(soft.symbol(x, 0.2f));
    EXPECT_NEAR(difference / 1e-3, double(soft.gradient(x + 5e-4f, 0.2f)), 0.3) << x;
  }
}

/// The requirement on the estimate: symbols and side information of what is written.
void expect_within_two_percent(Network net) {
  c10::NoGradGuard guard;
  CodedModel model = export_model(net);
  refine_context_models(model);
  adopt_contexts(net, model);
  const RateEstimate symbols = estimate_rate(net, true, true);
  const double side = side_info_bits(model), estimated = symbols.bits.item<double>() + side;
  EXPECT_NEAR(symbols.network + symbols.shared + symbols.views + side, estimated, 1e-3 * estimated);
  const auto units = encode_model(model);
  ASSERT_TRUE(units) << units.error().message;
  double written = 0, parts[4] = {};
  for (const UnitPayload& unit : *units) {
    written += 8.0 * double(unit.payload.size());
    parts[int(unit.type)] += 8.0 * double(unit.payload.size());
  }
  std::printf(
      "estimated %.0f bits (symbols: network %.0f, shared %.0f, views %.0f; side %.0f), "
      "written %.0f (%.0f, %.0f, %.0f): %+.2f %%\n",
      estimated, symbols.network, symbols.shared, symbols.views, side, written, parts[1], parts[2],
      parts[3], 100 * (estimated / written - 1));
  // 2 %, and what flushing and rounding to bytes cost a nearly empty stream.
  EXPECT_NEAR(estimated, written, std::max(0.02 * written, 256.0));
}

TEST(EstimateRate, IsWithinTwoPercentOfTheBitsOfATrainedModel) {
  expect_within_two_percent(trained_example().trained.network);
}

TEST(EstimateRate, IsWithinTwoPercentWhereMostSymbolsAreZero) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 2, .width = 32, .height = 32});
  expect_within_two_percent(train_on(clip, "xxs", {.lambda = 0.2, .steps = 200}).network);
}

TEST(EstimateRate, IsWithinTwoPercentForFactorisedGridsAndManyRows) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 4, .width = 48, .height = 32});
  expect_within_two_percent(train_on(clip, "mv-hinerv-xxs", {.steps = 40}).network);
}

TEST(EstimateRate, IsWithinTwoPercentForRandomModels) {
  const auto clip = testutil::make_clip({.views = 3, .frames = 8, .width = 64, .height = 48});
  expect_within_two_percent(random_network(profile_for(clip, "xs")));
}

TEST(EstimateRate, OfNoisySymbolsIsNearTheBitsOfRoundedOnes) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 4, .width = 64, .height = 48});
  const Network net = random_network(profile_for(clip));
  c10::NoGradGuard guard;
  const double hard = estimate_rate(net, true).bits.item<double>();
  const double noisy = estimate_rate(net, false).bits.item<double>();
  EXPECT_NEAR(noisy, hard, 0.15 * hard);
}

TEST(EstimateRate, FallsAsStepsGrowAndItsGradientSaysSo) {
  const auto clip = testutil::make_clip({.views = 2, .frames = 4, .width = 64, .height = 48});
  Network net = random_network(profile_for(clip));
  const at::Tensor bits = estimate_rate(net, false).bits;
  bits.backward();
  for (const Parameter& p : net.parameters) {
    if (p.value.numel() < 100) continue;
    EXPECT_LT(p.log_step.grad().sum().item<double>(), 0) << p.spec.name;
    EXPECT_TRUE(p.value.grad().isfinite().all().item<bool>()) << p.spec.name;
  }
  c10::NoGradGuard guard;
  const double before = estimate_rate(net, true).bits.item<double>();
  for (Parameter& p : net.parameters) p.log_step += 1;
  EXPECT_LT(estimate_rate(net, true).bits.item<double>(), before * 0.9);
}

}  // namespace
}  // namespace mvinr::train_test
