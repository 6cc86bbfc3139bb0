// fuzz-seeds DIR: writes valid access units with every feature of the format, for the fuzzers to
// start from.
#include <cstdio>
#include <fstream>
#include <string>

#include "../unit/random_model.h"

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: fuzz-seeds DIR\n", stderr), 2;
  using namespace mvinr::testutil;
  for (const NamedConfig& named : test_configs()) {
    const auto unit =
        access_unit_of(random_coded_model(named.config, 1), sequence_for(named.config));
    std::ofstream file(std::string(argv[1]) + "/" + named.name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(unit.data()), std::streamsize(unit.size()));
    if (!file.good()) return std::fprintf(stderr, "%s: cannot be written\n", argv[1]), 1;
  }
}
