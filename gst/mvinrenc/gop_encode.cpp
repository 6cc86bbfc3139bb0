// Encoding: the encoder of a sequence, and from a full GOP to an access unit on the src pad.
#include <gst/video/video-event.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

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

// Nothing is missing for hybrid mode, and its base views are to be chosen.
bool GopStream::waits_for_pictures() const {
  if (settings_.encoder.mode == Mode::implicit) return false;
  const Result<std::vector<int>> views = find_base_views(settings_, sequence_);
  return views && views->empty();
}

// The beginning, middle and end of the first GOP.
std::vector<Instant> GopStream::instants() const {
  std::vector<Instant> instants;
  for (int i = 0; i < 3; ++i) {
    const int frame = i * (frames_ - 1) / 2;
    if (i > 0 && frame == (i - 1) * (frames_ - 1) / 2) continue;
    Instant& instant =
        instants.emplace_back(Instant{sequence_.views, std::vector<Picture>(sequence_.views.size()),
                                      std::vector<Picture>(sequence_.views.size())});
    for (const auto& [id, picture] : waiting_)
      if (id.frame == frame)
        (id.component == Component::depth ? instant.depths : instant.textures)[size_t(id.view)] =
            picture.picture;
    for (size_t v = 0; v < sequence_.views.size(); ++v) {
      if (!sequence_.views[v].moving) continue;
      const Pose& pose = poses_[size_t(frame)][v];
      instant.views[v].camera->position = pose.position;
      instant.views[v].camera->rotation = pose.rotation;
    }
  }
  return instants;
}

Status GopStream::create_hybrid(const Settings& now, EncoderOptions options) {
  Result<std::vector<int>> views = find_base_views(settings_, sequence_);
  if (views && views->empty()) views = choose_base_views(settings_, instants(), options.lambda);
  if (!views) return views.error();
  Result<std::unique_ptr<BaseViews>> base =
      BaseViews::create(settings_, sequence_, std::move(*views),
                        base_quantisers(now, options.lambda), live_.budget());
  if (!base) return base.error();
  options.mode = Mode::hybrid;
  options.base_views = (*base)->views();
  options.motion = motion_of(settings_, sequence_);
  Result<std::unique_ptr<Encoder>> encoder = Encoder::create(sequence_, options);
  if (!encoder) return encoder.error();
  encoder_ = std::move(*encoder);
  base_ = std::move(*base);
  for (const int view : base_->views())
    GST_INFO_OBJECT(element_, "hybrid mode: view %d is coded by %s", view,
                    base_->elements().c_str());
  return ok();
}

// Hybrid mode if it is asked for or, with mode=auto, if nothing is missing; else implicit mode.
Status GopStream::create_encoder(const Settings& now) {
  EncoderOptions options = settings_.encoder;
  options.lambda = now.encoder.lambda;
  options.time_budget = now.encoder.time_budget;
  options.on_progress = [this](const Progress& progress) { post_progress(progress); };
  if (options.mode != Mode::implicit) {
    if (Status good = check_base_views(settings_, sequence_); !good) return good;
    Status status = create_hybrid(now, options);
    if (status || options.mode == Mode::hybrid) return status;
    GST_INFO_OBJECT(element_, "implicit mode, because %s", status.error().message.c_str());
  }
  options.mode = Mode::implicit;
  Result<std::unique_ptr<Encoder>> encoder = Encoder::create(sequence_, options);
  if (!encoder) return encoder.error();
  encoder_ = std::move(*encoder);
  return ok();
}

// The pictures that were waiting for the encoder.
Status GopStream::hand_over() {
  for (auto& [id, picture] : waiting_) {
    if (base_) base_->keep(id, picture.picture);
    if (Status added = encoder_->add(id, picture.picture); !added) return added;
    picture = {};
  }
  waiting_.clear();
  return ok();
}

GstFlowReturn GopStream::begin_sequence() {
  std::vector<InputPad> inputs;
  for (const Pad& pad : pads_)
    inputs.push_back({pad.id, pad_info(pad.pad.get()), pad_camera(pad.pad.get())});
  Result<SequenceInfo> sequence = describe_sequence(inputs, cameras_);
  if (!sequence) return fail(sequence.error());
  sequence_ = std::move(*sequence);

  const Settings now = current_settings();
  configure_latency(now);
  if (!waits_for_pictures())
    if (Status created = create_encoder(now); !created) return fail(created.error());
  open_ = true;
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

  GST_INFO_OBJECT(element_, "%d views: %" GST_PTR_FORMAT, views, caps_.get());
  return GST_FLOW_OK;
}

// A frame waits for the rest of its GOP, then for the training.
void GopStream::configure_latency(const Settings& now) {
  const auto& [fps_n, fps_d] = sequence_.frame_rate;
  live_.configure(
      gst_util_uint64_scale(guint64(settings_.encoder.gop_frames) * GST_SECOND, fps_d, fps_n),
      GstClockTime(now.encoder.time_budget * GST_SECOND));
}

void GopStream::end_sequence() {
  open_ = false;
  encoder_.reset();
  base_.reset();
  waiting_.clear();
  poses_.clear();
  collector_.reset();
  for (Pad& pad : pads_) pad.last.reset();
  discont_ = true;
}

// With a bit rate (aim > 0, bits of the GOP), lambda and the quantisers of the base views that go
// with it are changed until the base views take a reasonable share of the bits: the best one in the
// first GOP (docs/training.md 6), while the others begin at the lambda of the GOP before; all of
// them if there is no network.
Result<BaseStats> GopStream::code_base(const Settings& now, double& lambda, double aim,
                                       std::stop_token stop) {
  constexpr double kFirstTolerance = 1.2, kTolerance = 1.5, kAloneTolerance = 1.03;  // factors
  constexpr double kExponent = 2;  // crf follows 3 log2(lambda), bits halve every 6
  // Of the time budget, before the next trial; where the network could not make up for the miss.
  constexpr double kMaxTime = 0.15, kMaxTimeOfNeed = 0.6;
  constexpr double kNeed = 1.5;  // times the share of the base views: about all that there is
  constexpr int kMaxTrials = 4;
  const bool alone = base_->all_views();
  const double share = alone ? 1 : 0.6;
  const double tolerance = std::log(alone             ? kAloneTolerance
                                    : gop_index_ == 0 ? kFirstTolerance
                                                      : kTolerance);
  BaseStats total;
  for (int trial = 1;; ++trial) {
    const BaseQuantisers quantisers = base_quantisers(now, lambda);
    Result<BaseStats> coded = base_->code(frames_, quantisers, stop);
    if (!coded) return coded.error();
    total.views = coded->views;
    total.bytes = coded->bytes;
    total.seconds += coded->seconds;
    const double error = aim > 0 ? std::log(8.0 * double(total.bytes) / (share * aim)) : 0;
    const double most = alone || error > std::log(kNeed) ? kMaxTimeOfNeed : kMaxTime;
    if (std::abs(error) <= tolerance || trial == kMaxTrials ||
        (live_.budget() > 0 && total.seconds > most * live_.budget()))
      return total;
    const double better = std::clamp(lambda * std::exp(kExponent * error), kMinLambda, kMaxLambda);
    if (base_quantisers(now, better) == quantisers) return total;
    lambda = better;
  }
}

// Base views first, which count against the time budget; the rest of it, but at least a second, is
// for the training.
Result<EncodedGop> GopStream::encode_gop(const Settings& now, double aim, BaseStats& base,
                                         std::stop_token stop) {
  double lambda = rate_.lambda();
  if (!encoder_) {
    if (Status created = create_encoder(now); !created) return created.error();
    if (Status handed = hand_over(); !handed) return handed.error();
  }
  for (int t = 0; t < int(poses_.size()); ++t)
    for (int v = 0; v < int(sequence_.views.size()); ++v) {
      if (!sequence_.views[size_t(v)].moving) continue;
      if (Status added = encoder_->add_pose(t, v, poses_[size_t(t)][size_t(v)]); !added)
        return added.error();
    }
  poses_.clear();
  double budget = now.encoder.time_budget;
  if (base_) {
    post_progress({.phase = "base"});
    Result<BaseStats> coded = code_base(now, lambda, aim, stop);
    if (!coded) return coded.error();
    base = std::move(*coded);
    if (Status given = base_->give(frames_, *encoder_); !given) return given.error();
    post_progress({.bits = 8.0 * double(base.bytes), .seconds = base.seconds, .phase = "base"});
    budget = std::max(budget - base.seconds, std::min(budget, 1.0));
  }
  if (Status set = encoder_->set_lambda(lambda); !set) return set.error();
  if (Status set = encoder_->set_target_bytes(uint64_t(aim / 8)); !set) return set.error();
  if (Status set = encoder_->set_time_budget(budget); !set) return set.error();
  encoder_->set_deadline(live_.deadline(int64_t(gop_time_)));
  return encoder_->encode_gop(frames_, stop);
}

GstFlowReturn GopStream::close_gop(std::stop_token stop) {
  if (frames_ == 0) return GST_FLOW_OK;
  const auto start = std::chrono::steady_clock::now();
  const Settings now = current_settings();
  configure_latency(now);
  if (now.bitrate == 0) rate_ = RateControl(now.encoder.lambda);
  const auto& [fps_n, fps_d] = sequence_.frame_rate;
  const double share = 1000.0 * now.bitrate * frames_ * fps_d / fps_n;  // bits
  GST_DEBUG_OBJECT(element_, "GOP %" G_GUINT64_FORMAT ": %d frames, lambda %g", gop_index_, frames_,
                   rate_.lambda());
  BaseStats base;
  Result<EncodedGop> gop = encode_gop(now, now.bitrate > 0 ? rate_.aim(share) : 0, base, stop);
  if (!gop) {
    if (gop.error().code != ErrorCode::cancelled && !stop.stop_requested())
      return fail(gop.error());
    GST_DEBUG_OBJECT(element_, "GOP %" G_GUINT64_FORMAT " was cancelled", gop_index_);
    shared_.discard = true;
    return GST_AGGREGATOR_FLOW_NEED_DATA;
  }
  const GopStats& stats = gop->stats;
  if (now.bitrate > 0) rate_.update(share, 8.0 * double(stats.bytes), stats.lambda);
  const std::chrono::duration<double> all = std::chrono::steady_clock::now() - start;
  live_.gop_done(all.count() - stats.train_seconds);
  const std::optional<int64_t> running = live_.now();
  {
    const ObjectLock lock(element_);
    shared_.stats.add(stats, base, stats.lambda);
  }
  GstStructure* structure = gop_structure(gop_index_, gop_time_, stats.lambda, stats, base);
  gst_structure_set(structure, "dropped-frames", G_TYPE_INT, late_, "latency", G_TYPE_UINT64,
                    running ? guint64(*running) - gop_time_ : guint64(GST_CLOCK_TIME_NONE),
                    nullptr);
  gst_element_post_message(GST_ELEMENT_CAST(element_),
                           gst_message_new_element(GST_OBJECT_CAST(element_), structure));
  warn_of_steps();
  warn_of_late_frames();
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

void GopStream::warn_of_late_frames() {
  if (const int frames = std::exchange(late_, 0))
    GST_ELEMENT_WARNING(element_, STREAM, ENCODE,
                        ("This machine is too slow for the live stream: %d frames of all views "
                         "were dropped before GOP %" G_GUINT64_FORMAT
                         "; lower the profile, the picture size or the frame rate",
                         frames, gop_index_),
                        (nullptr));
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
