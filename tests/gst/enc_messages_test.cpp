// mvinrenc: messages, statistics, bit rate.
#include <cmath>

#include "enc_fixture.h"
#include "fake_encoder.h"

namespace mvinr::gst_test {
namespace {

class EncMessages : public testing::Test {
 protected:
  void SetUp() override { fake::reset(); }
  void TearDown() override { EXPECT_EQ(fake::log().alive, 0); }
};

template <typename T>
T get(const GstStructure* structure, const char* field);
template <>
double get(const GstStructure* structure, const char* field) {
  double value = NAN;
  EXPECT_TRUE(gst_structure_get_double(structure, field, &value)) << field;
  return value;
}
template <>
int get(const GstStructure* structure, const char* field) {
  int value = -1;
  EXPECT_TRUE(gst_structure_get_int(structure, field, &value)) << field;
  return value;
}
template <>
guint64 get(const GstStructure* structure, const char* field) {
  guint64 value = G_MAXUINT64;
  EXPECT_TRUE(gst_structure_get_uint64(structure, field, &value)) << field;
  return value;
}
template <>
std::vector<double> get(const GstStructure* structure, const char* field) {
  const GValue* array = gst_structure_get_value(structure, field);
  std::vector<double> values;
  EXPECT_TRUE(array) << field;
  for (guint i = 0; array && i < gst_value_array_get_size(array); ++i)
    values.push_back(g_value_get_double(gst_value_array_get_value(array, i)));
  return values;
}

TEST_F(EncMessages, MessagesTellTheProgressAndEachGop) {
  fake::set_behaviour({.seconds = 0.05});
  EncoderUnderTest enc;
  enc.set("gop-size", 2u);
  enc.pad("texture_0", kTexture);
  enc.pad("depth_0", kDepth);
  for (const char* pad : {"texture_0", "depth_0"}) {
    enc.frames(pad, 4);
    enc.eos(pad);
  }
  ASSERT_TRUE(enc.run());
  const auto progress = enc.messages("mvinrenc-progress");
  ASSERT_EQ(progress.size(), 22u);
  EXPECT_EQ(get<guint64>(progress[0], "gop"), 0u);
  EXPECT_EQ(get<guint64>(progress[21], "gop"), 1u);
  EXPECT_EQ(get<int>(progress[5], "step"), 5);
  EXPECT_EQ(get<int>(progress[5], "steps"), 10);
  EXPECT_EQ(get<double>(progress[5], "psnr"), 25);
  EXPECT_EQ(get<double>(progress[5], "bits"), 1e4);
  EXPECT_GT(get<double>(progress[5], "seconds"), 0);
  EXPECT_LT(get<double>(progress[5], "seconds-left"), 0.05);
  EXPECT_STREQ(gst_structure_get_string(progress[5], "phase"), "float");

  const auto gops = enc.messages("mvinrenc-gop");
  ASSERT_EQ(gops.size(), 2u);
  const size_t bytes = fake::access_unit_bytes(kDefaultLambda, 2);
  EXPECT_EQ(get<guint64>(gops[1], "gop"), 1u);
  EXPECT_EQ(get<guint64>(gops[1], "first-frame"), 2u);
  EXPECT_EQ(get<int>(gops[1], "frames"), 2);
  EXPECT_EQ(get<guint64>(gops[1], "running-time"), 2 * kFrame);
  EXPECT_EQ(get<guint64>(gops[1], "bytes"), bytes);
  EXPECT_EQ(get<double>(gops[1], "lambda"), kDefaultLambda);
  EXPECT_EQ(get<double>(gops[1], "verify-seconds"), 0.25);
  EXPECT_EQ(get<int>(gops[1], "steps"), 10);
  EXPECT_STREQ(gst_structure_get_string(gops[1], "profile"), "xs");
  EXPECT_EQ(get<std::vector<double>>(gops[1], "texture-psnr-y"), (std::vector<double>{31.5}));
  EXPECT_EQ(get<std::vector<double>>(gops[1], "texture-psnr-v"), (std::vector<double>{41}));
  EXPECT_EQ(get<std::vector<double>>(gops[1], "depth-psnr"), (std::vector<double>{35}));

  GstStructure* stats = nullptr;
  g_object_get(enc.element(), "stats", &stats, nullptr);
  ASSERT_TRUE(stats);
  EXPECT_EQ(get<guint64>(stats, "gops"), 2u);
  EXPECT_EQ(get<guint64>(stats, "frames"), 4u);
  EXPECT_EQ(get<guint64>(stats, "bytes"), 2 * bytes);
  EXPECT_EQ(get<double>(stats, "estimated-bits"), 2 * (8.0 * double(bytes) - 1));
  EXPECT_EQ(get<double>(stats, "verify-seconds"), 0.5);
  EXPECT_NEAR(get<std::vector<double>>(stats, "texture-psnr-y").at(0), 31.5, 1e-9);
  EXPECT_NEAR(get<std::vector<double>>(stats, "depth-psnr").at(0), 35, 1e-9);
  gst_structure_free(stats);
}

// The fake encoder writes 20 % more than it is asked for.
TEST_F(EncMessages, BitrateIsReachedByPayingBack) {
  EncoderUnderTest enc;
  enc.set("gop-size", 2u);
  enc.set("bitrate", 100u);
  ASSERT_TRUE(run_one(enc, 40));
  const fake::Log log = fake::log();
  ASSERT_EQ(log.gops.size(), 20u);
  EXPECT_EQ(log.gops[0].lambda, kDefaultLambda) << "the first GOP is a guess";
  double bits = 0;
  for (const Output& unit : enc.units()) bits += 8.0 * double(unit.size);
  EXPECT_NEAR(bits / (40 / 25.0), 100e3, 5e3);
  EXPECT_NEAR(8.0 * double(enc.units().back().size) / (2 / 25.0), 100e3, 10e3);
  const auto tags = enc.events("tag");
  ASSERT_EQ(tags.size(), 1u);
  GstTagList* list = nullptr;
  gst_event_parse_tag(tags[0].event.get(), &list);
  guint nominal = 0;
  EXPECT_TRUE(gst_tag_list_get_uint(list, GST_TAG_NOMINAL_BITRATE, &nominal));
  EXPECT_EQ(nominal, 100000u);
}

}  // namespace
}  // namespace mvinr::gst_test
