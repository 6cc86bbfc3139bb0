// Access units by their units, without decoding them: what is there, and parts of them.
#include <algorithm>
#include <optional>

#include "base/try.h"
#include "format/access_unit.h"
#include "format/header.h"
#include "format/model_units.h"
#include "geometry/rig.h"

namespace mvinr {
namespace {

bool has_grids(const ModelConfig& model, bool per_view) {
  return std::any_of(model.grids.begin(), model.grids.end(),
                     [&](const GridConfig& grid) { return grid.per_view == per_view; });
}

/// All bytes are there, and every CRC is right: what is not listed was never meant to be.
bool is_whole(const AccessUnit& unit, Bytes data) {
  return data.size() >= unit.bytes && std::all_of(unit.units.begin(), unit.units.end(),
                                                  [](const UnitView& u) { return u.intact; });
}

/// Of a view that the network renders: the view that its intact unit refers to, or -1; nothing if
/// there is no such unit or it names a view that it may not.
std::optional<int> reference(const AccessUnit& unit, const std::vector<int>& views, int view) {
  const UnitView* own = unit.find(UnitType::view, view);
  if (own == nullptr) return {};
  // References count the views of the network.
  const auto place = std::find(views.begin(), views.end(), view) - views.begin();
  const auto target = reference_of(static_cast<int>(place), own->payload);
  if (!target) return {};
  return *target < 0 ? -1 : views[static_cast<size_t>(*target)];
}

bool is_base(const Header& header, int view) {
  return std::find(header.base_views.begin(), header.base_views.end(), view) !=
         header.base_views.end();
}

bool has_base(const AccessUnit& unit, int view) {
  const bool depth =
      unit.header.sequence.views[static_cast<size_t>(view)].depth != SampleFormat::none;
  return unit.find(UnitType::base, base_unit_index(view, Component::texture)) != nullptr &&
         (!depth || unit.find(UnitType::base, base_unit_index(view, Component::depth)) != nullptr);
}

}  // namespace

Result<std::vector<UnitInfo>> list_units(Bytes data) {
  MVINR_ASSIGN(const AccessUnit unit, parse_access_unit(data));
  std::vector<UnitInfo> list;
  for (const UnitView& u : unit.units)
    list.push_back({static_cast<int>(u.type), u.index, u.offset, u.bytes, u.intact});
  return list;
}

Result<std::vector<ViewState>> view_states(Bytes access_unit) {
  MVINR_ASSIGN(const AccessUnit unit, parse_access_unit(access_unit));
  const ModelConfig& model = unit.header.model;
  if (model.views > 0 && unit.find(UnitType::network) == nullptr)
    return Error{ErrorCode::corrupt, "the network is damaged or missing"};
  if (has_grids(model, false) && unit.find(UnitType::shared) == nullptr)
    return Error{ErrorCode::corrupt, "the unit of the shared grids is damaged or missing"};
  const Header& header = unit.header;
  const std::vector<int> network = header.network_views();
  const bool own_units = has_grids(model, true);
  std::vector<ViewState> states(header.sequence.views.size(), ViewState::there);
  const ViewState missing = is_whole(unit, access_unit) ? ViewState::left_out : ViewState::damaged;
  // Without the poses of moving cameras nothing can be predicted.
  bool predictable = header.base_views.empty() || model.motion == Motion::learned ||
                     !has_moving_cameras(header.sequence) ||
                     unit.find(UnitType::cameras) != nullptr;
  for (const int view : header.base_views) {
    if (has_base(unit, view)) continue;
    states[static_cast<size_t>(view)] = missing;
    predictable = false;
  }
  for (const int view : network) {
    ViewState& state = states[static_cast<size_t>(view)];
    if (!predictable || (own_units && unit.find(UnitType::view, view) == nullptr))
      state = missing;
    else if (const auto target = own_units ? reference(unit, network, view) : -1; !target)
      state = ViewState::damaged;
    else if (*target >= 0)
      state = states[static_cast<size_t>(*target)];
  }
  return states;
}

Result<std::vector<std::byte>> filter_access_unit(Bytes access_unit, std::span<const int> views) {
  MVINR_ASSIGN(const AccessUnit unit, parse_access_unit(access_unit));
  const Header& header = unit.header;
  const std::vector<int> network = header.network_views();
  const int count = static_cast<int>(header.sequence.views.size());
  std::vector<bool> keep(static_cast<size_t>(count));
  for (const int view : views) {
    if (view < 0 || view >= count)
      return Error{ErrorCode::invalid_argument, "there is no view " + std::to_string(view) +
                                                    ", the stream has views 0.." +
                                                    std::to_string(count - 1)};
    keep[static_cast<size_t>(view)] = true;
    if (is_base(header, view)) continue;
    for (const int base : header.base_views) keep[static_cast<size_t>(base)] = true;
    // References point to lower views, so that this ends.
    for (std::optional<int> v = view; v && *v >= 0; v = reference(unit, network, *v))
      keep[static_cast<size_t>(*v)] = true;
  }
  std::vector<std::byte> units;
  for (const UnitView& u : unit.units) {
    const bool base = u.type == UnitType::base && is_base(header, u.index / 2);
    const int view = u.type == UnitType::view ? u.index : base ? u.index / 2 : -1;
    // A unit that is not intact may be of another type or view than it seems.
    const bool unwanted = u.intact && view >= 0 && view < count && !keep[static_cast<size_t>(view)];
    const Bytes bytes = access_unit.subspan(u.offset, u.bytes);
    if (!unwanted) units.insert(units.end(), bytes.begin(), bytes.end());
  }
  return join_access_unit(access_unit, units);
}

Result<std::vector<std::byte>> join_access_unit(Bytes beginning, Bytes units) {
  MVINR_ASSIGN(const Beginning parsed, read_beginning(beginning));
  MVINR_ASSIGN(std::vector<std::byte> out, write_beginning(parsed.header, units.size()));
  out.insert(out.end(), units.begin(), units.end());
  return out;
}

}  // namespace mvinr
