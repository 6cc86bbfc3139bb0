#include "train/network.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "entropy/grid_coder.h"
#include "train/device.h"
#include "train/fusion.h"
#include "train/grid_planes.h"
#include "train/ierv.h"
#include "train/noise.h"
#include "train/ops/ops.h"
#include "train/quantize.h"

namespace mvinr {
namespace {

constexpr double kGridStep = 0.2;  // first quantisation step of a grid
constexpr double kGridInit = 0.3;  // grids start in U(-kGridInit, kGridInit)
// The LayerNorm behind the residual stream makes its scale free, so that it would grow until the
// decoder's int16 clamps it: see `guard` in ops.h.
constexpr double kGuard = 1e-4;
constexpr int kFirstWeightLevels = 8;  // first step = max |w| / this

// Of what leads through the displacements of a refined prediction to the layers before: more makes
// these cost more bits than the displacements save (docs/training.md 6.1).
constexpr double kRefinedGradient = 0.1;

using at::indexing::Slice;

/// Draws on the CPU so that a seed gives the same network on every device.
at::Tensor uniform(at::IntArrayRef shape, double bound, at::Generator& generator) {
  return at::empty(shape, at::kFloat).uniform_(-bound, bound, generator);
}

Parameter make_parameter(const TensorSpec& spec, const ModelConfig& config, int fan_in,
                         at::Generator& generator) {
  Parameter p{.spec = spec};
  std::vector<int64_t> shape(spec.dims.begin(), spec.dims.end());
  if (spec.kind == TensorKind::grid) {
    const bool per_view = config.grids[size_t(spec.grid)].per_view;
    shape.insert(shape.begin(), per_view ? config.views : 1);
    p.value = uniform(shape, kGridInit, generator);
    p.log_step = at::full({1, 1, shape[2], 1, 1}, std::log2(kGridStep));
    p.limit = 2047;
    return p;
  }
  p.value = uniform(shape, 1.0 / std::sqrt(double(fan_in)), generator);
  if (spec.kind == TensorKind::bias) {
    p.value.zero_();
    p.log_step = at::full({1, 1}, -9.0);
    p.limit = 2047;
    if (spec.name == "head.bias" && config.head == HeadKind::shuffle420) {
      if (!config.prediction) p.value.fill_(0.5);
      if (config.prediction && config.fusion == Fusion::softmax)
        p.value.narrow(1, 0, config.picture_outputs()).fill_(0.5);
      p.log_step.fill_(-10.0);
    }
    return p;
  }
  // Hybrid mode begins with the prediction alone, and displacements with none.
  if (spec.name.ends_with(".flow.weight")) p.value.zero_();
  if (config.prediction && config.fusion == Fusion::gates && spec.name == "head.weight")
    p.value.mul_(0.05);
  const double bound = 1.0 / std::sqrt(double(fan_in));
  const bool rows = spec.rows() >= kMinRowsForRowSteps;
  p.log_step = at::full({rows ? spec.rows() : 1, 1}, std::log2(bound / kFirstWeightLevels));
  return p;
}

/// A weight as the forward pass uses it.
struct Weight {
  at::Tensor value;     // [rows][columns]
  at::Tensor mantissa;  // [rows], only if activations are quantised: see ops::Quantise
};

/// Reads the network tensors in the order in which tensor_specs() lists them.
class Cursor {
 public:
  Cursor(const Network& net, const Values& values, bool quantised)
      : net_(net), values_(values), quantised_(quantised) {}
  Weight weight(const char* name) {
    const at::Tensor& value = next(name, ".weight");
    if (!quantised_) return {value, {}};
    const at::Tensor m = step_mantissa(net_.parameters[i_ - 1].log_step);
    return {value, m.view(-1).expand({value.size(0)}).contiguous()};
  }
  at::Tensor bias(const char* name) { return next(name, ".bias"); }

 private:
  const at::Tensor& next(const char* name, const char* kind) {
    const std::string& found = net_.parameters[i_].spec.name;
    TORCH_INTERNAL_ASSERT(found.ends_with(std::string(name) + kind), "expected ", name, kind,
                          ", found ", found);
    return values_[i_++];
  }
  const Network& net_;
  const Values& values_;
  const bool quantised_;
  size_t i_ = 0;
};

/// x [N][h][w][C] -> the 3x3 neighbourhoods of every position, [N][h][w][C * 9].
at::Tensor neighbourhoods(const at::Tensor& x) {
  const at::Tensor columns = at::im2col(x.permute({0, 3, 1, 2}), {3, 3}, {1, 1}, {1, 1}, {1, 1});
  return columns.transpose(1, 2).reshape({x.size(0), x.size(1), x.size(2), -1});
}

/// x, whose gradient is multiplied by `factor`.
at::Tensor damped(const at::Tensor& x, double factor) {
  const at::Tensor fixed = x.detach();
  return fixed + (x - fixed) * factor;
}

/// Between two blocks the passes can be stopped: here on the way forward, and when the gradient
/// comes back.
void between_blocks(const at::Tensor& x, const std::stop_token& stop) {
  if (stop.stop_requested()) throw Cancelled();
  if (!x.requires_grad()) return;
  x.register_hook([stop](const at::Tensor&) {
    if (stop.stop_requested()) throw Cancelled();
  });
}

}  // namespace

uint32_t noise_key(const Network& net) {
  return net.device.is_cpu() ? at::check_generator<at::CPUGeneratorImpl>(net.noise)->random() : 0;
}

at::Tensor uniform_noise(const Network& net, uint32_t key, const at::Tensor& like) {
  at::Tensor noise = at::empty(like.sizes(), like.options().requires_grad(false));
  if (!net.device.is_cpu()) return noise.uniform_(-0.5, 0.5, net.noise);
  noise = noise.to(at::kFloat);
  float* to = noise.data_ptr<float>();
  for (int64_t i = 0; i < noise.numel(); ++i) to[i] = noise_of(key, uint32_t(i));
  return noise.to(like.scalar_type());
}

at::Tensor soft_symbols(const at::Tensor& q, const at::Tensor& noise, const SoftRounding& soft) {
  const auto soften = [&soft](const at::Tensor& x) {
    const at::Tensor r = x - at::floor(x.detach()) - 0.5;
    return x - r + r * (1 + soft.sharpness) / (1 + r.abs() * (2 * soft.sharpness));
  };
  return soften(soften(q) + noise * soft.amplitude);
}

Network make_network(const ModelConfig& config, uint64_t seed, at::Device device) {
  Network net{.config = config, .device = device, .noise = make_device_generator(device, seed)};
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  int last_fan_in = 1;
  for (const TensorSpec& spec : tensor_specs(config)) {
    if (spec.kind == TensorKind::grid && spec.view > 0) continue;  // stacked with view 0's
    if (spec.kind == TensorKind::weight) last_fan_in = spec.dims[1];
    if (spec.kind != TensorKind::grid) net.first_grid = int(net.parameters.size()) + 1;
    net.parameters.push_back(make_parameter(spec, config, last_fan_in, generator));
  }
  // Shared grids come before the grids of the views: bring them into the order of config.grids.
  std::stable_sort(
      net.parameters.begin() + net.first_grid, net.parameters.end(),
      [](const Parameter& a, const Parameter& b) { return a.spec.grid < b.spec.grid; });
  for (const GridConfig& grid : config.grids) {
    ContextParameters c;
    if (grid.coding == GridCoding::context) {
      c.hidden_weight = uniform({kContextHidden, kContexts}, 0.25, generator);
      c.hidden_bias = at::zeros({kContextHidden});
      c.out_weight = uniform({2, kContextHidden}, 0.1, generator);
      c.skip_weight = at::zeros({2, kContexts});
      c.out_bias = at::zeros({2});
      for (at::Tensor* t :
           {&c.hidden_weight, &c.hidden_bias, &c.out_weight, &c.skip_weight, &c.out_bias})
        *t = t->to(device).set_requires_grad(true);
    }
    net.contexts.push_back(std::move(c));
  }
  for (Parameter& p : net.parameters) {
    p.value = p.value.to(device).set_requires_grad(true);
    p.log_step = p.log_step.to(at::kFloat).to(device).set_requires_grad(true);
  }
  return net;
}

void start_from(Network& net, const Network& trained) {
  if (net.config != trained.config) return;
  c10::NoGradGuard guard;
  for (size_t i = 0; i < net.parameters.size(); ++i) {
    net.parameters[i].value.copy_(trained.parameters[i].value);
    net.parameters[i].log_step.copy_(trained.parameters[i].log_step);
  }
  for (size_t g = 0; g < net.contexts.size(); ++g) {
    if (!net.contexts[g].out_bias.defined()) continue;
    const std::vector<at::Tensor> to = net.contexts[g].all(), from = trained.contexts[g].all();
    for (size_t k = 0; k < to.size(); ++k) to[k].copy_(from[k]);
  }
}

Values prepare_values(const Network& net, const Precision& precision) {
  Values values, log_steps;
  std::vector<int> limits;
  for (const Parameter& p : net.parameters) {
    if (p.spec.kind == TensorKind::grid) continue;
    values.push_back(p.mask.defined() ? p.value * p.mask : p.value);
    log_steps.push_back(p.log_step);
    limits.push_back(p.limit);
  }
  return precision.weights ? fake_quantise_all(values, log_steps, limits) : values;
}

Trunk trunk(const Network& net, const Values& values, const Precision& precision, int frame,
            const std::vector<int64_t>& views, const at::Tensor& prediction, std::stop_token stop,
            const std::vector<DisplaceBase>& bases) {
  const ModelConfig& config = net.config;
  const GridPlanes grids = grid_planes(net, precision, frame, views);
  const bool q = precision.activations;
  const ops::Quantise quantise{.activations = q};
  Cursor tensors(net, values, q);
  auto pointwise = [&](const at::Tensor& in, const Weight& w, const at::Tensor& bias,
                       const at::Tensor& add = {}) {
    return ops::pointwise(in, w.value, bias, {.activations = q, .first = w.mantissa}, add);
  };

  const bool ierv = config.order == StageOrder::ierv;
  at::Tensor x;
  if (ierv) {
    x = ierv_stem(config, grids[0][0]);
  } else {
    const Weight stem = tensors.weight("stem");
    x = pointwise(neighbourhoods(grids[0][0]), stem, tensors.bias("stem"));
  }
  at::Tensor warped = prediction, flow;
  for (int i = 1; i <= int(config.stages.size()); ++i) {
    const StageConfig& stage = config.stages[size_t(i) - 1];
    const bool reduce_first = config.order == StageOrder::reduce_first;
    x = ops::layer_norm(x, quantise, reduce_first ? 5 : 10);
    if (reduce_first) {
      const Weight w = tensors.weight("reduce");
      x = pointwise(x, w, tensors.bias("reduce"));
    }
    const at::Tensor& local = grids[size_t(i)][1];
    if (ierv) {
      const Weight w = tensors.weight("convolution");
      x = ierv_shuffle(pointwise(neighbourhoods(x), w, tensors.bias("convolution")), stage.scale,
                       local);
    } else {
      at::Tensor tile;
      if (local.defined()) {
        const Weight w = tensors.weight("local");
        tile = pointwise(local, w, tensors.bias("local"));
      }
      x = ops::upsample_bilinear(x, stage.scale, tile, quantise);
    }
    if (const at::Tensor& planes = grids[size_t(i)][0]; planes.defined())
      x = pointwise(planes, tensors.weight("grid"), {}, x);
    if (config.conditions() && i == int(config.stages.size())) {
      const Weight w = tensors.weight("prediction");
      x = pointwise(warped, w, tensors.bias("prediction"), x);
    }
    if (ierv) {
      between_blocks(x, stop);
      x = ierv_activate(x, quantise);
    }
    for (int j = 0; j < stage.depth; ++j) {
      const Weight dw = tensors.weight("depthwise");
      at::Tensor dw_bias, b1, b2;
      if (!stage.norm && stage.bias) dw_bias = tensors.bias("depthwise");
      const Weight w1 = tensors.weight("fc1");
      if (stage.bias) b1 = tensors.bias("fc1");
      const Weight w2 = tensors.weight("fc2");
      if (stage.bias) b2 = tensors.bias("fc2");
      const bool residual = x.size(3) == stage.channels;
      x = ops::convnext_block(
          x, dw.value, dw_bias, stage.norm, w1.value, b1, w2.value, b2, residual,
          {.activations = q, .depthwise = dw.mantissa, .first = w1.mantissa, .second = w2.mantissa},
          kGuard);
      between_blocks(x, stop);
    }
    if (config.has_flow() && i == config.flow_stage) {
      const Weight w = tensors.weight("flow");
      const at::Tensor from = config.motion == Motion::refined ? damped(x, kRefinedGradient) : x;
      at::Tensor enlarged = flow = pointwise(from, w, tensors.bias("flow"));
      for (size_t k = size_t(i); k < config.stages.size(); ++k)
        enlarged = ops::upsample_bilinear(enlarged, config.stages[k].scale, {}, quantise);
      warped = displace_planes(config, enlarged, bases);
    }
  }
  const at::Tensor head = tensors.weight("head").value;
  return {x, head, tensors.bias("head"), warped, flow};
}

at::Tensor head(const ModelConfig& config, const Trunk& trunk) {
  const at::Tensor y = head_outputs(trunk);
  if (config.prediction) return fuse(config, y, trunk.prediction).picture;
  return config.head == HeadKind::full444 ? at::sigmoid(y) : y;
}

at::Tensor forward(const Network& net, const Values& values, const Precision& precision, int frame,
                   const std::vector<int64_t>& views, const at::Tensor& prediction,
                   std::stop_token stop, const std::vector<DisplaceBase>& bases) {
  return head(net.config, trunk(net, values, precision, frame, views, prediction, stop, bases));
}

}  // namespace mvinr
