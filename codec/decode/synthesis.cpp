#include "base/try.h"
#include "decode/grids.h"
#include "decode/head.h"
#include "decode/synthesis_run.h"

namespace mvinr {

Status SynthesisRun::run() {
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

Plane16 SynthesisRun::grid_planes(size_t i) {
  const PlanStep& s = plan_.steps[i];
  const bool stem = s.kind == StepKind::stem;
  const int taps = stem ? 9 : 1;
  if (job_.still->steps[i].size() > 0)
    return plane16_at(const_cast<int16_t*>(job_.still->steps[i].data()), s.grid_channels * taps,
                      s.height, s.width);
  Plane16 planes =
      plane16_at(stem ? maps_.raw.data() : maps_.planes.data(), s.grid_channels, s.height, s.width);
  fill_grid_planes(plan_, s, job_.tensors, job_.view, job_.frame, planes);
  if (!stem) return planes;
  const Plane16 shifted = plane16_at(maps_.planes.data(), s.grid_channels * 9, s.height, s.width);
  shift_taps(planes, shifted);
  return shifted;
}

void SynthesisRun::stem(size_t i) {
  const PlanStep& s = plan_.steps[i];
  const Plane16 in = grid_planes(i);
  const Plane16 out = plane16_at(current_, s.outputs, s.height, s.width);
  share(positions(i), kGranule, [&](int begin, int end, int) {
    kernels_.pointwise16(in, packed_[i].wide.layer(), false, out, begin, end);
  });
}

void SynthesisRun::norm_reduce(size_t i) {
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

void SynthesisRun::norm(size_t i) {
  const PlanStep& s = plan_.steps[i];
  const Plane16 in = plane16_at(current_, s.inputs, s.height, s.width);
  const Plane16 out = plane16_at(other_, s.outputs, s.height, s.width);
  share(positions(i), kGranule,
        [&](int begin, int end, int) { kernels_.norm_to_plane(in, out, begin, end); });
  std::swap(current_, other_);
}

const int16_t* SynthesisRun::tile(size_t i) {
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

void SynthesisRun::upsample(size_t i, bool with_inject) {
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

void SynthesisRun::inject(size_t i) {
  const PlanStep& s = plan_.steps[i];
  const Plane16 grids = grid_planes(i);
  const Plane16 out = plane16_at(current_, s.outputs, s.height, s.width);
  share(positions(i), kGranule, [&](int begin, int end, int) {
    kernels_.pointwise16(grids, packed_[i].wide.layer(), true, out, begin, end);
  });
}

void SynthesisRun::predict(size_t i) {
  const PlanStep& s = plan_.steps[i];
  const Plane16 out = plane16_at(current_, s.outputs, s.height, s.width);
  share(positions(i), kGranule, [&](int begin, int end, int) {
    kernels_.pointwise16(job_.prediction, packed_[i].wide.layer(), true, out, begin, end);
  });
}

void SynthesisRun::block(size_t i) {
  const PlanStep& s = plan_.steps[i];
  const PackedStep& packed = packed_[i];
  const Plane16 in = plane16_at(current_, s.inputs, s.height, s.width);
  const Plane16 mid = plane16_at(depthwise_, s.inputs, s.height, s.width);
  const Plane16 out = plane16_at(s.residual ? current_ : other_, s.outputs, s.height, s.width);
  const int chunk = chunk_positions(s);
  const int rows = rows_[i], end = positions(i);

  const auto filter = [&](int y0, int y1) {
    kernels_.depthwise(in, packed.depthwise.weight.data(), packed.depthwise.requant.data(), mid, y0,
                       y1);
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

  // Each member of the crew works on a band of its own, strip by strip, while it is in the cache.
  // The results may replace the input: so the rows at the seams of bands, which need the
  // neighbour's input (or whose vectors reach into it), are filtered before anybody writes
  // results, and the result of the last row of a strip waits until the next strip, which needs
  // that row of the input, is filtered.
  const int group = row_group(s.width), strip = strip_rows(s, 1);
  const int reach = 1 + (kGranule + s.width - 1) / s.width;
  const auto inner_rows = [&](int first, int last) {
    const int begin = first > 0 ? first + 1 : first;
    return std::pair(begin, last < rows ? std::max(begin, last - reach) : last);
  };
  if (crew_.pool != nullptr)
    share(rows, group, [&](int first, int last, int) {
      const auto [inner_first, inner_last] = inner_rows(first, last);
      if (first < inner_first) filter(first, inner_first);
      if (inner_last < last) filter(inner_last, last);
    });
  share(rows, group, [&](int first, int last, int lane) {
    const auto [inner_first, inner_last] = inner_rows(first, last);
    const int stop_at = last == rows ? end : last * s.width;
    int done = first * s.width;
    for (int y0 = inner_first; y0 < inner_last && !stop_.stop_requested(); y0 += strip) {
      const int y1 = std::min(y0 + strip, inner_last);
      filter(y0, y1);
      const int limit = y1 == inner_last ? stop_at : (y1 - 1) * s.width / kGranule * kGranule;
      for (; done < limit; done += std::min(chunk, limit - done))
        mix(done, std::min(chunk, limit - done), lane);
    }
    for (; done < stop_at && !stop_.stop_requested(); done += std::min(chunk, stop_at - done))
      mix(done, std::min(chunk, stop_at - done), lane);
  });
  if (!s.residual) std::swap(current_, other_);
}

void SynthesisRun::head(size_t i) {
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

Status synthesise(const Plan& plan, std::span<const PackedStep> packed, const Kernels& kernels,
                  const SynthesisJob& job, Maps& maps, const Crew& crew, std::stop_token stop) {
  return SynthesisRun(plan, packed, kernels, job, maps, crew, std::move(stop)).run();
}

}  // namespace mvinr
