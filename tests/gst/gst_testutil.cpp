#include "gst_testutil.h"

#include <glib/gstdio.h>

#include <cstring>
#include <random>
#include <stdexcept>

#include "base/crc32.h"
#include "base_decoder.h"
#include "format/access_unit.h"
#include "format/model_units.h"
#include "tools/picture_buffer.h"
#include "tools/quality.h"
#include "unit/random_model.h"

namespace mvinr::testutil {
namespace {

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

void must(const Status& status) {
  if (!status) throw std::runtime_error(status.error().message);
}

}  // namespace

/* ---- access units ---- */

Data make_gop(const GopOptions& options) {
  CodedModel model;
  model.config = test_configs().front().config;
  model.config.frames = uint16_t(options.frames);
  model.config.views = uint8_t(options.views);
  model.config.canvas_width = uint16_t(options.width);
  model.config.canvas_height = uint16_t(options.height);
  model.config.depth = options.depth;
  model = random_coded_model(model.config, options.seed);
  Header header;
  header.sequence = sequence_for(model.config);
  header.sequence.frame_rate = options.rate;
  header.sequence.views[0].camera = Camera{.focal = {40, 40}, .depth_range = {0.5, 20}};
  header.first_frame = options.first_frame;
  header.frames = options.frames;
  header.model = model.config;
  return must(write_access_unit(header, must(encode_model(model))));
}

Data make_filler(size_t bytes, uint32_t seed, uint64_t first_frame) {
  static const ModelConfig config = test_configs().front().config;
  Header header{.sequence = sequence_for(config),
                .first_frame = first_frame,
                .frames = config.frames,
                .model = config};
  header.sequence.frame_rate = {25, 1};
  std::mt19937_64 random(seed);
  std::vector<UnitPayload> units = {{UnitType::network, 0, {}}, {UnitType::shared, 0, {}}};
  for (int v = 0; v < config.views; ++v) units.push_back({UnitType::view, v, {}});
  for (UnitPayload& unit : units) {
    unit.payload.resize(bytes / units.size() / 8 * 8);
    for (size_t i = 0; i < unit.payload.size(); i += 8) {
      const uint64_t value = random();
      std::memcpy(&unit.payload[i], &value, 8);
    }
  }
  return must(write_access_unit(header, units));
}

std::vector<Data> make_gops(int count, const GopOptions& options) {
  std::vector<Data> gops;
  GopOptions next = options;
  for (int i = 0; i < count; ++i, ++next.seed, next.first_frame += uint64_t(options.frames))
    gops.push_back(make_gop(next));
  return gops;
}

// docs/bitstream.md 2: the header stands at byte 16 and begins with the first frame; its CRC at 12.
Data renumbered(Data unit, uint64_t first_frame) {
  const size_t header = size_t(unit[6]) + size_t(unit[7]) * 256;
  for (size_t i = 0; i < 8; ++i) unit[16 + i] = std::byte(first_frame >> (8 * i));
  const Bytes all(unit);
  const uint32_t crc = crc32(all.subspan(16, header), crc32(all.first(12)));
  for (size_t i = 0; i < 4; ++i) unit[12 + i] = std::byte(crc >> (8 * i));
  return unit;
}

Data joined(const std::vector<Data>& parts) {
  Data all;
  for (const Data& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

Data with_damaged_unit(Data access_unit, int unit) {
  const auto parsed = must(parse_access_unit(access_unit));
  const UnitView& hit = parsed.units.at(size_t(unit));
  access_unit[hit.offset + hit.bytes / 2 + kUnitHeaderBytes / 2] ^= std::byte{0x10};
  return access_unit;
}

GstBuffer* make_buffer(const Data& data, GstClockTime pts, GstClockTime duration) {
  GstBuffer* buffer = gst_buffer_new_memdup(data.data(), data.size());
  GST_BUFFER_PTS(buffer) = pts;
  GST_BUFFER_DTS(buffer) = pts;
  GST_BUFFER_DURATION(buffer) = duration;
  return buffer;
}

Data bytes_of(GstBuffer* buffer) {
  Data data(gst_buffer_get_size(buffer));
  gst_buffer_extract(buffer, 0, data.data(), data.size());
  return data;
}

/* ---- pictures ---- */

LibraryGop::LibraryGop(const Data& access_unit)
    : decoder_(must(Decoder::create({.threads = 1, .kernels = "reference"}))),
      info_(must(decoder_->start_gop(access_unit))) {
  for (const BaseUnit& unit : decoder_->base_units()) {
    const ViewInfo& view = info_.sequence.views.at(size_t(unit.view));
    const bool texture = unit.component == Component::texture;
    const auto pictures = must(gst::BaseDecoder::decode(
        unit.payload, {texture ? view.texture : view.depth, view.width, view.height},
        info_.frames));
    for (int f = 0; f < info_.frames; ++f)
      must(decoder_->set_base({f, unit.view, unit.component}, pictures[size_t(f)].picture));
  }
}

std::string LibraryGop::md5(int frame, int view, Component component) {
  const ViewInfo& info = info_.sequence.views.at(size_t(view));
  const bool texture = component == Component::texture;
  tools::PictureBuffer buffer(texture ? info.texture : info.depth, info.width, info.height);
  MutablePicture picture = buffer.mutable_picture();
  RenderJob job{.frame = frame, .view = view};
  (texture ? job.texture : job.depth) = &picture;
  must(decoder_->render({&job, 1}));
  return tools::md5_of(buffer.picture());
}

std::string library_md5(const Data& access_unit, int frame, int view, Component component) {
  return LibraryGop(access_unit).md5(frame, view, component);
}

std::string md5_of(GstBuffer* buffer, GstCaps* caps) {
  GstVideoInfo info;
  GstVideoFrame frame;
  if (!gst_video_info_from_caps(&info, caps) ||
      !gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ))
    return "not a video frame";
  SampleFormat format = SampleFormat::none;
  switch (GST_VIDEO_INFO_FORMAT(&info)) {
    case GST_VIDEO_FORMAT_I420:
      format = SampleFormat::yuv420_8;
      break;
    case GST_VIDEO_FORMAT_I420_10LE:
      format = SampleFormat::yuv420_10;
      break;
    case GST_VIDEO_FORMAT_GRAY8:
      format = SampleFormat::gray_8;
      break;
    case GST_VIDEO_FORMAT_GRAY10_LE32:
      format = SampleFormat::gray_10;
      break;
    case GST_VIDEO_FORMAT_GRAY16_LE:
      format = SampleFormat::gray_16;
      break;
    default:
      break;
  }
  tools::PictureBuffer copy(format, info.width, info.height);
  const MutablePicture out = copy.mutable_picture();
  for (int p = 0; p < plane_count(format); ++p) {
    for (int y = 0; y < plane_size(info.height, p); ++y) {
      const auto* row = static_cast<const guint8*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, p)) +
                        y * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, p);
      if (format != SampleFormat::gray_10) {
        std::memcpy(out.data[p] + y * out.stride[p], row, size_t(out.stride[p]));
        continue;
      }
      for (int x = 0; x < info.width; ++x)
        tools::set_sample(out, 0, x, y,
                          int(GST_READ_UINT32_LE(row + x / 3 * 4) >> (10 * (x % 3)) & 1023));
    }
  }
  gst_video_frame_unmap(&frame);
  return tools::md5_of(copy.picture());
}

/* ---- bus and files ---- */

Bus::Bus(GstElement* element)
    : element_(GST_ELEMENT(gst_object_ref(element))), bus_(gst_bus_new()) {
  gst_element_set_bus(element, bus_);
}

Bus::~Bus() {
  gst_element_set_bus(element_, nullptr);
  gst_object_unref(element_);
  gst_object_unref(bus_);
}

std::string text_of(GstMessage* message) {
  GError* error = nullptr;
  gchar* debug = nullptr;
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR)
    gst_message_parse_error(message, &error, &debug);
  else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING)
    gst_message_parse_warning(message, &error, &debug);
  std::string text = std::string(error ? error->message : "") + " " + (debug ? debug : "");
  g_clear_error(&error);
  g_free(debug);
  return text;
}

int Bus::take(GstMessageType type, std::string* text) {
  int count = 0;
  while (GstMessage* message = gst_bus_pop_filtered(bus_, type)) {
    ++count;
    if (text) *text = text_of(message);
    gst_message_unref(message);
  }
  return count;
}

TemporaryFolder::TemporaryFolder() {
  gchar* made = g_dir_make_tmp("mvinr-test-XXXXXX", nullptr);
  path_ = made ? made : "";
  g_free(made);
}

TemporaryFolder::~TemporaryFolder() {
  if (GDir* dir = g_dir_open(path_.c_str(), 0, nullptr)) {
    while (const char* name = g_dir_read_name(dir)) g_remove(file(name).c_str());
    g_dir_close(dir);
  }
  g_rmdir(path_.c_str());
}

std::string TemporaryFolder::write(const std::string& name, const Data& data) const {
  const std::string path = file(name);
  g_file_set_contents(path.c_str(), reinterpret_cast<const gchar*>(data.data()),
                      gssize(data.size()), nullptr);
  return path;
}

}  // namespace mvinr::testutil
