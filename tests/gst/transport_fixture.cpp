#include "transport_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <utility>

#include "base/crc32.h"

namespace mvinr::testutil {

using std::chrono::milliseconds;

Arrival arrival_of(const Data& data, GstClockTime pts) { return {data.size(), crc32(data), pts}; }

int free_port(bool udp) {
  const int fd = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

Transport::Transport(const std::string& sender, const std::string& receiver,
                     const std::string& record) {
  const std::string feed =
      "appsrc name=feed format=time block=true max-bytes=8000000 caps=\"video/x-mvinr,parsed=true,"
      "version=1,width=48,height=40,framerate=25/1,views=3,textures=3,depths=3\" ! ";
  const bool two = !receiver.empty();
  sender_ = std::make_unique<Pipeline>(feed + sender, two ? "" : record);
  if (two) receiver_ = std::make_unique<Pipeline>(receiver, record);
  GstElement* out = this->receiver().element("out");
  if (g_object_class_find_property(G_OBJECT_GET_CLASS(out), "async"))
    g_object_set(out, "sync", FALSE, "async", FALSE, nullptr);
  GstPad* pad = gst_element_get_static_pad(out, "sink");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, at_out, this, nullptr);
  gst_object_unref(pad);
}

Transport::~Transport() {
  // The sender first: what it sends must find somebody.
  if (receiver_) gst_element_set_state(sender_->get(), GST_STATE_NULL);
  receiver_.reset();
  sender_.reset();
}

GstPadProbeReturn Transport::at_out(GstPad*, GstPadProbeInfo* info, gpointer data) {
  auto* self = static_cast<Transport*>(data);
  GstBuffer* buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  const Arrival arrival = arrival_of(bytes_of(buffer), GST_BUFFER_PTS(buffer));
  const std::lock_guard lock(self->mutex_);
  self->arrivals_.push_back(arrival);
  return GST_PAD_PROBE_OK;
}

std::vector<Arrival> Transport::arrivals() {
  const std::lock_guard lock(mutex_);
  return arrivals_;
}

std::vector<Arrival> Transport::take_arrivals() {
  const std::lock_guard lock(mutex_);
  return std::exchange(arrivals_, {});
}

/* ---- the wire ---- */

GstPadProbeReturn Transport::at_wire(GstPad*, GstPadProbeInfo* info, gpointer data) {
  auto* self = static_cast<Transport*>(data);
  GstBuffer* buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  const bool unlucky = double(self->random_()) < self->probability_ * 4294967296.0;
  if (unlucky && !self->keep_(buffer)) {
    ++self->lost_;
    return GST_PAD_PROBE_DROP;
  }
  const size_t sent = ++self->sent_;
  // A second at most: a packet that the system lost all the same must not stop the test.
  for (int i = 0; self->most_ > 0 && i < 10000 && sent > self->got_ + size_t(self->most_); ++i)
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  return GST_PAD_PROBE_OK;
}

GstPadProbeReturn Transport::behind_wire(GstPad*, GstPadProbeInfo*, gpointer data) {
  ++static_cast<Transport*>(data)->got_;
  return GST_PAD_PROBE_OK;
}

// Elements before `wire` may push lists; an identity there makes single buffers of them.
void Transport::watch_wire() {
  if (std::exchange(watching_, true)) return;
  GstPad* pad = gst_element_get_static_pad(sender_->element("wire"), "src");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, at_wire, this, nullptr);
  gst_object_unref(pad);
}

void Transport::lose(double probability, uint32_t seed, std::function<bool(GstBuffer*)> keep) {
  probability_ = probability;
  random_.seed(seed);
  keep_ = std::move(keep);
  watch_wire();
}

void Transport::pace(int most) {
  most_ = most;
  watch_wire();
  GstPad* pad = gst_element_get_static_pad(receiver().element("in"), "src");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, behind_wire, this, nullptr);
  gst_object_unref(pad);
}

/* ---- running ---- */

static std::string change(Pipeline& pipeline, GstState state) {
  gst_element_set_state(pipeline.get(), state);
  const auto result = gst_element_get_state(pipeline.get(), nullptr, nullptr, GST_SECOND);
  if (result != GST_STATE_CHANGE_FAILURE) return "";
  const std::string problem = pipeline.play(1);
  return problem.empty() ? "state change failed" : problem;
}

std::string Transport::start() {
  std::string problem = receiver_ ? change(*receiver_, GST_STATE_PLAYING) : "";
  if (problem.empty()) problem = change(*sender_, GST_STATE_PLAYING);
  return problem;
}

void Transport::push(const Data& data, GstClockTime pts, GstClockTime duration) {
  GstBuffer* buffer = make_buffer(data, pts, duration);
  GstFlowReturn flow;
  g_signal_emit_by_name(sender_->element("feed"), "push-buffer", buffer, &flow);
  gst_buffer_unref(buffer);
}

void Transport::finish(size_t count, int idle_seconds) {
  GstFlowReturn flow;
  g_signal_emit_by_name(sender_->element("feed"), "end-of-stream", &flow);
  GstBus* bus = gst_element_get_bus(receiver().get());
  size_t before = arrivals().size();
  int idle = 0;
  while (before < count && idle < idle_seconds * 20) {
    GstMessage* end = gst_bus_timed_pop_filtered(
        bus, 50 * GST_MSECOND, GstMessageType(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
    const size_t now = arrivals().size();
    idle = now == before ? idle + 1 : 0;
    before = now;
    if (!end) continue;
    gst_message_unref(end);
    break;
  }
  gst_object_unref(bus);
}

}  // namespace mvinr::testutil
