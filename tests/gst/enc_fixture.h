// Drives one mvinrenc: a GstHarness and a thread per sink pad, a record of everything that leaves
// the src pad, and the messages on the bus.
#pragma once

#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mvinr/encoder.h"

namespace mvinr::gst_test {

/// A buffer or an event that left the src pad.
struct Output {
  bool buffer = false;
  std::string name;  // of the event's type
  GstClockTime pts = GST_CLOCK_TIME_NONE, duration = GST_CLOCK_TIME_NONE;
  guint64 offset = 0;
  guint flags = 0;
  gsize size = 0;
  std::shared_ptr<GstEvent> event;
};

/// One step of a pad's thread.
using Step = std::function<void(GstHarness*)>;

class EncoderUnderTest {
 public:
  EncoderUnderTest();
  ~EncoderUnderTest();
  EncoderUnderTest(const EncoderUnderTest&) = delete;
  EncoderUnderTest& operator=(const EncoderUnderTest&) = delete;

  GstElement* element() { return element_; }
  template <typename... Args>
  void set(const char* property, Args... args) {
    g_object_set(element_, property, args..., nullptr);
  }

  /// Requests a pad and sends stream-start, caps and segment. The first call starts the element.
  GstHarness* pad(const std::string& name, const std::string& caps);
  GstHarness* pad(const std::string& name);  // of those that exist

  /// What the pad's thread will do in run(), after what it was told before.
  void then(const std::string& pad, Step step);
  void frame(const std::string& pad, GstClockTime pts, int value);
  void frames(const std::string& pad, int count, int first = 0);  // at 25 fps, value = number
  void buffer(const std::string& pad, GstBuffer* buffer);         // takes it
  void gap(const std::string& pad, GstClockTime pts, GstClockTime duration);
  void caps(const std::string& pad, const std::string& caps);
  void eos(const std::string& pad);

  /// Begins the threads. wait() returns when EOS left the element or an error was posted; false:
  /// neither within the time.
  void start();
  bool wait(double seconds = 20);
  bool run(double seconds = 20) {
    start();
    return wait(seconds);
  }
  void join();

  std::vector<Output> outputs();  // all
  std::vector<Output> units();    // buffers
  std::vector<Output> events(const std::string& name);

  /// Text of the messages of that type so far.
  std::string errors() { return texts(GST_MESSAGE_ERROR); }
  std::string warnings() { return texts(GST_MESSAGE_WARNING); }
  std::vector<const GstStructure*> messages(const std::string& name);  // element messages
  int count(GstMessageType type);
  GstStateChangeReturn state(GstState state);

 private:
  struct Pad {
    std::string name;
    GstHarness* harness = nullptr;
    GstVideoInfo info;
    std::vector<Step> steps;
    std::thread thread;
  };
  Pad& find(const std::string& name);
  std::string texts(GstMessageType type);
  void collect();
  static GstPadProbeReturn record(GstPad* pad, GstPadProbeInfo* info, gpointer self);

  GstElement* element_;
  GstBus* bus_;
  std::vector<std::unique_ptr<Pad>> pads_;
  std::vector<GstMessage*> messages_;
  std::mutex mutex_;
  std::vector<Output> outputs_;
};

constexpr GstClockTime kFrame = GST_SECOND / 25;
constexpr const char* kTexture = "video/x-raw,format=I420,width=32,height=32,framerate=25/1";
constexpr const char* kDepth = "video/x-raw,format=GRAY16_LE,width=32,height=32,framerate=25/1";

/// A frame whose samples all have the value.
GstBuffer* make_frame(const GstVideoInfo& info, GstClockTime pts, int value);

/// True once it holds, false after that time.
bool eventually(const std::function<bool()>& condition, double seconds = 10);

double seconds_of(const std::function<void()>& body);

inline const double kDefaultLambda = EncoderOptions().lambda;

/// One view, `frames` frames.
bool run_one(EncoderUnderTest& enc, int frames);

}  // namespace mvinr::gst_test
