#include "tools/raw_video.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tools/cli.h"

namespace mvinr::tools {
namespace {

struct KnownFormat {
  const char* name;
  Component component;
  SampleFormat samples;
  bool skip_chroma;
};
constexpr KnownFormat kKnownFormats[] = {
    {"yuv420p", Component::texture, SampleFormat::yuv420_8, false},
    {"yuv420p10le", Component::texture, SampleFormat::yuv420_10, false},
    {"gray", Component::depth, SampleFormat::gray_8, false},
    {"gray10le", Component::depth, SampleFormat::gray_10, false},
    {"gray16le", Component::depth, SampleFormat::gray_16, false},
    {"yuv420p", Component::depth, SampleFormat::gray_8, true},
    {"yuv420p10le", Component::depth, SampleFormat::gray_10, true},
    {"yuv420p16le", Component::depth, SampleFormat::gray_16, true},
};

std::string system_error() { return std::strerror(errno); }

}  // namespace

const char* raw_format_name(SampleFormat format) {
  for (const KnownFormat& known : kKnownFormats)
    if (known.samples == format && !known.skip_chroma) return known.name;
  return "none";
}

const char* component_name(Component component) {
  return component == Component::texture ? "texture" : "depth";
}

RawFormat parse_raw_format(const std::string& name, Component component) {
  std::string choices;
  for (const KnownFormat& known : kKnownFormats) {
    if (known.component != component) continue;
    if (name == known.name) return {known.samples, known.skip_chroma, name};
    choices += (choices.empty() ? "" : ", ") + std::string(known.name);
  }
  fail_usage(std::string(component_name(component)) + " format \"" + name + "\" is not one of " +
             choices);
}

std::vector<RawFormat> raw_formats(Component component) {
  std::vector<RawFormat> formats;
  for (const KnownFormat& known : kKnownFormats)
    if (known.component == component)
      formats.push_back({known.samples, known.skip_chroma, known.name});
  return formats;
}

std::string expand_pattern(const std::string& pattern, const PatternFields& fields) {
  std::string result;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '{') {
      result += pattern[i];
      continue;
    }
    const size_t end = pattern.find('}', i);
    const std::string key =
        end == std::string::npos ? pattern.substr(i) : pattern.substr(i + 1, end - i - 1);
    if (key == "name") {
      result += fields.name;
    } else if (key == "index") {
      result += std::to_string(fields.index);
    } else if (key == "component") {
      result += component_name(fields.component);
    } else if (key == "width") {
      result += std::to_string(fields.width);
    } else if (key == "height") {
      result += std::to_string(fields.height);
    } else if (key == "format") {
      result += fields.format;
    } else {
      fail_usage("pattern \"" + pattern + "\": \"" + key +
                 "\" is not one of {name} {index} {component} {width} {height} {format}");
    }
    i = end;
  }
  return result;
}

RawVideoReader::RawVideoReader(const std::string& path, const RawFormat& format, int width,
                               int height)
    : path_(path),
      file_(std::fopen(path.c_str(), "rb")),
      buffer_(format.samples, width, height),
      file_bytes_per_picture_(int64_t(buffer_.bytes().size())) {
  if (!file_) fail(path + ": cannot be opened: " + system_error());
  if (format.skip_chroma)
    file_bytes_per_picture_ += 2 * int64_t(bytes_per_sample(format.samples)) *
                               plane_size(width, 1) * plane_size(height, 1);
  struct stat info = {};
  if (fstat(fileno(file_.get()), &info) != 0 || !S_ISREG(info.st_mode))
    fail(path + ": is not a regular file");
  frames_ = info.st_size / file_bytes_per_picture_;
  if (frames_ == 0 || info.st_size % file_bytes_per_picture_ != 0)
    fail(
        tools::format("%s: %lld bytes are %.2f pictures of %dx%d %s (%lld bytes each); wrong size "
                      "or format?",
                      path.c_str(), (long long)info.st_size,
                      double(info.st_size) / double(file_bytes_per_picture_), width, height,
                      format.name.c_str(), (long long)file_bytes_per_picture_));
}

const PictureBuffer& RawVideoReader::read(int64_t frame) {
  if (fseeko(file_.get(), off_t(frame * file_bytes_per_picture_), SEEK_SET) != 0 ||
      std::fread(buffer_.bytes().data(), 1, buffer_.bytes().size(), file_.get()) !=
          buffer_.bytes().size())
    fail(tools::format("%s: picture %lld cannot be read", path_.c_str(), (long long)frame));
  return buffer_;
}

OutputFile::OutputFile(const std::string& path)
    : path_(path), file_(path == "-" ? stdout : std::fopen(path.c_str(), "wb")) {
  if (file_ == nullptr) fail(path + ": cannot be written: " + system_error());
  if (is_stdout() && isatty(STDOUT_FILENO))
    fail_usage("-o -: binary data is not written to a terminal");
}

OutputFile::~OutputFile() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
}

void OutputFile::cut_back_and_fail() {
  const std::string reason = system_error();
  if (!is_stdout()) {
    std::fclose(std::exchange(file_, nullptr));
    if (truncate(path_.c_str(), off_t(flushed_)) != 0)
      fail(path_ + ": cannot be written: " + reason + "; its end is damaged");
  }
  fail(path_ + ": cannot be written: " + reason);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) cut_back_and_fail();
  written_ += int64_t(bytes.size());
}

void OutputFile::write(const Picture& picture) {
  for (int p = 0; p < plane_count(picture.format); ++p) {
    const size_t row = size_t(plane_size(picture.width, p)) * bytes_per_sample(picture.format);
    for (int y = 0; y < plane_size(picture.height, p); ++y)
      write({picture.data[p] + y * picture.stride[p], row});
  }
}

void OutputFile::flush() {
  if (std::fflush(file_) != 0) cut_back_and_fail();
  flushed_ = written_;
}

void OutputFile::sync() {
  flush();
  if (fsync(fileno(file_)) != 0 && errno != EINVAL) cut_back_and_fail();  // EINVAL: not a file
}

}  // namespace mvinr::tools
