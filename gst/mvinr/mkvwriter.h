// Matroska files as bytes: what to write where. The only part that knows libmatroska, with its
// exceptions and RTTI; none of either gets out. It does no I/O and keeps no media, only the index.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mvinr/types.h"

namespace mvinr::mkv {

/// Matroska counts in ticks of 1 ms here: every player reads it, a block may lie 32 s behind its
/// cluster, and matroskademux gives milliseconds however fine the ticks are rounded. Frame times
/// n/fps are no whole number of any unit of nanoseconds, so readers restore them from the access
/// units' headers (gstmvinrtime.h).
inline constexpr uint64_t kTick = 1'000'000;  // ns

struct Track {
  bool video = false;
  std::string codec_id;  // "V_MVINR"
  std::vector<std::byte> codec_private;
  std::string language = "und";   // ISO 639-2
  uint64_t default_duration = 0;  // ns of a block, 0: not exact or not the same for all
  int width = 0, height = 0;      // video
  double sample_rate = 0;         // audio
  int channels = 0;               // audio
  uint64_t codec_delay = 0, seek_preroll = 0;  // ns
};

struct FileInfo {
  std::string title, writing_app;
  std::vector<std::pair<std::string, std::string>> tags;  // Matroska's names and values, UTF-8
};

/// One block; the bytes are read during the call only. Times are ticks.
struct Block {
  size_t track = 0;  // index in the list of begin()
  uint64_t time = 0;
  uint64_t duration = 0;  // 0: not written
  uint64_t discard = 0;   // ns at the end that the decoder is to drop
  Bytes data;
};

/// Bytes that belong at an offset of the file.
struct Chunk {
  uint64_t offset = 0;
  std::vector<std::byte> bytes;
};

class Writer {
 public:
  Writer();
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Everything before the first cluster. A streamable file has no index and no duration, and its
  /// size is unknown; else there is room for what finish() fills in, and without finish() the file
  /// plays all the same.
  Result<Chunk> begin(const FileInfo& info, const std::vector<Track>& tracks, bool streamable);

  /// A cluster of these blocks, ascending in time and at most 32 s apart. Blocks of video tracks
  /// (BlockGroup with a duration, all sync points) get an entry in the index, others are
  /// SimpleBlocks.
  Result<Chunk> cluster(const std::vector<Block>& blocks);

  /// The index behind the last cluster, then what changes at the front. `duration` in ticks.
  Result<std::vector<Chunk>> finish(uint64_t duration);

  /// libebml and libmatroska with their versions.
  static std::string libraries();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mvinr::mkv
