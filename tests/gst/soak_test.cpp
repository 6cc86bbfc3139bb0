// One hour of stream (18,000 access units of 200 ms) at speed: memory does not grow. MVINR_SOAK:
// other seconds.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "dec_fixture.h"
#include "memory.h"
#include "transport_fixture.h"

namespace mvinr {
namespace {

using namespace testutil;

constexpr GstClockTime kGop = 200 * GST_MSECOND;
constexpr double kMaxGrowth = 8;  // MB

int access_units() {
  const char* seconds = std::getenv("MVINR_SOAK");
  return 5 * (seconds ? std::atoi(seconds) : 3600);
}

/// Sends the hour; calls `each` after every 50 access units. `before`: MB after the first quarter.
template <typename Each>
void send(Transport& transport, int count, double& before, Each each) {
  ASSERT_EQ(transport.start(), "");
  GstBus* bus = gst_element_get_bus(transport.sender().get());
  const auto gops = make_gops(20);
  for (int i = 0; i < count; ++i) {
    // Frame numbers go on for an hour; contents come again.
    transport.push(renumbered(gops[size_t(i) % gops.size()], uint64_t(5 * i)),
                   GstClockTime(i) * kGop, kGop);
    if (i % 50 != 49) continue;
    each(i / 50);
    while (GstMessage* message = gst_bus_pop(bus)) gst_message_unref(message);
    if (i < count / 4) before = resident_megabytes();
  }
  gst_object_unref(bus);
}

TEST(Soak, AnHourOfRtpWithLossesAndChangingViews) {
  const int count = access_units();
  Transport transport(
      "rtpmvinrpay mtu=600 ! identity name=wire ! rtpmvinrdepay name=depay ! "
      "mvinrfilter name=filter ! mvinrviewselect name=select ! fakesink name=out");
  transport.lose(0.01, 5);
  size_t pictures = 0;
  double before = 0;
  send(transport, count, before, [&](int i) {
    g_object_set(transport.sender().element("select"), "view", guint(i % 3), nullptr);
    g_object_set(transport.sender().element("filter"), "views", i % 2 ? "all" : "0-1", nullptr);
    pictures += transport.take_arrivals().size();
  });
  transport.finish(SIZE_MAX, 1);
  pictures += transport.take_arrivals().size();
  const double after = resident_megabytes();
  std::printf("%d s of stream, %zu pictures: %.1f MB after a quarter, %.1f MB at the end\n",
              count / 5, pictures, before, after);
  EXPECT_GT(pictures, size_t(count) * 3);
  EXPECT_LT(after - before, kMaxGrowth);
}

struct Route {
  const char* name;
  const char* elements;
};

class SoakRoute : public testing::TestWithParam<Route> {};
INSTANTIATE_TEST_SUITE_P(
    Routes, SoakRoute,
    testing::Values(Route{"Gdp", "gdppay ! gdpdepay"}, Route{"StockRtp", "rtpgstpay ! rtpgstdepay"},
                    Route{"Matroska", "mvinrmkvmux streamable=true ! matroskademux ! mvinrparse"},
                    Route{"FragmentedMp4",
                          "mvinrparse ! mp4mux fragment-duration=1000 streamable=true ! qtdemux ! "
                          "mvinrparse"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_P(SoakRoute, AnHourLosesNothingAndKeepsNothing) {
  const int count = access_units();
  if (std::string(GetParam().name) == "Matroska") {
    GstElementFactory* factory = gst_element_factory_find("mvinrmkvmux");
    if (!factory) GTEST_SKIP() << "built without libmatroska";
    gst_object_unref(factory);
  }
  Transport transport(std::string(GetParam().elements) + " ! fakesink name=out");
  size_t arrived = 0;
  double before = 0;
  send(transport, count, before, [&](int) { arrived += transport.take_arrivals().size(); });
  transport.finish(SIZE_MAX, 2);
  arrived += transport.take_arrivals().size();
  const double after = resident_megabytes();
  std::printf("%d s of stream, %zu access units: %.1f MB after a quarter, %.1f MB at the end\n",
              count / 5, arrived, before, after);
  EXPECT_EQ(arrived, size_t(count));
  EXPECT_LT(after - before, kMaxGrowth);
}

}  // namespace
}  // namespace mvinr
