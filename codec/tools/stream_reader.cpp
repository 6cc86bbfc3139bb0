#include "tools/stream_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tools/cli.h"

namespace mvinr::tools {
namespace {

constexpr size_t kChunkBytes = 1 << 18;

}  // namespace

StreamReader::StreamReader(const std::string& path)
    : name_(path == "-" ? "stdin" : path),
      file_(path == "-" ? stdin : std::fopen(path.c_str(), "rb")) {
  if (file_ == nullptr) fail(path + ": cannot be opened: " + std::strerror(errno));
}

StreamReader::~StreamReader() {
  if (file_ != stdin) std::fclose(file_);
}

bool StreamReader::fill(size_t count) {
  while (buffer_.size() - begin_ < count && !end_) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + ptrdiff_t(begin_));
    begin_ = 0;
    const size_t old = buffer_.size();
    buffer_.resize(old + std::max(kChunkBytes, std::min(count - old, size_t{64} * kChunkBytes)));
    const size_t got = std::fread(buffer_.data() + old, 1, buffer_.size() - old, file_);
    buffer_.resize(old + got);
    if (got == 0) {
      if (std::ferror(file_)) fail(name_ + ": cannot be read: " + std::strerror(errno));
      end_ = true;
    }
  }
  return buffer_.size() - begin_ >= count;
}

void StreamReader::drop(size_t count) {
  begin_ += count;
  offset_ += count;
}

std::optional<AccessUnit> StreamReader::next() {
  if (!started_) {
    started_ = true;
    if (fill(8)) container_ = std::memcmp(buffer_.data() + 4, "ftyp", 4) == 0;
  }
  uint64_t skipped = 0;
  while (fill(1)) {
    fill(kAccessUnitPrefixBytes);
    const Bytes data = Bytes(buffer_).subspan(begin_);
    const size_t start = find_access_unit(data);
    if (start > 0) {
      skipped += start;
      drop(start);
      continue;
    }
    const Result<uint32_t> size = access_unit_bytes(data);
    // The header's CRC decides whether this is an access unit or four bytes that look like one.
    if (size.has_value() && fill(*size)) {
      const Bytes unit = Bytes(buffer_).subspan(begin_, *size);
      const Result<GopInfo> info = read_gop_info(unit);
      if (info.has_value()) {
        AccessUnit result{{unit.begin(), unit.end()}, offset_, skipped};
        drop(*size);
        return result;
      }
      if (info.error().code == ErrorCode::unsupported)
        fail(name_ + ": " + info.error().message + " (unsupported)");
    } else if (!size.has_value() && size.error().code == ErrorCode::unsupported) {
      fail(name_ + ": " + size.error().message + " (unsupported)");
    }
    drop(1);
    ++skipped;
  }
  trailing_ = skipped;
  return std::nullopt;
}

}  // namespace mvinr::tools
