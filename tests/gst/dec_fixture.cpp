#include "dec_fixture.h"

namespace mvinr::testutil {

MvinrDec::MvinrDec() : element_(gst_element_factory_make("mvinrdec", nullptr)) {
  if (!element_) g_error("no mvinrdec: is GST_PLUGIN_PATH set?");
  gst_object_ref_sink(element_);
  g_signal_connect(element_, "pad-added", G_CALLBACK(pad_added), this);
  g_signal_connect(element_, "pad-removed", G_CALLBACK(pad_removed), this);
  g_signal_connect(element_, "no-more-pads", G_CALLBACK(no_more_pads), this);
  input_ = gst_harness_new_with_element(element_, "sink", nullptr);
  bus_.emplace(element_);
}

MvinrDec::~MvinrDec() {
  bus_.reset();
  for (auto& [name, harness] : outputs_) gst_harness_teardown(harness);
  gst_harness_teardown(input_);
  gst_object_unref(element_);
}

void MvinrDec::link(GstPad* pad) {
  const std::string name = GST_PAD_NAME(pad);
  if (outputs_.count(name)) return;
  GstHarness* harness = gst_harness_new_with_element(element_, nullptr, nullptr);
  gst_harness_add_element_src_pad(harness, pad);
  outputs_[name] = harness;
}

void MvinrDec::pad_added(GstElement*, GstPad* pad, gpointer data) {
  auto* self = static_cast<MvinrDec*>(data);
  const std::string name = GST_PAD_NAME(pad);
  self->added_.push_back(name);
  if (self->wanted_ == "all" ||
      (" " + self->wanted_ + " ").find(" " + name + " ") != std::string::npos)
    self->link(pad);
}

void MvinrDec::pad_removed(GstElement*, GstPad* pad, gpointer data) {
  static_cast<MvinrDec*>(data)->removed_.push_back(GST_PAD_NAME(pad));
}

void MvinrDec::no_more_pads(GstElement*, gpointer data) {
  ++static_cast<MvinrDec*>(data)->no_more_pads_;
}

void MvinrDec::start(const std::string& wanted) {
  wanted_ = wanted;
  gst_harness_set_src_caps_str(input_, "video/x-mvinr,parsed=true");
}

void MvinrDec::segment(double rate, GstClockTime start, GstClockTime stop, GstSegmentFlags flags) {
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.rate = rate;
  segment.start = segment.time = start;
  segment.stop = stop;
  segment.flags = flags;
  segment.position = rate > 0 ? start : stop;
  send(gst_event_new_segment(&segment));
}

GstFlowReturn MvinrDec::push(const Data& data, GstClockTime pts, GstClockTime duration,
                             bool discont) {
  GstBuffer* buffer = make_buffer(data, pts, duration);
  if (discont) GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
  return gst_harness_push(input_, buffer);
}

std::vector<Shown> MvinrDec::shown(const std::string& pad) {
  std::vector<Shown> all;
  const auto found = outputs_.find(pad);
  if (found == outputs_.end()) return all;
  GstCaps* caps = gst_pad_get_current_caps(found->second->sinkpad);
  while (GstBuffer* buffer = gst_harness_try_pull(found->second)) {
    all.push_back({GST_BUFFER_PTS(buffer), GST_BUFFER_DURATION(buffer), md5_of(buffer, caps)});
    gst_buffer_unref(buffer);
  }
  if (caps) gst_caps_unref(caps);
  return all;
}

std::vector<GstClockTime> MvinrDec::times(const std::string& pad) {
  std::vector<GstClockTime> times;
  for (const Shown& s : shown(pad)) times.push_back(s.pts);
  return times;
}

std::vector<std::pair<GstClockTime, GstClockTime>> MvinrDec::gaps(const std::string& pad) {
  std::vector<std::pair<GstClockTime, GstClockTime>> all;
  while (GstEvent* event = gst_harness_try_pull_event(outputs_.at(pad))) {
    GstClockTime start, duration;
    if (GST_EVENT_TYPE(event) == GST_EVENT_GAP) {
      gst_event_parse_gap(event, &start, &duration);
      all.emplace_back(start, duration);
    }
    gst_event_unref(event);
  }
  return all;
}

std::string MvinrDec::caps_of(const std::string& pad) {
  GstCaps* caps = gst_pad_get_current_caps(outputs_.at(pad)->sinkpad);
  gchar* text = gst_caps_to_string(caps);
  std::string result = text;
  g_free(text);
  gst_caps_unref(caps);
  return result;
}

std::string MvinrDec::stream_id_of(const std::string& pad) {
  gchar* id = gst_pad_get_stream_id(outputs_.at(pad)->sinkpad);
  std::string result = id ? id : "";
  g_free(id);
  return result;
}

guint64 MvinrDec::stat(const char* name) {
  GstStructure* stats = nullptr;
  g_object_get(element_, "stats", &stats, nullptr);
  guint64 value = G_MAXUINT64;
  gst_structure_get_uint64(stats, name, &value);
  gst_structure_free(stats);
  return value;
}

std::vector<Shown> expected(const std::vector<Data>& gops, int view, Component component,
                            Fraction rate) {
  std::vector<Shown> all;
  for (const Data& data : gops) {
    LibraryGop library(data);
    const GopInfo* gop = &library.info();
    auto time = [&](int frame) {
      return gst_util_uint64_scale(gop->first_frame, rate.den * GST_SECOND, rate.num) +
             gst_util_uint64_scale(guint64(frame), rate.den * GST_SECOND, rate.num);
    };
    for (int f = 0; f < gop->frames; ++f)
      all.push_back({time(f), time(f + 1) - time(f), library.md5(f, view, component)});
  }
  return all;
}

}  // namespace mvinr::testutil
