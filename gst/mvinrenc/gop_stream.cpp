// Collecting: from the pads' buffers to the pictures of a GOP. gop_encode.cpp does the rest.
#include "gop_stream.h"

#include <algorithm>
#include <cstdlib>

#include "glue.h"
#include "picture.h"

namespace mvinr::gst {
namespace {

// Before caps are known; it only decides which frames of which pad are dropped before the start.
constexpr int64_t kDefaultFrameDuration = GST_SECOND / 30;
constexpr GstClockTimeDiff kMaxRounding = GST_MSECOND;
constexpr guint64 kMaxTime = G_MAXINT64 / 4;  // sums of times do not overflow

int64_t frame_duration(const GstVideoInfo& info) {
  if (!info.finfo || info.fps_n <= 0 || info.fps_d <= 0) return kDefaultFrameDuration;
  return std::max<int64_t>(int64_t(gst_util_uint64_scale_int(GST_SECOND, info.fps_d, info.fps_n)),
                           1);
}

}  // namespace

std::stop_token Cancel::token() {
  const std::lock_guard lock(mutex_);
  return source_.get_token();
}

void Cancel::request() {
  const std::lock_guard lock(mutex_);
  source_.request_stop();
}

void Cancel::request_final() {
  const std::lock_guard lock(mutex_);
  final_ = true;
  source_.request_stop();
}

void Cancel::rearm() {
  const std::lock_guard lock(mutex_);
  if (!final_) source_ = std::stop_source();
}

void Cancel::restart() {
  const std::lock_guard lock(mutex_);
  final_ = false;
  source_ = std::stop_source();
}

void GopStream::start(const Settings& settings, std::optional<CameraFile> cameras) {
  settings_ = settings;
  cameras_ = std::move(cameras);
  gop_index_ = 0;
  discont_ = true;
  late_ = 0;
}

void GopStream::stop() {
  end_sequence();
  forget_gop();
  live_.reset();
  pads_.clear();
  cameras_.reset();
  caps_.reset();
  shared_.encoding = false;
}

GstFlowReturn GopStream::aggregate(bool timeout) {
  const std::stop_token stop = shared_.cancel.token();
  if (stop.stop_requested()) {
    // The flush or stop that asked for this is about to end this thread: wait for it, idly.
    g_usleep(1000);
    return GST_AGGREGATOR_FLOW_NEED_DATA;
  }
  if (shared_.discard.exchange(false)) {
    forget_gop();
    discont_ = true;
  }
  if (open_ && caps_changed_) {
    if (const GstFlowReturn flow = close_gop(stop); flow != GST_FLOW_OK) return flow;
    end_sequence();
  }
  caps_changed_ = false;
  if (!open_) find_pads();
  if (pads_.empty()) return GST_AGGREGATOR_FLOW_NEED_DATA;

  std::vector<Head> heads;
  if (const GstFlowReturn flow = read_heads(heads); flow != GST_FLOW_OK) return flow;
  const Decision decision = collector_->next(heads, timeout);
  switch (decision.kind) {
    case Decision::Kind::wait:
      // Nothing is there to be late for: the next frame, not the clock, ends the wait.
      shared_.next_time = kNoTime;
      return GST_AGGREGATOR_FLOW_NEED_DATA;
    case Decision::Kind::discard:
      for (size_t i = 0; i < pads_.size(); ++i) {
        if (!decision.actions[i].pop) continue;
        pads_[i].dropped += heads[i].state == Head::State::frame;
        drop_frame(pads_[i], heads[i]);
      }
      return GST_AGGREGATOR_FLOW_NEED_DATA;
    case Decision::Kind::ended:
      return finish(heads, stop);
    case Decision::Kind::set:
      break;
  }
  const GstFlowReturn flow = take_set(decision, heads, stop);
  if (collector_) shared_.next_time = live_.due_after(decision.time, collector_->frame_duration());
  return flow;
}

void GopStream::find_pads() {
  std::vector<Pad> pads;
  {
    const ObjectLock lock(element_);
    for (GList* l = GST_ELEMENT_CAST(element_)->sinkpads; l; l = l->next) {
      Pad& pad = pads.emplace_back();
      pad.pad.reset(GST_MVINR_ENC_PAD(gst_object_ref(l->data)));
      pad.id = pad_id(pad.pad.get());
      pad.name = pad_name(pad.id);
    }
  }
  std::sort(pads.begin(), pads.end(), [](const Pad& a, const Pad& b) { return a.id < b.id; });
  const bool same =
      std::equal(pads.begin(), pads.end(), pads_.begin(), pads_.end(),
                 [](const Pad& a, const Pad& b) { return a.pad.get() == b.pad.get(); });
  if (!same) pads_ = std::move(pads);
  if (pads_.empty()) return;
  const int64_t duration = frame_duration(pad_info(pads_[0].pad.get()));
  if (!same || !collector_ || collector_->frame_duration() != duration)
    collector_.emplace(pads_.size(), duration);
}

GstFlowReturn GopStream::read_heads(std::vector<Head>& heads) {
  heads.resize(pads_.size());
  for (size_t i = 0; i < pads_.size(); ++i)
    if (const GstFlowReturn flow = read_head(pads_[i], heads[i]); flow != GST_FLOW_OK) return flow;
  return GST_FLOW_OK;
}

GstFlowReturn GopStream::read_head(Pad& pad, Head& head) {
  auto* aggregator_pad = GST_AGGREGATOR_PAD(pad.pad.get());
  for (;;) {
    const Buffer buffer(gst_aggregator_pad_peek_buffer(aggregator_pad));
    if (!buffer) {
      const bool released = GST_OBJECT_PARENT(aggregator_pad) != GST_OBJECT_CAST(element_);
      const bool ended = released || gst_aggregator_pad_is_eos(aggregator_pad);
      head = {.state = ended ? Head::State::ended : Head::State::empty};
      return GST_FLOW_OK;
    }
    GST_OBJECT_LOCK(aggregator_pad);
    const GstSegment segment = aggregator_pad->segment;
    GST_OBJECT_UNLOCK(aggregator_pad);
    if (segment.format != GST_FORMAT_TIME)
      return fail({ErrorCode::invalid_argument, "pad " + pad.name + " has a segment in " +
                                                    gst_format_get_name(segment.format) +
                                                    ", it must be in time"});
    const bool gap = GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_GAP);
    const GstClockTime pts = GST_BUFFER_PTS(buffer.get());
    GstClockTime duration = GST_BUFFER_DURATION(buffer.get());
    if (!gap || duration > kMaxTime) duration = GstClockTime(collector_->frame_duration());
    GstClockTime time = GstClockTime(pad.next);
    if (GST_CLOCK_TIME_IS_VALID(pts)) {
      guint64 start = GST_CLOCK_TIME_NONE;
      time = GST_CLOCK_TIME_NONE;
      if (pts <= kMaxTime &&
          gst_segment_clip(&segment, GST_FORMAT_TIME, pts, pts + duration, &start, nullptr))
        time = gst_segment_to_running_time(&segment, GST_FORMAT_TIME, start);
    }
    if (time > kMaxTime) {  // also if there is none: the frame lies outside of the segment
      GST_DEBUG_OBJECT(pad.pad.get(), "outside of the segment: %" GST_PTR_FORMAT, buffer.get());
      gst_aggregator_pad_drop_buffer(aggregator_pad);
      continue;
    }
    head = {.state = gap ? Head::State::gap : Head::State::frame, .time = int64_t(time)};
    head.end = head.time + int64_t(duration);
    return GST_FLOW_OK;
  }
}

void GopStream::drop_frame(Pad& pad, const Head& head) {
  Buffer buffer(gst_aggregator_pad_pop_buffer(GST_AGGREGATOR_PAD(pad.pad.get())));
  pad.next = head.end;
  if (!buffer || head.state != Head::State::frame) return;
  GST_DEBUG_OBJECT(pad.pad.get(), "dropped: %" GST_PTR_FORMAT, buffer.get());
  ++pad.all_dropped;
  const GstClockTime pts = GST_BUFFER_PTS(buffer.get());
  GstMessage* message =
      gst_message_new_qos(GST_OBJECT_CAST(pad.pad.get()), live_.live(), guint64(head.time), pts,
                          pts, GST_BUFFER_DURATION(buffer.get()));
  gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, shared_.stats.frames() + guint(frames_),
                            pad.all_dropped);
  gst_element_post_message(GST_ELEMENT_CAST(element_), message);
  pad.last = std::move(buffer);
}

// Live, and there is no time left to encode this set of frames.
void GopStream::drop_set(const Decision& decision, std::span<const Head> heads) {
  for (size_t i = 0; i < pads_.size(); ++i)
    if (decision.actions[i].pop) drop_frame(pads_[i], heads[i]);
  ++late_;
  discont_ = true;
  const ObjectLock lock(element_);
  shared_.stats.add_dropped();
}

GstFlowReturn GopStream::take_set(const Decision& decision, std::span<const Head> heads,
                                  std::stop_token stop) {
  const auto time = GstClockTime(decision.time);
  if (!open_)
    if (const GstFlowReturn flow = begin_sequence(); flow != GST_FLOW_OK) return flow;
  if (std::optional<KeyUnitRequest> request = take_key_unit(time)) {
    if (const GstFlowReturn flow = close_gop(stop); flow != GST_FLOW_OK) return flow;
    key_unit_ = request;
  }
  if (decision.missing > 0) {
    // A hole in all views is filled if it lies inside the GOP, so that frame n of the GOP is due n
    // frame durations after its first; otherwise the GOP ends at the hole.
    if (frames_ > 0 && frames_ + decision.missing < settings_.encoder.gop_frames) {
      const std::vector<Action> repeat(pads_.size(), {.use = Action::Use::last});
      for (int64_t i = 0; i < decision.missing; ++i)
        if (const GstFlowReturn flow = add_pictures(repeat, stop); flow != GST_FLOW_OK) return flow;
    } else {
      if (const GstFlowReturn flow = close_gop(stop); flow != GST_FLOW_OK) return flow;
      GST_INFO_OBJECT(element_,
                      "no frames for %" G_GINT64_FORMAT " frame durations before %" GST_TIME_FORMAT,
                      decision.missing, GST_TIME_ARGS(time));
      discont_ = true;
    }
  }
  if (frames_ == 0) {
    if (live_.too_late(decision.time)) {
      drop_set(decision, heads);
      return GST_AGGREGATOR_FLOW_NEED_DATA;
    }
    // Timestamps of containers are often rounded to milliseconds: units follow without a step.
    const GstClockTimeDiff step = GST_CLOCK_DIFF(gop_end_, time);
    gop_time_ = !discont_ && std::abs(step) <= kMaxRounding ? gop_end_ : time;
  }
  if (const GstFlowReturn flow = add_pictures(decision.actions, stop); flow != GST_FLOW_OK)
    return flow;
  gst_aggregator_selected_samples(element_, time, GST_CLOCK_TIME_NONE,
                                  GstClockTime(collector_->frame_duration()), nullptr);
  return frames_ < settings_.encoder.gop_frames ? GST_FLOW_OK : close_gop(stop);
}

// Frame n of poses.json is the frame at stream time n / frame rate: seeks and frames that are lost
// before the element do not shift the poses.
GstFlowReturn GopStream::add_poses(std::stop_token stop) {
  const auto moves = [](const ViewInfo& view) { return view.moving; };
  if (std::none_of(sequence_.views.begin(), sequence_.views.end(), moves)) return GST_FLOW_OK;
  const guint64 running = gop_time_ + guint64(frames_) * guint64(collector_->frame_duration());
  auto* pad = GST_AGGREGATOR_PAD(pads_[0].pad.get());
  GST_OBJECT_LOCK(pad);
  const GstSegment segment = pad->segment;
  GST_OBJECT_UNLOCK(pad);
  const guint64 position =
      gst_segment_position_from_running_time(&segment, GST_FORMAT_TIME, running);
  guint64 time = gst_segment_to_stream_time(&segment, GST_FORMAT_TIME, position);
  if (!GST_CLOCK_TIME_IS_VALID(time)) time = running;
  const auto& [fps_n, fps_d] = sequence_.frame_rate;
  const guint64 frame = gst_util_uint64_scale_round(time, fps_n, guint64(fps_d) * GST_SECOND);
  if (frame >= cameras_->poses.size()) {
    if (const GstFlowReturn flow = close_gop(stop); flow != GST_FLOW_OK) return flow;
    return fail({ErrorCode::invalid_argument,
                 "the cameras of " + settings_.cameras + " move, and its poses.json has " +
                     std::to_string(cameras_->poses.size()) + " frames, none for frame " +
                     std::to_string(frame)});
  }
  std::vector<Pose>& poses = poses_.emplace_back();
  for (size_t v = 0; v < sequence_.views.size(); ++v) {
    const std::vector<Camera>& cameras = cameras_->poses[size_t(frame)];
    poses.push_back(sequence_.views[v].moving ? Pose{cameras[v].position, cameras[v].rotation}
                                              : Pose{});
  }
  return GST_FLOW_OK;
}

GstFlowReturn GopStream::add_pictures(std::span<const Action> actions, std::stop_token stop) {
  if (const GstFlowReturn flow = add_poses(stop); flow != GST_FLOW_OK) return flow;
  for (size_t i = 0; i < pads_.size(); ++i) {
    Pad& pad = pads_[i];
    if (actions[i].pop) {
      Buffer buffer(gst_aggregator_pad_pop_buffer(GST_AGGREGATOR_PAD(pad.pad.get())));
      if (buffer) {
        const gint64 end = gint64(gop_time_) + (frames_ + 1) * collector_->frame_duration();
        pad.next = end;
        if (actions[i].use == Action::Use::head) pad.last = std::move(buffer);
      }
    }
    if (actions[i].use == Action::Use::last) ++pad.repeated;
    if (const GstFlowReturn flow = add_picture(pad, frames_); flow != GST_FLOW_OK) return flow;
  }
  ++frames_;
  return GST_FLOW_OK;
}

GstFlowReturn GopStream::add_picture(Pad& pad, int frame) {
  // A pad that is flushed between the look at its head and now has nothing to give.
  if (!pad.last) {
    shared_.discard = true;
    return GST_AGGREGATOR_FLOW_NEED_DATA;
  }
  const MappedPicture picture(pad.last.get(), pad_info(pad.pad.get()), scratch_);
  if (!picture)
    return fail(
        {ErrorCode::invalid_argument, "pad " + pad.name + ": a buffer of " +
                                          std::to_string(gst_buffer_get_size(pad.last.get())) +
                                          " bytes does not hold a frame of the pad's caps"});
  const PictureId id{.frame = frame, .view = pad.id.view, .component = pad.id.component};
  if (!encoder_) {
    waiting_.emplace_back(id, copy_of(*picture));
    return GST_FLOW_OK;
  }
  if (base_) base_->keep(id, *picture);
  const Status added = encoder_->add(id, *picture);
  return added ? GST_FLOW_OK : fail(added.error());
}

GstFlowReturn GopStream::finish(std::span<const Head> heads, std::stop_token stop) {
  std::string ended, longer;
  for (size_t i = 0; i < pads_.size(); ++i) {
    std::string& list = heads[i].state == Head::State::ended ? ended : longer;
    if (heads[i].state == Head::State::ended || heads[i].state == Head::State::frame)
      list += (list.empty() ? "" : ", ") + pads_[i].name;
  }
  const GstFlowReturn flow = close_gop(stop);
  if (flow != GST_FLOW_OK) return flow;
  warn_of_late_frames();
  if (!longer.empty()) {
    GST_ELEMENT_WARNING(
        element_, STREAM, FAILED,
        ("%s ended early, at frame %" G_GUINT64_FORMAT "; the rest of %s is not encoded",
         ended.c_str(), shared_.stats.frames(), longer.c_str()),
        (nullptr));
  }
  return GST_FLOW_EOS;
}

void GopStream::forget_gop() {
  frames_ = 0;
  poses_.clear();
  waiting_.clear();
  key_unit_.reset();
  if (encoder_) encoder_->reset();
  if (base_) base_->forget();
  for (Pad& pad : pads_) {
    pad.last.reset();
    pad.next = 0;
    pad.repeated = pad.dropped = 0;
  }
  if (collector_) collector_.emplace(pads_.size(), collector_->frame_duration());
  shared_.next_time = kNoTime;
}

std::optional<KeyUnitRequest> GopStream::take_key_unit(GstClockTime running_time) {
  std::optional<KeyUnitRequest> due;  // several pads may pass on the same request
  const ObjectLock lock(element_);
  std::erase_if(shared_.key_units, [&](const KeyUnitRequest& request) {
    const bool now =
        !GST_CLOCK_TIME_IS_VALID(request.running_time) || request.running_time <= running_time;
    if (now) due = request;
    return now;
  });
  return due;
}

}  // namespace mvinr::gst
