#include "gstmvinrdecpad.h"

#include <atomic>
#include <cstdio>
#include <utility>

#include "gstmvinr.h"

GST_DEBUG_CATEGORY_EXTERN(mvinrdec_debug);
#define GST_CAT_DEFAULT mvinrdec_debug

using mvinr::Component;
using mvinr::SampleFormat;

namespace {

struct State {
  int view = 0;
  Component component = Component::texture;

  // The streaming thread's; properties read the range under the object lock.
  SampleFormat format = SampleFormat::none;
  GstVideoInfo info{};
  double depth_near = 0, depth_far = 0;  // metres, 0: not known
  bool discont = true;
  GstFlowReturn flow = GST_FLOW_OK;  // of the last push
  guint64 rendered = 0, dropped = 0;
  bool asked = false;  // downstream was asked for the pool

  GstBufferPool* pool = nullptr;  // guarded by the object lock, with `flushing`
  bool flushing = false;

  std::atomic<GstClockTime> earliest{GST_CLOCK_TIME_NONE};  // running time that is not too late
  std::atomic<double> proportion{1.0};
};

}  // namespace

struct _GstMvinrDecPad {
  GstPad parent;
  State* state;
};

G_DEFINE_TYPE(GstMvinrDecPad, gst_mvinr_dec_pad, GST_TYPE_PAD);

enum { PROP_0, PROP_VIEW, PROP_DEPTH_NEAR, PROP_DEPTH_FAR };

static State& state_of(const GstMvinrDecPad* pad) { return *pad->state; }

GstMvinrDecPadName::GstMvinrDecPadName(int view, Component component) {
  name = (component == Component::texture ? "texture_" : "depth_") + std::to_string(view);
  char order[16];
  std::snprintf(order, sizeof order, "%03d:", 2 * view + int(component));
  id = order + name;
}

GstMvinrDecPad* gst_mvinr_dec_pad_new(GstElement* element, int view, Component component) {
  const bool texture = component == Component::texture;
  GstPadTemplate* templ = gst_element_class_get_pad_template(GST_ELEMENT_GET_CLASS(element),
                                                             texture ? "texture_%u" : "depth_%u");
  auto* pad = static_cast<GstMvinrDecPad*>(
      g_object_new(GST_TYPE_MVINR_DEC_PAD, "name", GstMvinrDecPadName(view, component).name.c_str(),
                   "direction", GST_PAD_SRC, "template", templ, nullptr));
  pad->state->view = view;
  pad->state->component = component;
  return pad;
}

int gst_mvinr_dec_pad_view(const GstMvinrDecPad* pad) { return state_of(pad).view; }
Component gst_mvinr_dec_pad_component(const GstMvinrDecPad* pad) { return state_of(pad).component; }

static GstVideoFormat video_format(SampleFormat format) {
  switch (format) {
    case SampleFormat::yuv420_8:
      return GST_VIDEO_FORMAT_I420;
    case SampleFormat::yuv420_10:
      return GST_VIDEO_FORMAT_I420_10LE;
    case SampleFormat::gray_8:
      return GST_VIDEO_FORMAT_GRAY8;
    case SampleFormat::gray_10:
      return GST_VIDEO_FORMAT_GRAY10_LE32;
    case SampleFormat::gray_16:
      return GST_VIDEO_FORMAT_GRAY16_LE;
    case SampleFormat::none:
      break;
  }
  return GST_VIDEO_FORMAT_UNKNOWN;
}

static void drop_pool(GstMvinrDecPad* pad) {
  GST_OBJECT_LOCK(pad);
  GstBufferPool* pool = pad->state->pool;
  pad->state->pool = nullptr;
  GST_OBJECT_UNLOCK(pad);
  if (!pool) return;
  gst_buffer_pool_set_active(pool, FALSE);
  gst_object_unref(pool);
}

bool gst_mvinr_dec_pad_configure(GstMvinrDecPad* pad, const mvinr::ViewInfo& view,
                                 const mvinr::Fraction& rate) {
  State& state = state_of(pad);
  GST_OBJECT_LOCK(pad);
  state.depth_near = view.camera ? view.camera->depth_range[0] : 0;
  state.depth_far = view.camera ? view.camera->depth_range[1] : 0;
  GST_OBJECT_UNLOCK(pad);
  state.format = state.component == Component::texture ? view.texture : view.depth;
  GstVideoInfo info;
  gst_video_info_set_format(&info, video_format(state.format), guint(view.width),
                            guint(view.height));
  GST_VIDEO_INFO_FPS_N(&info) = rate.num <= G_MAXINT && rate.den <= G_MAXINT ? int(rate.num) : 0;
  GST_VIDEO_INFO_FPS_D(&info) = GST_VIDEO_INFO_FPS_N(&info) ? int(rate.den) : 1;
  if (gst_video_info_is_equal(&info, &state.info)) return false;
  state.info = info;
  drop_pool(pad);
  return true;
}

GstCaps* gst_mvinr_dec_pad_caps(const GstMvinrDecPad* pad) {
  return gst_video_info_to_caps(&pad->state->info);
}

bool gst_mvinr_dec_pad_wanted(GstMvinrDecPad* pad) {
  State& state = state_of(pad);
  if (!gst_pad_is_linked(GST_PAD(pad))) return false;
  // Set by linking and by RECONFIGURE events: another peer, or one that changed its mind.
  if (gst_pad_check_reconfigure(GST_PAD(pad))) {
    state.flow = GST_FLOW_OK;
    drop_pool(pad);
  }
  return state.flow != GST_FLOW_NOT_LINKED && state.flow != GST_FLOW_EOS;
}

GstFlowReturn gst_mvinr_dec_pad_flow(GstMvinrDecPad* pad) {
  return gst_pad_is_linked(GST_PAD(pad)) ? pad->state->flow : GST_FLOW_NOT_LINKED;
}

void gst_mvinr_dec_pad_mark_discont(GstMvinrDecPad* pad) { pad->state->discont = true; }

GstFlowReturn gst_mvinr_dec_pad_push(GstMvinrDecPad* pad, GstBuffer* buffer) {
  State& state = state_of(pad);
  if (state.discont) GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
  state.discont = false;
  return state.flow = gst_pad_push(GST_PAD(pad), buffer);
}

/* ---- buffers ---- */

// Sets up and activates a pool; takes it and returns it, or nullptr if it refuses.
static GstBufferPool* configure_pool(GstBufferPool* pool, GstCaps* caps, guint size, guint min,
                                     guint max, GstAllocator* allocator,
                                     const GstAllocationParams* params, bool video_meta) {
  GstStructure* config = gst_buffer_pool_get_config(pool);
  gst_buffer_pool_config_set_params(config, caps, size, min, max);
  if (params) gst_buffer_pool_config_set_allocator(config, allocator, params);
  if (video_meta && gst_buffer_pool_has_option(pool, GST_BUFFER_POOL_OPTION_VIDEO_META))
    gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  if (!gst_buffer_pool_set_config(pool, config) || !gst_buffer_pool_set_active(pool, TRUE))
    g_clear_pointer(&pool, gst_object_unref);
  return pool;
}

// What downstream answers to an allocation query; nullptr if it has no pool that takes our caps.
static GstBufferPool* ask_for_pool(GstMvinrDecPad* pad, GstCaps* caps, guint size) {
  GstQuery* query = gst_query_new_allocation(caps, TRUE);
  GstBufferPool* pool = nullptr;
  guint wanted = 0, min = 0, max = 0;
  if (gst_pad_peer_query(GST_PAD(pad), query) && gst_query_get_n_allocation_pools(query) > 0)
    gst_query_parse_nth_allocation_pool(query, 0, &pool, &wanted, &min, &max);
  if (pool) {
    GstAllocator* allocator = nullptr;
    GstAllocationParams params;
    gst_allocation_params_init(&params);
    if (gst_query_get_n_allocation_params(query) > 0)
      gst_query_parse_nth_allocation_param(query, 0, &allocator, &params);
    const bool meta = gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr);
    pool = configure_pool(pool, caps, MAX(size, wanted), min, max, allocator, &params, meta);
    if (allocator) gst_object_unref(allocator);
  }
  gst_query_unref(query);
  return pool;
}

static GstBufferPool* make_pool(GstMvinrDecPad* pad, bool ask) {
  GstCaps* caps = gst_mvinr_dec_pad_caps(pad);
  const guint size = guint(GST_VIDEO_INFO_SIZE(&pad->state->info));
  GstBufferPool* pool = ask ? ask_for_pool(pad, caps, size) : nullptr;
  GST_DEBUG_OBJECT(pad, "%s pool", pool ? "downstream's" : "own");
  if (!pool)
    pool = configure_pool(gst_video_buffer_pool_new(), caps, size, 0, 0, nullptr, nullptr, false);
  gst_caps_unref(caps);
  return pool;
}

GstFlowReturn gst_mvinr_dec_pad_acquire(GstMvinrDecPad* pad, bool alone, GstBuffer** buffer) {
  State& state = state_of(pad);
  if (!state.pool || (alone && !state.asked)) {
    drop_pool(pad);
    state.asked = alone;
    GstBufferPool* pool = make_pool(pad, alone);
    if (!pool) return GST_FLOW_NOT_NEGOTIATED;
    GST_OBJECT_LOCK(pad);
    state.pool = pool;
    const bool flushing = state.flushing;
    GST_OBJECT_UNLOCK(pad);
    if (flushing) gst_buffer_pool_set_flushing(pool, TRUE);
  }
  return gst_buffer_pool_acquire_buffer(state.pool, buffer, nullptr);
}

void gst_mvinr_dec_pad_set_flushing(GstMvinrDecPad* pad, bool flushing) {
  GST_OBJECT_LOCK(pad);
  State& state = state_of(pad);
  const bool changed = state.flushing != flushing;
  state.flushing = flushing;
  GstBufferPool* pool =
      state.pool && changed ? GST_BUFFER_POOL(gst_object_ref(state.pool)) : nullptr;
  GST_OBJECT_UNLOCK(pad);
  if (!pool) return;
  gst_buffer_pool_set_flushing(pool, flushing);
  gst_object_unref(pool);
}

void gst_mvinr_dec_pad_reset(GstMvinrDecPad* pad) {
  State& state = state_of(pad);
  state.discont = true;
  state.flow = GST_FLOW_OK;
  state.earliest = GST_CLOCK_TIME_NONE;
  state.proportion = 1.0;
}

void gst_mvinr_dec_pad_release(GstMvinrDecPad* pad) { drop_pool(pad); }

/* ---- quality of service ---- */

void gst_mvinr_dec_pad_take_qos(GstMvinrDecPad* pad, GstEvent* event) {
  GstQOSType type;
  gdouble proportion;
  GstClockTimeDiff diff;
  GstClockTime timestamp;
  gst_event_parse_qos(event, &type, &proportion, &diff, &timestamp);
  State& state = state_of(pad);
  state.proportion = proportion;
  GstClockTime earliest = GST_CLOCK_TIME_NONE;
  if (GST_CLOCK_TIME_IS_VALID(timestamp)) {
    // Late: skip twice the delay, so that the next frame is on time.
    if (diff > 0) diff *= 2;
    earliest = diff < 0 && guint64(-diff) > timestamp ? 0 : timestamp + GstClockTime(diff);
  }
  state.earliest = earliest;
}

bool gst_mvinr_dec_pad_too_late(GstMvinrDecPad* pad, const GstSegment* segment, GstClockTime pts,
                                GstClockTime duration) {
  State& state = state_of(pad);
  const GstClockTime earliest = state.earliest;
  const GstClockTime running = gst_segment_to_running_time(segment, GST_FORMAT_TIME, pts);
  if (!GST_CLOCK_TIME_IS_VALID(earliest) || !GST_CLOCK_TIME_IS_VALID(running) ||
      running >= earliest) {
    ++state.rendered;
    return false;
  }
  ++state.dropped;
  state.discont = true;
  const GstClockTime stream_time = gst_segment_to_stream_time(segment, GST_FORMAT_TIME, pts);
  GstMessage* message = gst_message_new_qos(GST_OBJECT(GST_PAD_PARENT(pad)), FALSE, running,
                                            stream_time, pts, duration);
  gst_message_set_qos_values(message, GST_CLOCK_DIFF(running, earliest), state.proportion, 1000000);
  gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, state.rendered, state.dropped);
  gst_element_post_message(GST_ELEMENT(GST_PAD_PARENT(pad)), message);
  return true;
}

/* ---- frames ---- */

GstMvinrDecFrame::GstMvinrDecFrame(GstMvinrDecPad* pad, GstBuffer* buffer)
    : pad_(pad), buffer_(buffer) {
  const State& state = state_of(pad);
  mapped_ = gst_video_frame_map(&frame_, &state.info, buffer, GST_MAP_WRITE);
  if (!mapped_) return;
  picture_.format = state.format;
  picture_.width = GST_VIDEO_INFO_WIDTH(&state.info);
  picture_.height = GST_VIDEO_INFO_HEIGHT(&state.info);
  if (state.format == SampleFormat::gray_10) {
    unpacked_.resize(size_t(picture_.width) * size_t(picture_.height) * 2);
    picture_.data[0] = unpacked_.data();
    picture_.stride[0] = picture_.width * 2;
    return;
  }
  for (int p = 0; p < mvinr::plane_count(state.format); ++p) {
    picture_.data[p] = static_cast<std::byte*>(GST_VIDEO_FRAME_PLANE_DATA(&frame_, p));
    picture_.stride[p] = GST_VIDEO_FRAME_PLANE_STRIDE(&frame_, p);
  }
}

GstMvinrDecFrame::~GstMvinrDecFrame() {
  if (mapped_) gst_video_frame_unmap(&frame_);
  if (buffer_) gst_buffer_unref(buffer_);
}

// GRAY10_LE32: three samples in a word, the first in the lowest bits.
static void pack_gray10(const mvinr::MutablePicture& from, GstVideoFrame* to) {
  for (int y = 0; y < from.height; ++y) {
    const auto* in = reinterpret_cast<const guint8*>(from.data[0] + y * from.stride[0]);
    auto* out = static_cast<guint8*>(GST_VIDEO_FRAME_PLANE_DATA(to, 0)) +
                y * GST_VIDEO_FRAME_PLANE_STRIDE(to, 0);
    for (int x = 0; x < from.width; x += 3, out += 4) {
      guint32 word = 0;
      for (int k = 0; k < 3 && x + k < from.width; ++k)
        word |= guint32(GST_READ_UINT16_LE(in + 2 * (x + k)) & 1023) << (10 * k);
      GST_WRITE_UINT32_LE(out, word);
    }
  }
}

GstBuffer* GstMvinrDecFrame::finish() {
  if (!unpacked_.empty()) pack_gray10(picture_, &frame_);
  gst_video_frame_unmap(&frame_);
  mapped_ = false;
  return std::exchange(buffer_, nullptr);
}

/* ---- GObject ---- */

static void gst_mvinr_dec_pad_get_property(GObject* object, guint id, GValue* value,
                                           GParamSpec* spec) {
  State& state = state_of(GST_MVINR_DEC_PAD(object));
  GST_OBJECT_LOCK(object);
  switch (id) {
    case PROP_VIEW:
      g_value_set_uint(value, guint(state.view));
      break;
    case PROP_DEPTH_NEAR:
      g_value_set_double(value, state.depth_near);
      break;
    case PROP_DEPTH_FAR:
      g_value_set_double(value, state.depth_far);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
  GST_OBJECT_UNLOCK(object);
}

static void gst_mvinr_dec_pad_finalize(GObject* object) {
  GstMvinrDecPad* pad = GST_MVINR_DEC_PAD(object);
  drop_pool(pad);
  delete pad->state;
  G_OBJECT_CLASS(gst_mvinr_dec_pad_parent_class)->finalize(object);
}

static void gst_mvinr_dec_pad_init(GstMvinrDecPad* pad) {
  pad->state = new State;
  gst_video_info_init(&pad->state->info);
}

static void gst_mvinr_dec_pad_class_init(GstMvinrDecPadClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  object_class->get_property = gst_mvinr_dec_pad_get_property;
  object_class->finalize = gst_mvinr_dec_pad_finalize;
  const auto flags = GParamFlags(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_property(
      object_class, PROP_VIEW,
      g_param_spec_uint("view", "View", "Index of the view that this pad shows", 0,
                        mvinr::kMaxViews - 1, 0, flags));
  g_object_class_install_property(
      object_class, PROP_DEPTH_NEAR,
      g_param_spec_double("depth-near", "Nearest depth",
                          "Nearest distance in metres that depth samples stand for (0 = unknown)",
                          0, G_MAXFLOAT, 0, flags));
  g_object_class_install_property(
      object_class, PROP_DEPTH_FAR,
      g_param_spec_double("depth-far", "Farthest depth",
                          "Farthest distance in metres that depth samples stand for (0 = unknown)",
                          0, G_MAXFLOAT, 0, flags));
}
