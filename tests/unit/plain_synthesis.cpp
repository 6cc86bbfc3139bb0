#include "plain_synthesis.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "plain_layers.h"
#include "tools/picture_buffer.h"

namespace mvinr::testutil {
namespace {

using namespace plain;

class Plain {
 public:
  Plain(const CodedModel& model, int frame, int view, const std::vector<int16_t>& prediction,
        const std::vector<PlainBase>& bases)
      : model_(model),
        m_(model.config),
        frame_(frame),
        view_(view),
        prediction_(m_.prediction_planes(), m_.canvas_height / 2, m_.canvas_width / 2),
        bases_(bases) {
    for (size_t i = 0; i < prediction.size(); ++i) prediction_.values[i] = prediction[i];
  }

  // Head outputs in Q16 at the trunk's resolution.
  Map run() {
    Map x = m_.order == StageOrder::ierv ? sum_of_grids() : stem();
    for (int i = 1; i <= int(m_.stages.size()); ++i) x = stage(x, i);
    const Layer head = next_layer(x.channels, true);
    Map out(m_.head_outputs(), x.height, x.width);
    for (int o = 0; o < out.channels; ++o) {
      const int s = head.step(o), b = head.bias->steps[0];
      const Int bias =
          sat32(round_shift(head.bias->symbols[o] * 256 * kMantissa[b & 7], 1 - (b >> 3)));
      for (int y = 0; y < x.height; ++y)
        for (int c = 0; c < x.width; ++c) {
          Int acc = 0;
          for (int k = 0; k < x.channels; ++k) acc += x.at(k, y, c) * head.w(o, k);
          const Int value = round_shift(wrap32(acc) * kMantissa[s & 7], 3 - (s >> 3));
          out.at(o, y, c) = sat32(sat32(value) + bias);
        }
    }
    return m_.prediction ? add_prediction(std::move(out)) : out;
  }

 private:
  Map stem() {
    const Layer layer = next_layer(m_.grid_channels(0, false) * 9, true);
    return convolve(grids(0, false), layer, m_.stem_channels);
  }

  // Shared grids of stage 0 side by side, plus those of the view side by side.
  Map sum_of_grids() const {
    const Map all = grids(0, false);
    Map x(m_.stem_channels, all.height, all.width);
    for (const bool per_view : {false, true}) {
      int to = 0, from = 0;
      for (const GridConfig& g : m_.grids) {
        if (g.stage != 0) continue;
        for (int c = 0; c < g.channels; ++c, ++from) {
          if (g.per_view != per_view) continue;
          for (int y = 0; y < x.height; ++y)
            for (int k = 0; k < x.width; ++k)
              x.at(to, y, k) = sat16(x.at(to, y, k) + all.at(from, y, k));
          ++to;
        }
      }
    }
    return x;
  }

  // 3x3 convolution to s * s values per channel and position, which become s x s positions.
  Map convolve_and_shuffle(const Map& in, const StageConfig& shape) {
    const int s = shape.scale, area = s * s;
    const Layer layer = next_layer(9 * in.channels, true);
    const Map wide = convolve(in, layer, shape.channels * area);
    Map out(shape.channels, in.height * s, in.width * s);
    for (int c = 0; c < out.channels; ++c)
      for (int y = 0; y < out.height; ++y)
        for (int x = 0; x < out.width; ++x)
          out.at(c, y, x) = wide.at(c * area + y % s * s + x % s, y / s, x / s);
    return out;
  }

  // 5.8
  Map add_prediction(Map v) const {
    const int outputs = m_.depth ? 10 : 6;
    const bool softmax = m_.fusion == Fusion::softmax;
    for (int y = 0; y < v.height; ++y)
      for (int x = 0; x < v.width; ++x) {
        Int luma[4], depth[4], sum = 2;
        for (int i = 0; i < 4; ++i) {
          const Int mask = prediction_.at(outputs + i, y, x) * 64;
          const auto gate = [&](Int value) {
            return softmax ? sigmoid(value) : clamp(mask + value, 0, 65536);
          };
          luma[i] = gate(v.at(outputs + i, y, x));
          if (m_.depth) depth[i] = gate(v.at(14, y, x));
          sum += luma[i];
        }
        for (int o = 0; o < outputs; ++o) {
          const Int gate = o < 4 ? luma[o] : o < 6 ? sum >> 2 : depth[o - 6];
          const Int p = prediction_.at(o, y, x);
          Int& out = v.at(o, y, x);
          if (softmax) {
            out = clamp(out, 0, 65536);
            out += ((64 * p - out) * ((gate + 2) >> 2) + 8192) >> 14;
          } else {
            out += (p * gate + 512) >> 10;
          }
        }
      }
    return v;
  }

  // 8.1: one plane of base b: 0 luma, 1 U, 2 V, 3 depth, 4 mask; borders repeated.
  Int base_sample(size_t b, int plane, Int x, Int y) const {
    if (m_.motion == Motion::refined) {
      const bool chroma = plane == 1 || plane == 2;
      const int w = m_.canvas_width / (chroma ? 2 : 1), h = m_.canvas_height / (chroma ? 2 : 1);
      x = clamp(x, 0, w - 1), y = clamp(y, 0, h - 1);
      if (chroma) return source_.at(3 + plane, int(y), int(x));
      const int first = plane == 0 ? 0 : plane == 3 ? 6 : 10;
      return source_.at(first + int(x % 2 + 2 * (y % 2)), int(y / 2), int(x / 2));
    }
    if (plane == 4) return 1024;
    const Picture& p = plane == 3 ? bases_[b].depth : bases_[b].texture;
    if (p.format == SampleFormat::none) return 512;
    const int k = plane == 3 ? 0 : plane, bits = bit_depth(p.format);
    const int s = tools::sample(p, k, int(clamp(x, 0, plane_size(p.width, k) - 1)),
                                int(clamp(y, 0, plane_size(p.height, k) - 1)));
    if (bits == 16) return std::min((s + 32) >> 6, 1023);
    return std::min(s << (10 - bits), 1023);
  }

  // 7.3, step 6
  Int base_value(size_t b, int plane, Int px, Int py) const {
    const bool refined = m_.motion == Motion::refined;
    const Int w = refined ? m_.canvas_width : bases_[b].texture.width;
    const Int h = refined ? m_.canvas_height : bases_[b].texture.height;
    const int half = plane == 1 || plane == 2 ? 1 : 0;
    px = clamp(px, -256, 256 * (w + 1)) >> half;
    py = clamp(py, -256, 256 * (h + 1)) >> half;
    const Int sx = (px - 120) >> 4, sy = (py - 120) >> 4;
    const auto taps = [](Int c, Int* t) {
      const Int n = 16 - c;
      const auto round = [](Int v) { return (v + 32) >> 6; };
      t[0] = round(-c * c * c + 32 * c * c - 256 * c);
      t[1] = round(3 * c * c * c - 80 * c * c + 8192);
      t[3] = round(-n * n * n + 32 * n * n - 256 * n);
      t[2] = 128 - t[0] - t[1] - t[3];
    };
    Int across[4], along[4], sum = 8192;
    taps(sx & 15, across);
    taps(sy & 15, along);
    for (int r = 0; r < 4; ++r)
      for (int c = 0; c < 4; ++c)
        sum += along[r] * across[c] * base_sample(b, plane, (sx >> 4) + c - 1, (sy >> 4) + r - 1);
    return clamp(sum >> 14, 0, plane == 4 ? 1024 : 1023);
  }

  // 8
  void displace(Map flow, int stage) {
    for (int k = stage; k < int(m_.stages.size()); ++k) flow = upsample(flow, m_.stages[k].scale);
    source_ = prediction_;
    const int outputs = m_.depth ? 10 : 6;
    for (int y = 0; y < flow.height; ++y)
      for (int x = 0; x < flow.width; ++x) {
        Int sum[10] = {}, total = 0, mask[4] = {};
        for (int b = 0; b < m_.flow_bases; ++b) {
          const Offset offset = m_.motion == Motion::learned
                                    ? m_.offsets[size_t(view_) * m_.flow_bases + b]
                                    : Offset{};
          const Int dx = flow.at(3 * b, y, x) * (1 << m_.flow_shift) + 256 * offset.x;
          const Int dy = flow.at(3 * b + 1, y, x) * (1 << m_.flow_shift) + 256 * offset.y;
          const Int weight = clamp(1024 + flow.at(3 * b + 2, y, x), 0, 1024);
          const Int share = std::max<Int>(weight, 1);
          total += share;
          const auto value = [&](int plane, int phase) {
            const bool chroma = plane == 1 || plane == 2;
            return base_value(b, plane, 512 * x + (chroma ? 256 : 256 * (phase % 2) + 128) + dx,
                              512 * y + (chroma ? 256 : 256 * (phase / 2) + 128) + dy);
          };
          for (int o = 0; o < outputs; ++o)
            sum[o] += share * (o < 4 ? value(0, o) : o < 6 ? value(o - 3, 0) : value(3, o - 6));
          for (int i = 0; i < 4; ++i)
            mask[i] = std::max(mask[i], (value(4, i) * weight + 512) >> 10);
        }
        for (int o = 0; o < outputs; ++o) prediction_.at(o, y, x) = (sum[o] + total / 2) / total;
        for (int i = 0; i < 4; ++i) prediction_.at(outputs + i, y, x) = mask[i];
      }
  }

  Layer next_layer(int columns, bool bias) {
    Layer layer;
    layer.weight = &model_.tensors[cursor_++];
    if (bias) layer.bias = &model_.tensors[cursor_++];
    layer.columns = columns;
    return layer;
  }

  // 5.3; the tensors of 5.7 come after the network: shared grids, then those of each view.
  const CodedTensor& grid_tensor(int wanted) const {
    size_t first = 0, shared = 0, own = 0;
    for (const GridConfig& g : m_.grids) ++(g.per_view ? own : shared);
    first = model_.tensors.size() - shared - own * m_.views;
    for (int g = 0; g < wanted; ++g) first += m_.grids[g].per_view == m_.grids[wanted].per_view;
    return model_.tensors[first + (m_.grids[wanted].per_view ? shared + own * view_ : 0)];
  }

  Map grids(int stage, bool local) const {
    const int scale = local ? m_.stages[stage - 1].scale : 0;
    const int h = local ? scale : m_.stage_height(stage), w = local ? scale : m_.stage_width(stage);
    Map out(m_.grid_channels(stage, local), h, w);
    int channel = 0;
    for (size_t g = 0; g < m_.grids.size(); ++g) {
      const GridConfig& grid = m_.grids[g];
      if (grid.stage != stage || grid.local != local) continue;
      const CodedTensor& tensor = grid_tensor(int(g));
      const Int T = m_.frames, steps = grid.time_steps;
      const Int num = (2 * frame_ + 1) * steps - T;
      Int i = 0, weight = 0;
      if (grid.nearest) {
        i = frame_ * steps / T;
      } else if (num >= 0) {
        i = std::min(num / (2 * T), steps - 1);
        weight = i == steps - 1 ? 0 : (num % (2 * T) * 256 + T) / (2 * T);
      }
      const Int j = std::min(i + 1, steps - 1);
      for (int c = 0; c < grid.channels; ++c, ++channel) {
        const int s = tensor.steps[c];
        for (int p = 0; p < h * w; ++p) {
          const auto q = [&](Int t) -> Int {
            return tensor.symbols[((size_t(t) * grid.channels + c) * h * w) + p];
          };
          const Int u = q(i) * (256 - weight) + q(j) * weight;
          out.at(channel, p / w, p % w) = sat16(round_shift(u * kMantissa[s & 7], 7 - (s >> 3)));
        }
      }
    }
    return out;
  }

  // 5.6
  Map stage(Map x, int i) {
    const StageConfig& shape = m_.stages[i - 1];
    const bool ierv = m_.order == StageOrder::ierv;
    if (m_.order == StageOrder::reduce_first)
      x = pointwise(norm(x, 5), next_layer(x.channels, true), shape.channels, 5, 128);
    else
      x = norm(x, 10);
    x = ierv ? convolve_and_shuffle(x, shape) : upsample(x, shape.scale);
    if (const int channels = m_.grid_channels(i, true); channels > 0) {
      const Map tile =
          ierv ? grids(i, true)
               : pointwise(grids(i, true), next_layer(channels, true), x.channels, 10, 0);
      for (int c = 0; c < x.channels; ++c)
        for (int y = 0; y < x.height; ++y)
          for (int k = 0; k < x.width; ++k)
            x.at(c, y, k) = sat16(x.at(c, y, k) + tile.at(c, y % shape.scale, k % shape.scale));
    }
    if (const int channels = m_.grid_channels(i, false); channels > 0)
      x = sum(x, pointwise(grids(i, false), next_layer(channels, false), x.channels, 10, 0));
    if (m_.conditions() && i == int(m_.stages.size()))
      x = sum(x, pointwise(prediction_, next_layer(prediction_.channels, true), x.channels, 10, 0));
    if (ierv) {
      Map bytes = norm(x, 5);
      for (Int& v : bytes.values) v = (v - 128) * 32;  // back to the Q10 that gelu() takes
      x = gelu(std::move(bytes));
      for (Int& v : x.values) v = (v - 11) * 16;
    }
    for (int j = 0; j < shape.depth; ++j) {
      Map a = depthwise(x, next_layer(9, !shape.norm && shape.bias));
      if (shape.norm) {
        a = norm(a, 5);
      } else {
        for (Int& v : a.values) v = clamp((v + 16) >> 5, -128, 127) + 128;
      }
      const int hidden = shape.expansion * shape.channels;
      const Layer fc1 = next_layer(a.channels, shape.bias);
      const Layer fc2 = next_layer(hidden, shape.bias);
      const Map y = pointwise(gelu(pointwise(a, fc1, hidden, 5, 128)), fc2, shape.channels, 6, 11);
      x = x.channels == y.channels ? sum(x, y) : y;
    }
    if (m_.has_flow() && i == m_.flow_stage) {
      const Layer layer = next_layer(x.channels, true);
      displace(pointwise(x, layer, 3 * m_.flow_bases, 10, 0), i);
    }
    return x;
  }

  const CodedModel& model_;
  const ModelConfig& m_;
  const int frame_, view_;
  Map prediction_;
  Map source_{0, 0, 0};  // motion refined: what is displaced
  const std::vector<PlainBase>& bases_;
  size_t cursor_ = 0;
};

int to_sample(Int v, int bits) {
  if (bits == 16) return int(clamp(v, 0, 65535));
  return int(clamp((v + (1 << (15 - bits))) >> (16 - bits), 0, (1 << bits) - 1));
}

}  // namespace

PlainPicture plain_render(const CodedModel& model, const ViewInfo& info, int frame, int view,
                          const std::vector<int16_t>& prediction,
                          const std::vector<PlainBase>& bases) {
  Map head = Plain(model, frame, view, prediction, bases).run();
  const bool shuffle = model.config.head == HeadKind::shuffle420;
  if (!shuffle)
    for (Int& v : head.values) v = sigmoid(v);
  const int w = info.width, h = info.height, cw = (w + 1) / 2, ch = (h + 1) / 2;
  const auto full = [&](int first, int x, int y) {
    return shuffle ? head.at(first + x % 2 + 2 * (y % 2), y / 2, x / 2) : head.at(first, y, x);
  };
  PlainPicture out;
  out.texture.resize(3);
  const int bits = bit_depth(info.texture);
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) out.texture[0].push_back(to_sample(full(0, x, y), bits));
  for (int p = 1; p < 3; ++p)
    for (int y = 0; y < ch; ++y)
      for (int x = 0; x < cw; ++x) {
        Int v = 0;
        if (shuffle)
          v = head.at(3 + p, y, x);
        else
          v = (head.at(p, 2 * y, 2 * x) + head.at(p, 2 * y, 2 * x + 1) +
               head.at(p, 2 * y + 1, 2 * x) + head.at(p, 2 * y + 1, 2 * x + 1) + 2) >>
              2;
        out.texture[p].push_back(to_sample(v, bits));
      }
  if (info.depth != SampleFormat::none)
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x)
        out.depth.push_back(to_sample(full(shuffle ? 6 : 3, x, y), bit_depth(info.depth)));
  return out;
}

}  // namespace mvinr::testutil
