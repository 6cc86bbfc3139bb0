// Runs the command-line programs and keeps temporary files for them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "testutil/clip.h"

namespace mvinr::testutil {

struct ProgramResult {
  int exit_code = -1;
  std::string output;  // stdout
  std::string errors;  // stderr
};

/// Runs a shell command line in which $TOOL/mvinr-decode and so on are the programs.
ProgramResult run_shell(const std::string& command);

/// A folder that disappears with this object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string path(const std::string& name = "") const { return (path_ / name).string(); }
  void write(const std::string& name, const std::string& content) const;
  std::string read(const std::string& name) const;

 private:
  std::filesystem::path path_;
};

/// Writes the clip as raw files and a cameras.json, with the names that the programs expect.
void write_raw(const Clip& clip, const TemporaryFolder& folder);

}  // namespace mvinr::testutil
