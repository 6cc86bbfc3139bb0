#include "train/prune.h"

#include <torch/types.h>

#include <cmath>

namespace mvinr {
namespace {

bool prunable(const Parameter& p) {
  const std::string& n = p.spec.name;
  return p.spec.kind == TensorKind::weight && !n.starts_with("head.") &&
         !n.ends_with("local.weight") && !n.ends_with("grid.weight") && !n.ends_with("flow.weight");
}

at::Tensor score(const Parameter& p) { return p.value.abs() / std::sqrt(double(p.value.numel())); }

}  // namespace

void prune(Network& net, double ratio) {
  torch::NoGradGuard guard;
  std::vector<at::Tensor> scores;
  for (const Parameter& p : net.parameters)
    if (prunable(p)) scores.push_back(score(p).flatten());
  if (scores.empty()) return;
  const at::Tensor all = at::cat(scores);
  const int64_t k = int64_t(std::floor(ratio * double(all.numel())));
  if (k < 1) return;
  const at::Tensor threshold = std::get<0>(all.kthvalue(k));
  for (Parameter& p : net.parameters) {
    if (!prunable(p)) continue;
    p.mask = (score(p) > threshold).to(at::kFloat);
    p.value.mul_(p.mask);
  }
}

}  // namespace mvinr
