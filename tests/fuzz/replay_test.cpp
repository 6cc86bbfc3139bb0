// The fuzz targets in the ordinary build: everything that a fuzzer ever found (finds/), the inputs
// in corpus/, and some thousand mutations of valid access units. A target that finds a bug ends the
// process.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include "../unit/random_model.h"
#include "targets.h"

namespace mvinr::fuzz {
namespace {

std::vector<std::byte> read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::vector<std::byte>> valid_units() {
  std::vector<std::vector<std::byte>> units;
  for (const auto& named : testutil::test_configs())
    units.push_back(testutil::access_unit_of(testutil::random_coded_model(named.config, 1),
                                             testutil::sequence_for(named.config)));
  return units;
}

class Mutator {
 public:
  std::vector<std::byte> operator()(std::vector<std::byte> data) {
    for (uint32_t n = 1 + engine_() % 4; n > 0 && !data.empty(); --n) {
      // Half of the mutations hit the first 200 bytes: prefix, header, first unit's header.
      const size_t range = engine_() % 2 == 0 ? std::min<size_t>(200, data.size()) : data.size();
      const size_t at = engine_() % range;
      switch (engine_() % 5) {
        case 0:
          data[at] ^= std::byte(1 << engine_() % 8);
          break;
        case 1:
          data[at] = std::byte(engine_() % 256);
          break;
        case 2:
          data[at] = std::byte(engine_() % 2 == 0 ? 0xFF : 0);
          break;
        case 3:
          data.erase(data.begin() + ptrdiff_t(at));
          break;
        default:
          data.insert(data.begin() + ptrdiff_t(at), std::byte(engine_() % 256));
      }
    }
    if (engine_() % 8 != 0) repair_crcs(data);
    return data;
  }

 private:
  std::mt19937 engine_{1};
};

TEST(FuzzReplay, EarlierFindsStayFixed) {
  int files = 0;
  for (const char* folder : {"corpus", "finds"}) {
    const auto path = std::filesystem::path(MVINR_FUZZ_DIR) / folder;
    if (!std::filesystem::is_directory(path)) continue;  // git keeps no empty folders
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (!entry.is_regular_file()) continue;
      std::printf("%s\n", entry.path().c_str());  // a find ends the process: the last line names it
      std::fflush(stdout);
      const auto data = read(entry.path());
      for (const auto& target : {header, access_unit, units, cameras, kernels}) target(data);
      ++files;
    }
  }
  EXPECT_GT(files, 0);
}

TEST(FuzzReplay, ValidUnitsAreUntouchedByTheRepair) {
  for (const auto& unit : valid_units()) {
    auto repaired = unit;
    repair_crcs(repaired);
    EXPECT_EQ(repaired, unit);
  }
}

TEST(FuzzReplay, MutatedHeadersNeverCauseInternalErrors) {
  Mutator mutate;
  for (const auto& unit : valid_units())
    for (int i = 0; i < 200; ++i) header(mutate(unit));
}

TEST(FuzzReplay, MutatedAccessUnitsNeverCauseInternalErrors) {
  Mutator mutate;
  for (const auto& unit : valid_units())
    for (int i = 0; i < 60; ++i) access_unit(mutate(unit));
}

TEST(FuzzReplay, MutatedUnitsAreRefusedOrWrittenAgainAsTheyWere) {
  Mutator mutate;
  for (const auto& unit : valid_units()) {
    units(unit);
    for (int i = 0; i < 60; ++i) units(mutate(unit));
  }
}

TEST(FuzzReplay, AllKernelsAgreeOnHostileWeights) {
  std::mt19937 engine(2);
  for (uint32_t i = 0; i < 60; ++i) {
    std::vector<std::byte> data(4 + 6 * (i % 12));
    for (std::byte& b : data) b = std::byte(engine() % 256);
    kernels(data);
  }
}

}  // namespace
}  // namespace mvinr::fuzz
