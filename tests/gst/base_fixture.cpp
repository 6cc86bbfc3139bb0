#include "base_fixture.h"

#include <glib/gstdio.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tools/quality.h"

namespace mvinr::gst_test {

BaseClip::BaseClip(SampleFormat samples, int width, int height, int frames) {
  const bool depth = gst::is_depth(samples);
  testutil::ClipOptions options{.views = 1, .frames = frames, .width = width, .height = height};
  (depth ? options.depth : options.texture) = samples;
  clip = testutil::make_clip(options);
  format = {samples, width, height, {25, 1}};
  for (int f = 0; f < frames; ++f)
    pictures.push_back(clip.at(f, 0, depth ? Component::depth : Component::texture).picture());
}

double psnr(const std::vector<Picture>& a, const std::vector<gst::OwnedPicture>& b) {
  EXPECT_EQ(a.size(), b.size());
  tools::PsnrMeter meter;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) meter.add(a[i], b[i].picture);
  double worst = 100;
  for (int p = 0; p < plane_count(a[0].format); ++p) worst = std::min(worst, meter.psnr(p));
  return worst;
}

bool equal(const std::vector<gst::OwnedPicture>& a, const std::vector<gst::OwnedPicture>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.memory == y.memory; });
}

std::vector<std::byte> decode_with_ffmpeg(Bytes payload, const std::string& pixel_format) {
  const auto base = read_base_payload(payload);
  if (!base) return {};
  gchar* made = g_dir_make_tmp("mvinr-base-XXXXXX", nullptr);
  const std::string folder = made;
  g_free(made);
  const std::string in = folder + "/in", out = folder + "/out";
  std::ofstream file(in, std::ios::binary);
  for (const Bytes& packet : base->packets)
    file.write(reinterpret_cast<const char*>(packet.data()), std::streamsize(packet.size()));
  file.close();
  const std::string demuxer = base->caps.find("x-h265") != std::string::npos ? "hevc" : "h264";
  const std::string command = "ffmpeg -nostdin -v error -f " + demuxer + " -i " + in +
                              " -fps_mode passthrough -f rawvideo -pix_fmt " + pixel_format + " " +
                              out;
  std::vector<std::byte> data;
  if (std::system(command.c_str()) == 0) {
    std::ifstream raw(out, std::ios::binary);
    const std::string all(std::istreambuf_iterator<char>(raw), {});
    const auto bytes = std::as_bytes(std::span(all));
    data.assign(bytes.begin(), bytes.end());
  }
  g_remove(in.c_str());
  g_remove(out.c_str());
  g_rmdir(folder.c_str());
  return data;
}

bool have_element(const char* name) {
  return gst::GstPtr<GstElementFactory>(gst_element_factory_find(name)) != nullptr;
}

}  // namespace mvinr::gst_test
