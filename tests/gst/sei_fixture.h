// Hybrid streams for the tests of mvinrseiinsert and mvinrseiextract, and pipelines around them.
#pragma once

#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <vector>

#include "gst_testutil.h"

namespace mvinr::testutil {

inline constexpr GstClockTime kSeiFrame = 40 * GST_MSECOND;
inline constexpr int kSeiFrames = 8;  // of a GOP
inline constexpr GstClockTime kSeiGop = kSeiFrames * kSeiFrame;

enum class BaseCodec { h264, h265 };

/// What the pipelines need to know about a codec.
struct CodecNames {
  const char* name;     // "h264"
  const char* encoder;  // the element
  const char* package;  // that it is in
  const char* parser;
  const char* decoder;
  std::string fragment;  // for BaseCoder, with B-frames
};
const CodecNames& names_of(BaseCodec codec);

/// An access unit that came out of mvinrseiextract, with its running time.
struct Extracted {
  Data data;
  GstClockTime time, duration;
  bool discont;
};

/// Plays a pipeline to its end and keeps what comes into its element `out`.
class Extraction {
 public:
  explicit Extraction(const std::string& description);
  Pipeline& pipeline() { return pipeline_; }
  std::string play(int seconds = 60) { return pipeline_.play(seconds); }
  std::vector<Extracted> take();

 private:
  static GstPadProbeReturn at_out(GstPad*, GstPadProbeInfo*, gpointer);
  Pipeline pipeline_;
  std::mutex mutex_;
  std::vector<Extracted> got_;
};

/// Four GOPs of eight frames and one of three: three views, of which view 1 is the base view.
class Sei : public testing::TestWithParam<BaseCodec> {
 protected:
  void SetUp() override;

  const CodecNames& codec() const { return names_of(GetParam()); }
  /// The stream as a file.
  std::string raw() { return folder_.write("scene.mvinr", joined(gops_)); }
  /// "filesrc … ! mvinrparse ! mvinrseiinsert PROPERTIES ! h265parse"
  std::string video(const std::string& properties = "");
  /// Plays `video() ! muxer` into a file; its path.
  std::string mux(const std::string& muxer, const std::string& name);
  /// The access units that come out of "SOURCE ! mvinrseiextract" are those that went in, from
  /// number `first` on, and so are their times, within `tolerance`.
  void expect_back(const std::string& source, GstClockTime tolerance = 0, size_t first = 0);
  void expect_equal(const std::vector<Extracted>& got, GstClockTime tolerance, size_t first = 0);
  /// MD5s of the pictures that "SOURCE ! decoder" shows.
  std::vector<std::string> pictures(const std::string& source);
  /// Those of the BASE units themselves, decoded without any of our elements.
  std::vector<std::string> base_pictures();

  std::vector<Data> gops_;
  TemporaryFolder folder_;
};

}  // namespace mvinr::testutil
