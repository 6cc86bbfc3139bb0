#include "decode/gop.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/try.h"
#include "format/camera_unit.h"
#include "format/model_units.h"

namespace mvinr {
namespace {

int64_t canvas_samples(const ModelConfig& m) {
  return int64_t{m.canvas_width} * m.canvas_height * m.views;
}

}  // namespace

uint64_t memory_of_this_machine() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return UINT64_MAX;
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) / 4 * 3;
}

uint64_t base_memory(const Header& header, int workers) {
  // Per sample of base and target: of WarpMemory, and of a picture that is displaced.
  constexpr uint64_t kWarpBytes = 40, kDisplacedBytes = 8;
  uint64_t pictures = 0, largest = 0;
  for (const ViewInfo& v : header.sequence.views)
    largest = std::max(largest, uint64_t(v.width) * uint64_t(v.height));
  for (const int base : header.base_views) {
    const ViewInfo& v = header.sequence.views[static_cast<size_t>(base)];
    pictures += uint64_t(v.width + 1) * uint64_t(v.height + 1) * uint64_t(header.frames) *
                uint64_t(3 * bytes_per_sample(v.texture) + 2 * bytes_per_sample(v.depth)) / 2;
  }
  const uint64_t maps = uint64_t(has_moving_cameras(header.sequence) ? header.frames : 1) *
                        header.base_views.size() * header.sequence.views.size();
  const uint64_t of_worker = kWarpBytes + kDisplacedBytes * header.model.flow_bases;
  return header.base_views.empty()
             ? 0
             : pictures + largest * of_worker * uint64_t(workers) + maps * sizeof(ViewMap);
}

Status check_limits(const Plan& plan, const MemoryNeed& need, const GopLimits& limits,
                    uint64_t other) {
  const uint64_t samples = static_cast<uint64_t>(canvas_samples(plan.config));
  if (samples > limits.max_samples)
    return Error{ErrorCode::limit_exceeded,
                 "the stream has " + std::to_string(samples) + " samples per frame, at most " +
                     std::to_string(limits.max_samples) + " are allowed"};
  uint64_t bytes = other + uint64_t{need.map_bytes()} * limits.workers +
                   uint64_t{need.lane_bytes()} * limits.workers;
  for (const TensorSpec& spec : plan.tensors)
    bytes += static_cast<uint64_t>(spec.count()) * sizeof(int16_t);
  for (const PlanStep& s : plan.steps)  // the static planes, if all of them are kept
    bytes += uint64_t{sizeof(int16_t)} * s.grid_channels * s.height * s.width * plan.config.views *
             (s.kind == StepKind::stem     ? 9
              : s.kind == StepKind::inject ? 1
                                           : 0);
  // Feature maps take 2 bytes per channel. 256 bytes per sample leave room for every profile on
  // the smallest limit that lets its samples through; the first 64 MiB are always allowed.
  uint64_t most = memory_of_this_machine();
  if (limits.max_samples < most / 256) most = limits.max_samples * 256;
  most = std::max<uint64_t>(most, 64u << 20);
  if (bytes > most)
    return Error{ErrorCode::limit_exceeded, "the stream needs " + std::to_string(bytes >> 20) +
                                                " MiB of memory, at most " +
                                                std::to_string(most >> 20) + " are allowed"};
  return ok();
}

Result<std::unique_ptr<Gop>> Gop::open(Bytes access_unit, const GopLimits& limits) {
  // The header alone first: nothing large is copied for a stream that is beyond the limits.
  MVINR_ASSIGN(const AccessUnit unit, parse_access_unit(access_unit));
  auto gop = std::make_unique<Gop>();
  if (unit.header.model.views > 0) {
    MVINR_ASSIGN(gop->plan_, make_plan(unit.header.model));
    gop->memory_ = memory_need(gop->plan_);
  }
  MVINR_TRY(
      check_limits(gop->plan_, gop->memory_, limits, base_memory(unit.header, limits.workers)));
  const Bytes bytes = access_unit.first(std::min<size_t>(access_unit.size(), unit.bytes));
  gop->bytes_.assign(bytes.begin(), bytes.end());
  MVINR_ASSIGN(gop->unit_, parse_access_unit(gop->bytes_));
  const Header& header = gop->unit_.header;
  gop->info_ = {.sequence = header.sequence,
                .first_frame = header.first_frame,
                .frames = header.frames,
                .bytes = unit.bytes,
                .base_views = header.base_views,
                .motion = header.model.motion};
  MVINR_TRY(gop->make_rig());
  MVINR_TRY(gop->decode_network_and_shared());
  return gop;
}

Error Gop::damaged(const std::string& what) const {
  if (bytes_.size() < info_.bytes)
    return {ErrorCode::truncated, what + " is missing: the access unit has " +
                                      std::to_string(info_.bytes) + " bytes, only " +
                                      std::to_string(bytes_.size()) + " are there"};
  return {ErrorCode::corrupt, what + " is damaged or missing"};
}

Status Gop::make_rig() {
  const std::vector<int> network = unit_.header.network_views();
  const std::vector<int>& bases = info_.base_views;
  network_view_.assign(info_.sequence.views.size(), -1);
  for (size_t k = 0; k < network.size(); ++k)
    network_view_[static_cast<size_t>(network[k])] = static_cast<int>(k);
  if (bases.empty()) return ok();
  for (auto& pictures : base_) pictures.resize(bases.size() * static_cast<size_t>(info_.frames));
  if (network.empty() || info_.motion == Motion::learned) return ok();
  auto poses = poses_of(unit_, bytes_.size());
  if (!poses) {
    // The header is there: base views can be shown. render() does not ask for more bytes.
    rig_status_ = Error{ErrorCode::corrupt, poses.error().message};
    return ok();
  }
  rig_ = Rig(info_.sequence, std::move(*poses));
  const Status made = rig_.make_maps(bases, network, info_.frames);
  return made ? ok() : Error{ErrorCode::corrupt, made.error().message};
}

std::vector<BaseUnit> Gop::base_units() const {
  std::vector<BaseUnit> units;
  for (const int view : info_.base_views)
    for (const Component component : {Component::texture, Component::depth}) {
      if (component == Component::depth && view_info(view).depth == SampleFormat::none) continue;
      if (const UnitView* unit = unit_.find(UnitType::base, base_unit_index(view, component)))
        units.push_back({view, component, unit->payload});
    }
  return units;
}

void Gop::set_base(const PictureId& id, const Picture& picture) {
  OwnedPicture& slot = base_[static_cast<size_t>(id.component)][base_slot(id)];
  if (slot.empty()) slot = OwnedPicture(picture.format, picture.width, picture.height);
  slot.copy_from(picture);
}

size_t Gop::base_slot(const PictureId& id) const {
  const auto& bases = info_.base_views;
  const auto at = std::find(bases.begin(), bases.end(), id.view) - bases.begin();
  return static_cast<size_t>(at) * static_cast<size_t>(info_.frames) +
         static_cast<size_t>(id.frame);
}

const OwnedPicture* Gop::base_picture(const PictureId& id) const {
  const OwnedPicture& picture = base_[static_cast<size_t>(id.component)][base_slot(id)];
  return picture.empty() ? nullptr : &picture;
}

Result<std::vector<BaseInput>> Gop::base_inputs(int frame, int view) const {
  MVINR_TRY(Status(rig_status_));
  const std::span<const ViewMap> maps = rig_.maps(frame, view);
  std::vector<BaseInput> inputs;
  for (size_t b = 0; b < info_.base_views.size(); ++b) {
    MVINR_ASSIGN(const BasePair pair, base_pair(frame, b));
    inputs.push_back({&maps[b], pair.texture, pair.depth});
  }
  return inputs;
}

Result<Gop::BasePair> Gop::base_pair(int frame, size_t base) const {
  BasePair pair;
  const int view = info_.base_views[base];
  for (const Component component : {Component::texture, Component::depth}) {
    if (component == Component::depth && view_info(view).depth == SampleFormat::none) continue;
    const PictureId id{frame, view, component};
    const OwnedPicture* picture = base_picture(id);
    if (picture == nullptr)
      return Error{ErrorCode::invalid_argument, "the " + picture_name(id) + " has not been set"};
    (component == Component::texture ? pair.texture : pair.depth) = picture->picture();
  }
  return pair;
}

Status Gop::decode_network_and_shared() {
  if (unit_.header.model.views == 0) return ok();
  const UnitView* network = unit_.find(UnitType::network);
  if (network == nullptr) return damaged("the network");
  model_ = empty_model(unit_.header.model);
  MVINR_TRY(decode_network(network->payload, model_));
  bool shared = false;
  for (const GridConfig& grid : plan_.config.grids) shared |= !grid.per_view;
  if (shared) {
    const UnitView* unit = unit_.find(UnitType::shared);
    if (unit == nullptr) return damaged("the unit of the shared grids");
    MVINR_TRY(decode_shared(unit->payload, model_));
    for (size_t i = 0; i < plan_.tensors.size(); ++i)
      if (plan_.tensors[i].unit == UnitType::shared)
        MVINR_TRY(check_tensor(plan_.tensors[i], model_.tensors[i]));
  }
  MVINR_ASSIGN(packed_, pack_network(plan_, model_.tensors));
  views_ = std::make_unique<View[]>(plan_.config.views);
  return ok();
}

Status Gop::read_view_unit(int view) {
  // The units and the messages have the numbers of the sequence's views.
  const std::vector<int> numbers = unit_.header.network_views();
  const auto number = [&](int k) { return numbers[static_cast<size_t>(k)]; };
  const std::string name = "the unit of view " + std::to_string(number(view));
  bool own_grids = false;
  for (const GridConfig& grid : plan_.config.grids) own_grids |= grid.per_view;
  if (!own_grids) return ok();
  const UnitView* unit = unit_.find(UnitType::view, number(view));
  if (unit == nullptr) {
    Error error = damaged(name);
    error.code = ErrorCode::corrupt;  // render() does not ask for more bytes
    return error;
  }
  MVINR_ASSIGN(const int reference, reference_of(view, unit->payload));
  if (reference >= 0) {
    // References point to lower views only, so that this ends and no two threads wait for each
    // other.
    const Status status = decode_symbols(reference);
    if (!status)
      return Error{status.error().code, name + " refers to view " +
                                            std::to_string(number(reference)) + ": " +
                                            status.error().message};
  }
  MVINR_TRY(decode_view(view, unit->payload, model_));
  for (size_t i = 0; i < plan_.tensors.size(); ++i)
    if (plan_.tensors[i].view == view) MVINR_TRY(check_tensor(plan_.tensors[i], model_.tensors[i]));
  return ok();
}

Status Gop::decode_symbols(int view) {
  View& v = views_[view];
  std::lock_guard lock(v.mutex);
  if (!v.decoded) {
    v.decode_status = read_view_unit(view);
    v.decoded = true;
  }
  return v.decode_status;
}

Status Gop::prepare(int view) {
  View& v = views_[view];
  const Status symbols = decode_symbols(view);
  std::lock_guard lock(v.mutex);
  if (v.prepared) return v.status;
  v.prepared = true;
  v.status = symbols;
  if (!symbols) return v.status;
  auto planes = make_static_planes(plan_, model_.tensors, view);
  if (planes)
    v.still = std::move(*planes);
  else
    v.status = planes.error();
  return v.status;
}

}  // namespace mvinr
