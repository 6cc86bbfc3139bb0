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
    const auto write = [&](const std::string& name, const mvinr::SequenceInfo& sequence) {
      const auto unit = access_unit_of(random_coded_model(named.config, 1), sequence);
      std::ofstream file(std::string(argv[1]) + "/" + name, std::ios::binary);
      file.write(reinterpret_cast<const char*>(unit.data()), std::streamsize(unit.size()));
      return file.good();
    };
    const auto sequence = sequence_for(named.config);
    const std::string name = named.name;
    if (!write(name, sequence) ||
        (named.config.prediction && !write(name + "_moving", moving(sequence))))
      return std::fprintf(stderr, "%s: cannot be written\n", argv[1]), 1;
  }
}
