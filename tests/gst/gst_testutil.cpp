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

static std::string text_of(GstMessage* message) {
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

/* ---- pipelines ---- */

// Of most sources the same as the timestamp; splitmuxsrc moves that by 1000 s.
static GstClockTime stream_time(GstPad* pad, GstBuffer* buffer) {
  GstEvent* event = gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0);
  if (!event) return GST_BUFFER_PTS(buffer);
  const GstSegment* segment;
  gst_event_parse_segment(event, &segment);
  const guint64 time = gst_segment_to_stream_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
  gst_event_unref(event);
  return GST_CLOCK_TIME_IS_VALID(time) ? time : GST_BUFFER_PTS(buffer);  // outside by a rounding
}

struct Pipeline::Recorder {
  Pipeline* owner = nullptr;
  std::vector<Shown> shown;
  std::string caps;

  static void handoff(GstElement*, GstBuffer* buffer, GstPad* pad, gpointer data) {
    auto* self = static_cast<Recorder*>(data);
    GstCaps* caps = gst_pad_get_current_caps(pad);
    Shown shown{stream_time(pad, buffer), GST_BUFFER_DURATION(buffer), md5_of(buffer, caps)};
    gchar* text = gst_caps_to_string(caps);
    g_mutex_lock(&self->owner->mutex_);
    self->shown.push_back(std::move(shown));
    self->caps = text;
    g_mutex_unlock(&self->owner->mutex_);
    g_free(text);
    gst_caps_unref(caps);
  }

  static GstPadProbeReturn flushed(GstPad*, GstPadProbeInfo* info, gpointer data) {
    auto* self = static_cast<Recorder*>(data);
    if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_FLUSH_STOP) {
      g_mutex_lock(&self->owner->mutex_);
      self->shown.clear();
      g_mutex_unlock(&self->owner->mutex_);
    }
    return GST_PAD_PROBE_OK;
  }
};

Pipeline::Pipeline(const std::string& description, const std::string& record)
    : record_(" " + record + " ") {
  g_mutex_init(&mutex_);
  GError* error = nullptr;
  pipeline_ = gst_parse_launch(description.c_str(), &error);
  if (!pipeline_ || error) {
    const std::string message = error ? error->message : "no pipeline";
    g_clear_error(&error);
    throw std::runtime_error(message);
  }
  if (record.empty()) return;
  g_signal_connect(element("d"), "pad-added", G_CALLBACK(pad_added), this);
  g_signal_connect(element("d"), "no-more-pads", G_CALLBACK(+[](GstElement*, gpointer self) {
                     static_cast<Pipeline*>(self)->all_pads_ = true;
                   }),
                   this);
}

Pipeline::~Pipeline() {
  gst_element_set_state(pipeline_, GST_STATE_NULL);
  gst_object_unref(pipeline_);
  g_mutex_clear(&mutex_);
}

GstElement* Pipeline::element(const char* name) {
  GstElement* found = gst_bin_get_by_name(GST_BIN(pipeline_), name);
  if (!found) throw std::runtime_error(std::string("no element ") + name);
  gst_object_unref(found);
  return found;
}

void Pipeline::pad_added(GstElement*, GstPad* pad, gpointer data) {
  auto* self = static_cast<Pipeline*>(data);
  const std::string name = GST_PAD_NAME(pad);
  if (self->record_ != " all " && self->record_.find(" " + name + " ") == std::string::npos) return;
  auto recorder = std::make_unique<Recorder>();
  recorder->owner = self;
  GstElement* queue = gst_element_factory_make("queue", nullptr);
  GstElement* sink = gst_element_factory_make("fakesink", nullptr);
  g_object_set(sink, "sync", FALSE, "qos", FALSE, "signal-handoffs", TRUE, nullptr);
  g_signal_connect(sink, "handoff", G_CALLBACK(Recorder::handoff), recorder.get());
  gst_bin_add_many(GST_BIN(self->pipeline_), queue, sink, nullptr);
  gst_element_link(queue, sink);
  GstPad* sink_pad = gst_element_get_static_pad(sink, "sink");
  gst_pad_add_probe(sink_pad, GST_PAD_PROBE_TYPE_EVENT_FLUSH, Recorder::flushed, recorder.get(),
                    nullptr);
  gst_object_unref(sink_pad);
  gst_element_sync_state_with_parent(sink);
  gst_element_sync_state_with_parent(queue);
  GstPad* queue_pad = gst_element_get_static_pad(queue, "sink");
  gst_pad_link(pad, queue_pad);
  gst_object_unref(queue_pad);
  g_mutex_lock(&self->mutex_);
  self->recorders_[name] = std::move(recorder);
  g_mutex_unlock(&self->mutex_);
}

std::string Pipeline::preroll() {
  gst_element_set_state(pipeline_, GST_STATE_PAUSED);
  // Without its sinks, the pipeline is in PAUSED at once.
  for (int i = 0; i < 20000 && record_ != "  " && !all_pads_; ++i) g_usleep(1000);
  for (int i = 0; i < 200; ++i) {
    const auto result = gst_element_get_state(pipeline_, nullptr, nullptr, 100 * GST_MSECOND);
    if (result == GST_STATE_CHANGE_SUCCESS) return "";
    GstBus* bus = gst_element_get_bus(pipeline_);
    GstMessage* message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    gst_object_unref(bus);
    if (!message) continue;
    const std::string text = "error: " + text_of(message);
    gst_message_unref(message);
    return text;
  }
  return "timeout";
}

std::string Pipeline::play(int seconds) {
  GstBus* bus = gst_element_get_bus(pipeline_);
  gst_element_set_state(pipeline_, GST_STATE_PLAYING);
  GstMessage* message = gst_bus_timed_pop_filtered(
      bus, GstClockTime(seconds) * GST_SECOND, GstMessageType(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  gst_object_unref(bus);
  if (!message) return "timeout";
  const std::string text =
      GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS ? "" : "error: " + text_of(message);
  gst_message_unref(message);
  return text;
}

bool Pipeline::seek(double rate, GstSeekFlags flags, GstClockTime start, GstClockTime stop) {
  const GstSeekType stop_type =
      GST_CLOCK_TIME_IS_VALID(stop) ? GST_SEEK_TYPE_SET : GST_SEEK_TYPE_NONE;
  return gst_element_seek(pipeline_, rate, GST_FORMAT_TIME,
                          GstSeekFlags(flags | GST_SEEK_FLAG_FLUSH), GST_SEEK_TYPE_SET,
                          gint64(start), stop_type, gint64(stop));
}

std::vector<Shown> Pipeline::shown(const std::string& pad) {
  g_mutex_lock(&mutex_);
  const auto found = recorders_.find(pad);
  auto copy = found == recorders_.end() ? std::vector<Shown>{} : found->second->shown;
  g_mutex_unlock(&mutex_);
  return copy;
}

std::vector<std::string> Pipeline::pads() {
  g_mutex_lock(&mutex_);
  std::vector<std::string> names;
  for (const auto& [name, recorder] : recorders_) names.push_back(name);
  g_mutex_unlock(&mutex_);
  return names;
}

std::string Pipeline::caps_of(const std::string& pad) {
  g_mutex_lock(&mutex_);
  const auto found = recorders_.find(pad);
  std::string caps = found == recorders_.end() ? "" : found->second->caps;
  g_mutex_unlock(&mutex_);
  return caps;
}

}  // namespace mvinr::testutil
