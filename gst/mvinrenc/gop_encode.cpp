// Encoding: the encoder of a sequence, and from a full GOP to an access unit on the src pad.
#include <gst/video/video-event.h>

#include <algorithm>

#include "glue.h"
#include "gop_stream.h"
#include "sequence.h"

namespace mvinr::gst {

GstFlowReturn GopStream::fail(const Error& error) {
  // LibTorch appends where it failed: that is for the developer.
  const std::string first_line = error.message.substr(0, error.message.find('\n'));
  const char* text = first_line.c_str();
  const char* all = error.message.c_str();
  switch (error.code) {
    case ErrorCode::limit_exceeded:
      GST_ELEMENT_ERROR(element_, RESOURCE, NO_SPACE_LEFT, ("%s", text), ("%s", all));
      break;
    case ErrorCode::no_device:
      GST_ELEMENT_ERROR(element_, RESOURCE, NOT_FOUND, ("%s", text), ("%s", all));
      break;
    case ErrorCode::invalid_argument:
      GST_ELEMENT_ERROR(element_, STREAM, FORMAT, ("%s", text), ("%s", all));
      break;
    case ErrorCode::unsupported:
      GST_ELEMENT_ERROR(element_, STREAM, NOT_IMPLEMENTED, ("%s", text), ("%s", all));
      break;
    default:
      GST_ELEMENT_ERROR(element_, STREAM, ENCODE, ("%s: %s", to_string(error.code), text),
                        ("%s", all));
  }
  return GST_FLOW_ERROR;
}

Settings GopStream::current_settings() const {
  const ObjectLock lock(element_);
  return shared_.settings;
}

void GopStream::post_progress(const Progress& progress) {
  gst_element_post_message(
      GST_ELEMENT_CAST(element_),
      gst_message_new_element(GST_OBJECT_CAST(element_), progress_structure(gop_index_, progress)));
}

// Hybrid mode if it is asked for or, with mode=auto, if nothing is missing; else implicit mode.
Status GopStream::create_encoder(const Settings& now) {
  EncoderOptions options = settings_.encoder;
  options.lambda = now.encoder.lambda;
  options.time_budget = now.encoder.time_budget;
  options.on_progress = [this](const Progress& progress) { post_progress(progress); };
  const Mode wanted = options.mode;
  base_.reset();
  const auto create = [&]() -> Status {
    Result<std::unique_ptr<Encoder>> encoder = Encoder::create(sequence_, options);
    if (!encoder) return encoder.error();
    encoder_ = std::move(*encoder);
    return ok();
  };
  // Learned motion has not been measured to beat implicit mode: it is for those who ask for it.
  const bool unasked = wanted == Mode::automatic && !options.motion &&
                       motion_of(settings_, sequence_) == Motion::learned;
  if (unasked) GST_INFO_OBJECT(element_, "implicit mode, because cameras or depth are missing");
  if (wanted != Mode::implicit && !unasked) {
    if (Status good = check_base_views(settings_, sequence_); !good) return good;
    Status status = ok();
    // An access unit has one camera per view.
    const bool moving = cameras_ && !cameras_->poses.empty();
    Result<std::unique_ptr<BaseViews>> base =
        moving
            ? Result<std::unique_ptr<BaseViews>>(Error{
                  ErrorCode::invalid_argument, "hybrid mode: the cameras of " + settings_.cameras +
                                                   " move, which only mode=implicit can code"})
            : BaseViews::create(settings_, sequence_, base_quantisers(now, options.lambda));
    if (base) {
      options.mode = Mode::hybrid;
      options.base_views = (*base)->views();
      options.motion = motion_of(settings_, sequence_);
      status = create();
      if (status) base_ = std::move(*base);
    } else {
      status = base.error();
    }
    if (status) {
      for (const int view : base_->views())
        GST_INFO_OBJECT(element_, "hybrid mode: view %d is coded by %s", view,
                        base_->elements().c_str());
      return ok();
    }
    if (wanted == Mode::hybrid) return status;
    GST_INFO_OBJECT(element_, "implicit mode, because %s", status.error().message.c_str());
  }
  options.mode = Mode::implicit;
  options.base_views.clear();
  return create();
}

GstFlowReturn GopStream::begin_sequence() {
  std::vector<InputPad> inputs;
  for (const Pad& pad : pads_)
    inputs.push_back({pad.id, pad_info(pad.pad.get()), pad_camera(pad.pad.get())});
  Result<SequenceInfo> sequence = describe_sequence(inputs, cameras_);
  if (!sequence) return fail(sequence.error());
  sequence_ = std::move(*sequence);

  const Settings now = current_settings();
  if (Status created = create_encoder(now); !created) return fail(created.error());
  shared_.encoding = true;
  rate_ = RateControl(now.encoder.lambda);

  const ViewInfo& first = sequence_.views[0];
  int depths = 0;
  for (const ViewInfo& view : sequence_.views) depths += view.depth != SampleFormat::none;
  const auto& [fps_n, fps_d] = sequence_.frame_rate;
  const int views = int(sequence_.views.size());
  caps_.reset(gst_caps_new_simple(
      "video/x-mvinr", "parsed", G_TYPE_BOOLEAN, TRUE, "version", G_TYPE_INT, kBitstreamVersion,
      "width", G_TYPE_INT, first.width, "height", G_TYPE_INT, first.height, "framerate",
      GST_TYPE_FRACTION, int(fps_n), int(fps_d), "views", G_TYPE_INT, views, "textures", G_TYPE_INT,
      views, "depths", G_TYPE_INT, depths, nullptr));
  if (!gst_aggregator_negotiate(element_)) return GST_FLOW_NOT_NEGOTIATED;

  GstTagList* tags =
      gst_tag_list_new(GST_TAG_ENCODER, "MV-INR " VERSION, GST_TAG_VIDEO_CODEC, "MV-INR", nullptr);
  if (now.bitrate > 0)
    gst_tag_list_add(tags, GST_TAG_MERGE_REPLACE, GST_TAG_NOMINAL_BITRATE, now.bitrate * 1000,
                     nullptr);
  gst_pad_push_event(element_->srcpad, gst_event_new_tag(tags));

  // A frame waits for the rest of its GOP, then for the training.
  const GstClockTime latency =
      gst_util_uint64_scale(guint64(settings_.encoder.gop_frames) * GST_SECOND, fps_d, fps_n) +
      GstClockTime(now.encoder.time_budget * GST_SECOND);
  gst_aggregator_set_latency(element_, latency, latency);
  GST_INFO_OBJECT(element_, "%d views: %" GST_PTR_FORMAT, views, caps_.get());
  return GST_FLOW_OK;
}

void GopStream::end_sequence() {
  encoder_.reset();
  base_.reset();
  collector_.reset();
  for (Pad& pad : pads_) pad.last.reset();
  discont_ = true;
}

// Base views first, which count against the time budget; the rest of it, but at least a second, is
// for the training.
Result<EncodedGop> GopStream::encode_gop(const Settings& now, double lambda, BaseStats& base,
                                         std::stop_token stop) {
  double budget = now.encoder.time_budget;
  if (base_) {
    post_progress({.phase = "base"});
    Result<BaseStats> coded = base_->code(frames_, base_quantisers(now, lambda), *encoder_, stop);
    if (!coded) return coded.error();
    base = std::move(*coded);
    post_progress({.bits = 8.0 * double(base.bytes), .seconds = base.seconds, .phase = "base"});
    budget = std::max(budget - base.seconds, std::min(budget, 1.0));
  }
  if (Status set = encoder_->set_lambda(lambda); !set) return set.error();
  if (Status set = encoder_->set_time_budget(budget); !set) return set.error();
  return encoder_->encode_gop(frames_, stop);
}

GstFlowReturn GopStream::close_gop(std::stop_token stop) {
  if (frames_ == 0) return GST_FLOW_OK;
  const Settings now = current_settings();
  if (now.bitrate == 0) rate_ = RateControl(now.encoder.lambda);
  const double lambda = rate_.lambda();
  GST_DEBUG_OBJECT(element_, "GOP %" G_GUINT64_FORMAT ": %d frames, lambda %g", gop_index_, frames_,
                   lambda);
  BaseStats base;
  Result<EncodedGop> gop = encode_gop(now, lambda, base, stop);
  if (!gop) {
    if (gop.error().code != ErrorCode::cancelled && !stop.stop_requested())
      return fail(gop.error());
    GST_DEBUG_OBJECT(element_, "GOP %" G_GUINT64_FORMAT " was cancelled", gop_index_);
    shared_.discard = true;
    return GST_AGGREGATOR_FLOW_NEED_DATA;
  }
  const GopStats& stats = gop->stats;
  if (now.bitrate > 0) {
    const auto& [fps_n, fps_d] = sequence_.frame_rate;
    rate_.update(1000.0 * now.bitrate * frames_ * fps_d / fps_n, 8.0 * double(stats.bytes));
  }
  {
    const ObjectLock lock(element_);
    shared_.stats.add(stats, base, lambda);
  }
  gst_element_post_message(
      GST_ELEMENT_CAST(element_),
      gst_message_new_element(GST_OBJECT_CAST(element_),
                              gop_structure(gop_index_, gop_time_, lambda, stats, base)));
  warn_of_steps();
  return push(std::move(*gop));
}

GstFlowReturn GopStream::push(EncodedGop gop) {
  // The bytes move into the buffer; they are not copied.
  auto* bytes = new std::vector<std::byte>(std::move(gop.bytes));
  GstBuffer* buffer = gst_buffer_new_wrapped_full(
      GST_MEMORY_FLAG_READONLY, bytes->data(), bytes->size(), 0, bytes->size(), bytes,
      [](gpointer data) { delete static_cast<std::vector<std::byte>*>(data); });
  const auto& [fps_n, fps_d] = sequence_.frame_rate;
  const GstClockTime duration = gst_util_uint64_scale(guint64(frames_) * GST_SECOND, fps_d, fps_n);

  GST_OBJECT_LOCK(element_->srcpad);
  GstSegment& segment = GST_AGGREGATOR_PAD(element_->srcpad)->segment;
  const guint64 position =
      gst_segment_position_from_running_time(&segment, GST_FORMAT_TIME, gop_time_);
  const GstClockTime pts = GST_CLOCK_TIME_IS_VALID(position) ? position : gop_time_;
  segment.position = pts + duration;
  const guint64 stream_time = gst_segment_to_stream_time(&segment, GST_FORMAT_TIME, pts);
  GST_OBJECT_UNLOCK(element_->srcpad);

  GST_BUFFER_PTS(buffer) = pts;
  GST_BUFFER_DURATION(buffer) = duration;
  GST_BUFFER_OFFSET(buffer) = gop.stats.first_frame;
  GST_BUFFER_OFFSET_END(buffer) = gop.stats.first_frame + guint64(frames_);
  if (discont_) GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
  discont_ = false;

  // The first access unit follows no other that could have been ended early, and an event may not
  // come before the segment, which goes out with it.
  GstEvent* segment_event = gst_pad_get_sticky_event(element_->srcpad, GST_EVENT_SEGMENT, 0);
  if (key_unit_ && segment_event) {
    GstEvent* event = gst_video_event_new_downstream_force_key_unit(
        pts, stream_time, gop_time_, key_unit_->all_headers, key_unit_->count);
    gst_event_set_seqnum(event, key_unit_->seqnum);
    gst_pad_push_event(element_->srcpad, event);
  }
  gst_clear_event(&segment_event);
  key_unit_.reset();
  gop_end_ = gop_time_ + duration;
  frames_ = 0;
  ++gop_index_;
  return gst_aggregator_finish_buffer(element_, buffer);
}

void GopStream::warn_of_steps() {
  std::string list;
  for (Pad& pad : pads_) {
    if (pad.repeated > 0 || pad.dropped > 0)
      list += (list.empty() ? "" : ", ") + pad.name + ": " + std::to_string(pad.repeated) +
              " repeated, " + std::to_string(pad.dropped) + " dropped";
    pad.repeated = pad.dropped = 0;
  }
  if (list.empty()) return;
  GST_ELEMENT_WARNING(
      element_, STREAM, FAILED,
      ("Frames of the pads do not fit together in time; GOP %" G_GUINT64_FORMAT ": %s", gop_index_,
       list.c_str()),
      (nullptr));
}

}  // namespace mvinr::gst
