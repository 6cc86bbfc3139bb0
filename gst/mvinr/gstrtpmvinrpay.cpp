/**
 * SECTION:element-rtpmvinrpay
 * @title: rtpmvinrpay
 * @short_description: puts MV-INR into RTP packets
 *
 * Cuts access units at the boundaries of their units, so that a lost packet costs the views whose
 * units it carried a piece of, and repeats the access unit's header (docs/rtp.md). Units that fit
 * share a packet. The marker bit is set on an access unit's last packet.
 *
 * An access unit is sent at once. Over UDP, let `udpsink max-bitrate` or the network's queue spread
 * it, and give the receiver a `udpsrc buffer-size` that holds one.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=scene.mvinr ! mvinrparse ! rtpmvinrpay \
 *   ! udpsink host=127.0.0.1 port=5004
 * ]| Send a file; rtpmvinrdepay shows how to receive it.
 *
 * Since: 0.1
 */
#include "gstrtpmvinrpay.h"

#include <gst/rtp/gstrtpbuffer.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gstmvinr.h"
#include "gstrtpmvinr.h"

GST_DEBUG_CATEGORY_STATIC(rtpmvinrpay_debug);
#define GST_CAT_DEFAULT rtpmvinrpay_debug

namespace {

constexpr guint kDefaultHeaderInterval = 32;

// What one packet carries: its header, and where in the access unit its data lies.
struct Packet {
  GstRtpMvinrHeader header;
  gsize offset = 0, bytes = 0;
};

// The packets of one access unit.
class Packer {
 public:
  Packer(gsize room, gsize beginning_bytes, guint interval)
      : room_(room), beginning_bytes_(beginning_bytes), interval_(interval) {}

  std::vector<Packet> pack(const std::vector<mvinr::UnitInfo>& units) {
    std::vector<Packet> data;
    for (size_t i = 0; i < units.size();) i = add_units(data, units, i);
    repeat_beginning();
    guint since = 0;
    for (size_t i = 0; i < data.size(); ++i, ++since) {
      const bool last = i + 1 == data.size();
      if (interval_ > 0 && since > 0 && (last || since >= interval_)) {
        repeat_beginning();
        since = 0;
      }
      packets_.push_back(data[i]);
    }
    return std::move(packets_);
  }

 private:
  // Adds as many whole units as fit into one packet, or one in pieces. The next unit's number.
  size_t add_units(std::vector<Packet>& out, const std::vector<mvinr::UnitInfo>& units, size_t i) {
    const size_t first = i;
    gsize together = 0;
    while (i < units.size() && together + units[i].bytes <= room_) together += units[i++].bytes;
    GstRtpMvinrHeader header{.unit = guint16(first)};
    if (together > 0) {
      header.starts = header.ends = true;
      out.push_back({header, units[first].offset, together});
      return i;
    }
    add_pieces(out, header, units[first].offset, units[first].bytes);
    return first + 1;
  }

  void add_pieces(std::vector<Packet>& out, GstRtpMvinrHeader header, gsize offset, gsize bytes) {
    for (gsize done = 0; done < bytes; done += room_) {
      const gsize piece = std::min(room_, bytes - done);
      header.starts = done == 0;
      header.ends = done + piece == bytes;
      header.offset = guint32(done);
      out.push_back({header, offset + done, piece});
    }
  }

  void repeat_beginning() { add_pieces(packets_, {.beginning = true}, 0, beginning_bytes_); }

  const gsize room_, beginning_bytes_;
  const guint interval_;
  std::vector<Packet> packets_;
};

}  // namespace

struct _GstRtpMvinrPay {
  GstRTPBasePayload parent;
  guint header_interval;  // guarded by the object lock
  guint16 access_unit;    // the next one's number
};

enum { PROP_0, PROP_HEADER_INTERVAL };

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS(GST_MVINR_MEDIA_TYPE ", parsed = (boolean) true"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS("application/x-rtp, media = (string) video, payload = (int) [96, 127], "
                    "clock-rate = (int) 90000, "
                    "encoding-name = (string) " GST_RTP_MVINR_ENCODING_NAME));

#define gst_rtp_mvinr_pay_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstRtpMvinrPay, gst_rtp_mvinr_pay, GST_TYPE_RTP_BASE_PAYLOAD,
                        GST_DEBUG_CATEGORY_INIT(rtpmvinrpay_debug, "rtpmvinrpay", 0,
                                                "RTP payloader of MV-INR"));
GST_ELEMENT_REGISTER_DEFINE(rtpmvinrpay, "rtpmvinrpay", GST_RANK_SECONDARY, GST_TYPE_RTP_MVINR_PAY);

// What a receiver may want to know before data comes. In SDP only strings are parameters.
static gboolean gst_rtp_mvinr_pay_set_caps(GstRTPBasePayload* payload, GstCaps* caps) {
  GstRtpMvinrPay* self = GST_RTP_MVINR_PAY(payload);
  return gst_mvinr_guard(self, FALSE, [&]() -> gboolean {
    const GstStructure* in = gst_caps_get_structure(caps, 0);
    GstStructure* parameters =
        gst_structure_new("parameters", "sprop-version", G_TYPE_STRING,
                          std::to_string(mvinr::kBitstreamVersion).c_str(), nullptr);
    for (const char* field : {"width", "height", "framerate", "views", "textures", "depths"}) {
      const GValue* value = gst_structure_get_value(in, field);
      if (!value) continue;
      gchar* text = gst_value_serialize(value);
      gst_structure_set(parameters, (std::string("sprop-") + field).c_str(), G_TYPE_STRING, text,
                        nullptr);
      g_free(text);
    }
    gst_rtp_base_payload_set_options(payload, "video", TRUE, GST_RTP_MVINR_ENCODING_NAME,
                                     GST_RTP_MVINR_CLOCK_RATE);
    const gboolean ok = gst_rtp_base_payload_set_outcaps_structure(payload, parameters);
    gst_structure_free(parameters);
    return ok;
  });
}

static GstBuffer* make_packet(GstRtpMvinrPay* self, GstBuffer* access_unit, const Packet& packet) {
  GstBuffer* out = gst_rtp_base_payload_allocate_output_buffer(
      GST_RTP_BASE_PAYLOAD(self), guint(GstRtpMvinrHeader::kBytes), 0, 0);
  GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;
  gst_rtp_buffer_map(out, GST_MAP_WRITE, &rtp);
  packet.header.write(static_cast<guint8*>(gst_rtp_buffer_get_payload(&rtp)));
  gst_rtp_buffer_unmap(&rtp);
  gst_buffer_copy_into(out, access_unit, GST_BUFFER_COPY_MEMORY, packet.offset, packet.bytes);
  GST_BUFFER_PTS(out) = GST_BUFFER_PTS(access_unit);
  GST_BUFFER_DTS(out) = GST_BUFFER_DTS(access_unit);
  return out;
}

static void set_marker(GstBuffer* packet) {
  GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;
  gst_rtp_buffer_map(packet, GST_MAP_WRITE, &rtp);
  gst_rtp_buffer_set_marker(&rtp, TRUE);
  gst_rtp_buffer_unmap(&rtp);
  GST_BUFFER_FLAG_SET(packet, GST_BUFFER_FLAG_MARKER);
}

static GstFlowReturn send(GstRtpMvinrPay* self, GstBuffer* buffer) {
  GstRTPBasePayload* payload = GST_RTP_BASE_PAYLOAD(self);
  // At least 4: the base class allows no mtu below 28.
  const gsize room = gst_rtp_buffer_calc_payload_len(GST_RTP_BASE_PAYLOAD_MTU(payload), 0, 0) -
                     GstRtpMvinrHeader::kBytes;
  GstMvinrMap map(buffer);
  if (!map) {
    GST_ELEMENT_ERROR(self, RESOURCE, READ, (NULL), ("cannot map the input"));
    return GST_FLOW_ERROR;
  }
  const auto units = mvinr::list_units(map.bytes());
  if (!units && units.error().code == mvinr::ErrorCode::unsupported) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("This MV-INR stream cannot be sent."),
                      ("%s", units.error().message.c_str()));
    return GST_FLOW_ERROR;
  }
  if (!units) {
    GST_ELEMENT_WARNING(self, STREAM, FORMAT, ("An MV-INR access unit cannot be sent."),
                        ("%s", units.error().message.c_str()));
    return GST_FLOW_OK;
  }
  const gsize beginning =
      units->empty() ? *mvinr::access_unit_bytes(map.bytes()) : units->front().offset;
  GST_OBJECT_LOCK(self);
  const guint interval = self->header_interval;
  GST_OBJECT_UNLOCK(self);
  auto packets = Packer(room, beginning, interval).pack(*units);
  GST_LOG_OBJECT(self, "access unit %u: %zu units in %zu packets", self->access_unit, units->size(),
                 packets.size());

  GstBufferList* list = gst_buffer_list_new_sized(guint(packets.size()));
  for (Packet& packet : packets) {
    packet.header.access_unit = self->access_unit;
    packet.header.units = guint16(units->size());
    gst_buffer_list_add(list, make_packet(self, buffer, packet));
  }
  set_marker(gst_buffer_list_get_writable(list, guint(packets.size() - 1)));
  ++self->access_unit;
  return gst_rtp_base_payload_push_list(payload, list);
}

static GstFlowReturn gst_rtp_mvinr_pay_handle_buffer(GstRTPBasePayload* payload,
                                                     GstBuffer* buffer) {
  GstRtpMvinrPay* self = GST_RTP_MVINR_PAY(payload);
  const GstFlowReturn flow =
      gst_mvinr_guard(self, GST_FLOW_ERROR, [&] { return send(self, buffer); });
  gst_buffer_unref(buffer);
  return flow;
}

static void gst_rtp_mvinr_pay_set_property(GObject* object, guint id, const GValue* value,
                                           GParamSpec* spec) {
  GstRtpMvinrPay* self = GST_RTP_MVINR_PAY(object);
  if (id != PROP_HEADER_INTERVAL) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    return;
  }
  GST_OBJECT_LOCK(self);
  self->header_interval = g_value_get_uint(value);
  GST_OBJECT_UNLOCK(self);
}

static void gst_rtp_mvinr_pay_get_property(GObject* object, guint id, GValue* value,
                                           GParamSpec* spec) {
  GstRtpMvinrPay* self = GST_RTP_MVINR_PAY(object);
  if (id != PROP_HEADER_INTERVAL) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    return;
  }
  GST_OBJECT_LOCK(self);
  g_value_set_uint(value, self->header_interval);
  GST_OBJECT_UNLOCK(self);
}

static void gst_rtp_mvinr_pay_init(GstRtpMvinrPay* self) {
  self->header_interval = kDefaultHeaderInterval;
  self->access_unit = guint16(g_random_int());  // a restart is not taken for a repetition
}

static void gst_rtp_mvinr_pay_class_init(GstRtpMvinrPayClass* klass) {
  GObjectClass* object_class = G_OBJECT_CLASS(klass);
  GstElementClass* element_class = GST_ELEMENT_CLASS(klass);
  GstRTPBasePayloadClass* payload_class = GST_RTP_BASE_PAYLOAD_CLASS(klass);
  object_class->set_property = gst_rtp_mvinr_pay_set_property;
  object_class->get_property = gst_rtp_mvinr_pay_get_property;
  g_object_class_install_property(
      object_class, PROP_HEADER_INTERVAL,
      g_param_spec_uint(
          "header-interval", "Header interval",
          "The access unit's header is repeated after this many packets, and before "
          "the last one (0 = only sent at the start of each access unit)",
          0, G_MAXUINT16, kDefaultHeaderInterval,
          GParamFlags(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)));
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "RTP MV-INR payloader", "Codec/Payloader/Network/RTP",
      "Puts MV-INR (multi-view video with depth) into RTP packets", "The MV-INR authors");
  payload_class->set_caps = gst_rtp_mvinr_pay_set_caps;
  payload_class->handle_buffer = gst_rtp_mvinr_pay_handle_buffer;
}
