// The summary that an encode ends with: a table, and the same numbers as JSON.
#pragma once

#include <string>
#include <vector>

#include "mvinr/encoder.h"

namespace mvinr::tools {

/// One line of JSON, from which the same stats come back.
std::string gop_to_json(const GopStats& stats);
/// Throws ToolError naming `where` if the text is no such line.
GopStats gop_from_json(const std::string& text, const std::string& where);

class EncodeReport {
 public:
  EncodeReport(SequenceInfo sequence, std::vector<std::string> view_names);

  void add(const GopStats& stats);
  bool empty() const { return gops_.empty(); }
  /// Bytes, bits per pixel, PSNR per view and component over all GOPs.
  std::string table() const;
  std::string json() const;

 private:
  /// PSNR of the mean squared error over all GOPs, weighted by their frames.
  PictureStats total(size_t view, Component component) const;
  int64_t frames() const;
  uint64_t bytes() const;
  double bits_per_pixel() const;  // pixels: luma samples of all views' textures

  SequenceInfo sequence_;
  std::vector<std::string> names_;
  std::vector<GopStats> gops_;
};

}  // namespace mvinr::tools
