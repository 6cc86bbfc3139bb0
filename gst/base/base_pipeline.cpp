#include "base_pipeline.h"

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace mvinr::gst {
namespace {

constexpr int kInputsAtOnce = 4;   // appsrc gets so many whenever its queue is empty
constexpr guint kOutputsKept = 4;  // appsink's queue

// What the streaming threads tell the thread that runs the pipeline. They may outlive the run, so
// each of GStreamer's callbacks shares it.
struct Monitor {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool hungry = false, output = false, eos = false;
  std::optional<PipelineResult> failure;
  std::function<std::string(const GstCaps*)> check_caps;

  void set(bool Monitor::*flag) {
    const std::lock_guard lock(mutex);
    this->*flag = true;
    changed.notify_all();
  }
  void fail(PipelineEnd end, const std::string& text) {
    const std::lock_guard lock(mutex);
    if (!failure) failure = PipelineResult{end, {ErrorCode::corrupt, text}};
    changed.notify_all();
  }
};
using SharedMonitor = std::shared_ptr<Monitor>;

gpointer share(const SharedMonitor& monitor) { return new SharedMonitor(monitor); }
void unshare(gpointer data) { delete static_cast<SharedMonitor*>(data); }
Monitor& monitor_of(gpointer data) { return **static_cast<SharedMonitor*>(data); }

// "Can not initialize encoder: no such option": without the places in the source that the debug
// text begins with.
std::string error_text(GstMessage* message) {
  GError* error = nullptr;
  gchar* debug = nullptr;
  gst_message_parse_error(message, &error, &debug);
  std::string text = std::string(GST_MESSAGE_SRC_NAME(message)) + ": ";
  if (error) text += error->message;
  const std::string detail = debug ? debug : "";
  if (const size_t line = detail.find('\n'); line != std::string::npos)
    text += " (" + detail.substr(line + 1) + ")";
  g_clear_error(&error);
  g_free(debug);
  return text;
}

GstBusSyncReply on_message(GstBus*, GstMessage* message, gpointer data) {
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR)
    monitor_of(data).fail(PipelineEnd::broken, error_text(message));
  gst_message_unref(message);
  return GST_BUS_DROP;
}

GstPadProbeReturn on_event(GstPad*, GstPadProbeInfo* info, gpointer data) {
  GstEvent* event = GST_PAD_PROBE_INFO_EVENT(info);
  if (GST_EVENT_TYPE(event) != GST_EVENT_CAPS) return GST_PAD_PROBE_OK;
  GstCaps* caps;
  gst_event_parse_caps(event, &caps);
  Monitor& monitor = monitor_of(data);
  const std::string wrong = monitor.check_caps(caps);
  if (wrong.empty()) return GST_PAD_PROBE_OK;
  monitor.fail(PipelineEnd::refused, wrong);
  return GST_PAD_PROBE_DROP;  // without caps, the element refuses the buffers
}

class Run {
 public:
  Run(PipelineRun run, std::stop_token stop) : run_(std::move(run)), stop_(std::move(stop)) {}
  ~Run();
  PipelineResult result();

 private:
  bool build();
  void watch();
  PipelineResult loop();
  std::optional<PipelineResult> feed();
  std::optional<PipelineResult> take();

  PipelineRun run_;
  std::stop_token stop_;
  SharedMonitor monitor_ = std::make_shared<Monitor>();
  GstPtr<GstElement> pipeline_;
  GstAppSrc* source_ = nullptr;  // the pipeline's
  GstAppSink* sink_ = nullptr;   // the pipeline's
  size_t fed_ = 0;
  bool complete_ = false;
};

Run::~Run() {
  if (!pipeline_) return;
  if (complete_)
    gst_element_set_state(pipeline_.get(), GST_STATE_NULL);
  else  // an element may be in the middle of something long, and the state change waits for it
    gst_element_call_async(
        pipeline_.get(),
        [](GstElement* pipeline, gpointer) { gst_element_set_state(pipeline, GST_STATE_NULL); },
        nullptr, nullptr);
}

bool Run::build() {
  pipeline_ = own(gst_pipeline_new(nullptr));
  GstElement* source = gst_element_factory_make("appsrc", nullptr);
  GstElement* sink = gst_element_factory_make("appsink", nullptr);
  if (!source || !sink) {
    gst_clear_object(&source);
    gst_clear_object(&sink);
    monitor_->fail(PipelineEnd::broken,
                   "GStreamer has no appsrc or appsink (Debian: gstreamer1.0-plugins-base)");
    return false;
  }
  gst_bin_add_many(GST_BIN(pipeline_.get()), source, sink, nullptr);
  source_ = GST_APP_SRC(source);
  sink_ = GST_APP_SINK(sink);
  g_object_set(source, "caps", run_.input_caps, "format", GST_FORMAT_TIME, nullptr);
  g_object_set(sink, "caps", run_.output_caps, "sync", FALSE, "enable-last-sample", FALSE,
               "max-buffers", kOutputsKept, nullptr);
  GstElement* last = source;
  for (const GstPtr<GstElement>& element : run_.elements) {
    gst_bin_add(GST_BIN(pipeline_.get()), element.get());
    if (!gst_element_link(last, element.get())) {
      monitor_->fail(PipelineEnd::broken, std::string(GST_ELEMENT_NAME(element.get())) +
                                              " does not take what comes before it");
      return false;
    }
    last = element.get();
  }
  if (gst_element_link(last, sink)) return true;
  monitor_->fail(PipelineEnd::broken,
                 std::string(GST_ELEMENT_NAME(last)) + " does not put out what is needed");
  return false;
}

void Run::watch() {
  GstAppSrcCallbacks source_callbacks{};
  source_callbacks.need_data = [](GstAppSrc*, guint, gpointer data) {
    monitor_of(data).set(&Monitor::hungry);
  };
  gst_app_src_set_callbacks(source_, &source_callbacks, share(monitor_), unshare);
  GstAppSinkCallbacks sink_callbacks{};
  sink_callbacks.eos = [](GstAppSink*, gpointer data) { monitor_of(data).set(&Monitor::eos); };
  sink_callbacks.new_sample = [](GstAppSink*, gpointer data) {
    monitor_of(data).set(&Monitor::output);
    return GST_FLOW_OK;
  };
  gst_app_sink_set_callbacks(sink_, &sink_callbacks, share(monitor_), unshare);
  GstBus* bus = gst_pipeline_get_bus(GST_PIPELINE(pipeline_.get()));
  gst_bus_set_sync_handler(bus, on_message, share(monitor_), unshare);
  gst_object_unref(bus);
  if (run_.check_caps && !run_.elements.empty()) {
    monitor_->check_caps = std::move(run_.check_caps);
    const GstPtr<GstPad> pad(gst_element_get_static_pad(run_.elements.back().get(), "sink"));
    if (pad)
      gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_event, share(monitor_),
                        unshare);
  }
}

std::optional<PipelineResult> Run::feed() {
  for (int i = 0; i < kInputsAtOnce && fed_ < run_.inputs; ++i, ++fed_) {
    Result<GstPtr<GstBuffer>> buffer = run_.input(fed_);
    if (!buffer) return PipelineResult{PipelineEnd::refused, buffer.error()};
    gst_app_src_push_buffer(source_, buffer->release());
  }
  if (fed_ == run_.inputs) gst_app_src_end_of_stream(source_);
  return {};
}

std::optional<PipelineResult> Run::take() {
  while (const GstPtr<GstSample> sample{gst_app_sink_try_pull_sample(sink_, 0)})
    if (Status taken = run_.output(sample.get()); !taken)
      return PipelineResult{PipelineEnd::refused, taken.error()};
  return {};
}

PipelineResult Run::loop() {
  using Clock = std::chrono::steady_clock;
  const std::chrono::milliseconds limit =
      run_.stall_limit.count() > 0 ? run_.stall_limit : std::chrono::hours(24 * 365);
  Clock::time_point deadline = Clock::now() + limit;
  std::unique_lock lock(monitor_->mutex);
  for (;;) {
    const bool woken = monitor_->changed.wait_until(lock, stop_, deadline, [this] {
      return monitor_->failure || monitor_->output || monitor_->eos ||
             (monitor_->hungry && fed_ < run_.inputs);
    });
    if (stop_.stop_requested()) return {PipelineEnd::stopped, {ErrorCode::cancelled, "stopped"}};
    if (monitor_->failure) return *monitor_->failure;
    if (!woken) return {PipelineEnd::stalled, {ErrorCode::corrupt, "no output"}};
    const bool output = std::exchange(monitor_->output, false);
    const bool hungry = std::exchange(monitor_->hungry, false);
    const bool eos = monitor_->eos;  // nothing comes behind it
    lock.unlock();
    if (output || eos) {
      if (auto refused = take()) return *refused;
      deadline = Clock::now() + limit;
    }
    if (eos) return {};
    if (hungry && fed_ < run_.inputs)
      if (auto refused = feed()) return *refused;
    lock.lock();
  }
}

PipelineResult Run::result() {
  if (build()) {
    watch();
    if (gst_element_set_state(pipeline_.get(), GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
      monitor_->fail(PipelineEnd::broken, "the elements do not start");
  }
  PipelineResult result = loop();
  complete_ = result.end == PipelineEnd::complete;
  return result;
}

}  // namespace

PipelineResult run_pipeline(PipelineRun run, std::stop_token stop) {
  return Run(std::move(run), std::move(stop)).result();
}

}  // namespace mvinr::gst
