// Four GOPs of three views for tests that take them through a file, and programs of others.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "dec_fixture.h"

namespace mvinr::testutil {

/// Is there an element of this name? Tests of optional ones skip themselves.
bool have_element(const char* name);
bool have_program(const char* name);

GstClockTime running_time(GstPad* pad, GstBuffer* buffer);

/// Runs a program; its output, both streams. `status` 0 if it ended well.
std::string run_program(const std::string& command, int* status);

class FileTest : public testing::Test {
 protected:
  explicit FileTest(const GopOptions& options = {});

  /// Puts the stream into a container; the file's path.
  std::string mux(const std::string& muxer, const std::string& name);
  static Data contents(const std::string& path);
  /// A copy of the file that ends after this part of its bytes.
  std::string cut(const std::string& path, double part);
  static std::string play_from(const std::string& path) { return "filesrc location=" + path; }
  /// Plays `source` ("filesrc … ! demuxer") to its end: all pictures of all pads are right, and
  /// their times within `tolerance`.
  void expect_all_pictures(const std::string& source, GstClockTime tolerance = 0);
  /// The access units that come out of `source` are those that went in (the first `count`), their
  /// running times exact or within `tolerance`.
  void expect_access_units(const std::string& source, size_t count = SIZE_MAX,
                           GstClockTime tolerance = 0);
  std::vector<Shown> textures() { return expected(gops_, 0, Component::texture, options_.rate); }

  GopOptions options_;
  std::vector<Data> gops_;
  TemporaryFolder folder_;
  std::string raw_;
};

}  // namespace mvinr::testutil
