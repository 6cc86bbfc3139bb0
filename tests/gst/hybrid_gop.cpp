#include "hybrid_gop.h"

#include <stdexcept>

#include "base_coder.h"
#include "format/access_unit.h"
#include "format/camera_unit.h"
#include "format/model_units.h"
#include "testutil/clip.h"
#include "unit/random_model.h"

namespace mvinr::testutil {
namespace {

constexpr int kWidth = 48, kHeight = 40;

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

std::vector<gst::CodedSource> code_bases(const Clip& clip, const HybridOptions& options) {
  const auto coder = must(gst::BaseCoder::create(
      options.encoder, 20, 20, must(gst::base_sources(clip.sequence, options.base_views))));
  return must(coder->encode(clip.frames, [&](const PictureId& id) -> Result<Picture> {
    return clip.at(id.frame, id.view, id.component).picture();
  }));
}

const UnitView& base_unit(const AccessUnit& unit, int view, Component component) {
  const UnitView* found = unit.find(UnitType::base, base_unit_index(view, component));
  if (!found) throw std::runtime_error("no such BASE unit");
  return *found;
}

}  // namespace

Data make_hybrid_gop(const HybridOptions& options) {
  Clip clip = make_clip({.views = options.views,
                         .frames = options.frames,
                         .width = kWidth,
                         .height = kHeight,
                         .seed = options.seed});
  clip.sequence.frame_rate = {25, 1};
  if (options.moving) clip.sequence = moving(clip.sequence);
  Header header{.sequence = clip.sequence,
                .first_frame = options.first_frame,
                .frames = options.frames,
                .base_views = options.base_views};
  const std::vector<int> network_views = header.network_views();
  header.model = test_configs().front().config;
  header.model.frames = uint16_t(options.frames);
  header.model.views = uint8_t(network_views.size());
  header.model.canvas_width = kWidth;
  header.model.canvas_height = kHeight;
  header.model.depth = header.model.prediction = true;
  auto units = must(encode_model(random_coded_model(header.model, options.seed)));
  for (UnitPayload& unit : units)
    if (unit.type == UnitType::view) unit.index = network_views[size_t(unit.index)];
  for (gst::CodedSource& source : code_bases(clip, options))
    units.push_back({UnitType::base, base_unit_index(source.view, source.component),
                     std::move(source.coded.payload)});
  if (options.moving)
    units.push_back({UnitType::cameras, 0,
                     must(write_poses(clip.sequence, poses_for(clip.sequence, options.frames)))});
  return must(write_access_unit(header, units));
}

std::vector<Data> make_hybrid_gops(int count, const HybridOptions& options) {
  std::vector<Data> gops;
  HybridOptions next = options;
  for (int i = 0; i < count; ++i, ++next.seed, next.first_frame += uint64_t(options.frames))
    gops.push_back(make_hybrid_gop(next));
  return gops;
}

Data with_damaged_base(Data access_unit, int view, Component component) {
  const auto parsed = must(parse_access_unit(access_unit));
  const UnitView& hit = base_unit(parsed, view, component);
  access_unit[hit.offset + hit.bytes / 2 + kUnitHeaderBytes / 2] ^= std::byte{0x10};
  return access_unit;
}

Data with_base_payload(const Data& access_unit, int view, Component component,
                       const std::function<Data(Bytes)>& change) {
  const auto parsed = must(parse_access_unit(access_unit));
  const UnitView& hit = base_unit(parsed, view, component);
  std::vector<UnitPayload> units;
  for (const UnitView& unit : parsed.units)
    units.push_back(
        {unit.type, unit.index,
         &unit == &hit ? change(unit.payload) : Data(unit.payload.begin(), unit.payload.end())});
  return must(write_access_unit(parsed.header, units));
}

Data noise_for(Bytes payload) {
  const BasePayload base = must(read_base_payload(payload));
  std::vector<Data> packets;
  uint32_t state = 1;
  for (const Bytes& packet : base.packets) {
    Data& noise = packets.emplace_back(packet.size());
    for (std::byte& b : noise) b = std::byte((state = state * 69069 + 1) >> 24);
  }
  const std::vector<Bytes> spans(packets.begin(), packets.end());
  return must(write_base_payload(base.caps, spans));
}

Data payload_in(const std::string& caps) {
  const Data packet(10, std::byte{7});
  const Bytes packets[] = {packet};
  return must(write_base_payload(caps, packets));
}

}  // namespace mvinr::testutil
