#include <string>
#include <vector>

#include "base/try.h"
#include "geometry/warp.h"
#include "mvinr/warp.h"

namespace mvinr {
namespace {

PlacedCamera placed(const ViewInfo& view) {
  return {*view.camera, view.width, view.height, view.texture, view.depth};
}

class WarperImpl final : public Warper {
 public:
  WarperImpl(std::vector<ViewMap> maps, const PlacedCamera& target, int threads)
      : maps_(std::move(maps)), target_(target), pool_(threads) {}

  Status render(std::span<const Picture> textures, std::span<const Picture> depths,
                const MutablePicture* texture, const MutablePicture* depth) override {
    if (textures.size() != maps_.size() || depths.size() != maps_.size())
      return Error{ErrorCode::invalid_argument, "warp: one texture and one depth per base"};
    std::vector<BaseInput> inputs;
    for (size_t i = 0; i < maps_.size(); ++i) inputs.push_back({&maps_[i], textures[i], depths[i]});
    return warp_to_picture(inputs, target_, texture, depth, memory_, &pool_);
  }

  Result<double> coverage(size_t index, const Picture& depth) override {
    if (index >= maps_.size())
      return Error{ErrorCode::invalid_argument, "warp: there is no base " + std::to_string(index)};
    return mvinr::coverage(maps_[index], depth, memory_, &pool_);
  }

 private:
  std::vector<ViewMap> maps_;
  PlacedCamera target_;
  WarpMemory memory_;
  ThreadPool pool_;
};

}  // namespace

Result<std::unique_ptr<Warper>> Warper::create(std::span<const ViewInfo> bases,
                                               const ViewInfo& target, int threads) {
  const auto error = [](const std::string& what) {
    return Error{ErrorCode::invalid_argument, "warp: " + what};
  };
  if (!target.camera) return error("the target has no camera");
  if (bases.empty()) return error("no base");
  std::vector<ViewMap> maps;
  for (size_t i = 0; i < bases.size(); ++i) {
    const std::string name = "base " + std::to_string(i);
    if (!bases[i].camera) return error(name + " has no camera");
    auto map = make_view_map(placed(bases[i]), placed(target));
    if (!map) return error(name + ": " + map.error().message);
    maps.push_back(*map);
  }
  return std::unique_ptr<Warper>(
      std::make_unique<WarperImpl>(std::move(maps), placed(target), threads));
}

}  // namespace mvinr
