// Access units from a file or stdin.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "mvinr/stream.h"

namespace mvinr::tools {

struct AccessUnit {
  std::vector<std::byte> bytes;
  uint64_t offset = 0;   // in the file
  uint64_t skipped = 0;  // bytes before it that belong to no access unit
};

class StreamReader {
 public:
  /// "-" reads stdin. Throws ToolError naming the file.
  explicit StreamReader(const std::string& path);
  ~StreamReader();
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;

  /// The next access unit whose header is intact, nullopt at the end. Also finds the ones inside an
  /// MP4 or MOV file, where each lies in one piece.
  std::optional<AccessUnit> next();

  /// Bytes at the end that belong to no access unit: a truncated one, or garbage.
  uint64_t trailing_bytes() const { return trailing_; }
  /// The file is an MP4 or MOV: bytes between access units are the container's.
  bool is_container() const { return container_; }
  const std::string& name() const { return name_; }

 private:
  bool fill(size_t count);  // false: the file ends before
  void drop(size_t count);

  std::string name_;
  std::FILE* file_ = nullptr;
  std::vector<std::byte> buffer_;
  size_t begin_ = 0;  // of what is not yet consumed
  uint64_t offset_ = 0;
  uint64_t trailing_ = 0;
  bool end_ = false, started_ = false, container_ = false;
};

}  // namespace mvinr::tools
