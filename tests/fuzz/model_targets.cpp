// Targets below the decoder's surface: the payloads of units, and synthesis with hostile weights.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "../unit/base_pictures.h"
#include "../unit/random_model.h"
#include "format/access_unit.h"
#include "format/model_units.h"
#include "mvinr/decoder.h"
#include "targets.h"
#include "tools/picture_buffer.h"

namespace mvinr::fuzz {
namespace {

constexpr int64_t kMaxSymbols = 1 << 18;  // of a whole model: keeps one run short
constexpr size_t kBytesPerChange = 6;     // tensor, position, symbol, step
constexpr int kMaxWeight = 127, kMaxOther = 2047;

void require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

template <typename T>
bool succeeded(const Result<T>& result, const char* function) {
  if (result.has_value()) return true;
  require(result.error().code != ErrorCode::internal,
          std::string(function) + ": " + result.error().message);
  return false;
}

bool is_inside(Bytes part, Bytes whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

/// Decodes every unit of a GOP; false if one of them is damaged or missing.
bool decode_all(const AccessUnit& unit, CodedModel& model, std::vector<TensorBits>* accounting) {
  const auto payload = [&](UnitType type, int index) {
    const UnitView* found = unit.find(type, index);
    return found == nullptr ? Bytes{} : found->payload;
  };
  bool shared = false, per_view = false;
  for (const GridConfig& grid : model.config.grids) (grid.per_view ? per_view : shared) = true;
  bool all = succeeded(decode_network(payload(UnitType::network, 0), model, accounting), "network");
  // Damaged units too: what failed must leave a model that the next call can work with.
  if (shared)
    all &= succeeded(decode_shared(payload(UnitType::shared, 0), model, accounting), "shared");
  const std::vector<int> views = unit.header.network_views();
  for (int v = 0; per_view && v < model.config.views; ++v) {
    const Bytes view = payload(UnitType::view, views[size_t(v)]);
    const auto reference = reference_of(v, view);
    if (succeeded(reference, "reference_of"))
      require(*reference >= -1 && *reference < v, "a reference to a later view");
    all &= succeeded(decode_view(v, view, model, accounting), "view");
  }
  return all;
}

void require_equal(const CodedModel& a, const CodedModel& b) {
  for (size_t i = 0; i < a.tensors.size(); ++i)
    require(
        a.tensors[i].symbols == b.tensors[i].symbols && a.tensors[i].steps == b.tensors[i].steps,
        "tensor " + std::to_string(i) + " changed when it was written again");
}

/// Both components of one picture, one after the other; nothing if it cannot be rendered.
std::vector<std::byte> render(Decoder& decoder, const GopInfo& gop, int frame, int v) {
  const ViewInfo& view = gop.sequence.views[size_t(v)];
  tools::PictureBuffer texture(view.texture, view.width, view.height);
  tools::PictureBuffer depth(view.depth, view.width, view.height);
  MutablePicture out_texture = texture.mutable_picture(), out_depth = depth.mutable_picture();
  const RenderJob job{.frame = frame,
                      .view = v,
                      .texture = &out_texture,
                      .depth = view.depth == SampleFormat::none ? nullptr : &out_depth};
  if (!succeeded(decoder.render({&job, 1}), "render")) return {};
  std::vector<std::byte> all(texture.bytes().begin(), texture.bytes().end());
  all.insert(all.end(), depth.bytes().begin(), depth.bytes().end());
  return all;
}

std::vector<std::unique_ptr<Decoder>> decoder_per_kernel_set() {
  std::vector<std::unique_ptr<Decoder>> decoders;
  for (const std::string& kernels : available_kernels()) {
    auto created = Decoder::create({.threads = 1, .kernels = kernels});
    require(created.has_value(), "no decoder with the kernels " + kernels);
    decoders.push_back(std::move(*created));
  }
  return decoders;
}

}  // namespace

void units(Bytes data) {
  const auto unit = parse_access_unit(data);
  if (!succeeded(unit, "parse_access_unit")) return;
  require(unit->units.size() <= size_t{kMaxUnits}, "more units than allowed");
  for (const UnitView& u : unit->units)
    require(is_inside(u.payload, data) && u.offset + u.bytes <= data.size(), "a unit outside");
  for (const UnitView& u : unit->units)
    if (u.intact && u.type == UnitType::base)
      succeeded(read_base_payload(u.payload), "read_base_payload");
  succeeded(describe_access_unit(data), "describe_access_unit");
  require(!describe_header(unit->header).empty(), "a header without description");

  int64_t symbols = 0;
  for (const TensorSpec& spec : tensor_specs(unit->header.model)) symbols += spec.count();
  if (symbols > kMaxSymbols) return;
  CodedModel model = empty_model(unit->header.model);
  std::vector<TensorBits> accounting;
  if (!decode_all(*unit, model, &accounting)) return;
  for (const TensorBits& entry : accounting)
    require(entry.bits >= 0, entry.name + " has a negative number of bits");

  // What could be read can be written, and reads as the same again.
  auto written = encode_model(model);
  require(written.has_value(), "a model that was read cannot be written");
  const std::vector<int> views = unit->header.network_views();
  for (UnitPayload& u : *written)
    if (u.type == UnitType::view) u.index = views[size_t(u.index)];
  const auto again = write_access_unit(unit->header, *written);
  require(again.has_value(), "an access unit that was read cannot be written");
  const auto reread = parse_access_unit(*again);
  require(reread.has_value() && reread->header == unit->header, "a header changed");
  CodedModel copy = empty_model(unit->header.model);
  require(decode_all(*reread, copy, nullptr), "a model that was written cannot be read");
  require_equal(model, copy);
}

void kernels(Bytes data) {
  static const std::vector<testutil::NamedConfig> configs = testutil::test_configs();
  static const std::vector<std::unique_ptr<Decoder>> decoders = decoder_per_kernel_set();
  if (data.size() < 4) return;
  // 0: architecture and set of kernels, 1: content and frame, 2 and 3: seed and view, then changes
  // of tensors.
  const auto at = [&](size_t i) { return uint32_t(data[i]); };
  const ModelConfig& config = configs[at(0) % configs.size()].config;
  CodedModel model = testutil::random_coded_model(
      config, at(2) | at(3) << 8,
      at(1) % 2 != 0 ? testutil::Content::extreme : testutil::Content::natural);
  const std::vector<TensorSpec> specs = tensor_specs(config);
  for (size_t i = 4; i + kBytesPerChange <= data.size(); i += kBytesPerChange) {
    const size_t index = at(i) % specs.size();
    CodedTensor& tensor = model.tensors[index];
    const int most = specs[index].kind == TensorKind::weight ? kMaxWeight : kMaxOther;
    const size_t position = (at(i + 1) | at(i + 2) << 8) % tensor.symbols.size();
    const int value = int16_t(at(i + 3) | at(i + 4) << 8);
    if ((at(1) & 2) != 0)  // the whole tensor
      std::fill(tensor.symbols.begin(), tensor.symbols.end(), int16_t(value % (most + 1)));
    else
      tensor.symbols[position] = int16_t(value % (most + 1));
    tensor.steps[position % tensor.steps.size()] = int8_t(at(i + 5));
  }
  const auto bytes = testutil::access_unit_of(model, testutil::sequence_for(config));

  // The reference kernels are the first set; each other one must give the same samples.
  if (decoders.size() < 2) return;
  Decoder& reference = *decoders.front();
  Decoder& fast = *decoders[1 + at(0) / configs.size() % (decoders.size() - 1)];
  const auto gop = reference.start_gop(bytes);
  const auto other = fast.start_gop(bytes);
  require(succeeded(gop, "start_gop") == succeeded(other, "start_gop"),
          "a GOP is accepted by one set of kernels only");
  if (!gop) return;
  const testutil::BasePictures bases(*gop, at(2));
  bases.give_to(reference);
  bases.give_to(fast);
  const int views = int(gop->sequence.views.size());
  const int frame = int(at(1) / 4) % config.frames, view = int(at(2)) % views;
  require(render(reference, *gop, frame, view) == render(fast, *gop, frame, view),
          "kernels differ from the reference");
}

}  // namespace mvinr::fuzz
