// Decodes the first picture of a .mvinr file and writes its luma as a PGM image to stdout.
//   c++ -std=c++20 first_picture.cpp -o first_picture $(pkg-config --cflags --libs mvinr)
//   ./first_picture clip.mvinr > picture.pgm
#include <mvinr/decoder.h>

#include <fstream>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: first_picture FILE.mvinr > picture.pgm\n";
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});

  const auto data = std::as_bytes(std::span(bytes));
  const auto size = mvinr::access_unit_bytes(data);
  if (!size) return std::cerr << argv[1] << ": " << size.error().message << "\n", 1;
  if (*size > data.size()) return std::cerr << argv[1] << ": is truncated\n", 1;

  const auto decoder = mvinr::Decoder::create({});
  if (!decoder) return std::cerr << decoder.error().message << "\n", 1;
  const auto gop = (*decoder)->start_gop(data.first(*size));
  if (!gop) return std::cerr << argv[1] << ": " << gop.error().message << "\n", 1;

  // Hybrid streams: another codec's decoder has to give the base views to set_base() first.
  if (!gop->base_views.empty())
    return std::cerr << argv[1] << ": is hybrid and needs a 2D decoder: play it with mvinrdec\n", 1;

  // Planes may lie anywhere; here they follow each other, rows without padding.
  const mvinr::ViewInfo& view = gop->sequence.views[0];
  const int sample_bytes = mvinr::bytes_per_sample(view.texture);
  mvinr::MutablePicture picture{view.texture, view.width, view.height, {}, {}};
  std::vector<std::vector<std::byte>> planes;
  for (int p = 0; p < mvinr::plane_count(view.texture); ++p) {
    picture.stride[p] = mvinr::plane_size(view.width, p) * sample_bytes;
    planes.emplace_back(size_t(picture.stride[p]) * mvinr::plane_size(view.height, p));
    picture.data[p] = planes.back().data();
  }
  const mvinr::RenderJob job{.frame = 0, .view = 0, .texture = &picture};
  const auto status = (*decoder)->render({&job, 1});
  if (!status) return std::cerr << status.error().message << "\n", 1;

  std::vector<char> luma(planes[0].size() / sample_bytes);
  for (size_t i = 0; i < luma.size(); ++i)
    luma[i] = sample_bytes == 1 ? char(planes[0][i])
                                : char(int(planes[0][2 * i]) >> 2 | int(planes[0][2 * i + 1]) << 6);
  std::cout << "P5\n" << view.width << " " << view.height << "\n255\n";
  std::cout.write(luma.data(), std::streamsize(luma.size()));
  return std::cout.good() ? 0 : 1;
}
