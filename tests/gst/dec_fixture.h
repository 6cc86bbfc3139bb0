// One mvinrdec with a harness in front of it and one behind every pad that the test wants.
#pragma once

#include <gst/check/gstharness.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gst_testutil.h"

namespace mvinr::testutil {

class MvinrDec : public testing::Test {
 protected:
  MvinrDec();
  ~MvinrDec() override;

  /// Sends stream-start, caps and segment. Pads whose names are in `wanted` get linked ("all").
  void start(const std::string& wanted = "all");
  void segment(double rate, GstClockTime start, GstClockTime stop = GST_CLOCK_TIME_NONE,
               GstSegmentFlags flags = GST_SEGMENT_FLAG_NONE);
  GstFlowReturn push(const Data& data, GstClockTime pts = GST_CLOCK_TIME_NONE,
                     GstClockTime duration = GST_CLOCK_TIME_NONE, bool discont = false);
  bool send(GstEvent* event) { return gst_harness_push_event(input_, event); }
  bool end() { return send(gst_event_new_eos()); }
  /// What came on a pad since the last call.
  std::vector<Shown> shown(const std::string& pad);
  std::vector<GstClockTime> times(const std::string& pad);
  /// The GAP events since the last call: start and duration.
  std::vector<std::pair<GstClockTime, GstClockTime>> gaps(const std::string& pad);
  std::string caps_of(const std::string& pad);
  std::string stream_id_of(const std::string& pad);
  guint64 stat(const char* name);
  void link(GstPad* pad);
  GstElement* element() { return element_; }

  GstElement* element_;
  GstHarness* input_;
  std::optional<Bus> bus_;
  std::string wanted_;
  std::vector<std::string> added_, removed_;  // names of pads, in order
  int no_more_pads_ = 0;
  std::map<std::string, GstHarness*> outputs_;

 private:
  static void pad_added(GstElement*, GstPad* pad, gpointer data);
  static void pad_removed(GstElement*, GstPad* pad, gpointer data);
  static void no_more_pads(GstElement*, gpointer data);
};

/// Pictures of these GOPs as the library renders them, times of `rate`.
std::vector<Shown> expected(const std::vector<Data>& gops, int view, Component component,
                            Fraction rate = {25, 1});

}  // namespace mvinr::testutil
