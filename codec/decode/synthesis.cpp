#include "decode/synthesis.h"

#include <algorithm>
#include <numeric>

#include "base/clones.h"
#include "base/try.h"
#include "decode/grids.h"
#include "decode/head.h"
#include "decode/layout.h"
#include "kernels/tables.inc"

namespace mvinr {
namespace {

MVINR_CLONES void add_saturated(const int16_t* from, int count, int16_t* to) {
  for (int i = 0; i < count; ++i)
    to[i] = static_cast<int16_t>(std::clamp(to[i] + from[i], -32768, 32767));
}

// Every step-th value of `to`.
void shuffle_row(const int16_t* from, int count, int step, int added, int16_t* to) {
  for (int i = 0; i < count; ++i)
    to[i * step] = static_cast<int16_t>(std::clamp(from[i] + added, -32768, 32767));
}

// Bytes (Q5, every fourth) through the table (Q6) to Q10.
void gelu_row(const uint8_t* from, int count, int16_t* to) {
  for (int i = 0; i < count; ++i)
    to[i] = static_cast<int16_t>((kGeluTable[from[4 * i]] - kGeluZero) * 16);
}

class Run {
 public:
  Run(const Plan& plan, std::span<const PackedStep> packed, const Kernels& kernels,
      const SynthesisJob& job, Maps& maps, const Crew& crew, std::stop_token stop)
      : plan_(plan),
        packed_(packed),
        kernels_(kernels),
        job_(job),
        maps_(maps),
        crew_(crew),
        stop_(std::move(stop)),
        rows_(rows_needed(plan, job.height)),
        current_(maps.map[0].data()),
        other_(maps.map[1].data()),
        depthwise_(maps.map[2].data()) {}

  Status run() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (stop_.stop_requested()) return Error{ErrorCode::cancelled, "rendering was stopped"};
      const PlanStep& step = plan_.steps[i];
      switch (step.kind) {
        case StepKind::stem:
          stem(i);
          break;
        case StepKind::norm_reduce:
          norm_reduce(i);
          break;
        case StepKind::norm:
          norm(i);
          break;
        case StepKind::upsample:
          if (plan_.steps[i + 1].kind == StepKind::inject) {
            upsample(i, true);
            ++i;
          } else {
            upsample(i, false);
          }
          break;
        case StepKind::sum_grids:
          sum_grids(i);
          break;
        case StepKind::convolve:
          convolve(i);
          break;
        case StepKind::activate:
          activate(i);
          break;
        case StepKind::inject:
          inject(i);
          break;
        case StepKind::flow:
          flow(i);
          break;
        case StepKind::predict:
          predict(i);
          break;
        case StepKind::block:
          block(i);
          break;
        case StepKind::head:
          head(i);
          break;
      }
      // A part of a layer was left out: the picture is not usable.
      if (stop_.stop_requested()) return Error{ErrorCode::cancelled, "rendering was stopped"};
    }
    return ok();
  }

 private:
  // Splits [0, total) at multiples of `granule` among the crew: fn(begin, end, lane).
  template <typename F>
  void share(int total, int granule, F&& fn) {
    const int pieces = std::min(crew_.size(), (total + granule - 1) / granule);
    if (crew_.pool == nullptr || pieces <= 1) {
      fn(0, total, 0);
      return;
    }
    const int granules = (total + granule - 1) / granule;
    crew_.pool->parallel_for(pieces, [&](int piece, int worker) {
      const int begin = static_cast<int>(int64_t{granules} * piece / pieces) * granule;
      const int end = static_cast<int>(int64_t{granules} * (piece + 1) / pieces) * granule;
      fn(begin, std::min(end, total), worker);
    });
  }

  // The same for positions, in chunks whose temporary values stay in the cache.
  template <typename F>
  void share_positions(int total, int chunk, F&& fn) {
    share(total, kGranule, [&](int begin, int end, int lane) {
      for (int at = begin; at < end && !stop_.stop_requested(); at += chunk)
        fn(at, std::min(chunk, end - at), lane);
    });
  }

  Packed8 packed_chunk(AlignedArray<uint8_t>& memory, int channels, int count, int chunk) const {
    return {memory.data(), channels, 1, count, chunk_plane(chunk)};
  }

  // Positions of a step's output that are computed: whole groups of 64, so that no kernel has to
  // stop in the middle of one.
  int positions(size_t i) const { return whole_groups(plan_.steps[i], rows_[i]); }
  static int whole_groups(const PlanStep& s, int rows) {
    return std::min(round_up(rows * s.width, kGranule), s.height * s.width);
  }

  // Input planes of a step with grids: from the cache, or of this frame.
  Plane16 grid_planes(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const bool stem = s.kind == StepKind::stem;
    const int taps = stem ? 9 : 1;
    if (job_.still->steps[i].size() > 0)
      return plane16_at(const_cast<int16_t*>(job_.still->steps[i].data()), s.grid_channels * taps,
                        s.height, s.width);
    Plane16 planes = plane16_at(stem ? maps_.raw.data() : maps_.planes.data(), s.grid_channels,
                                s.height, s.width);
    fill_grid_planes(plan_, s, job_.tensors, job_.view, job_.frame, planes);
    if (!stem) return planes;
    const Plane16 shifted = plane16_at(maps_.planes.data(), s.grid_channels * 9, s.height, s.width);
    shift_taps(planes, shifted);
    return shifted;
  }

  void stem(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const Plane16 in = grid_planes(i);
    const Plane16 out = plane16_at(current_, s.outputs, s.height, s.width);
    share(positions(i), kGranule, [&](int begin, int end, int) {
      kernels_.pointwise16(in, packed_[i].wide.layer(), false, out, begin, end);
    });
  }

  void norm_reduce(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const Plane16 in = plane16_at(current_, s.inputs, s.height, s.width);
    const Plane16 out = plane16_at(other_, s.outputs, s.height, s.width);
    const int chunk = chunk_positions(s);
    share_positions(positions(i), chunk, [&](int begin, int count, int lane) {
      const Packed8 narrow = packed_chunk(crew_.lanes[lane].narrow, s.inputs, count, chunk);
      kernels_.norm_to_packed(shift(in, begin), narrow, 0, count);
      kernels_.pointwise(narrow, packed_[i].reduce.layer(), false, shift(out, begin), 0, count);
    });
    std::swap(current_, other_);
  }

  void norm(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const Plane16 in = plane16_at(current_, s.inputs, s.height, s.width);
    const Plane16 out = plane16_at(other_, s.outputs, s.height, s.width);
    share(positions(i), kGranule,
          [&](int begin, int end, int) { kernels_.norm_to_plane(in, out, begin, end); });
    std::swap(current_, other_);
  }

  // The local grids' 1x1 layer on its scale x scale positions: [channel][y][x].
  const int16_t* tile(size_t i) {
    const PlanStep& s = plan_.steps[i];
    if (s.grids.empty()) return nullptr;
    const Plane16 in = plane16_at(maps_.planes.data(), s.grid_channels, s.scale, s.scale);
    fill_grid_planes(plan_, s, job_.tensors, job_.view, job_.frame, in);
    const Plane16 out = plane16_at(maps_.tile_planes.data(), s.outputs, s.scale, s.scale);
    const int count = s.scale * s.scale;
    kernels_.pointwise16(in, packed_[i].wide.layer(), false, out, 0, count);
    for (int c = 0; c < s.outputs; ++c)
      std::copy_n(out.data + c * out.plane, count, maps_.tile.data() + c * count);
    return maps_.tile.data();
  }

  void upsample(size_t i, bool with_inject) {
    const PlanStep& s = plan_.steps[i];
    const Plane16 in = plane16_at(current_, s.inputs, s.height / s.scale, s.width / s.scale);
    const Plane16 out = plane16_at(other_, s.outputs, s.height, s.width);
    const int16_t* added = tile(i);
    Plane16 grids;
    if (with_inject) grids = grid_planes(i + 1);
    const int group = row_group(s.width);
    const int strip = strip_rows(s, group);
    share(rows_[i], group, [&](int first, int last, int) {
      for (int y0 = first; y0 < last && !stop_.stop_requested(); y0 += strip) {
        const int y1 = std::min(y0 + strip, last);
        kernels_.upsample(in, s.scale, added, out, y0, y1);
        if (with_inject)
          kernels_.pointwise16(grids, packed_[i + 1].wide.layer(), true, out, y0 * s.width,
                               whole_groups(s, y1));
      }
    });
    std::swap(current_, other_);
  }

  // The displacements, enlarged to the trunk's resolution, and the prediction that they make
  // (docs/bitstream.md 8).
  void flow(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const ModelConfig& config = plan_.config;
    const Plane16 in = plane16_at(current_, s.inputs, s.height, s.width);
    Plane16 field = plane16_at(maps_.flow[0].data(), s.outputs, s.height, s.width);
    share(positions(i), kGranule, [&](int begin, int end, int) {
      kernels_.pointwise16(in, packed_[i].wide.layer(), false, field, begin, end);
    });
    const int last = static_cast<int>(config.stages.size());
    size_t predict = plan_.steps.size() - 1;  // the step that first reads the prediction
    for (size_t k = i; k < predict; ++k)
      if (plan_.steps[k].kind == StepKind::predict) predict = k;
    std::vector<int> rows(config.stages.size() + 1, rows_[predict]);
    for (int k = last; k > s.stage; --k)
      rows[k - 1] =
          std::min((rows[k] - 1) / config.stages[k - 1].scale + 2, config.stage_height(k - 1));
    for (int k = s.stage + 1, to = 1; k <= last; ++k, to ^= 1) {
      const Plane16 out = plane16_at(maps_.flow[to].data(), s.outputs, config.stage_height(k),
                                     config.stage_width(k));
      share(rows[k], row_group(out.width), [&](int first, int end, int) {
        kernels_.upsample(field, config.stages[k - 1].scale, nullptr, out, first, end);
      });
      field = out;
    }
    const WarpedPlanes out{job_.prediction.data, job_.prediction.plane, job_.prediction.width,
                           job_.prediction.height};
    share(rows_[predict], 1, [&](int first, int end, int) {
      for (int y = first; y < end && !stop_.stop_requested(); ++y)
        displace(job_.displaced, {field.data, field.plane}, config.flow_shift, config.depth, out, y,
                 y + 1);
    });
  }

  void inject(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const Plane16 grids = grid_planes(i);
    const Plane16 out = plane16_at(current_, s.outputs, s.height, s.width);
    share(positions(i), kGranule, [&](int begin, int end, int) {
      kernels_.pointwise16(grids, packed_[i].wide.layer(), true, out, begin, end);
    });
  }

  // --- The order ierv ---
  void sum_grids(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const Plane16 out = plane16_at(current_, s.outputs, s.height, s.width);
    const Plane16 own = plane16_at(maps_.planes.data(), s.outputs, s.height, s.width);
    bool has_own = false;
    for (const bool per_view : {false, true}) {
      PlanStep part = s;
      std::erase_if(part.grids, [&](int g) { return plan_.config.grids[g].per_view != per_view; });
      if (per_view) has_own = !part.grids.empty();
      fill_grid_planes(plan_, part, job_.tensors, job_.view, job_.frame, per_view ? own : out);
    }
    if (has_own)
      for (int c = 0; c < s.outputs; ++c)
        add_saturated(own.data + c * own.plane, s.height * s.width, out.data + c * out.plane);
  }

  void convolve(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const int height = s.height / s.scale, width = s.width / s.scale, area = s.scale * s.scale;
    const Plane16 in = plane16_at(current_, s.inputs, height, width);
    const Plane16 normed = plane16_at(other_, s.inputs, height, width);
    const Plane16 shifted = plane16_at(maps_.planes.data(), 9 * s.inputs, height, width);
    const Plane16 wide = plane16_at(depthwise_, s.outputs * area, height, width);
    const Plane16 out = plane16_at(current_, s.outputs, s.height, s.width);
    const auto groups = [&](int rows) {
      return std::min(round_up(std::min(rows, height) * width, kGranule), height * width);
    };
    const int rows = (rows_[i] - 1) / s.scale + 1;
    share(groups(rows + 1), kGranule,
          [&](int begin, int end, int) { kernels_.norm_to_plane(in, normed, begin, end); });
    shift_taps(normed, shifted);
    share(groups(rows), kGranule, [&](int begin, int end, int) {
      kernels_.pointwise16(shifted, packed_[i].wide.layer(), false, wide, begin, end);
    });
    const Plane16 local = plane16_at(maps_.tile_planes.data(), s.outputs, s.scale, s.scale);
    if (!s.grids.empty()) fill_grid_planes(plan_, s, job_.tensors, job_.view, job_.frame, local);
    share(rows_[i], 1, [&](int first, int last, int) {
      for (int c = 0; c < s.outputs; ++c)
        for (int y = first; y < last; ++y)
          for (int phase = 0; phase < s.scale; ++phase) {
            const int place = y % s.scale * s.scale + phase;
            const int added = s.grids.empty() ? 0 : local.data[c * local.plane + place];
            shuffle_row(wide.data + (c * area + place) * wide.plane + y / s.scale * width, width,
                        s.scale, added, out.data + c * out.plane + y * s.width + phase);
          }
    });
  }

  void activate(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const Plane16 map = plane16_at(current_, s.inputs, s.height, s.width);
    const int chunk = chunk_positions(s);
    share_positions(positions(i), chunk, [&](int begin, int count, int lane) {
      const Packed8 narrow = packed_chunk(crew_.lanes[lane].narrow, s.inputs, count, chunk);
      kernels_.norm_to_packed(shift(map, begin), narrow, 0, count);
      for (int c = 0; c < s.inputs; ++c)
        gelu_row(narrow.data + c / 4 * narrow.plane * 4 + c % 4, count,
                 map.data + c * map.plane + begin);
    });
  }

  void predict(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const Plane16 out = plane16_at(current_, s.outputs, s.height, s.width);
    share(positions(i), kGranule, [&](int begin, int end, int) {
      kernels_.pointwise16(job_.prediction, packed_[i].wide.layer(), true, out, begin, end);
    });
  }

  void block(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const PackedStep& packed = packed_[i];
    const Plane16 in = plane16_at(current_, s.inputs, s.height, s.width);
    const Plane16 mid = plane16_at(depthwise_, s.inputs, s.height, s.width);
    const Plane16 out = plane16_at(s.residual ? current_ : other_, s.outputs, s.height, s.width);
    const int chunk = chunk_positions(s);
    const int rows = rows_[i], end = positions(i);

    const auto filter = [&](int y0, int y1) {
      kernels_.depthwise(in, packed.depthwise.weight.data(), packed.depthwise.requant.data(), mid,
                         y0, y1);
    };
    const auto mix = [&](int begin, int count, int lane) {
      const Packed8 narrow = packed_chunk(crew_.lanes[lane].narrow, s.inputs, count, chunk);
      const Packed8 hidden = packed_chunk(crew_.lanes[lane].hidden, s.hidden, count, chunk);
      if (s.norm)
        kernels_.norm_to_packed(shift(mid, begin), narrow, 0, count);
      else
        kernels_.quantise(shift(mid, begin), narrow, 0, count);
      kernels_.pointwise_gelu(narrow, packed.fc1.layer(), hidden, 0, count);
      kernels_.pointwise(hidden, packed.fc2.layer(), s.residual, shift(out, begin), 0, count);
    };

    if (crew_.pool != nullptr) {
      share(rows, 1, [&](int y0, int y1, int) { filter(y0, y1); });
      share_positions(end, chunk, mix);
    } else {
      // Strip by strip, while it is in the cache. The result of the last row of a strip waits until
      // the next strip is filtered, which needs that row of the input.
      const int strip = strip_rows(s, 1);
      int done = 0;
      for (int y0 = 0; y0 < rows && !stop_.stop_requested(); y0 += strip) {
        const int y1 = std::min(y0 + strip, rows);
        filter(y0, y1);
        const int limit = y1 == rows ? end : (y1 - 1) * s.width / kGranule * kGranule;
        for (; done < limit; done += std::min(chunk, limit - done))
          mix(done, std::min(chunk, limit - done), 0);
      }
    }
    if (!s.residual) std::swap(current_, other_);
  }

  void head(size_t i) {
    const PlanStep& s = plan_.steps[i];
    const Plane16 in = plane16_at(current_, s.inputs, s.height, s.width);
    const HeadOutputs wanted =
        head_outputs(plan_.config, job_.texture != nullptr, job_.depth != nullptr);
    const int group = head_row_group(plan_.config.head, s.width);
    const int strip = head_strip_rows(s, group);
    const ptrdiff_t plane = head_plane(s, strip);
    share(rows_[i], group, [&](int first, int last, int lane) {
      int32_t* values = crew_.lanes[lane].head.data();
      for (int y0 = first; y0 < last && !stop_.stop_requested(); y0 += strip) {
        const int count = std::min(strip, last - y0);
        kernels_.head(shift(in, y0 * s.width), packed_[i].wide.layer(), packed_[i].head.data(),
                      wanted.span(), values, plane, 0, whole_groups(s, y0 + count) - y0 * s.width);
        if (plan_.config.prediction)
          add_prediction(plan_.config, job_.prediction, values, plane, y0, count,
                         job_.texture != nullptr, job_.depth != nullptr);
        write_head_rows(plan_.config, values, plane, s.width, y0, count, job_.texture, job_.depth);
      }
    });
  }

  const Plan& plan_;
  std::span<const PackedStep> packed_;
  const Kernels& kernels_;
  const SynthesisJob& job_;
  Maps& maps_;
  const Crew& crew_;
  std::stop_token stop_;
  std::vector<int> rows_;
  int16_t* current_;    // the feature map
  int16_t* other_;      // where a step that cannot work in place writes
  int16_t* depthwise_;  // inside a block
};

}  // namespace

Status synthesise(const Plan& plan, std::span<const PackedStep> packed, const Kernels& kernels,
                  const SynthesisJob& job, Maps& maps, const Crew& crew, std::stop_token stop) {
  return Run(plan, packed, kernels, job, maps, crew, std::move(stop)).run();
}

}  // namespace mvinr
