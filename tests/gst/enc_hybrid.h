// What the tests of mvinrenc in hybrid mode share: the base views are coded for real, the encoder
// is the fake one.
#pragma once

#include <string>

#include "enc_fixture.h"
#include "fake_encoder.h"

namespace mvinr::gst_test {

inline constexpr const char* kQuick =
    "x265enc speed-preset=ultrafast tune=psnr log-level=none option-string=info=0";

class EncHybrid : public testing::Test {
 protected:
  void SetUp() override { fake::reset(); }
  void TearDown() override { EXPECT_EQ(fake::log().alive, 0); }
};

/// Of a 32x32 view that stands `view` metres to the left.
inline std::string camera_json(int view) {
  return R"({"Name":"c","Resolution":[32,32],"Projection":"Perspective","Focal":[40,40],)"
         R"("Principle_point":[16,16],"Depth_range":[1,10],"Rotation":[0,0,0],"Position":[0,)" +
         std::to_string(view) + ",0]}";
}

inline void set_mode(EncoderUnderTest& enc, const char* mode, const char* base_encoder = kQuick) {
  gst_util_set_object_arg(G_OBJECT(enc.element()), "mode", mode);
  enc.set("base-encoder", base_encoder);
}

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace mvinr::gst_test
