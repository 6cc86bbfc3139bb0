#include "train/base_store.h"

#include <algorithm>

#include "base/try.h"
#include "geometry/warp.h"
#include "kernels/buffers.h"

namespace mvinr {

Status BaseStore::add(const PictureId& id, const Picture& picture) {
  if (std::find(base_views_.begin(), base_views_.end(), id.view) == base_views_.end())
    return Error{ErrorCode::invalid_argument,
                 "view " + std::to_string(id.view) + " is not a base view"};
  const ViewInfo& view = sequence_.views[size_t(id.view)];
  const SampleFormat format = id.component == Component::texture ? view.texture : view.depth;
  if (picture.format != format || picture.width != view.width || picture.height != view.height)
    return Error{ErrorCode::invalid_argument,
                 "the decoded " + picture_name(id) + " is not of the format and size of its view"};
  OwnedPicture& own = pictures_[key(id)];
  own = OwnedPicture(format, view.width, view.height);
  own.copy_from(picture);
  return ok();
}

Status BaseStore::add_unit(int view, Component component, std::vector<std::byte> payload) {
  if (std::find(base_views_.begin(), base_views_.end(), view) == base_views_.end())
    return Error{ErrorCode::invalid_argument,
                 "view " + std::to_string(view) + " is not a base view"};
  units_[{view, int(component)}] = std::move(payload);
  return ok();
}

void BaseStore::clear() {
  pictures_.clear();
  units_.clear();
  predictions_.clear();
  displaced_.clear();
}

Status BaseStore::complete(int frames) const {
  for (const int view : base_views_) {
    for (const Component c : {Component::texture, Component::depth}) {
      if (c == Component::depth && sequence_.views[size_t(view)].depth == SampleFormat::none)
        continue;
      for (int t = 0; t < frames; ++t)
        if (!pictures_.contains(key({t, view, c})))
          return Error{ErrorCode::invalid_argument,
                       "the decoded " + picture_name({t, view, c}) + " is missing"};
      if (!units_.contains({view, int(c)}))
        return Error{ErrorCode::invalid_argument,
                     std::string("the BASE unit of the ") +
                         (c == Component::texture ? "texture" : "depth") + " of view " +
                         std::to_string(view) + " is missing"};
    }
  }
  return ok();
}

std::vector<UnitPayload> BaseStore::units() const {
  std::vector<UnitPayload> units;
  for (const auto& [id, payload] : units_)
    units.push_back({UnitType::base, base_unit_index(id.first, Component(id.second)), payload});
  return units;
}

Status BaseStore::predict(const ModelConfig& config, const std::vector<int>& views, Poses poses,
                          std::stop_token stop) {
  predictions_.clear();
  displaced_.clear();
  if (base_views_.empty()) return ok();
  if (config.motion == Motion::learned) return prepare_bases(config, stop);
  const bool refined = config.motion == Motion::refined;
  Rig rig(sequence_, std::move(poses));
  MVINR_TRY(rig.make_maps(base_views_, views, config.frames));
  const int h = config.canvas_height / 2, w = config.canvas_width / 2;
  const int64_t stride = plane_stride(h, w), planes = config.prediction_planes();
  const at::Tensor warped = at::empty({planes, stride}, at::kShort);
  WarpMemory memory;
  const int frames = config.frames;
  for (int t = 0; t < frames; ++t) {
    std::vector<at::Tensor> of_views;
    std::vector<DisplacedPicture> to_move(refined ? views.size() : 0);
    for (size_t k = 0; k < views.size(); ++k) {
      if (stop.stop_requested()) return Error{ErrorCode::cancelled, "encoding was stopped"};
      const std::span<const ViewMap> maps = rig.maps(t, views[k]);
      std::vector<BaseInput> inputs;
      for (size_t b = 0; b < base_views_.size(); ++b)
        inputs.push_back({&maps[b], at({t, base_views_[b], Component::texture}).picture(),
                          at({t, base_views_[b], Component::depth}).picture()});
      MVINR_TRY(warp(inputs, rig.placed(t, views[k]),
                     {warped.mutable_data_ptr<int16_t>(), stride, w, h}, memory));
      if (refined) {
        MVINR_TRY(
            prepare_displaced({warped.mutable_data_ptr<int16_t>(), stride, w, h}, to_move[k]));
        continue;
      }
      of_views.push_back(
          warped.narrow(1, 0, int64_t(h) * w).view({planes, h, w}).permute({1, 2, 0}).contiguous());
    }
    if (refined)
      displaced_.push_back(std::move(to_move));
    else
      predictions_.push_back(at::stack(of_views));
  }
  return ok();
}

Status BaseStore::prepare_bases(const ModelConfig& config, std::stop_token stop) {
  for (int t = 0; t < config.frames; ++t) {
    if (stop.stop_requested()) return Error{ErrorCode::cancelled, "encoding was stopped"};
    std::vector<DisplacedPicture> pictures(base_views_.size());
    for (size_t b = 0; b < pictures.size(); ++b) {
      const int view = base_views_[b];
      const Picture texture = at({t, view, Component::texture}).picture();
      Picture depth;
      if (config.depth && sequence_.views[size_t(view)].depth != SampleFormat::none)
        depth = at({t, view, Component::depth}).picture();
      MVINR_TRY(prepare_displaced(texture, depth.format != SampleFormat::none ? &depth : nullptr,
                                  pictures[b]));
    }
    displaced_.push_back(std::move(pictures));
  }
  return ok();
}

std::vector<DisplaceBase> BaseStore::displaced(const ModelConfig& config, int frame,
                                               const std::vector<int64_t>& views) const {
  std::vector<DisplaceBase> bases;
  if (displaced_.empty()) return bases;
  const std::vector<DisplacedPicture>& pictures = displaced_[size_t(frame)];
  for (const int64_t view : views) {
    if (config.motion == Motion::refined) {
      bases.push_back({&pictures[size_t(view)]});
      continue;
    }
    for (size_t b = 0; b < pictures.size(); ++b) {
      const Offset& offset = config.offsets[size_t(view) * pictures.size() + b];
      bases.push_back({&pictures[b], offset.x, offset.y});
    }
  }
  return bases;
}

at::Tensor BaseStore::prediction(int frame, const std::vector<int64_t>& views,
                                 at::Device device) const {
  if (predictions_.empty()) return {};
  const at::Tensor& all = predictions_[size_t(frame)];
  if (views.size() == 1) return all.narrow(0, views[0], 1).to(device);
  std::vector<at::Tensor> parts;
  for (const int64_t view : views) parts.push_back(all.select(0, view));
  return at::stack(parts).to(device);
}

}  // namespace mvinr
