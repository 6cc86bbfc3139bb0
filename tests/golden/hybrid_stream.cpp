// golden-hybrid DIR: makes hybrid-random and hybrid-moving, .mvinr and .md5: hybrid access units of
// random symbols, with cameras that stand still and that move. No 2D codec is needed to decode it,
// since its base pictures are drawn from a seed (sums.cpp).
#include <cstdio>
#include <fstream>
#include <string>

#include "../unit/random_model.h"
#include "sums.h"

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: golden-hybrid DIR\n", stderr), 2;
  using namespace mvinr::testutil;
  for (const NamedConfig& named : test_configs()) {
    if (std::string(named.name) != "hybrid_reduce_first") continue;
    for (const bool moves : {false, true}) {
      const std::string path = argv[1] + std::string(moves ? "/hybrid-moving" : "/hybrid-random");
      const auto sequence = sequence_for(named.config);
      const auto unit =
          access_unit_of(random_coded_model(named.config, 5), moves ? moving(sequence) : sequence);
      std::ofstream stream(path + ".mvinr", std::ios::binary), sums(path + ".md5");
      stream.write(reinterpret_cast<const char*>(unit.data()), std::streamsize(unit.size()));
      for (const auto& [picture, md5] : decode(unit, {.threads = 1, .kernels = "reference"}))
        sums << md5 << "  " << picture << "\n";
      if (!stream.good() || !sums.good())
        return std::fprintf(stderr, "%s: cannot be written\n", path.c_str()), 1;
    }
  }
}
