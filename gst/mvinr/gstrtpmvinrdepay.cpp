/**
 * SECTION:element-rtpmvinrdepay
 * @title: rtpmvinrdepay
 * @short_description: takes MV-INR out of RTP packets
 *
 * Puts access units together again (docs/rtp.md). A lost packet costs the units that it carried a
 * piece of: the access unit goes on without them, and the decoder shows the other views. Without
 * the network, the shared grids or the header nothing can be decoded: then the access unit is
 * dropped with a warning and its time passes with a GAP event.
 *
 * Whenever something is missing, an element message `rtpmvinrdepay-loss` tells what: access-unit
 * (guint, its number in the packets, modulo 65536), pts (guint64), units-lost (guint), dropped
 * (gboolean), views-missing (string, "0 3"; views that were left out before are among them).
 *
 * Put rtpjitterbuffer in front: it orders packets and drops duplicates.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 udpsrc port=5004 buffer-size=4000000 \
 *   caps="application/x-rtp,media=video,clock-rate=90000,encoding-name=MVINR,payload=96" \
 *   ! rtpjitterbuffer latency=500 ! rtpmvinrdepay ! mvinrdec name=d \
 *   d.texture_0 ! queue ! videoconvert ! autovideosink
 * ]| Receive what rtpmvinrpay sends.
 *
 * Since: 0.1
 */
#include "gstrtpmvinrdepay.h"

#include <gst/rtp/gstrtpbuffer.h>

#include <optional>

#include "gstmvinr.h"
#include "gstmvinrviews.h"
#include "gstrtpmvinr.h"
#include "gstrtpmvinrassembly.h"

GST_DEBUG_CATEGORY_STATIC(rtpmvinrdepay_debug);
#define GST_CAT_DEFAULT rtpmvinrdepay_debug

namespace {

// Guarded by the object lock.
struct Losses {
  guint64 access_units = 0;  // sent on
  guint64 incomplete = 0;    // of these, without some of their units
  guint64 dropped = 0;       // access units without which a GOP is missing
  guint64 units = 0;         // that were lost, of access units of which anything arrived
  guint64 malformed = 0;     // packets that make no sense
};

// Exists from READY to PAUSED and back; only the streaming thread uses it.
struct State {
  std::optional<GstRtpMvinrAssembly> assembly;  // of the access unit whose packets come in
  std::optional<guint16> last;                  // number of the one before
  GstClockTime duration = GST_CLOCK_TIME_NONE;  // of the last access unit that was sent on
};

}  // namespace

struct _GstRtpMvinrDepay {
  GstRTPBaseDepayload parent;
  State* state;
  Losses* losses;
};

enum { PROP_0, PROP_LOSSES };

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS("application/x-rtp, media = (string) video, clock-rate = (int) 90000, "
                    "encoding-name = (string) " GST_RTP_MVINR_ENCODING_NAME));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS(GST_MVINR_MEDIA_TYPE ", parsed = (boolean) true"));

#define gst_rtp_mvinr_depay_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstRtpMvinrDepay, gst_rtp_mvinr_depay, GST_TYPE_RTP_BASE_DEPAYLOAD,
                        GST_DEBUG_CATEGORY_INIT(rtpmvinrdepay_debug, "rtpmvinrdepay", 0,
                                                "RTP depayloader of MV-INR"));
GST_ELEMENT_REGISTER_DEFINE(rtpmvinrdepay, "rtpmvinrdepay", GST_RANK_SECONDARY,
                            GST_TYPE_RTP_MVINR_DEPAY);

static void count(GstRtpMvinrDepay* self, guint64 Losses::*counter, guint64 more = 1) {
  GST_OBJECT_LOCK(self);
  self->losses->*counter += more;
  GST_OBJECT_UNLOCK(self);
}

/* ---- caps ---- */

// The parameters of the session description, as far as they are sound: data decides.
static gboolean gst_rtp_mvinr_depay_set_caps(GstRTPBaseDepayload* depayload, GstCaps* caps) {
  const GstStructure* in = gst_caps_get_structure(caps, 0);
  const char* version = gst_structure_get_string(in, "sprop-version");
  if (version && g_ascii_strtoull(version, nullptr, 10) != guint64{mvinr::kBitstreamVersion}) {
    GST_ELEMENT_ERROR(depayload, STREAM, FORMAT, (NULL),
                      ("the stream is of bitstream version %s, this is a decoder of %d", version,
                       mvinr::kBitstreamVersion));
    return FALSE;
  }
  GstCaps* out = gst_caps_new_simple(GST_MVINR_MEDIA_TYPE, "parsed", G_TYPE_BOOLEAN, TRUE, nullptr);
  const struct {
    const char *parameter, *field;
    GType type;
  } fields[] = {{"sprop-width", "width", G_TYPE_INT},
                {"sprop-height", "height", G_TYPE_INT},
                {"sprop-views", "views", G_TYPE_INT},
                {"sprop-depths", "depths", G_TYPE_INT},
                {"sprop-textures", "textures", G_TYPE_INT},
                {"sprop-version", "version", G_TYPE_INT},
                {"sprop-framerate", "framerate", GST_TYPE_FRACTION}};
  for (const auto& field : fields) {
    const char* text = gst_structure_get_string(in, field.parameter);
    if (!text) continue;
    GValue value = G_VALUE_INIT;
    g_value_init(&value, field.type);
    if (gst_value_deserialize(&value, text))
      gst_caps_set_value(out, field.field, &value);
    else
      GST_WARNING_OBJECT(depayload, "%s=%s is no %s", field.parameter, text,
                         g_type_name(field.type));
    g_value_unset(&value);
  }
  depayload->clock_rate = GST_RTP_MVINR_CLOCK_RATE;
  const gboolean ok = gst_pad_set_caps(depayload->srcpad, out);
  gst_caps_unref(out);
  return ok;
}

/* ---- access units ---- */

static void post_loss(GstRtpMvinrDepay* self, const GstRtpMvinrAssembly& assembly, bool dropped,
                      const std::string& views) {
  GstStructure* loss = gst_structure_new(
      "rtpmvinrdepay-loss", "access-unit", G_TYPE_UINT, guint{assembly.number()}, "pts",
      G_TYPE_UINT64, assembly.pts(), "units-lost", G_TYPE_UINT, assembly.lost_units(), "dropped",
      G_TYPE_BOOLEAN, gboolean(dropped), "views-missing", G_TYPE_STRING, views.c_str(), nullptr);
  gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), loss));
}

static void drop(GstRtpMvinrDepay* self, const GstRtpMvinrAssembly& assembly,
                 const mvinr::Error& error) {
  count(self, &Losses::dropped);
  post_loss(self, assembly, true, "");
  GST_ELEMENT_WARNING(self, STREAM, DECODE, ("A GOP of the MV-INR stream was lost."),
                      ("access unit %u: %s", assembly.number(), error.message.c_str()));
  GstPad* src = GST_RTP_BASE_DEPAYLOAD_SRCPAD(self);
  // Before the first access unit there is no segment that a gap could be in.
  if (GST_CLOCK_TIME_IS_VALID(assembly.pts()) && GST_CLOCK_TIME_IS_VALID(self->state->duration))
    gst_pad_push_event(src, gst_event_new_gap(assembly.pts(), self->state->duration));
}

static void finish(GstRtpMvinrDepay* self) {
  State& state = *self->state;
  if (!state.assembly) return;
  const GstRtpMvinrAssembly assembly = std::move(*state.assembly);
  state.assembly.reset();
  state.last = assembly.number();
  const guint lost = assembly.lost_units();
  if (lost > 0) count(self, &Losses::units, lost);
  auto access_unit = assembly.finish();
  if (!access_unit) return drop(self, assembly, access_unit.error());
  if (lost > 0) {
    count(self, &Losses::incomplete);
    post_loss(self, assembly, false, gst_mvinr_missing_views(*access_unit));
  }
  const auto gop = mvinr::read_gop_info(*access_unit);
  const auto duration = gop ? gst_mvinr_gop_duration(*gop) : GST_CLOCK_TIME_NONE;
  GstBuffer* buffer = gst_mvinr_buffer_new(std::move(*access_unit));
  // Not those of the packet that ended it, which may be one of the next access unit.
  GST_BUFFER_PTS(buffer) = GST_BUFFER_DTS(buffer) = assembly.pts();
  GST_BUFFER_DURATION(buffer) = state.duration = duration;
  count(self, &Losses::access_units);
  gst_rtp_base_depayload_push(GST_RTP_BASE_DEPAYLOAD(self), buffer);
}

// Access units of which not a single packet arrived.
static void note_skipped(GstRtpMvinrDepay* self, guint16 number) {
  const auto& last = self->state->last;
  const guint skipped = last ? guint16(number - *last - 1) : 0;
  if (skipped == 0 || skipped >= 0x8000) return;  // none, or the sender began anew
  count(self, &Losses::dropped, skipped);
  GST_ELEMENT_WARNING(self, STREAM, DECODE, ("A GOP of the MV-INR stream was lost."),
                      ("all packets of %u access units before number %u", skipped, number));
}

static void take_packet(GstRtpMvinrDepay* self, GstRTPBuffer* rtp) {
  State& state = *self->state;
  const std::span<const guint8> payload(static_cast<const guint8*>(gst_rtp_buffer_get_payload(rtp)),
                                        gst_rtp_buffer_get_payload_len(rtp));
  GstRtpMvinrHeader header;
  if (!header.read(payload)) {
    GST_WARNING_OBJECT(self, "malformed packet of %zu bytes", payload.size());
    return count(self, &Losses::malformed);
  }
  if (state.assembly && state.assembly->number() != header.access_unit) finish(self);
  if (!state.assembly) {
    if (state.last == header.access_unit) return;  // it has ended: what comes now is repetition
    note_skipped(self, header.access_unit);
    state.assembly.emplace(header, GST_BUFFER_PTS(rtp->buffer));
  }
  if (!state.assembly->add(header, std::as_bytes(payload.subspan(GstRtpMvinrHeader::kBytes)))) {
    GST_WARNING_OBJECT(self, "packet of access unit %u contradicts others", header.access_unit);
    count(self, &Losses::malformed);
  }
  if (gst_rtp_buffer_get_marker(rtp)) finish(self);
}

static GstBuffer* gst_rtp_mvinr_depay_process(GstRTPBaseDepayload* depayload, GstRTPBuffer* rtp) {
  GstRtpMvinrDepay* self = GST_RTP_MVINR_DEPAY(depayload);
  return gst_mvinr_guard(self, static_cast<GstBuffer*>(nullptr), [&]() -> GstBuffer* {
    take_packet(self, rtp);
    return nullptr;  // what there is was pushed, with its own time
  });
}

/* ---- events and states ---- */

// The base class would send a GAP event for every packet; we know what it costs at the end of the
// access unit.
static gboolean gst_rtp_mvinr_depay_packet_lost(GstRTPBaseDepayload*, GstEvent*) { return TRUE; }

static gboolean gst_rtp_mvinr_depay_handle_event(GstRTPBaseDepayload* depayload, GstEvent* event) {
  GstRtpMvinrDepay* self = GST_RTP_MVINR_DEPAY(depayload);
  gst_mvinr_guard(self, FALSE, [&]() -> gboolean {
    if (!self->state) return TRUE;
    if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) finish(self);
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP) *self->state = {};
    return TRUE;
  });
  return GST_RTP_BASE_DEPAYLOAD_CLASS(parent_class)->handle_event(depayload, event);
}

static GstStateChangeReturn gst_rtp_mvinr_depay_change_state(GstElement* element,
                                                             GstStateChange transition) {
  GstRtpMvinrDepay* self = GST_RTP_MVINR_DEPAY(element);
  return gst_mvinr_change_state(GST_ELEMENT_CLASS(parent_class), element, transition, self->state,
                                [self] { *self->losses = {}; });
}

static void gst_rtp_mvinr_depay_get_property(GObject* object, guint id, GValue* value,
                                             GParamSpec* spec) {
  GstRtpMvinrDepay* self = GST_RTP_MVINR_DEPAY(object);
  if (id != PROP_LOSSES) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    return;
  }
  GST_OBJECT_LOCK(self);
  const Losses losses = *self->losses;
  GST_OBJECT_UNLOCK(self);
  g_value_take_boxed(
      value,
      gst_structure_new("application/x-rtpmvinrdepay-losses", "access-units", G_TYPE_UINT64,
                        losses.access_units, "incomplete", G_TYPE_UINT64, losses.incomplete,
                        "dropped", G_TYPE_UINT64, losses.dropped, "units", G_TYPE_UINT64,
                        losses.units, "malformed", G_TYPE_UINT64, losses.malformed, nullptr));
}

static void gst_rtp_mvinr_depay_finalize(GObject* object) {
  delete GST_RTP_MVINR_DEPAY(object)->state;
  delete GST_RTP_MVINR_DEPAY(object)->losses;
  G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void gst_rtp_mvinr_depay_init(GstRtpMvinrDepay* self) { self->losses = new Losses; }

static void gst_rtp_mvinr_depay_class_init(GstRtpMvinrDepayClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  GstElementClass* element_class = GST_ELEMENT_CLASS(klass);
  GstRTPBaseDepayloadClass* depayload_class = GST_RTP_BASE_DEPAYLOAD_CLASS(klass);
  object_class->get_property = gst_rtp_mvinr_depay_get_property;
  object_class->finalize = gst_rtp_mvinr_depay_finalize;
  g_object_class_install_property(
      object_class, PROP_LOSSES,
      g_param_spec_boxed("losses", "Losses",
                         "Since READY: access-units sent on, incomplete ones among them, dropped "
                         "access units, lost units, malformed packets",
                         GST_TYPE_STRUCTURE,
                         GParamFlags(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
  element_class->change_state = gst_rtp_mvinr_depay_change_state;
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "RTP MV-INR depayloader", "Codec/Depayloader/Network/RTP",
      "Takes MV-INR (multi-view video with depth) out of RTP packets", "The MV-INR authors");
  depayload_class->set_caps = gst_rtp_mvinr_depay_set_caps;
  depayload_class->process_rtp_packet = gst_rtp_mvinr_depay_process;
  depayload_class->packet_lost = gst_rtp_mvinr_depay_packet_lost;
  depayload_class->handle_event = gst_rtp_mvinr_depay_handle_event;
}
