#include "train/context_bits.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "entropy/grid_coder.h"

namespace mvinr {
namespace {

constexpr int kHidden = kContextHidden;
constexpr int kLeft = 2, kTop = 2;      // zeros around every plane: neighbours reach W W, N N,
constexpr int kRight = 1, kBottom = 1;  // and (in other planes) E and S
constexpr float kMaxBits = 64, kMinLogScale = -4, kMaxLogScale = 5.875f;
constexpr float kLimit = 127;  // of a context

struct ModelFloats {
  float hidden_weight[kHidden][kContexts], hidden_bias[kHidden];
  float out_weight[2][kHidden], skip_weight[2][kContexts], out_bias[2];
};
constexpr int kModelFloats = int(sizeof(ModelFloats) / sizeof(float));

/// One row of symbols: where each context's values start, and where their gradients go.
struct Row {
  const float* symbol;
  float* symbol_gradient;
  const float* context[kContexts];
  float* context_gradient[kContexts];
  int64_t width;
};

inline float exp2_fast(float x) {  // relative error 2e-6 for x in [-126, 126]
  const float f = __builtin_floorf(x);
  const float t = x - f;
  float p = 1.8775767e-3f;
  p = p * t + 8.9893397e-3f;
  p = p * t + 5.5826318e-2f;
  p = p * t + 2.4015361e-1f;
  p = p * t + 6.9315308e-1f;
  p = p * t + 9.9999994e-1f;
  int bits = (int(f) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return p * scale;
}

inline float log2_fast(float x) {  // x > 0, absolute error 1e-5
  int bits;
  std::memcpy(&bits, &x, 4);
  const float e = float((bits >> 23) - 127);
  bits = (bits & 0x7fffff) | 0x3f800000;
  float m;
  std::memcpy(&m, &bits, 4);
  const float s = (m - 1.41421356f) / (m + 1.41421356f), z = s * s;
  return e + 0.5f + s * (2.88539008f + z * (0.96179669f + z * (0.57707802f + z * 0.41219858f)));
}

/// -log2 P of the symbol that is `x` from the mean of a Laplace distribution of scale 2^l, and its
/// derivatives. As laplace_bits() in rate.cpp.
inline void laplace(float x, float l, float& bits, float& dx, float& dl) {
  constexpr float kLog2e = 1.44269504f;
  const float inverse = exp2_fast(-l);
  const float half = 0.5f * inverse;  // within [2^-7, 8]
  const float a = __builtin_fabsf(x), sign = x < 0 ? -1.0f : 1.0f;
  const float e2 = exp2_fast(-2 * half * kLog2e);
  const float y = std::min(a * inverse, half);
  // Outside: ln P = -a/b + half + ln(1 - e^(-2 half)) - ln 2.
  const float out = a * inverse * kLog2e - (half * kLog2e + log2_fast(1 - e2) - 1);
  const float out_dl = -a * inverse + half + 2 * half * e2 / (1 - e2);
  // Inside: P = 1 - (e^(y - half) + e^(-y - half)) / 2.
  const float up = exp2_fast((y - half) * kLog2e), down = exp2_fast((-y - half) * kLog2e);
  const float p = std::max(1 - 0.5f * (up + down), 1e-9f);
  const float in = -log2_fast(p);
  const float in_dx = 0.5f * (up - down) * inverse / p;
  const float in_dl = -0.5f * (up * (y - half) - down * (y + half)) / p;
  const bool outside = a > 0.5f;
  bits = std::min(outside ? out : in, kMaxBits);
  dx = sign * (outside ? inverse : in_dx) * kLog2e;
  dl = outside ? out_dl : in_dl;
}

constexpr int kLanes = 16;

/// Adds the row's bits and gradients. All arrays of a lane block stay in registers or L1.
__attribute__((target_clones("avx512f", "avx2,fma", "default"))) double row_bits(
    const Row& row, const ModelFloats& m, ModelFloats& g, bool gradients) {
  double total = 0;
  for (int64_t x0 = 0; x0 < row.width; x0 += kLanes) {
    const int n = int(std::min<int64_t>(kLanes, row.width - x0));
    float c[kContexts][kLanes], h[kHidden][kLanes], out[2][kLanes], s[kLanes];
    float valid[kLanes];
    for (int i = 0; i < kLanes; ++i) valid[i] = i < n ? 1.0f : 0.0f;
    for (int i = 0; i < kLanes; ++i) s[i] = i < n ? row.symbol[x0 + i] : 0.0f;
    for (int k = 0; k < kContexts; ++k)
      for (int i = 0; i < kLanes; ++i)
        c[k][i] = i < n ? std::clamp(row.context[k][x0 + i], -kLimit, kLimit) : 0.0f;
    for (int j = 0; j < kHidden; ++j) {
      float sum[kLanes];
      for (int i = 0; i < kLanes; ++i) sum[i] = m.hidden_bias[j];
      for (int k = 0; k < kContexts; ++k)
        for (int i = 0; i < kLanes; ++i) sum[i] += m.hidden_weight[j][k] * c[k][i];
      for (int i = 0; i < kLanes; ++i) h[j][i] = std::max(sum[i], 0.0f);
    }
    for (int o = 0; o < 2; ++o) {
      for (int i = 0; i < kLanes; ++i) out[o][i] = m.out_bias[o];
      for (int k = 0; k < kContexts; ++k)
        for (int i = 0; i < kLanes; ++i) out[o][i] += m.skip_weight[o][k] * c[k][i];
      for (int j = 0; j < kHidden; ++j)
        for (int i = 0; i < kLanes; ++i) out[o][i] += m.out_weight[o][j] * h[j][i];
    }
    float bits[kLanes], dx[kLanes], dl[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      const float l = std::clamp(out[1][i], kMinLogScale, kMaxLogScale);
      laplace(s[i] - out[0][i], l, bits[i], dx[i], dl[i]);
      const bool inside = out[1][i] > kMinLogScale && out[1][i] < kMaxLogScale;
      dl[i] = inside ? dl[i] * valid[i] : 0.0f;
      dx[i] *= valid[i];
    }
    float sum = 0;
    for (int i = 0; i < kLanes; ++i) sum += bits[i] * valid[i];
    total += double(sum);
    if (!gradients) continue;

    for (int i = 0; i < n; ++i) row.symbol_gradient[x0 + i] += dx[i];
    float d[2][kLanes];  // of the outputs
    for (int i = 0; i < kLanes; ++i) d[0][i] = -dx[i];
    for (int i = 0; i < kLanes; ++i) d[1][i] = dl[i];
    auto dot = [](const float* a, const float* b) {
      float t[kLanes];
      for (int i = 0; i < kLanes; ++i) t[i] = a[i] * b[i];
      float r = 0;
      for (int i = 0; i < kLanes; ++i) r += t[i];
      return r;
    };
    float dc[kContexts][kLanes] = {}, dh[kHidden][kLanes] = {};
    for (int o = 0; o < 2; ++o) {
      float bias = 0;
      for (int i = 0; i < kLanes; ++i) bias += d[o][i];
      g.out_bias[o] += bias;
      for (int k = 0; k < kContexts; ++k) {
        g.skip_weight[o][k] += dot(d[o], c[k]);
        for (int i = 0; i < kLanes; ++i) dc[k][i] += m.skip_weight[o][k] * d[o][i];
      }
      for (int j = 0; j < kHidden; ++j) {
        g.out_weight[o][j] += dot(d[o], h[j]);
        for (int i = 0; i < kLanes; ++i) dh[j][i] += m.out_weight[o][j] * d[o][i];
      }
    }
    for (int j = 0; j < kHidden; ++j) {
      float bias = 0;
      for (int i = 0; i < kLanes; ++i) dh[j][i] = h[j][i] > 0 ? dh[j][i] : 0.0f;
      for (int i = 0; i < kLanes; ++i) bias += dh[j][i];
      g.hidden_bias[j] += bias;
      for (int k = 0; k < kContexts; ++k) {
        g.hidden_weight[j][k] += dot(dh[j], c[k]);
        for (int i = 0; i < kLanes; ++i) dc[k][i] += m.hidden_weight[j][k] * dh[j][i];
      }
    }
    for (int k = 0; k < kContexts; ++k)
      if (row.context_gradient[k])
        for (int i = 0; i < n; ++i) row.context_gradient[k][x0 + i] += dc[k][i];
  }
  return total;
}

/// A grid with zeros around every plane.
struct Padded {
  int64_t v, t, c, h, w, stride, plane;
  std::vector<float> data;

  explicit Padded(at::IntArrayRef s)
      : v(s[0]),
        t(s[1]),
        c(s[2]),
        h(s[3]),
        w(s[4]),
        stride(w + kLeft + kRight),
        plane((h + kTop + kBottom) * stride),
        data(size_t(v * t * c * plane)) {}
  int64_t offset(int64_t vi, int64_t ti, int64_t ci, int64_t y, int64_t x) const {
    return ((vi * t + ti) * c + ci) * plane + (y + kTop) * stride + x + kLeft;
  }
  void copy(float* plain, bool to_plain) {
    for (int64_t p = 0; p < v * t * c; ++p)
      for (int64_t y = 0; y < h; ++y) {
        float* row = data.data() + p * plane + (y + kTop) * stride + kLeft;
        float* other = plain + (p * h + y) * w;
        if (to_plain)
          std::copy_n(row, w, other);
        else
          std::copy_n(other, w, row);
      }
  }
};

struct Work {  // of one thread
  std::vector<float> gradient, below_gradient;
  ModelFloats model{};
  double bits = 0;
};

/// The rows of view `v`.
void view_bits(const Padded& s, const float* below, at::IntArrayRef bs, int64_t v,
               const ModelFloats& model, bool gradients, Work& work) {
  const std::vector<float> zeros(size_t(s.stride), 0.0f);
  std::vector<float> parent(size_t(s.w)), parent_gradient(size_t(s.w));
  for (int64_t t = 0; t < s.t; ++t)
    for (int64_t c = 0; c < s.c; ++c)
      for (int64_t y = 0; y < s.h; ++y) {
        Row row{.width = s.w};
        auto set = [&](int k, bool there, int64_t vi, int64_t ti, int64_t ci, int64_t yy,
                       int64_t x) {
          const int64_t o = there ? s.offset(vi, ti, ci, yy, x) : 0;
          row.context[k] = there ? s.data.data() + o : zeros.data();
          row.context_gradient[k] = there && gradients ? work.gradient.data() + o : nullptr;
        };
        const int64_t here = s.offset(v, t, c, y, 0);
        row.symbol = s.data.data() + here;
        row.symbol_gradient = gradients ? work.gradient.data() + here : nullptr;
        set(0, true, v, t, c, y, -1);
        set(1, true, v, t, c, y - 1, 0);
        set(2, true, v, t, c, y - 1, -1);
        set(3, true, v, t, c, y - 1, 1);
        set(4, true, v, t, c, y, -2);
        set(5, true, v, t, c, y - 2, 0);
        set(6, t > 0, v, t - 1, c, y, 0);
        set(7, t > 0, v, t - 1, c, y, 1);
        set(8, t > 0, v, t - 1, c, y + 1, 0);
        set(9, false, 0, 0, 0, 0, 0);
        set(10, v > 0, 0, t, c, y, 0);
        set(11, c > 0, v, t, c - 1, y, 0);
        set(12, v > 0, 0, t, c, y, 1);
        set(13, v > 0, 0, t, c, y, -1);
        set(14, v > 0, 0, t, c, y + 1, 0);
        set(15, c > 0, v, t, c - 1, y, 1);
        int64_t below_row = 0;
        if (below) {
          below_row = (((v * bs[1] + t * bs[1] / s.t) * bs[2] + std::min(c, bs[2] - 1)) * bs[3] +
                       y * bs[3] / s.h) *
                      bs[4];
          for (int64_t x = 0; x < s.w; ++x) parent[size_t(x)] = below[below_row + x * bs[4] / s.w];
          row.context[9] = parent.data();
          if (gradients) {
            std::fill(parent_gradient.begin(), parent_gradient.end(), 0.0f);
            row.context_gradient[9] = parent_gradient.data();
          }
        }
        work.bits += row_bits(row, model, work.model, gradients);
        if (below && gradients)
          for (int64_t x = 0; x < s.w; ++x)
            work.below_gradient[size_t(below_row + x * bs[4] / s.w)] += parent_gradient[size_t(x)];
      }
}

at::Tensor cpu_float(const at::Tensor& t) {
  return t.detach().to(at::kCPU, at::kFloat).contiguous();
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct ContextBits : torch::autograd::Function<ContextBits> {
  // `below` is an empty tensor if there is none: an undefined one cannot pass through a Function.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& symbols,
                            const at::Tensor& below, const at::Tensor& packed_model,
                            bool gradients) {
    const at::Tensor s = cpu_float(symbols), b = cpu_float(below);
    const at::Tensor m = cpu_float(packed_model);
    ModelFloats model;
    std::memcpy(&model, m.const_data_ptr<float>(), sizeof model);
    Padded padded(s.sizes());
    padded.copy(const_cast<float*>(s.const_data_ptr<float>()), false);
    const int64_t views = s.size(0), chunks = std::min<int64_t>(views, at::get_num_threads());
    std::vector<Work> work(static_cast<size_t>(chunks));
    const bool has_below = b.numel() > 0;
    at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        Work& w = work[size_t(i)];
        if (gradients) {
          w.gradient.resize(padded.data.size());
          w.below_gradient.resize(size_t(b.numel()));
        }
        for (int64_t v = views * i / chunks; v < views * (i + 1) / chunks; ++v)
          view_bits(padded, has_below ? b.const_data_ptr<float>() : nullptr, b.sizes(), v, model,
                    gradients, w);
      }
    });
    double bits = 0;
    for (const Work& w : work) bits += w.bits;
    if (gradients) {
      at::Tensor gs = at::empty_like(s), gb = at::zeros_like(b), gm = at::zeros_like(m);
      std::fill(padded.data.begin(), padded.data.end(), 0.0f);
      for (const Work& w : work) {
        for (size_t i = 0; i < padded.data.size(); ++i) padded.data[i] += w.gradient[i];
        for (size_t i = 0; i < w.below_gradient.size(); ++i)
          gb.mutable_data_ptr<float>()[i] += w.below_gradient[i];
        const float* from = &w.model.hidden_weight[0][0];
        for (int i = 0; i < kModelFloats; ++i) gm.mutable_data_ptr<float>()[i] += from[i];
      }
      padded.copy(gs.mutable_data_ptr<float>(), true);
      ctx->save_for_backward(
          {gs.to(symbols.device()), gb.to(below.device()), gm.to(packed_model.device())});
    }
    return at::full({}, bits, symbols.options());
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    return {saved[0] * grads[0], saved[1] * grads[0], saved[2] * grads[0], at::Tensor()};
  }
};

}  // namespace

at::Tensor context_bits(const at::Tensor& symbols, const at::Tensor& below,
                        const ContextParameters& m) {
  const at::Tensor model = at::cat({m.hidden_weight.flatten(), m.hidden_bias,
                                    m.out_weight.flatten(), m.skip_weight.flatten(), m.out_bias});
  return ContextBits::apply(symbols, below.defined() ? below : at::empty({0}, symbols.options()),
                            model, at::GradMode::is_enabled());
}

}  // namespace mvinr
