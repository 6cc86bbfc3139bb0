// Raw video files: pictures without headers, one after the other, named as in MPEG Immersive Video
// (v0_texture_1920x1080_yuv420p10le.yuv).
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "mvinr/types.h"
#include "tools/picture_buffer.h"

namespace mvinr::tools {

inline constexpr const char* kDefaultPattern = "{name}_{component}_{width}x{height}_{format}.yuv";

/// How the samples lie in the file. Depth often comes as 4:2:0 with empty chroma, which is skipped.
struct RawFormat {
  SampleFormat samples = SampleFormat::none;
  bool skip_chroma = false;
  std::string name;  // FFmpeg's name of the pixel format
};

/// "yuv420p", "yuv420p10le", "gray", "gray10le", "gray16le".
const char* raw_format_name(SampleFormat format);
/// Throws ToolError for a name that does not suit the component.
RawFormat parse_raw_format(const std::string& name, Component component);
/// All formats that suit the component.
std::vector<RawFormat> raw_formats(Component component);
const char* component_name(Component component);

struct PatternFields {
  std::string name;  // {name}: of the view
  int index = 0;     // {index}: of the view
  Component component = Component::texture;
  int width = 0, height = 0;
  std::string format;
};
/// Fills in {name} {index} {component} {width} {height} {format}; throws for anything else in {}.
std::string expand_pattern(const std::string& pattern, const PatternFields& fields);

class RawVideoReader {
 public:
  /// Throws ToolError naming the file if it cannot be read or is no whole number of pictures.
  RawVideoReader(const std::string& path, const RawFormat& format, int width, int height);

  int64_t frames() const { return frames_; }
  const std::string& path() const { return path_; }
  /// Valid until the next call.
  const PictureBuffer& read(int64_t frame);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  PictureBuffer buffer_;
  int64_t file_bytes_per_picture_ = 0;
  int64_t frames_ = 0;
};

/// A file that is written, or stdout ("-"). Throws ToolError naming the file.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  void write(std::span<const std::byte> bytes);
  void write(const Picture& picture);
  /// Makes what was written so far visible. If that fails (a full disk), the file is cut back to
  /// what was there at the last flush, so that it holds whole access units or pictures only.
  void flush();
  /// flush(), and returns once the file is on the disk.
  void sync();
  bool is_stdout() const { return path_ == "-"; }
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void cut_back_and_fail();

  std::string path_;
  std::FILE* file_ = nullptr;
  int64_t written_ = 0, flushed_ = 0;  // bytes
};

}  // namespace mvinr::tools
