// Where the pictures of an encode come from: raw files per view, described by a cameras.json or by
// options.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mvinr/stream.h"
#include "tools/raw_video.h"

namespace mvinr::tools {

struct InputOptions {
  std::string directory;             // patterns and files are relative to it
  std::string cameras;               // path of a cameras.json
  std::vector<std::string> views;    // names of cameras; empty: all of them
  std::vector<std::string> texture;  // one pattern, or one file per view
  std::vector<std::string> depth;
  bool no_depth = false;
  std::string size;  // "WxH"
  std::string texture_format, depth_format;
  std::string fps;  // "30", "30000/1001", "29.97"
};

struct InputView {
  std::string name;
  std::unique_ptr<RawVideoReader> texture, depth;  // depth may be null
};

struct Input {
  SequenceInfo sequence;
  std::vector<std::vector<Pose>> poses;  // of moving cameras, [frame][view]; else empty
  std::vector<InputView> views;
  int64_t frames = 0;  // that every file has
};

/// Opens every file; throws ToolError naming the option or the file that is wrong.
Input open_input(const InputOptions& options);

/// "30", "30000/1001" or "29.97".
Fraction parse_frame_rate(const std::string& text);

}  // namespace mvinr::tools
