// 1,000 access units through every kind of file, bit-exact and on time. They have a real header and
// one unit of an unknown type with random bytes, so that they can have any size. MVINR_BULK=full
// makes all of them 10 KB to 4 MB (0.7 GB per file); else every fortieth is 1 to 4 MB.
#include <cmath>
#include <cstring>
#include <random>

#include "base/crc32.h"
#include "file_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr int kUnits = 1000, kFrames = 5;
constexpr Fraction kRate{30000, 1001};

template <typename T>
void put(Data& data, size_t at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) data[at + i] = std::byte(value >> (8 * i));
}

size_t bytes_of_unit(int index) {
  static const bool full = g_strcmp0(g_getenv("MVINR_BULK"), "full") == 0;
  const double u = std::fmod(index * 0.6180339887, 1.0);  // evenly spread
  if (full) return size_t(10e3 * std::pow(400.0, u));
  return size_t(index % 40 == 39 ? 1e6 + u * 3e6 : 10e3 + u * 30e3);
}

// docs/bitstream.md 2 and 4.
Data make_unit(int index) {
  static const Data model = make_gop({.frames = kFrames, .rate = kRate});
  const size_t header = size_t(model[6]) + size_t(model[7]) * 256, units = 16 + header;
  Data unit(bytes_of_unit(index));
  std::copy(model.begin(), model.begin() + ptrdiff_t(units), unit.begin());
  put(unit, 8, uint32_t(unit.size()));
  put(unit, 16, uint64_t(index) * kFrames);
  const Bytes all(unit);
  put(unit, 12, crc32(all.subspan(16, header), crc32(all.first(12))));
  unit[units] = std::byte{200};
  put(unit, units + 2, uint32_t(unit.size() - units - 10));
  std::mt19937_64 random{uint64_t(index)};
  for (size_t at = units + 10; at < unit.size(); at += 8) {
    const uint64_t word = random();
    std::memcpy(&unit[at], &word, std::min<size_t>(8, unit.size() - at));
  }
  put(unit, units + 6, crc32(all.subspan(units + 10), crc32(all.subspan(units, 6))));
  return unit;
}

GstClockTime time_of(int index) {
  return gst_util_uint64_scale(guint64(index) * kFrames, kRate.den * GST_SECOND, kRate.num);
}

// Counts what differs from the access units that went in.
struct Check {
  int count = 0, wrong = 0, late = 0;
  GstClockTime tolerance;

  static void buffer(GstElement*, GstBuffer* buffer, GstPad* pad, gpointer data) {
    auto* check = static_cast<Check*>(data);
    const Data want = make_unit(check->count);
    if (gst_buffer_get_size(buffer) != want.size() ||
        gst_buffer_memcmp(buffer, 0, want.data(), want.size()) != 0)
      ++check->wrong;
    const auto is = running_time(pad, buffer), must = time_of(check->count);
    if (std::max(is, must) - std::min(is, must) > check->tolerance) ++check->late;
    ++check->count;
  }
};

class Bulk : public testing::Test {
 protected:
  // Feeds `mux` ("mvinrparse ! … ! filesink …") with all access units.
  void write(const std::string& mux) {
    Pipeline pipeline(
        "appsrc name=s max-bytes=8000000 caps=video/x-mvinr,parsed=true "
        "format=time ! " +
        mux);
    int next = 0;
    g_signal_connect(pipeline.element("s"), "need-data",
                     G_CALLBACK(+[](GstElement* source, guint, gpointer data) {
                       int& index = *static_cast<int*>(data);
                       GstFlowReturn flow;
                       if (index == kUnits) {
                         g_signal_emit_by_name(source, "end-of-stream", &flow);
                         return;
                       }
                       GstBuffer* buffer = make_buffer(make_unit(index), time_of(index),
                                                       time_of(index + 1) - time_of(index));
                       ++index;
                       g_signal_emit_by_name(source, "push-buffer", buffer, &flow);
                       gst_buffer_unref(buffer);
                     }),
                     &next);
    EXPECT_EQ(pipeline.play(500), "");
    EXPECT_EQ(next, kUnits);
  }

  void expect_all(const std::string& source, GstClockTime tolerance = 0) {
    Check check{.tolerance = tolerance};
    Pipeline pipeline(source + " ! mvinrparse ! fakesink name=s sync=false signal-handoffs=true");
    g_signal_connect(pipeline.element("s"), "handoff", G_CALLBACK(Check::buffer), &check);
    EXPECT_EQ(pipeline.play(500), "");
    EXPECT_EQ(check.count, kUnits);
    EXPECT_EQ(check.wrong, 0) << "access units with other bytes";
    EXPECT_EQ(check.late, 0) << "access units at another time";
  }
  void require_mkv() {
    if (!have_element("mvinrmkvmux")) GTEST_SKIP() << "built without libmatroska";
  }
  void through(const std::string& muxer, const std::string& demuxer) {
    const auto path = folder_.file("bulk");
    write("mvinrparse ! " + muxer + " ! filesink location=" + path);
    expect_all("filesrc location=" + path + demuxer);
  }
  TemporaryFolder folder_;
};

TEST_F(Bulk, RawFile) { through("identity", ""); }
TEST_F(Bulk, Gdp) { through("gdppay", " ! gdpdepay"); }
TEST_F(Bulk, Mp4) { through("mp4mux", " ! qtdemux"); }
TEST_F(Bulk, FragmentedMp4) { through("mp4mux fragment-duration=1000", " ! qtdemux"); }
TEST_F(Bulk, FastStartMp4) { through("mp4mux faststart=true", " ! qtdemux"); }
TEST_F(Bulk, QuickTime) { through("qtmux", " ! qtdemux"); }

TEST_F(Bulk, Matroska) {
  require_mkv();
  if (!IsSkipped()) through("mvinrmkvmux", " ! matroskademux");
}

TEST_F(Bulk, StreamableMatroska) {
  require_mkv();
  if (!IsSkipped()) through("mvinrmkvmux streamable=true", " ! matroskademux");
}

TEST_F(Bulk, SplitMp4) {
  write("mvinrparse ! splitmuxsink max-size-time=20000000000 location=" +
        folder_.file("part%03d.mp4"));
  expect_all("splitmuxsrc location=" + folder_.file("part*.mp4"), GST_MSECOND);
}

TEST_F(Bulk, SplitMatroska) {
  require_mkv();
  if (IsSkipped()) return;
  write("mvinrparse ! splitmuxsink muxer=mvinrmkvmux max-size-time=20000000000 location=" +
        folder_.file("part%03d.mkv"));
  expect_all("splitmuxsrc location=" + folder_.file("part*.mkv"), GST_MSECOND);
}

TEST_F(Bulk, MatroskaRemuxedByMkvmerge) {
  require_mkv();
  if (IsSkipped()) return;
  if (!have_program("mkvmerge")) GTEST_SKIP() << "mkvmerge (package mkvtoolnix) is not installed";
  const auto path = folder_.file("a.mkv"), remuxed = folder_.file("b.mkv");
  write("mvinrparse ! mvinrmkvmux ! filesink location=" + path);
  int status;
  const auto text = run_program("mkvmerge -o " + remuxed + " " + path, &status);
  EXPECT_EQ(status, 0) << text;
  expect_all("filesrc location=" + remuxed + " ! matroskademux");
}

TEST_F(Bulk, Mp4CopiedToMovByFfmpeg) {
  if (!have_program("ffmpeg")) GTEST_SKIP() << "ffmpeg is not installed";
  const auto path = folder_.file("a.mp4"), copy = folder_.file("b.mov");
  write("mvinrparse ! mp4mux ! filesink location=" + path);
  int status;
  const auto text =
      run_program("ffmpeg -v error -y -i " + path + " -c copy -map 0 " + copy, &status);
  EXPECT_EQ(status, 0) << text;
  expect_all("filesrc location=" + copy + " ! qtdemux");
}

}  // namespace
}  // namespace mvinr
