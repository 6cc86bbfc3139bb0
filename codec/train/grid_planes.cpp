#include "train/grid_planes.h"

#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "train/noise.h"
#include "train/ops/support.h"
#include "train/quantize.h"

namespace mvinr {
namespace {

/// The time steps that a frame lies between: step i, and i + 1 with weight w.
struct Instant {
  int64_t i = 0;
  double w = 0;
};
Instant instant_of(const ModelConfig& config, const GridConfig& grid, int frame) {
  if (grid.nearest) return {int64_t(frame) * grid.time_steps / config.frames, 0};
  const int64_t t2 = 2 * config.frames;
  const int64_t num = (2 * int64_t(frame) + 1) * grid.time_steps - config.frames;
  if (num < 0) return {};
  const int64_t i = std::min<int64_t>(num / t2, grid.time_steps - 1);
  const bool last = i == grid.time_steps - 1;
  return {i, last ? 0.0 : double(((num % t2) * 256 + config.frames) / t2) / 256.0};
}

/// Whether the planes of a stage's grids are the same for all views, and kept once.
bool kept_once(const ModelConfig& config, int stage, bool local) {
  for (const GridConfig& grid : config.grids)
    if (grid.stage == stage && grid.local == local && grid.per_view) return false;
  return local;
}

// ---- With LibTorch's operations, on any device.

at::Tensor quantised_step(const Network& net, int g, int64_t i, const std::vector<int64_t>& views,
                          const Precision& precision, uint32_t key) {
  const Parameter& p = net.parameters[size_t(net.grid_parameter(g))];
  const auto of_views = [&](const at::Tensor& all) {
    const at::Tensor v = all.select(1, i);
    if (!net.config.grids[size_t(g)].per_view) return v;
    return v.index_select(0, at::tensor(views, v.options().dtype(at::kLong).requires_grad(false)));
  };
  const at::Tensor v = of_views(p.value);
  const at::Tensor log_step = p.log_step.select(1, 0);
  if (precision.grids_hard) return fake_quantise(v.contiguous(), log_step, p.limit);
  if (precision.grids_noise) {
    // By the key, that of a value depends on its place in the grid.
    const at::Tensor noise = net.device.is_cpu()
                                 ? of_views(uniform_noise(net, tensor_key(key, size_t(g)), p.value))
                                 : uniform_noise(net, 0, v);
    const at::Tensor step = step_from_log(log_step);
    return soft_symbols(v / step, noise, precision.soft) * step;
  }
  return v;
}

at::Tensor composed(const Network& net, const Precision& precision, int stage, bool local,
                    int frame, const std::vector<int64_t>& views, uint32_t key) {
  std::vector<at::Tensor> planes;
  const int64_t count = kept_once(net.config, stage, local) ? 1 : int64_t(views.size());
  for (size_t g = 0; g < net.config.grids.size(); ++g) {
    const GridConfig& grid = net.config.grids[g];
    if (grid.stage != stage || grid.local != local) continue;
    const Instant at = instant_of(net.config, grid, frame);
    at::Tensor plane = quantised_step(net, int(g), at.i, views, precision, key);
    if (at.w > 0)
      plane = plane * (1.0 - at.w) +
              quantised_step(net, int(g), at.i + 1, views, precision, key) * at.w;
    if (precision.activations) plane = round_to(plane, 1024);
    planes.push_back(plane.permute({0, 2, 3, 1}).expand({count, -1, -1, -1}));
  }
  return planes.empty() ? at::Tensor() : at::cat(planes, 3);
}

// ---- On the CPU: one pass over the planes of all grids.

/// One grid's part of a step's work.
struct Part {
  int64_t time_steps, channels, height, width;  // of the grid
  Instant instant;
  bool per_view;
  int limit;
  uint32_t key;  // of its noise
  size_t output;
  int64_t first_channel;  // in the output
};
struct Job {
  std::vector<Part> parts;
  std::vector<std::vector<int64_t>> shapes;  // of the outputs
  std::vector<int64_t> views;
  Precision precision;
};

#define MVINR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
MVINR_CLONES __attribute__((optimize("fast-math"))) void noisy_row(const float* w, int64_t count,
                                                                   float step, uint32_t key,
                                                                   uint32_t first,
                                                                   SoftRounding soft, float* out) {
  const float inverse = 1 / step;
  for (int64_t i = 0; i < count; ++i)
    out[i] = step * soft.symbol(w[i] * inverse, noise_of(key, first + uint32_t(i)));
}
/// From the gradients g of noisy values to those of w, in place. Returns that of the step.
MVINR_CLONES __attribute__((optimize("fast-math"))) float noise_gradient(
    const float* w, int64_t count, float step, uint32_t key, uint32_t first, SoftRounding soft,
    float* g) {
  const float inverse = 1 / step;
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float q = w[i] * inverse, noise = noise_of(key, first + uint32_t(i));
    const float slope = soft.gradient(q, noise);
    sum += g[i] * (soft.symbol(q, noise) - q * slope);
    g[i] *= slope;
  }
  return sum;
}
MVINR_CLONES void blend(float* a, const float* b, int64_t count, float weight, bool round) {
  for (int64_t i = 0; i < count; ++i) a[i] = a[i] * (1.0f - weight) + b[i] * weight;
  if (round)
    for (int64_t i = 0; i < count; ++i)
      a[i] = __builtin_floorf(a[i] * 1024.0f + 0.5f) * (1.0f / 1024.0f);
}
#undef MVINR_CLONES

/// Calls run(part, channel) for all channels of all parts, shared between the threads: no two of
/// them write the same values or gradients.
template <class Run>
void for_channels(const Job& job, const Run& run) {
  std::vector<std::pair<size_t, int64_t>> all;
  for (size_t g = 0; g < job.parts.size(); ++g)
    for (int64_t c = 0; c < job.parts[g].channels; ++c) all.emplace_back(g, c);
  ops::parallel_calls(int64_t(all.size()),
                      [&](int64_t i) { run(all[size_t(i)].first, all[size_t(i)].second); });
}

/// Calls run(image, view of the grid, row) for every row of a channel of the part's output.
template <class Run>
void for_rows(const Job& job, const Part& p, const Run& run) {
  const int64_t images = job.shapes[p.output][0];
  for (int64_t n = 0; n < images; ++n)
    for (int64_t y = 0; y < p.height; ++y) run(n, p.per_view ? job.views[size_t(n)] : 0, y);
}

struct GridFunction : torch::autograd::Function<GridFunction> {
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  /// Offset of a row in the grid's values [V][T][C][h][w].
  static int64_t row_at(const Part& p, int64_t view, int64_t time, int64_t c, int64_t y) {
    return (((view * p.time_steps + time) * p.channels + c) * p.height + y) * p.width;
  }

  static Tensors forward(Context* ctx, at::TensorList values, at::TensorList log_steps,
                         const std::shared_ptr<const Job>& job) {
    Tensors outputs;
    for (const auto& shape : job->shapes) outputs.push_back(ops::make_tensor(shape));
    const Precision& precision = job->precision;
    for_channels(*job, [&](size_t g, int64_t c) {
      const Part& p = job->parts[g];
      const float* from = values[g].const_data_ptr<float>();
      const float* logs = log_steps[g].const_data_ptr<float>();
      std::vector<float> row(size_t(p.width)), other(size_t(p.width));
      const int64_t stride = job->shapes[p.output][3];
      const float step = step_of(logs[c]);
      for_rows(*job, p, [&](int64_t n, int64_t view, int64_t y) {
        auto load = [&](int64_t time, float* out) {
          const int64_t at = row_at(p, view, time, c, y);
          if (precision.grids_hard)
            quantise_run(from + at, p.width, step, float(p.limit), out);
          else if (precision.grids_noise)
            noisy_row(from + at, p.width, step, p.key, uint32_t(at), precision.soft, out);
          else
            std::copy_n(from + at, p.width, out);
        };
        load(p.instant.i, row.data());
        if (p.instant.w > 0) load(p.instant.i + 1, other.data());
        blend(row.data(), p.instant.w > 0 ? other.data() : row.data(), p.width, float(p.instant.w),
              precision.activations);
        float* to = outputs[p.output].data_ptr<float>() + (n * p.height + y) * p.width * stride +
                    p.first_channel + c;
        for (int64_t x = 0; x < p.width; ++x) to[x * stride] = row[size_t(x)];
      });
    });
    Tensors saved(values.begin(), values.end());
    saved.insert(saved.end(), log_steps.begin(), log_steps.end());
    ctx->save_for_backward(saved);
    ctx->saved_data["job"] = c10::IValue::make_capsule(c10::make_intrusive<Kept>(job));
    return outputs;
  }

  static Tensors backward(Context* ctx, Tensors grads) {
    const Tensors saved = ctx->get_saved_variables();
    const auto kept = ctx->saved_data["job"].toCapsule();
    const Job& job = *static_cast<const Kept&>(*kept).job;
    const Precision& precision = job.precision;
    const size_t count = job.parts.size();
    Tensors result(2 * count + 1);
    for (at::Tensor& g : grads)
      if (g.defined()) g = g.contiguous();
    for (size_t k = 0; k < count; ++k) {
      if (!grads[job.parts[k].output].defined()) continue;
      result[k] = ops::make_tensor(saved[k].sizes());
      result[count + k] = at::zeros_like(saved[count + k]);
    }
    for_channels(job, [&](size_t k, int64_t c) {
      const Part& p = job.parts[k];
      if (!result[k].defined()) return;
      const float* values = saved[k].const_data_ptr<float>();
      const float* logs = saved[count + k].const_data_ptr<float>();
      float *to = result[k].data_ptr<float>(), *sums = result[count + k].data_ptr<float>();
      const int64_t plane = p.height * p.width, steps = p.channels * plane;  // of all channels
      for (int64_t at = c * plane; at < result[k].numel(); at += steps)
        std::fill_n(to + at, plane, 0.0f);
      std::vector<float> row(size_t(p.width)), part(size_t(p.width));
      const int64_t stride = job.shapes[p.output][3];
      const float* from = grads[p.output].const_data_ptr<float>();
      const float step = step_of(logs[c]);
      for_rows(job, p, [&](int64_t n, int64_t view, int64_t y) {
        const float* g = from + (n * p.height + y) * p.width * stride + p.first_channel + c;
        auto add = [&](int64_t time, float weight) {
          const int64_t at = row_at(p, view, time, c, y);
          for (int64_t x = 0; x < p.width; ++x) row[size_t(x)] = g[x * stride] * weight;
          const float* gradient = row.data();
          if (precision.grids_hard) {
            sums[c] += quantise_gradient_run(values + at, row.data(), p.width, step, float(p.limit),
                                             part.data()) *
                       step * float(M_LN2);
            gradient = part.data();
          } else if (precision.grids_noise) {
            sums[c] += noise_gradient(values + at, p.width, step, p.key, uint32_t(at),
                                      precision.soft, row.data()) *
                       step * float(M_LN2);
          }
          for (int64_t x = 0; x < p.width; ++x) to[at + x] += gradient[x];
        };
        add(p.instant.i, float(1.0 - p.instant.w));
        if (p.instant.w > 0) add(p.instant.i + 1, float(p.instant.w));
      });
    });
    return result;
  }

 private:
  struct Kept : torch::CustomClassHolder {
    explicit Kept(std::shared_ptr<const Job> j) : job(std::move(j)) {}
    std::shared_ptr<const Job> job;
  };
};

}  // namespace

GridPlanes grid_planes(const Network& net, const Precision& precision, int frame,
                       const std::vector<int64_t>& views) {
  const ModelConfig& config = net.config;
  GridPlanes planes(config.stages.size() + 1);
  const uint32_t key = precision.grids_noise ? noise_key(net) : 0;
  if (!ops::fusable({net.parameters[size_t(net.first_grid)].value})) {
    for (size_t stage = 0; stage < planes.size(); ++stage)
      for (const bool local : {false, true})
        planes[stage][local] = composed(net, precision, int(stage), local, frame, views, key);
    return planes;
  }
  auto job = std::make_shared<Job>();
  job->views = views;
  job->precision = precision;
  std::vector<at::Tensor> values, log_steps;
  std::vector<std::pair<size_t, bool>> order;
  for (size_t stage = 0; stage < planes.size(); ++stage)
    for (const bool local : {false, true}) {
      int64_t channels = 0;
      for (size_t g = 0; g < config.grids.size(); ++g) {
        const GridConfig& grid = config.grids[g];
        if (grid.stage != stage || grid.local != local) continue;
        const Parameter& p = net.parameters[size_t(net.grid_parameter(int(g)))];
        job->parts.push_back({.time_steps = p.value.size(1),
                              .channels = p.value.size(2),
                              .height = p.value.size(3),
                              .width = p.value.size(4),
                              .instant = instant_of(config, grid, frame),
                              .per_view = grid.per_view,
                              .limit = p.limit,
                              .key = tensor_key(key, g),
                              .output = order.size(),
                              .first_channel = channels});
        channels += p.value.size(2);
        values.push_back(p.value.contiguous());
        log_steps.push_back(p.log_step.contiguous());
      }
      if (channels == 0) continue;
      const Part& last = job->parts.back();
      const int64_t images = kept_once(config, int(stage), local) ? 1 : int64_t(views.size());
      job->shapes.push_back({images, last.height, last.width, channels});
      order.emplace_back(stage, local);
    }
  const auto outputs = GridFunction::apply(at::TensorList(values), at::TensorList(log_steps),
                                           std::shared_ptr<const Job>(job));
  for (size_t i = 0; i < order.size(); ++i) planes[order[i].first][order[i].second] = outputs[i];
  return planes;
}

}  // namespace mvinr
