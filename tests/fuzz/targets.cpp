#include "targets.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "../unit/base_pictures.h"
#include "base/crc32.h"
#include "format/access_unit.h"
#include "mvinr/decoder.h"
#include "mvinr/stream.h"
#include "tools/picture_buffer.h"

namespace mvinr::fuzz {
namespace {

constexpr uint64_t kMaxSamples = 1 << 16;      // canvas samples x views: keeps one run short
constexpr uint64_t kMaxBaseSamples = 1 << 18;  // of all base pictures of a GOP

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

template <typename T>
bool succeeded(const Result<T>& result, const char* function) {
  if (result.has_value()) return true;
  require(result.error().code != ErrorCode::internal, function);
  require(!result.error().message.empty(), "an error without a message");
  return false;
}

uint32_t read_u32(Bytes data, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t(data[at + i]) << (8 * i);
  return value;
}

void write_u32(std::vector<std::byte>& data, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) data[at + i] = std::byte(value >> (8 * i));
}

}  // namespace

void header(Bytes data) {
  const size_t start = find_access_unit(data);
  require(start <= data.size(), "find_access_unit left the data");
  const Bytes rest = data.subspan(start);
  const auto size = access_unit_bytes(rest);
  const auto info = read_gop_info(rest);
  if (succeeded(size, "access_unit_bytes"))
    require(*size <= kMaxAccessUnitBytes, "an access unit above the limit");
  if (succeeded(info, "read_gop_info")) {
    require(size.has_value() && info->bytes == *size, "two sizes of one access unit");
    succeeded(validate(info->sequence), "validate");
    require(validate(info->sequence).has_value(), "an invalid sequence was accepted");
  }
  succeeded(describe_access_unit(rest), "describe_access_unit");
  if (const auto cameras = read_cameras(rest); succeeded(cameras, "read_cameras"))
    require(cameras->size() == size_t(info->frames) &&
                cameras->front().size() == info->sequence.views.size(),
            "cameras of other frames or views");
  const auto states = view_states(rest);
  if (succeeded(states, "view_states"))
    require(states->size() == info->sequence.views.size(), "states of other views");
  const int first_view[] = {0};
  const auto filtered = filter_access_unit(rest, first_view);
  if (succeeded(filtered, "filter_access_unit"))
    require(access_unit_bytes(*filtered).value() == filtered->size(), "a filtered unit's size");
}

void access_unit(Bytes data) {
  static const std::unique_ptr<Decoder> decoder = [] {
    auto created = Decoder::create({.threads = 1, .max_samples = kMaxSamples});
    return std::move(created).value();
  }();
  const auto gop = decoder->start_gop(data);
  if (!succeeded(gop, "start_gop")) return;
  const auto& views = gop->sequence.views;
  require(!views.empty() && gop->frames >= 1, "an empty GOP was accepted");
  for (const BaseUnit& unit : decoder->base_units())
    succeeded(read_base_payload(unit.payload), "read_base_payload");
  // Any pictures do; every second hybrid GOP is rendered without them.
  uint64_t base_samples = 0;
  for (const int v : gop->base_views)
    base_samples += uint64_t(views[size_t(v)].width) * uint64_t(views[size_t(v)].height);
  if (data.size() % 2 == 0 && base_samples * uint64_t(gop->frames) <= kMaxBaseSamples)
    testutil::BasePictures(*gop, uint32_t(data.size() / 2)).give_to(*decoder);
  for (const int v : {0, int(views.size()) - 1}) {
    const ViewInfo& view = views[size_t(v)];
    tools::PictureBuffer texture(view.texture, view.width, view.height);
    tools::PictureBuffer depth(view.depth, view.width, view.height);
    MutablePicture out_texture = texture.mutable_picture(), out_depth = depth.mutable_picture();
    const RenderJob job{.frame = v == 0 ? 0 : gop->frames - 1,
                        .view = v,
                        .texture = &out_texture,
                        .depth = view.depth == SampleFormat::none ? nullptr : &out_depth};
    succeeded(decoder->render({&job, 1}), "render");
  }
}

void cameras(Bytes data) {
  const int file = memfd_create("cameras", 0);
  require(file >= 0 && write(file, data.data(), data.size()) == ssize_t(data.size()), "memfd");
  const auto cameras = read_camera_file("/proc/self/fd/" + std::to_string(file));
  close(file);
  if (!succeeded(cameras, "read_camera_file")) return;
  for (const CameraFileEntry& entry : cameras->cameras) {
    succeeded(camera_for_size(entry, entry.width, entry.height), "camera_for_size");
    succeeded(camera_for_size(entry, 256, 144), "camera_for_size");
  }
}

void repair_crcs(std::vector<std::byte>& data) {
  if (data.size() < kAccessUnitPrefixBytes) return;
  // Prefix: magic, version, flags, header_bytes (u16 at 6), access_unit_bytes (8), header_crc (12).
  const size_t header_bytes = size_t(data[6]) | size_t(data[7]) << 8;
  const size_t units = kAccessUnitPrefixBytes + header_bytes;
  if (units > data.size()) return;
  write_u32(data, 8, uint32_t(data.size()));
  const Bytes bytes(data);
  write_u32(data, 12,
            crc32(bytes.subspan(kAccessUnitPrefixBytes, header_bytes), crc32(bytes.first(12))));
  // Units: type, index, payload_bytes (u32 at 2), payload_crc (6), payload.
  for (size_t at = units; at + kUnitHeaderBytes <= data.size();) {
    const size_t payload = read_u32(bytes, at + 2);
    if (payload > data.size() - at - kUnitHeaderBytes) return;
    write_u32(data, at + 6,
              crc32(bytes.subspan(at + kUnitHeaderBytes, payload), crc32(bytes.subspan(at, 6))));
    at += kUnitHeaderBytes + payload;
  }
}

}  // namespace mvinr::fuzz
