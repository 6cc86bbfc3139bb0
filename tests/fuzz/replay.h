// What the replays of fuzz targets share: the stored inputs, and mutations of valid ones.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <vector>

#include "targets.h"

namespace mvinr::fuzz {

inline std::vector<std::byte> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// Everything that a fuzzer ever found (finds/), and the inputs in corpus/.
inline std::vector<std::filesystem::path> stored_inputs() {
  std::vector<std::filesystem::path> paths;
  for (const char* folder : {"corpus", "finds"}) {
    const auto path = std::filesystem::path(MVINR_FUZZ_DIR) / folder;
    if (!std::filesystem::is_directory(path)) continue;  // git keeps no empty folders
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
      if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  return paths;
}

/// `repair`: makes the CRCs of access units right after seven of eight mutations.
class Mutator {
 public:
  explicit Mutator(bool repair = true) : repair_(repair) {}
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
    if (repair_ && engine_() % 8 != 0) repair_crcs(data);
    return data;
  }

 private:
  bool repair_;
  std::mt19937 engine_{1};
};

}  // namespace mvinr::fuzz
