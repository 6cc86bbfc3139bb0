#include "enc_fixture.h"

#include <cstring>

namespace mvinr::gst_test {

GstBuffer* make_frame(const GstVideoInfo& info, GstClockTime pts, int value) {
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&info), nullptr);
  GstMapInfo map;
  gst_buffer_map(buffer, &map, GST_MAP_WRITE);
  const GstVideoFormat format = GST_VIDEO_INFO_FORMAT(&info);
  for (gsize i = 0; i < map.size; ++i) {
    // 16-bit samples hold the value itself; GRAY10_LE32 holds it three times per word.
    guint32 word = guint32(value) * 0x01010101u;
    if (format == GST_VIDEO_FORMAT_GRAY16_LE || format == GST_VIDEO_FORMAT_I420_10LE)
      word = guint32(value) * 0x00010001u;
    if (format == GST_VIDEO_FORMAT_GRAY10_LE32)
      word = guint32(value) | guint32(value) << 10 | guint32(value) << 20;
    map.data[i] = guint8(word >> (i % 4 * 8));
  }
  gst_buffer_unmap(buffer, &map);
  GST_BUFFER_PTS(buffer) = pts;
  GST_BUFFER_DURATION(buffer) = gst_util_uint64_scale_int(GST_SECOND, info.fps_d, info.fps_n);
  return buffer;
}

bool eventually(const std::function<bool()>& condition, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

double seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

EncoderUnderTest::EncoderUnderTest()
    : element_(GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("mvinrenc", nullptr)))),
      bus_(gst_bus_new()) {
  gst_element_set_bus(element_, bus_);
  GstPad* src = gst_element_get_static_pad(element_, "src");
  gst_pad_add_probe(
      src, GstPadProbeType(GST_PAD_PROBE_TYPE_DATA_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH),
      record, this, nullptr);
  gst_object_unref(src);
}

EncoderUnderTest::~EncoderUnderTest() {
  gst_element_set_state(element_, GST_STATE_NULL);
  join();
  for (auto& pad : pads_) gst_harness_teardown(pad->harness);
  collect();
  for (GstMessage* message : messages_) gst_message_unref(message);
  gst_element_set_bus(element_, nullptr);
  gst_object_unref(bus_);
  EXPECT_EQ(GST_OBJECT_REFCOUNT(element_), 1) << "the element is leaked";
  gst_object_unref(element_);
}

GstPadProbeReturn EncoderUnderTest::record(GstPad*, GstPadProbeInfo* info, gpointer data) {
  auto* self = static_cast<EncoderUnderTest*>(data);
  Output output;
  if (GstBuffer* buffer = GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER
                              ? GST_PAD_PROBE_INFO_BUFFER(info)
                              : nullptr) {
    output.buffer = true;
    output.pts = GST_BUFFER_PTS(buffer);
    output.duration = GST_BUFFER_DURATION(buffer);
    output.offset = GST_BUFFER_OFFSET(buffer);
    output.flags = GST_BUFFER_FLAGS(buffer);
    output.size = gst_buffer_get_size(buffer);
  } else {
    GstEvent* event = GST_PAD_PROBE_INFO_EVENT(info);
    output.name = GST_EVENT_TYPE_NAME(event);
    output.event = {gst_event_ref(event), [](GstEvent* e) { gst_event_unref(e); }};
  }
  const std::lock_guard lock(self->mutex_);
  self->outputs_.push_back(std::move(output));
  return GST_PAD_PROBE_OK;
}

GstHarness* EncoderUnderTest::pad(const std::string& name, const std::string& caps) {
  auto pad = std::make_unique<Pad>();
  pad->name = name;
  pad->harness =
      gst_harness_new_with_element(element_, name.c_str(), pads_.empty() ? "src" : nullptr);
  GstCaps* parsed = gst_caps_from_string(caps.c_str());
  gst_video_info_from_caps(&pad->info, parsed);
  gst_harness_set_src_caps(pad->harness, parsed);
  pads_.push_back(std::move(pad));
  return pads_.back()->harness;
}

EncoderUnderTest::Pad& EncoderUnderTest::find(const std::string& name) {
  for (auto& pad : pads_)
    if (pad->name == name) return *pad;
  ADD_FAILURE() << "no pad " << name;
  std::abort();
}

GstHarness* EncoderUnderTest::pad(const std::string& name) { return find(name).harness; }

void EncoderUnderTest::then(const std::string& pad, Step step) {
  find(pad).steps.push_back(std::move(step));
}

void EncoderUnderTest::frame(const std::string& pad, GstClockTime pts, int value) {
  Pad* p = &find(pad);
  then(pad, [=](GstHarness* h) { gst_harness_push(h, make_frame(p->info, pts, value)); });
}

void EncoderUnderTest::frames(const std::string& pad, int count, int first) {
  for (int i = first; i < first + count; ++i) frame(pad, GstClockTime(i) * kFrame, i);
}

void EncoderUnderTest::buffer(const std::string& pad, GstBuffer* buffer) {
  then(pad, [=](GstHarness* h) { gst_harness_push(h, buffer); });
}

void EncoderUnderTest::gap(const std::string& pad, GstClockTime pts, GstClockTime duration) {
  then(pad, [=](GstHarness* h) { gst_harness_push_event(h, gst_event_new_gap(pts, duration)); });
}

void EncoderUnderTest::caps(const std::string& pad, const std::string& caps) {
  Pad* p = &find(pad);
  then(pad, [=](GstHarness* h) {
    GstCaps* parsed = gst_caps_from_string(caps.c_str());
    gst_video_info_from_caps(&p->info, parsed);
    gst_harness_push_event(h, gst_event_new_caps(parsed));
    gst_caps_unref(parsed);
  });
}

void EncoderUnderTest::eos(const std::string& pad) {
  then(pad, [](GstHarness* h) { gst_harness_push_event(h, gst_event_new_eos()); });
}

void EncoderUnderTest::start() {
  for (auto& pad : pads_) {
    Pad* p = pad.get();
    p->thread = std::thread([p, steps = std::move(p->steps)] {
      for (const Step& step : steps) step(p->harness);
    });
    p->steps.clear();
  }
}

bool EncoderUnderTest::wait(double seconds) {
  return eventually([this] { return !events("eos").empty() || count(GST_MESSAGE_ERROR) > 0; },
                    seconds);
}

void EncoderUnderTest::join() {
  for (auto& pad : pads_)
    if (pad->thread.joinable()) pad->thread.join();
}

std::vector<Output> EncoderUnderTest::outputs() {
  const std::lock_guard lock(mutex_);
  return outputs_;
}

std::vector<Output> EncoderUnderTest::units() {
  std::vector<Output> result;
  for (const Output& output : outputs())
    if (output.buffer) result.push_back(output);
  return result;
}

std::vector<Output> EncoderUnderTest::events(const std::string& name) {
  std::vector<Output> result;
  for (const Output& output : outputs())
    if (!output.buffer && output.name == name) result.push_back(output);
  return result;
}

void EncoderUnderTest::collect() {
  while (GstMessage* message = gst_bus_pop(bus_)) messages_.push_back(message);
}

std::string EncoderUnderTest::texts(GstMessageType type) {
  collect();
  std::string result;
  for (GstMessage* message : messages_) {
    if (GST_MESSAGE_TYPE(message) != type) continue;
    GError* error = nullptr;
    if (type == GST_MESSAGE_ERROR)
      gst_message_parse_error(message, &error, nullptr);
    else
      gst_message_parse_warning(message, &error, nullptr);
    result += std::string(error->message) + "\n";
    g_error_free(error);
  }
  return result;
}

std::vector<const GstStructure*> EncoderUnderTest::messages(const std::string& name) {
  collect();
  std::vector<const GstStructure*> result;
  for (GstMessage* message : messages_)
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ELEMENT &&
        gst_message_has_name(message, name.c_str()))
      result.push_back(gst_message_get_structure(message));
  return result;
}

int EncoderUnderTest::count(GstMessageType type) {
  collect();
  int n = 0;
  for (GstMessage* message : messages_) n += GST_MESSAGE_TYPE(message) == type;
  return n;
}

GstStateChangeReturn EncoderUnderTest::state(GstState state) {
  return gst_element_set_state(element_, state);
}

bool run_one(EncoderUnderTest& enc, int frames) {
  enc.pad("texture_0", kTexture);
  enc.frames("texture_0", frames);
  enc.eos("texture_0");
  return enc.run();
}

}  // namespace mvinr::gst_test
