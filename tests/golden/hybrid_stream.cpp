// golden-hybrid DIR: makes hybrid access units of random symbols, one per kind of motion, and their
// sums: no 2D codec is needed to decode them, since their base pictures are drawn from a seed
// (sums.cpp).
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "../unit/random_model.h"
#include "sums.h"

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: golden-hybrid DIR\n", stderr), 2;
  using namespace mvinr::testutil;
  const std::map<std::string, std::string> files = {{"hybrid_reduce_first", "hybrid-random"},
                                                    {"learned", "learned-random"},
                                                    {"refined_softmax", "refined-random"}};
  for (const NamedConfig& named : test_configs()) {
    const auto file = files.find(named.name);
    if (file == files.end()) continue;
    const std::string path = std::string(argv[1]) + "/" + file->second;
    const auto unit =
        access_unit_of(random_coded_model(named.config, 5), sequence_for(named.config));
    std::ofstream stream(path + ".mvinr", std::ios::binary), sums(path + ".md5");
    stream.write(reinterpret_cast<const char*>(unit.data()), std::streamsize(unit.size()));
    for (const auto& [picture, md5] : decode(unit, {.threads = 1, .kernels = "reference"}))
      sums << md5 << "  " << picture << "\n";
    if (!stream.good() || !sums.good())
      return std::fprintf(stderr, "%s: cannot be written\n", path.c_str()), 1;
  }
}
