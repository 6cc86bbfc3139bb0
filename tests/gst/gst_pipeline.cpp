#include <stdexcept>

#include "gst_testutil.h"

namespace mvinr::testutil {

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
