// describe_access_unit: an access unit in words.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>

#include "base/try.h"
#include "format/access_unit.h"
#include "format/camera_unit.h"
#include "format/model_units.h"

namespace mvinr {
namespace {

[[gnu::format(printf, 2, 3)]] void append(std::string& text, const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text += line;
}

std::string unit_name(UnitType type, int index) {
  switch (type) {
    case UnitType::network:
      return "network";
    case UnitType::shared:
      return "shared grids";
    case UnitType::view:
      return "grids of view " + std::to_string(index);
    case UnitType::base:
      return std::string(index % 2 == 0 ? "texture" : "depth") + " of base view " +
             std::to_string(index / 2);
    case UnitType::cameras:
      return "moving cameras";
  }
  return "unknown unit of type " + std::to_string(static_cast<int>(type)) + ", index " +
         std::to_string(index);
}

using UnitKey = std::pair<UnitType, int>;
/// `views`: Header::network_views().
UnitKey unit_of(const TensorSpec& tensor, const std::vector<int>& views) {
  return {tensor.unit, tensor.view < 0 ? 0 : views[static_cast<size_t>(tensor.view)]};
}

class Table {
 public:
  explicit Table(uint32_t total) : total_(total) {}

  void row(const std::string& name, uint64_t bytes, int64_t symbols, const char* remark = "") {
    append(text_, "  %-32s %10llu %7.2f %%", name.c_str(), static_cast<unsigned long long>(bytes),
           total_ > 0 ? 100.0 * static_cast<double>(bytes) / total_ : 0.0);
    if (symbols > 0)
      append(text_, " %11lld %11.3f", static_cast<long long>(symbols),
             8.0 * static_cast<double>(bytes) / static_cast<double>(symbols));
    text_ += std::string(remark) + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  uint32_t total_;
  std::string text_ =
      "where the bytes went:\n"
      "                                        bytes   percent     symbols bits/symbol\n";
};

std::string describe_bytes(const AccessUnit& unit, size_t available,
                           const std::vector<TensorSpec>& tensors) {
  const std::vector<int> views = unit.header.network_views();
  std::map<UnitKey, int64_t> symbols;
  int64_t all_symbols = 0;
  for (const TensorSpec& tensor : tensors) {
    symbols[unit_of(tensor, views)] += tensor.count();
    all_symbols += tensor.count();
  }
  Table table(unit.bytes);
  table.row("prefix and header", unit.header_bytes, 0);
  for (const UnitView& u : unit.units) {
    const auto known = symbols.find({u.type, u.index});
    table.row(unit_name(u.type, u.index), u.bytes, known != symbols.end() ? known->second : 0,
              u.intact ? "" : "  DAMAGED");
  }
  if (available < unit.bytes) table.row("not there", unit.bytes - available, 0, "  MISSING");
  table.row("total", unit.bytes, all_symbols);
  std::string text = table.text();
  double samples = 0;
  for (const ViewInfo& view : unit.header.sequence.views)
    samples += static_cast<double>(view.width) * view.height * unit.header.frames;
  append(text, "  %.5f bits per pixel (all views, texture and depth together)",
         8.0 * unit.bytes / samples);
  const Fraction& rate = unit.header.sequence.frame_rate;
  if (rate.num > 0)
    append(text, ", %.1f kbit/s", 8e-3 * unit.bytes * rate.num / rate.den / unit.header.frames);
  return text + "\n";
}

/// Above this nothing is decoded for the account of tensors: a description is to be quick.
constexpr int64_t kMostDecodedSymbols = int64_t{1} << 26;

/// The bits of every tensor of one unit, measured by decoding it.
Status decode_unit(const UnitView& unit, const std::vector<int>& views, CodedModel& model,
                   std::vector<TensorBits>& bits) {
  switch (unit.type) {
    case UnitType::network:
      return decode_network(unit.payload, model, &bits);
    case UnitType::shared:
      return decode_shared(unit.payload, model, &bits);
    case UnitType::view:
      for (size_t k = 0; k < views.size(); ++k)
        if (views[k] == unit.index)
          return decode_view(static_cast<int>(k), unit.payload, model, &bits);
      return Error{ErrorCode::corrupt, "there is no such view"};
    case UnitType::base:
    case UnitType::cameras:
      break;
  }
  return ok();
}

std::string describe_tensors(const AccessUnit& access_unit,
                             const std::vector<TensorSpec>& tensors) {
  std::string text =
      "tensors:                                bytes     symbols bits/symbol  steps  dimensions\n";
  const std::vector<int> views = access_unit.header.network_views();
  std::map<std::string, const TensorSpec*> by_name;
  std::map<UnitKey, std::vector<TensorBits>> missing;  // without bits
  int64_t symbols = 0;
  for (const TensorSpec& t : tensors) {
    by_name[t.name] = &t;
    missing[unit_of(t, views)].push_back({t.name, t.unit, t.view, t.count(), 0});
    symbols += t.count();
  }
  const auto row = [&](const TensorBits& tensor, bool measured) {
    append(text, "  %-32s ", tensor.name.c_str());
    measured ? append(text, "%10.1f", tensor.bits / 8) : append(text, "%10s", "?");
    append(text, " %11lld ", static_cast<long long>(tensor.symbols));
    measured&& tensor.symbols > 0
        ? append(text, "%11.3f", tensor.bits / static_cast<double>(tensor.symbols))
        : append(text, "%11s", "");
    if (const auto spec = by_name.find(tensor.name); spec != by_name.end()) {
      append(text, " %6d  ", spec->second->step_count());
      for (size_t i = 0; i < spec->second->dims.size(); ++i)
        append(text, i == 0 ? "%d" : " x %d", spec->second->dims[i]);
    }
    text += "\n";
  };

  CodedModel model = empty_model(access_unit.header.model);
  for (const UnitView& unit : access_unit.units) {
    const auto known = missing.find({unit.type, unit.index});
    if (!unit.intact || known == missing.end() || symbols > kMostDecodedSymbols) continue;
    std::vector<TensorBits> bits;
    if (const Status status = decode_unit(unit, views, model, bits); !status) {
      text +=
          "  " + unit_name(unit.type, unit.index) + ": DAMAGED, " + status.error().message + "\n";
      continue;
    }
    for (const TensorBits& tensor : bits) row(tensor, true);
    missing.erase(known);
  }
  for (const auto& [unit, list] : missing)
    for (const TensorBits& tensor : list) row(tensor, false);
  return text;
}

/// Where the moving cameras begin and end.
std::string describe_poses(const AccessUnit& unit, size_t available) {
  if (!has_moving_cameras(unit.header.sequence)) return "";
  const auto poses = poses_of(unit, available);
  if (!poses) return "moving cameras: " + poses.error().message + "\n";
  std::string text =
      "moving cameras:      frame   position (m)                    yaw, pitch, roll (degrees)\n";
  for (size_t v = 0; v < unit.header.sequence.views.size(); ++v) {
    if (!is_moving(unit.header.sequence.views[v])) continue;
    for (size_t t = 0; t < poses->size(); t += std::max<size_t>(poses->size() - 1, 1)) {
      const auto& [p, r] = (*poses)[t][v];
      append(text, "  view %-12zu %7zu   %9.4f %9.4f %9.4f   %9.3f %9.3f %9.3f\n", v, t,
             double{p[0]}, double{p[1]}, double{p[2]}, double{r[0]}, double{r[1]}, double{r[2]});
    }
  }
  return text;
}

}  // namespace

Result<std::string> describe_access_unit(Bytes data) {
  MVINR_ASSIGN(const AccessUnit unit, parse_access_unit(data));
  const std::vector<TensorSpec> tensors = tensor_specs(unit.header.model);
  std::string text;
  append(text, "access unit: version %d, flags 0, %u bytes, of these prefix %zu, header %zu\n",
         kBitstreamVersion, unit.bytes, kAccessUnitPrefixBytes,
         unit.header_bytes - kAccessUnitPrefixBytes);
  text += describe_header(unit.header);
  text += describe_poses(unit, data.size());
  text += describe_bytes(unit, data.size(), tensors);
  return text + describe_tensors(unit, tensors);
}

}  // namespace mvinr
