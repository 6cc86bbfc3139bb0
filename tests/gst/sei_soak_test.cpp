// An hour of stream inside of H.264 and H.265 at speed: memory does not grow. MVINR_SOAK: other
// seconds.
#include <cstdio>
#include <cstdlib>

#include "memory.h"
#include "sei_fixture.h"
#include "transport_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr double kMaxGrowth = 8;  // MB

class SeiSoak : public Sei {
 protected:
  /// Sends the hour through `route`; the access units that did not arrive.
  size_t soak(const std::string& route, double loss) {
    const char* seconds = std::getenv("MVINR_SOAK");
    const auto count = size_t((seconds ? std::atoi(seconds) : 3600) * GST_SECOND / kSeiGop);
    Transport transport(std::string("mvinrseiinsert ! ") + codec().parser + " ! " + route + " ! " +
                        codec().parser + " ! mvinrseiextract ! fakesink name=out");
    if (loss > 0) transport.lose(loss, 5);
    EXPECT_EQ(transport.start(), "");
    GstBus* bus = gst_element_get_bus(transport.sender().get());
    size_t arrived = 0;
    double before = 0;
    for (size_t i = 0; i < count; ++i) {
      transport.push(renumbered(gops_[i % 4], i * kSeiFrames), i * kSeiGop, kSeiGop);
      if (i % 50 != 49) continue;
      arrived += transport.take_arrivals().size();
      while (GstMessage* message = gst_bus_pop(bus)) gst_message_unref(message);
      if (i < count / 4) before = resident_megabytes();
    }
    gst_object_unref(bus);
    transport.finish(SIZE_MAX, 2);
    arrived += transport.take_arrivals().size();
    const double after = resident_megabytes();
    std::printf(
        "%zu s of %s, %zu of %zu access units: %.1f MB after a quarter, %.1f MB at the end\n",
        size_t(count * kSeiGop / GST_SECOND), codec().name, arrived, count, before, after);
    EXPECT_LT(after - before, kMaxGrowth);
    return count - arrived;
  }
};
INSTANTIATE_TEST_SUITE_P(Codecs, SeiSoak, testing::Values(BaseCodec::h264, BaseCodec::h265),
                         [](const auto& info) { return std::string(names_of(info.param).name); });

TEST_P(SeiSoak, AnHourOfMpegTsLosesNothingAndKeepsNothing) {
  EXPECT_EQ(soak("mpegtsmux ! tsdemux", 0), 0u);
}

TEST_P(SeiSoak, AnHourOfRtpWithLosses) {
  const std::string name = codec().name;
  EXPECT_GT(soak("rtp" + name + "pay config-interval=-1 ! identity ! identity name=wire ! rtp" +
                     name + "depay",
                 0.01),
            0u);
}

}  // namespace
}  // namespace mvinr
