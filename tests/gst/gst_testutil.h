// What the GStreamer suites share: access units with random content, what the library makes of
// them, buses and whole pipelines.
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mvinr/decoder.h"
#include "mvinr/stream.h"

namespace mvinr::testutil {

using Data = std::vector<std::byte>;

/// Three views of different sizes: I420 and I420_10LE textures, 16-, 8- and 10-bit depth.
struct GopOptions {
  uint64_t first_frame = 0;
  int frames = 5;
  uint32_t seed = 1;
  int views = 3;
  Fraction rate{25, 1};  // 5 frames: 200 ms
  int width = 48, height = 40;
  bool depth = true;
};
Data make_gop(const GopOptions& options = {});
/// `count` GOPs that follow one another.
std::vector<Data> make_gops(int count, const GopOptions& options = {});
Data joined(const std::vector<Data>& parts);
/// The same access unit at another place of the stream.
Data renumbered(Data access_unit, uint64_t first_frame);

/// An access unit of about `bytes` bytes: valid header and CRCs, units of random bytes. Everything
/// but a decoder takes it.
Data make_filler(size_t bytes, uint32_t seed, uint64_t first_frame = 0);

/// Changes a bit in the payload of the first unit of this kind: 0 network, 2 + v view v.
Data with_damaged_unit(Data access_unit, int unit);

GstBuffer* make_buffer(const Data& data, GstClockTime pts = GST_CLOCK_TIME_NONE,
                       GstClockTime duration = GST_CLOCK_TIME_NONE);
Data bytes_of(GstBuffer* buffer);

/// An access unit in the library's Decoder, with the reference kernels. Base views are decoded by
/// the code that the elements use.
class LibraryGop {
 public:
  explicit LibraryGop(const Data& access_unit);
  const GopInfo& info() const { return info_; }
  std::string md5(int frame, int view, Component component);

 private:
  std::unique_ptr<Decoder> decoder_;
  GopInfo info_;
};
/// MD5 of a picture as the library's Decoder renders it.
std::string library_md5(const Data& access_unit, int frame, int view, Component component);
/// MD5 of a decoded buffer with these caps; GRAY10_LE32 is unpacked.
std::string md5_of(GstBuffer* buffer, GstCaps* caps);

/// What an error or a warning says, and its debug text.
std::string text_of(GstMessage* message);

/// A bus whose messages are taken one kind at a time.
class Bus {
 public:
  explicit Bus(GstElement* element);
  ~Bus();
  /// How many messages of this kind came since the last call, and the debug text of the last.
  int take(GstMessageType type, std::string* text = nullptr);
  GstBus* get() { return bus_; }

 private:
  GstElement* element_;
  GstBus* bus_;
};

/// A folder that goes away with its files.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, const Data& data) const;

 private:
  std::string path_;
};

/// One picture that came out of a pipeline. `pts`: its stream time.
struct Shown {
  GstClockTime pts, duration;
  std::string md5;
  bool operator==(const Shown&) const = default;
};

/// A pipeline in the notation of gst-launch. Every mvinrdec pad gets a queue and a recording sink
/// if `record` names it, e.g. "texture_0 depth_2"; "all" for all of them.
class Pipeline {
 public:
  explicit Pipeline(const std::string& description, const std::string& record = "");
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  GstElement* get() { return pipeline_; }
  GstElement* element(const char* name);  // borrowed
  std::string preroll();                  // to PAUSED, 20 s at most; empty, or what went wrong
  /// Plays to the end of the stream. Empty if it ended, else the error or "timeout".
  std::string play(int seconds = 60);
  bool seek(double rate, GstSeekFlags flags, GstClockTime start,
            GstClockTime stop = GST_CLOCK_TIME_NONE);
  /// What came on a pad since the last flush.
  std::vector<Shown> shown(const std::string& pad);
  std::vector<std::string> pads();  // recorded ones
  std::string caps_of(const std::string& pad);

 private:
  struct Recorder;
  static void pad_added(GstElement*, GstPad* pad, gpointer self);

  GstElement* pipeline_ = nullptr;
  std::string record_;
  std::atomic<bool> all_pads_ = false;
  GMutex mutex_;
  std::map<std::string, std::unique_ptr<Recorder>> recorders_;
};

}  // namespace mvinr::testutil
