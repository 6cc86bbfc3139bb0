// What mvinrmkvmux writes when: header, one cluster per access unit, clusters of audio, index.
#include <gst/audio/audio.h>

#include <algorithm>

#include "gstmvinr.h"
#include "gstmvinrmkvmux.h"
#include "gstmvinrmkvtrack.h"

GST_DEBUG_CATEGORY_EXTERN(mvinrmkvmux_debug);
#define GST_CAT_DEFAULT mvinrmkvmux_debug

using mvinr::mkv::Block;
using mvinr::mkv::Chunk;
using mvinr::mkv::kTick;

namespace {

// Audio waits this long for its cluster: seeking goes to access units, so that small clusters gain
// nothing, but a file that is cut off loses what waits.
constexpr guint64 kAudioTicks = 500;
constexpr size_t kAudioBytes = 1 << 20;
// MAX_BLOCK_SIZE of matroskademux, 15 MiB up to GStreamer 1.26, which gives up on larger ones.
constexpr size_t kMaxBlockBytes = 15 << 20;

bool is_seekable(GstPad* pad) {
  GstQuery* query = gst_query_new_seeking(GST_FORMAT_BYTES);
  gboolean seekable = FALSE;
  if (gst_pad_peer_query(pad, query))
    gst_query_parse_seeking(query, nullptr, &seekable, nullptr, nullptr);
  gst_query_unref(query);
  return seekable;
}

GstBuffer* wrap(std::vector<std::byte> bytes) {
  auto* kept = new std::vector<std::byte>(std::move(bytes));
  return gst_buffer_new_wrapped_full(
      GST_MEMORY_FLAG_READONLY, kept->data(), kept->size(), 0, kept->size(), kept,
      [](gpointer data) { delete static_cast<std::vector<std::byte>*>(data); });
}

GstCaps* file_caps(GstBuffer* header) {
  GstCaps* caps = gst_caps_new_empty_simple("video/x-matroska");
  if (!header) return caps;
  GValue array = G_VALUE_INIT, value = G_VALUE_INIT;
  g_value_init(&array, GST_TYPE_ARRAY);
  g_value_init(&value, GST_TYPE_BUFFER);
  gst_value_set_buffer(&value, header);
  gst_value_array_append_and_take_value(&array, &value);
  gst_structure_take_value(gst_caps_get_structure(caps, 0), "streamheader", &array);
  return caps;
}

// Pads may be released at any time.
using PadRef = std::shared_ptr<GstMvinrMkvMuxPad>;

template <typename Visit>
void for_each_pad(GstAggregator* element, Visit&& visit) {
  std::vector<PadRef> pads;
  GST_OBJECT_LOCK(element);
  for (GList* item = GST_ELEMENT(element)->sinkpads; item; item = item->next)
    pads.emplace_back(GST_MVINR_MKV_MUX_PAD(gst_object_ref(item->data)), gst_object_unref);
  GST_OBJECT_UNLOCK(element);
  for (const PadRef& pad : pads) visit(pad);
}

}  // namespace

// The buffer that a pad would give next.
struct GstMvinrMkvFile::Head {
  PadRef pad;
  gint64 time;  // running time, negative before the segment; G_MININT64: the buffer has none
};

GstMvinrMkvFile::GstMvinrMkvFile(GstAggregator* element, GstMvinrMkvSettings settings)
    : element_(element), settings_(std::move(settings)) {}

GstMvinrMkvFile::~GstMvinrMkvFile() { flush(); }

void GstMvinrMkvFile::flush() {
  for (const Waiting& waiting : audio_) gst_buffer_unref(waiting.buffer);
  audio_.clear();
  audio_bytes_ = 0;
}

GstFlowReturn GstMvinrMkvFile::fail(const mvinr::Error& error) {
  GST_ELEMENT_ERROR(element_, STREAM, MUX, (NULL), ("%s", error.message.c_str()));
  return GST_FLOW_ERROR;
}

std::optional<GstMvinrMkvFile::Head> GstMvinrMkvFile::earliest() const {
  std::optional<Head> found;
  for_each_pad(element_, [&](const PadRef& pad) {
    GstBuffer* buffer = gst_aggregator_pad_peek_buffer(GST_AGGREGATOR_PAD(pad.get()));
    if (!buffer) return;
    const GstClockTime pts = GST_BUFFER_PTS(buffer);
    gst_buffer_unref(buffer);
    Head head{pad, 0};
    guint64 time = 0;
    const GstSegment& segment = GST_AGGREGATOR_PAD(pad.get())->segment;
    if (GST_CLOCK_TIME_IS_VALID(pts)) {
      const int sign = gst_segment_to_running_time_full(&segment, GST_FORMAT_TIME, pts, &time);
      head.time = sign < 0 ? -gint64(time) : gint64(time);
    } else {
      head.time = G_MININT64;
    }
    if (!found || head.time < found->time) found = head;
  });
  return found;
}

GstClockTime GstMvinrMkvFile::next_time() const {
  const auto head = earliest();
  return head ? GstClockTime(std::max<gint64>(head->time, 0)) : GST_CLOCK_TIME_NONE;
}

guint64 GstMvinrMkvFile::ticks(gint64 running_time) const {
  return (guint64(std::max<gint64>(running_time - offset_, 0)) + kTick / 2) / kTick;
}

/* ---- out ---- */

GstFlowReturn GstMvinrMkvFile::push(Chunk chunk, GstClockTime time, guint flags) {
  if (chunk.offset != position_) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_BYTES);
    segment.start = segment.time = segment.position = chunk.offset;
    gst_aggregator_update_segment(element_, &segment);
  }
  position_ = chunk.offset + chunk.bytes.size();
  const guint64 offset = chunk.offset;
  GstBuffer* buffer = wrap(std::move(chunk.bytes));
  GST_BUFFER_PTS(buffer) = time;
  GST_BUFFER_OFFSET(buffer) = offset;
  GST_BUFFER_OFFSET_END(buffer) = position_;
  GST_BUFFER_FLAG_SET(buffer, flags);
  return gst_aggregator_finish_buffer(element_, buffer);
}

// The file's header holds that of the first access unit, so it waits for one on every video pad.
GstFlowReturn GstMvinrMkvFile::begin() {
  std::vector<mvinr::mkv::Track> tracks;
  std::optional<mvinr::Error> error;
  bool complete = true, video = false;
  for_each_pad(element_, [&](const PadRef& pad) {
    GstBuffer* buffer = gst_aggregator_pad_peek_buffer(GST_AGGREGATOR_PAD(pad.get()));
    GstMvinrMkvStream& stream = *pad->stream;
    if (!buffer) {
      complete &= gst_aggregator_pad_is_eos(GST_AGGREGATOR_PAD(pad.get()));
      return;
    }
    if (stream.video) {
      auto track = gst_mvinr_mkv_video_track(GstMvinrMap(buffer).bytes());
      if (track)
        stream.track = std::move(*track);
      else
        error = track.error();
      video = true;
    }
    gst_buffer_unref(buffer);
    if (!stream.track) return;
    stream.track->language = stream.language;
    stream.number = int(tracks.size());
    tracks.push_back(*stream.track);
  });
  if (error) return fail(*error);
  if (!complete) return GST_AGGREGATOR_FLOW_NEED_DATA;
  if (tracks.empty()) {
    GST_ELEMENT_WARNING(element_, STREAM, MUX, ("The Matroska file is empty."),
                        ("the stream ended before its first access unit"));
    return GST_FLOW_EOS;
  }
  if (!video)
    return fail({mvinr::ErrorCode::invalid_argument,
                 "there is no access unit of MV-INR on a video pad; for sound alone take "
                 "matroskamux or webmmux"});

  streamable_ = settings_.streamable || !is_seekable(GST_AGGREGATOR_SRC_PAD(element_));
  if (streamable_ && !settings_.streamable)
    GST_INFO_OBJECT(element_, "downstream cannot seek: the file will have no index");
  const auto head = earliest();
  if (settings_.offset_to_zero || head->time < 0) offset_ = head->time;

  mvinr::mkv::FileInfo info{.writing_app = settings_.writing_app};
  if (const GstTagList* tags = gst_tag_setter_get_tag_list(GST_TAG_SETTER(element_)))
    gst_mvinr_mkv_add_tags(tags, info);
  auto header = writer_.begin(info, tracks, streamable_);
  if (!header) return fail(header.error());

  GstBuffer* copy = streamable_ ? wrap(header->bytes) : nullptr;
  if (copy) GST_BUFFER_FLAG_SET(copy, GST_BUFFER_FLAG_HEADER);
  GstCaps* caps = file_caps(copy);
  if (copy) gst_buffer_unref(copy);
  gst_aggregator_set_src_caps(element_, caps);
  gst_caps_unref(caps);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_BYTES);
  gst_aggregator_update_segment(element_, &segment);
  started_ = true;
  return push(std::move(*header), GST_CLOCK_TIME_NONE, GST_BUFFER_FLAG_HEADER);
}

GstFlowReturn GstMvinrMkvFile::write_video(const Head& head) {
  GstBuffer* buffer = gst_aggregator_pad_pop_buffer(GST_AGGREGATOR_PAD(head.pad.get()));
  if (!buffer) return GST_FLOW_OK;  // flushed meanwhile
  const size_t bytes = gst_buffer_get_size(buffer);
  if (bytes > kMaxBlockBytes && !warned_) {
    GST_ELEMENT_WARNING(
        element_, STREAM, MUX, ("An access unit is too large for some players."),
        ("access unit of %" G_GSIZE_FORMAT " bytes: matroskademux of GStreamer 1.22 reads blocks "
         "of at most %" G_GSIZE_FORMAT "; make GOPs shorter (gop-size), or use mp4mux",
         bytes, kMaxBlockBytes));
    warned_ = true;
  }
  mvinr::Result<Chunk> cluster = mvinr::Error{mvinr::ErrorCode::internal, "cannot read the input"};
  const GstClockTime time = GstClockTime(std::max<gint64>(head.time, 0));
  {
    const GstMvinrMap map(buffer);
    GstClockTime duration = GST_BUFFER_DURATION(buffer);
    if (!GST_CLOCK_TIME_IS_VALID(duration)) {
      const auto gop = mvinr::read_gop_info(map.bytes());
      if (gop) duration = gst_mvinr_gop_duration(*gop);
    }
    Block block{.track = size_t(head.pad->stream->number), .time = ticks(head.time)};
    block.data = map.bytes();
    // The end is what is rounded, so that blocks follow without gap or overlap.
    if (GST_CLOCK_TIME_IS_VALID(duration))
      block.duration = ticks(head.time + gint64(duration)) - block.time;
    end_ = std::max(end_, block.time + block.duration);
    if (map) cluster = writer_.cluster({block});
  }
  gst_buffer_unref(buffer);
  if (!cluster) return fail(cluster.error());
  GST_LOG_OBJECT(element_, "access unit of %" G_GSIZE_FORMAT " bytes at %" GST_TIME_FORMAT, bytes,
                 GST_TIME_ARGS(time));
  return push(std::move(*cluster), time, 0);
}

GstFlowReturn GstMvinrMkvFile::keep_audio(const Head& head) {
  GstBuffer* buffer = gst_aggregator_pad_pop_buffer(GST_AGGREGATOR_PAD(head.pad.get()));
  if (!buffer) return GST_FLOW_OK;
  const auto& track = head.pad->stream->track;
  Block block{.track = size_t(head.pad->stream->number)};
  // Matroska's timestamps of Opus count from the decoder's first sample, before the pre-skip is cut
  // off; the buffer's are those of what is left.
  gint64 start = head.time + gint64(track->codec_delay);
  const auto* clip = gst_buffer_get_audio_clipping_meta(buffer);
  if (clip && clip->format == GST_FORMAT_DEFAULT) {
    const guint64 rate = guint64(track->sample_rate);
    start -= gint64(gst_util_uint64_scale(clip->start, GST_SECOND, rate));
    block.discard = gst_util_uint64_scale(clip->end, GST_SECOND, rate);
  }
  block.time = ticks(start);
  if (GST_BUFFER_DURATION_IS_VALID(buffer))
    end_ = std::max(end_, ticks(head.time + gint64(GST_BUFFER_DURATION(buffer))));
  if (!audio_.empty() && block.time < audio_.front().block.time + kAudioTicks &&
      block.time >= audio_.front().block.time && audio_bytes_ < kAudioBytes) {
    audio_.push_back({buffer, block});
    audio_bytes_ += gst_buffer_get_size(buffer);
    return GST_FLOW_OK;
  }
  const GstFlowReturn flow = write_audio();
  audio_.push_back({buffer, block});
  audio_bytes_ = gst_buffer_get_size(buffer);
  return flow;
}

GstFlowReturn GstMvinrMkvFile::write_audio() {
  if (audio_.empty()) return GST_FLOW_OK;
  std::vector<Block> blocks;
  std::vector<std::unique_ptr<GstMvinrMap>> maps;
  for (Waiting& waiting : audio_) {
    maps.push_back(std::make_unique<GstMvinrMap>(waiting.buffer));
    waiting.block.data = maps.back()->bytes();
    blocks.push_back(waiting.block);
  }
  auto cluster = writer_.cluster(blocks);
  maps.clear();
  const guint64 time = blocks.front().time * kTick;
  flush();
  if (!cluster) return fail(cluster.error());
  return push(std::move(*cluster), time, GST_BUFFER_FLAG_DELTA_UNIT);
}

GstFlowReturn GstMvinrMkvFile::finish() {
  GstFlowReturn flow = write_audio();
  if (streamable_ || flow != GST_FLOW_OK) return flow == GST_FLOW_OK ? GST_FLOW_EOS : flow;
  auto chunks = writer_.finish(end_);
  if (!chunks) return fail(chunks.error());
  for (Chunk& chunk : *chunks) {
    flow = push(std::move(chunk), GST_CLOCK_TIME_NONE, GST_BUFFER_FLAG_HEADER);
    if (flow != GST_FLOW_OK) return flow;
  }
  return GST_FLOW_EOS;
}

// A GAP event comes as a buffer without bytes; Matroska needs none for silence.
bool GstMvinrMkvFile::drop_gaps() {
  bool any = false;
  for_each_pad(element_, [&](const PadRef& pad) {
    GstBuffer* buffer = gst_aggregator_pad_peek_buffer(GST_AGGREGATOR_PAD(pad.get()));
    if (buffer && gst_buffer_get_size(buffer) == 0)
      any |= gst_aggregator_pad_drop_buffer(GST_AGGREGATOR_PAD(pad.get())) != FALSE;
    if (buffer) gst_buffer_unref(buffer);
  });
  return any;
}

GstFlowReturn GstMvinrMkvFile::aggregate() {
  if (drop_gaps()) return GST_AGGREGATOR_FLOW_NEED_DATA;
  if (!started_) {
    const GstFlowReturn flow = begin();
    if (flow != GST_FLOW_OK || !started_) return flow;
  }
  const auto head = earliest();
  if (!head) {
    bool all_eos = true;
    for_each_pad(element_, [&](const PadRef& pad) {
      all_eos &= gst_aggregator_pad_is_eos(GST_AGGREGATOR_PAD(pad.get()));
    });
    return all_eos ? finish() : GST_AGGREGATOR_FLOW_NEED_DATA;
  }
  if (head->time == G_MININT64) {
    GST_ELEMENT_ERROR(element_, STREAM, MUX, (NULL),
                      ("a buffer without timestamp on pad %s; put an mvinrparse (or the audio "
                       "codec's parser) in front",
                       GST_PAD_NAME(head->pad.get())));
    return GST_FLOW_ERROR;
  }
  if (head->pad->stream->number < 0) {  // it had nothing when the file began
    gst_aggregator_pad_drop_buffer(GST_AGGREGATOR_PAD(head->pad.get()));
    return GST_FLOW_OK;
  }
  if (!head->pad->stream->video) return keep_audio(*head);
  const GstFlowReturn flow = write_audio();
  return flow == GST_FLOW_OK ? write_video(*head) : flow;
}
