#include <algorithm>
#include <string>
#include <vector>

#include "base/owned_picture.h"
#include "base/try.h"
#include "mvinr/warp.h"

namespace mvinr {
namespace {

template <class Sample>
double squared_error(const Picture& a, const Picture& b, double peak) {
  double sum = 0;
  for (int y = 0; y < a.height; ++y) {
    const auto* p = reinterpret_cast<const Sample*>(a.data[0] + y * a.stride[0]);
    const auto* q = reinterpret_cast<const Sample*>(b.data[0] + y * b.stride[0]);
    for (int x = 0; x < a.width; ++x) {
      const double e = (double(p[x]) - double(q[x])) / peak;
      sum += e * e;
    }
  }
  return sum / (double(a.width) * a.height);
}

double luma_error(const Picture& a, const Picture& b) {
  const double peak = (1 << bit_depth(a.format)) - 1;
  return bytes_per_sample(a.format) == 1 ? squared_error<uint8_t>(a, b, peak)
                                         : squared_error<uint16_t>(a, b, peak);
}

}  // namespace

Result<std::vector<double>> prediction_errors(std::span<const Instant> instants,
                                              std::span<const int> bases) {
  const auto error = [](const std::string& what) {
    return Error{ErrorCode::invalid_argument, "prediction: " + what};
  };
  if (instants.empty() || bases.empty()) return error("no instant or no base view");
  const size_t count = instants[0].views.size();
  std::vector<double> errors(count);
  for (const Instant& instant : instants) {
    if (instant.views.size() != count || instant.depths.size() != count ||
        instant.textures.size() != count)
      return error("the instants differ in their views");
    std::vector<ViewInfo> infos;
    std::vector<Picture> textures, depths;
    for (const int base : bases) {
      if (base < 0 || size_t(base) >= count)
        return error("there is no view " + std::to_string(base));
      infos.push_back(instant.views[size_t(base)]);
      textures.push_back(instant.textures[size_t(base)]);
      depths.push_back(instant.depths[size_t(base)]);
    }
    for (size_t v = 0; v < count; ++v) {
      if (std::find(bases.begin(), bases.end(), int(v)) != bases.end()) continue;
      const ViewInfo& view = instant.views[v];
      if (instant.textures[v].width != view.width || instant.textures[v].height != view.height)
        return error("the texture of view " + std::to_string(v) + " is missing");
      MVINR_ASSIGN(const auto warper, Warper::create(infos, view));
      OwnedPicture predicted(view.texture, view.width, view.height);
      const MutablePicture out = predicted.writable();
      MVINR_TRY(warper->render(textures, depths, &out, nullptr));
      errors[v] += luma_error(instant.textures[v], predicted.picture()) / double(instants.size());
    }
  }
  return errors;
}

}  // namespace mvinr
