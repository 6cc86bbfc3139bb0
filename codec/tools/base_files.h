// Base views of hybrid streams in files: their decoded pictures, which mvinr-decode reads, and
// their coded packets, which mvinr-info writes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mvinr/decoder.h"
#include "tools/raw_video.h"

namespace mvinr::tools {

/// Decoded pictures of base views, as raw files in one folder with the usual names. Files with
/// fewer bits than the view are expanded as docs/bitstream.md 6.7 says.
class BaseFiles {
 public:
  /// `names`: of the views; default v0, v1, ...
  BaseFiles(std::string folder, std::vector<std::string> names)
      : folder_(std::move(folder)), names_(std::move(names)) {}

  /// Gives the decoder the pictures of frames [begin, end) of the sequence. Throws ToolError naming
  /// the file that is missing or too short.
  void give(Decoder& decoder, const GopInfo& gop, uint64_t begin, uint64_t end);

 private:
  struct File {
    std::unique_ptr<RawVideoReader> reader;
    int bits = 0;  // of its samples
  };
  File& open(const ViewInfo& info, int view, Component component);

  std::string folder_;
  std::vector<std::string> names_;
  std::map<std::pair<int, Component>, File> files_;
};

/// Elementary streams: the packets of each component of each base view, one after the other.
class BaseExtractor {
 public:
  explicit BaseExtractor(std::string folder);

  /// Appends the packets of one access unit. Returns what is wrong with it, "" if nothing.
  std::string add(Bytes access_unit);

  /// Prints the names of the files.
  void report() const;

 private:
  struct File {
    std::unique_ptr<OutputFile> file;
    std::string caps;
    uint64_t packets = 0, bytes = 0;
  };
  std::string folder_;
  std::unique_ptr<Decoder> decoder_;
  std::map<std::string, File> files_;  // by name
};

}  // namespace mvinr::tools
