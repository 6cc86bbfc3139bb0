// golden-hybrid DIR: makes hybrid access units of random symbols, one per kind of motion, one of
// IERV's order and one with moving cameras, .mvinr and .md5: no 2D codec is needed to decode them,
// since their base pictures are drawn from a seed (sums.cpp).
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "../unit/random_model.h"
#include "sums.h"

using namespace mvinr;
using namespace mvinr::testutil;

static bool write(const std::string& path, const ModelConfig& config,
                  const SequenceInfo& sequence) {
  const auto unit = access_unit_of(random_coded_model(config, 5), sequence);
  std::ofstream stream(path + ".mvinr", std::ios::binary), sums(path + ".md5");
  stream.write(reinterpret_cast<const char*>(unit.data()), std::streamsize(unit.size()));
  for (const auto& [picture, md5] : decode(unit, {.threads = 1, .kernels = "reference"}))
    sums << md5 << "  " << picture << "\n";
  const bool good = stream.good() && sums.good();
  if (!good) std::fprintf(stderr, "%s: cannot be written\n", path.c_str());
  return good;
}

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: golden-hybrid DIR\n", stderr), 2;
  const std::map<std::string, std::string> files = {{"hybrid_reduce_first", "hybrid-random"},
                                                    {"learned", "learned-random"},
                                                    {"refined_softmax", "refined-random"},
                                                    {"ierv", "ierv-random"}};
  for (const NamedConfig& named : test_configs()) {
    const auto file = files.find(named.name);
    if (file == files.end()) continue;
    const std::string folder = std::string(argv[1]) + "/";
    const SequenceInfo sequence = sequence_for(named.config);
    bool written = write(folder + file->second, named.config, sequence);
    if (file->second == "hybrid-random")
      written = written && write(folder + "hybrid-moving", named.config, moving(sequence));
    if (!written) return 1;
  }
}
