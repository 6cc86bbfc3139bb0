#include "tools/base_files.h"

#include <algorithm>
#include <cinttypes>
#include <filesystem>

#include "tools/cli.h"

namespace mvinr::tools {
namespace {

/// From b to B bits, as docs/bitstream.md 6.7 says.
PictureBuffer expanded(const PictureBuffer& from, SampleFormat format) {
  const int b = bit_depth(from.format()), more = bit_depth(format) - b;
  const bool depth = plane_count(format) == 1;
  PictureBuffer to(format, from.width(), from.height());
  for (int p = 0; p < plane_count(format); ++p)
    for (int y = 0; y < plane_size(from.height(), p); ++y)
      for (int x = 0; x < plane_size(from.width(), p); ++x) {
        const int s = sample(from.picture(), p, x, y);
        set_sample(to.mutable_picture(), p, x, y, s << more | (depth ? s >> (b - more) : 0));
      }
  return to;
}

/// Of the packets that these caps describe, as FFmpeg knows them.
const char* suffix_of(const std::string& caps) {
  const std::string media = caps.substr(0, caps.find(','));
  return media == "video/x-h265"   ? "h265"
         : media == "video/x-h264" ? "h264"
         : media == "video/x-av1"  ? "obu"
                                   : "bin";
}

}  // namespace

BaseFiles::File& BaseFiles::open(const ViewInfo& info, int view, Component component) {
  File& file = files_[{view, component}];
  if (file.reader) return file;
  const SampleFormat format = component == Component::texture ? info.texture : info.depth;
  PatternFields fields{
      size_t(view) < names_.size() ? names_[size_t(view)] : "v" + std::to_string(view),
      view,
      component,
      info.width,
      info.height,
      ""};
  const auto path = [&](const std::string& format_name) {
    fields.format = format_name;
    return (std::filesystem::path(folder_) / expand_pattern(kDefaultPattern, fields)).string();
  };
  RawFormat found{format, false, raw_format_name(format)};
  if (!std::filesystem::exists(path(found.name))) {
    int bits = 0;
    for (const RawFormat& other : raw_formats(component)) {
      const int has = bit_depth(other.samples);
      if (has > bit_depth(format) || has <= bits || !std::filesystem::exists(path(other.name)))
        continue;
      bits = has;
      found = other;
    }
  }
  file.bits = bit_depth(found.samples);
  file.reader = std::make_unique<RawVideoReader>(path(found.name), found, info.width, info.height);
  return file;
}

void BaseFiles::give(Decoder& decoder, const GopInfo& gop, uint64_t begin, uint64_t end) {
  for (const int view : gop.base_views) {
    const ViewInfo& info = gop.sequence.views[size_t(view)];
    for (const Component component : {Component::texture, Component::depth}) {
      const SampleFormat format = component == Component::texture ? info.texture : info.depth;
      if (format == SampleFormat::none) continue;
      File& file = open(info, view, component);
      for (uint64_t frame = begin; frame < end; ++frame) {
        if (frame >= uint64_t(file.reader->frames()))
          fail(tools::format("%s: holds no picture for frame %" PRIu64, file.reader->path().c_str(),
                             frame));
        const PictureBuffer& read = file.reader->read(int64_t(frame));
        const PictureId id{int(frame - gop.first_frame), view, component};
        value_or_fail(file.bits == bit_depth(format)
                          ? decoder.set_base(id, read.picture())
                          : decoder.set_base(id, expanded(read, format).picture()),
                      file.reader->path());
      }
    }
  }
}

BaseExtractor::BaseExtractor(std::string folder)
    : folder_(std::move(folder)), decoder_(value_or_fail(Decoder::create({.threads = 1}), "")) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) fail(folder_ + ": cannot be made: " + error.message());
}

std::string BaseExtractor::add(Bytes access_unit) {
  const Result<GopInfo> gop = decoder_->start_gop(access_unit);
  if (!gop.has_value()) return gop.error().message;
  const std::vector<BaseUnit> units = decoder_->base_units();
  std::string wrong;
  size_t expected = 0;
  for (const int view : gop->base_views)
    expected += gop->sequence.views[size_t(view)].depth == SampleFormat::none ? 1 : 2;
  if (units.size() < expected) wrong = "a BASE unit is damaged or missing";
  for (const BaseUnit& unit : units) {
    const auto payload = read_base_payload(unit.payload);
    if (!payload.has_value()) {
      wrong = payload.error().message;
      continue;
    }
    const std::string name = "v" + std::to_string(unit.view) + "_" +
                             component_name(unit.component) + "." + suffix_of(payload->caps);
    File& out = files_[name];
    if (!out.file)
      out.file = std::make_unique<OutputFile>((std::filesystem::path(folder_) / name).string());
    out.caps = payload->caps;
    for (const Bytes& packet : payload->packets) {
      out.file->write(packet);
      out.bytes += packet.size();
      ++out.packets;
    }
    out.file->flush();
  }
  return wrong;
}

void BaseExtractor::report() const {
  if (files_.empty()) std::printf("no base views: nothing was extracted\n");
  for (const auto& [name, file] : files_)
    std::printf("%s: %" PRIu64 " packets, %" PRIu64 " bytes of %s\n", file.file->path().c_str(),
                file.packets, file.bytes, file.caps.c_str());
}

}  // namespace mvinr::tools
