// The fuzz targets in the ordinary build: everything that a fuzzer ever found (finds/), the inputs
// in corpus/, and some thousand mutations of valid access units. A target that finds a bug ends the
// process.
#include "replay.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "../unit/random_model.h"

namespace mvinr::fuzz {
namespace {

std::vector<std::vector<std::byte>> valid_units() {
  std::vector<std::vector<std::byte>> units;
  for (const auto& named : testutil::test_configs())
    units.push_back(testutil::access_unit_of(testutil::random_coded_model(named.config, 1),
                                             testutil::sequence_for(named.config)));
  return units;
}

TEST(FuzzReplay, EarlierFindsStayFixed) {
  int files = 0;
  for (const auto& path : stored_inputs()) {
    std::printf("%s\n", path.c_str());  // a find ends the process: the last line names it
    std::fflush(stdout);
    const auto data = read_file(path);
    for (const auto& target : {header, access_unit, units, cameras, kernels}) target(data);
    ++files;
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
