#include "train/context_bits.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "train/ops/kernels.h"
#include "train/ops/ops.h"
#include "train/ops/support.h"

namespace mvinr {
namespace {

constexpr int kLeft = 2, kTop = 2;      // zeros around every plane: neighbours reach W W, N N,
constexpr int kRight = 1, kBottom = 1;  // and (in other planes) E and S
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

/// What one view adds to.
struct Work {
  float* gradient = nullptr;        // of all symbols, as Padded; a view writes only its own part
  float* below_gradient = nullptr;  // likewise
  std::vector<float> first_view;    // what a later view adds to the symbols of view 0
  std::vector<float> model;         // [kContextFloats][lanes]
  double bits = 0;
};

/// The rows of view `v`.
void view_bits(const Padded& s, const float* below, at::IntArrayRef bs, int64_t v,
               const ops::ContextFloats& model, bool gradients, Work& work) {
  const ops::Kernels& kernels = ops::row_kernels();
  const std::vector<float> zeros(size_t(s.stride), 0.0f);
  std::vector<float> parent(size_t(s.w)), parent_gradient(size_t(s.w));
  for (int64_t t = 0; t < s.t; ++t)
    for (int64_t c = 0; c < s.c; ++c)
      for (int64_t y = 0; y < s.h; ++y) {
        ops::ContextRow row;
        row.width = s.w;
        auto set = [&](int k, bool there, int64_t vi, int64_t ti, int64_t ci, int64_t yy,
                       int64_t x) {
          const int64_t o = there ? s.offset(vi, ti, ci, yy, x) : 0;
          row.context[k] = there ? s.data.data() + o : zeros.data();
          float* to = vi == v ? work.gradient : work.first_view.data();
          row.context_gradient[k] = there && gradients ? to + o : nullptr;
        };
        const int64_t here = s.offset(v, t, c, y, 0);
        row.symbol = s.data.data() + here;
        row.symbol_gradient = gradients ? work.gradient + here : nullptr;
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
        work.bits += kernels.context_row(row, model, work.model.data());
        if (below && gradients)
          for (int64_t x = 0; x < s.w; ++x)
            work.below_gradient[below_row + x * bs[4] / s.w] += parent_gradient[size_t(x)];
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
    ops::ContextFloats model;
    std::memcpy(&model, m.const_data_ptr<float>(), sizeof model);
    Padded padded(s.sizes());
    padded.copy(const_cast<float*>(s.const_data_ptr<float>()), false);
    const int lanes = ops::row_kernels().lanes;
    const int64_t views = s.size(0);
    const size_t view_size = padded.data.size() / size_t(views);
    std::vector<Work> work(static_cast<size_t>(views));
    std::vector<float> gradient(gradients ? padded.data.size() : 0);
    at::Tensor gb = gradients ? at::zeros_like(b) : at::Tensor();
    const bool has_below = b.numel() > 0;
    ops::parallel_calls(views, [&](int64_t v) {
      Work& w = work[size_t(v)];
      if (gradients) {
        w.gradient = gradient.data();
        w.below_gradient = gb.mutable_data_ptr<float>();
        w.first_view.resize(v > 0 ? view_size : 0);
        w.model.resize(size_t(ops::kContextFloats * lanes));
      }
      view_bits(padded, has_below ? b.const_data_ptr<float>() : nullptr, b.sizes(), v, model,
                gradients, w);
    });
    double bits = 0;
    for (const Work& w : work) bits += w.bits;
    if (gradients) {
      at::Tensor gs = at::empty_like(s), gm = at::zeros_like(m);
      for (const Work& w : work) {
        for (size_t i = 0; i < w.first_view.size(); ++i) gradient[i] += w.first_view[i];
        const float* from = w.model.data();
        for (int i = 0; i < ops::kContextFloats; ++i, from += lanes)
          gm.mutable_data_ptr<float>()[i] += std::accumulate(from, from + lanes, 0.0f);
      }
      padded.data.swap(gradient);
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
