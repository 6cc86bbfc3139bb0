// The displacements of motion learned and refined (docs/bitstream.md 8).
#include "decode/synthesis_run.h"

namespace mvinr {

void SynthesisRun::flow(size_t i) {
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
    const Plane16 out =
        plane16_at(maps_.flow[to].data(), s.outputs, config.stage_height(k), config.stage_width(k));
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

}  // namespace mvinr
