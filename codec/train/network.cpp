#include "train/network.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "entropy/grid_coder.h"
#include "train/device.h"
#include "train/ops/ops.h"
#include "train/quantize.h"

namespace mvinr {
namespace {

constexpr double kGridStep = 0.2;  // first quantisation step of a grid
constexpr double kGridInit = 0.3;  // grids start in U(-kGridInit, kGridInit)
constexpr double kGuardFrom = 8;   // of the residual stream's range of 32
constexpr double kGuard = 1e-4;
constexpr int kFirstWeightLevels = 8;  // first step = max |w| / this

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
  if (spec.name.ends_with(".flow.weight")) p.value.mul_(0.05);
  if (config.prediction && config.fusion == Fusion::gates && spec.name == "head.weight")
    p.value.mul_(0.05);
  const double bound = 1.0 / std::sqrt(double(fan_in));
  const bool rows = spec.rows() >= kMinRowsForRowSteps;
  p.log_step = at::full({rows ? spec.rows() : 1, 1}, std::log2(bound / kFirstWeightLevels));
  return p;
}

/// Values of grid g at frame t for the listed views: [N][h][w][C] (docs/bitstream.md 5.3).
at::Tensor grid_plane(const Network& net, const Values& values, int g, int frame,
                      const std::vector<int64_t>& views, bool quantised) {
  const GridConfig& grid = net.config.grids[size_t(g)];
  at::Tensor all = values[size_t(net.grid_parameter(g))];
  const int64_t t2 = 2 * net.config.frames;
  const int64_t num = (2 * int64_t(frame) + 1) * grid.time_steps - net.config.frames;
  int64_t i = 0;
  double w = 0;
  if (grid.nearest) {
    i = int64_t(frame) * grid.time_steps / net.config.frames;
  } else if (num >= 0) {
    i = std::min<int64_t>(num / t2, grid.time_steps - 1);
    if (i < grid.time_steps - 1) w = double(((num % t2) * 256 + net.config.frames) / t2) / 256.0;
  }
  at::Tensor plane = all.select(1, i);
  if (w > 0) plane = plane * (1.0 - w) + all.select(1, i + 1) * w;
  if (grid.per_view) {
    if (int64_t(views.size()) != plane.size(0) || views.front() != 0)
      plane = plane.index_select(0, at::tensor(views, plane.options().dtype(at::kLong)));
  }
  if (quantised) plane = round_to(plane, 1024);
  plane = plane.permute({0, 2, 3, 1}).contiguous();
  if (!grid.per_view) plane = plane.expand({int64_t(views.size()), -1, -1, -1});
  return plane;
}

at::Tensor gather_grids(const Network& net, const Values& values, int stage, bool local, int frame,
                        const std::vector<int64_t>& views, bool quantised) {
  std::vector<at::Tensor> planes;
  for (size_t g = 0; g < net.config.grids.size(); ++g) {
    const GridConfig& grid = net.config.grids[g];
    if (grid.stage == stage && grid.local == local)
      planes.push_back(grid_plane(net, values, int(g), frame, views, quantised));
  }
  if (planes.empty()) return {};
  return planes.size() == 1 ? planes[0] : at::cat(planes, 3);
}

/// The order ierv: the sum of the shared grids and the views' (docs/bitstream.md 5.6).
at::Tensor sum_grids(const Network& net, const Values& values, int frame,
                     const std::vector<int64_t>& views, bool quantised) {
  std::vector<at::Tensor> shared, own;
  for (size_t g = 0; g < net.config.grids.size(); ++g) {
    const GridConfig& grid = net.config.grids[g];
    if (grid.stage == 0)
      (grid.per_view ? own : shared)
          .push_back(grid_plane(net, values, int(g), frame, views, quantised));
  }
  const at::Tensor sum = at::cat(shared, 3);
  return own.empty() ? sum.contiguous() : sum + at::cat(own, 3);
}

/// Order ierv: [N][h][w][C * s * s], plus the local grids [N][s][s][C] -> [N][h * s][w * s][C].
at::Tensor shuffled(const at::Tensor& x, int64_t scale, const at::Tensor& local) {
  const int64_t n = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3) / (scale * scale);
  at::Tensor y = x.view({n, h, w, c, scale, scale}).permute({0, 1, 4, 2, 5, 3});
  if (local.defined()) y = y + local.view({n, 1, scale, 1, scale, c});
  return y.reshape({n, h * scale, w * scale, c});
}

/// LayerNorm and GELU; with quantised activations by the decoder's table.
at::Tensor activated(const at::Tensor& x, const ops::Quantise& quantise) {
  const at::Tensor y = at::gelu(ops::layer_norm(x, quantise, 5));
  return quantise.on() ? round_to(y, 64).clamp(-11.0 / 64, 244.0 / 64) : y;
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
  at::Tensor bias(const char* name) { return next(name, ".bias").view(-1); }

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

/// The residual stream between two blocks. A place where the passes can be stopped: here on the way
/// forward, and when the gradient comes back. And a guard of the stream's range: the LayerNorm
/// behind it makes its scale free, so that it would grow until the decoder's int16 clamps it. The
/// gradient is that of kGuard / 2 times the mean square of the values beyond kGuardFrom.
void between_blocks(const at::Tensor& x, const std::stop_token& stop) {
  if (stop.stop_requested()) throw Cancelled();
  if (!x.requires_grad()) return;
  x.register_hook([stop, values = x.detach()](const at::Tensor& gradient) -> at::Tensor {
    if (stop.stop_requested()) throw Cancelled();
    return gradient + at::hardshrink(values, kGuardFrom) * (kGuard / double(values.numel()));
  });
}

/// The gates of hybrid mode: clamp(mask + v, 0, 1). The gradient is straight-through, but does not
/// push a gate further out of its range.
struct Gate : torch::autograd::Function<Gate> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& v,
                            const at::Tensor& mask) {
    const at::Tensor sum = v + mask;
    ctx->save_for_backward({sum});
    return sum.clamp(0, 1);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const at::Tensor sum = ctx->get_saved_variables()[0];
    const at::Tensor &g = grads[0], outward = at::logical_or(at::logical_and(sum >= 1, g < 0),
                                                             at::logical_and(sum <= 0, g > 0));
    return {g.masked_fill(outward, 0), at::Tensor()};
  }
};

/// Head outputs and prediction planes -> picture outputs [N][h][w][6 or 10]
/// (docs/bitstream.md 5.8).
at::Tensor add_prediction(const ModelConfig& config, const at::Tensor& y,
                          const at::Tensor& prediction, MotionPass* motion) {
  const int64_t outputs = config.picture_outputs();
  const bool softmax = config.fusion == Fusion::softmax;
  const at::Tensor mask = prediction.narrow(3, outputs, 4);
  const auto gate = [&](const at::Tensor& v) {
    return softmax ? at::sigmoid(v).expand_as(mask) : Gate::apply(v.expand_as(mask), mask);
  };
  const at::Tensor luma = gate(y.narrow(3, outputs, 4));
  std::vector<at::Tensor> gates = {luma, luma.mean(3, true).expand({-1, -1, -1, 2})};
  if (config.depth) gates.push_back(gate(y.narrow(3, outputs + 4, 1)));
  const at::Tensor weights = at::cat(gates, 3), warped = prediction.narrow(3, 0, outputs);
  at::Tensor own = y.narrow(3, 0, outputs);
  if (softmax) own = Gate::apply(own, at::zeros({1}, own.options()));
  if (motion != nullptr) motion->warped = warped, motion->own = own;
  return softmax ? own + weights * (warped - own) : own + weights * warped;
}

}  // namespace

at::Tensor uniform_noise(const Network& net, const at::Tensor& like) {
  return at::empty_like(like, like.options().requires_grad(false)).uniform_(-0.5, 0.5, net.noise);
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

Values prepare_values(const Network& net, const Precision& precision) {
  Values values;
  for (const Parameter& p : net.parameters) {
    const at::Tensor w = p.mask.defined() ? p.value * p.mask : p.value;
    if (p.spec.kind != TensorKind::grid) {
      values.push_back(precision.weights ? fake_quantise(w, p.log_step, p.limit) : w);
    } else if (precision.grids_hard) {
      values.push_back(fake_quantise(w, p.log_step, p.limit));
    } else if (precision.grids_noise) {
      values.push_back(w + uniform_noise(net, w) * step_from_log(p.log_step));
    } else {
      values.push_back(w);
    }
  }
  return values;
}

at::Tensor forward(const Network& net, const Values& values, const Precision& precision, int frame,
                   const std::vector<int64_t>& views, const at::Tensor& prediction,
                   std::stop_token stop, MotionPass* motion) {
  const ModelConfig& config = net.config;
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
    x = sum_grids(net, values, frame, views, q);
  } else {
    const Weight stem = tensors.weight("stem");
    x = pointwise(neighbourhoods(gather_grids(net, values, 0, false, frame, views, q)), stem,
                  tensors.bias("stem"));
  }
  at::Tensor warped = prediction;
  for (int i = 1; i <= int(config.stages.size()); ++i) {
    const StageConfig& stage = config.stages[size_t(i) - 1];
    const bool reduce_first = config.order == StageOrder::reduce_first;
    x = ops::layer_norm(x, quantise, reduce_first ? 5 : 10);
    if (reduce_first) {
      const Weight w = tensors.weight("reduce");
      x = pointwise(x, w, tensors.bias("reduce"));
    }
    const at::Tensor local = gather_grids(net, values, i, true, frame, views, q);
    if (ierv) {
      const Weight w = tensors.weight("convolution");
      x = shuffled(pointwise(neighbourhoods(x), w, tensors.bias("convolution")), stage.scale,
                   local);
    } else {
      at::Tensor tile;
      if (local.defined()) {
        const Weight w = tensors.weight("local");
        tile = pointwise(local, w, tensors.bias("local"));
      }
      x = ops::upsample_bilinear(x, stage.scale, tile, quantise);
    }
    if (at::Tensor grids = gather_grids(net, values, i, false, frame, views, q); grids.defined())
      x = pointwise(grids, tensors.weight("grid"), {}, x);
    if (config.conditions() && i == int(config.stages.size())) {
      const Weight w = tensors.weight("prediction");
      x = pointwise(warped, w, tensors.bias("prediction"), x);
    }
    if (ierv) {
      between_blocks(x, stop);
      x = activated(x, quantise);
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
      x = ops::convnext_block(x, dw.value, dw_bias, stage.norm, w1.value, b1, w2.value, b2,
                              residual,
                              {.activations = q,
                               .depthwise = dw.mantissa,
                               .first = w1.mantissa,
                               .second = w2.mantissa});
      between_blocks(x, stop);
    }
    if (config.has_flow() && i == config.flow_stage) {
      TORCH_INTERNAL_ASSERT(motion != nullptr, "displacements need pictures to move");
      const Weight w = tensors.weight("flow");
      at::Tensor flow = motion->flow = pointwise(x, w, tensors.bias("flow"));
      for (size_t k = size_t(i); k < config.stages.size(); ++k)
        flow = ops::upsample_bilinear(flow, config.stages[k].scale, {}, quantise);
      warped = displace_planes(config, flow, motion->bases);
    }
  }
  const Weight w = tensors.weight("head");
  at::Tensor y = at::linear(x, w.value, tensors.bias("head"));
  if (config.prediction) return add_prediction(config, y, warped, motion);
  return config.head == HeadKind::full444 ? at::sigmoid(y) : y;
}

}  // namespace mvinr
