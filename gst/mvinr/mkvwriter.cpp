#include "mkvwriter.h"

#include <ebml/EbmlHead.h>
#include <ebml/EbmlSubHead.h>
#include <ebml/EbmlVersion.h>
#include <ebml/EbmlVoid.h>
#include <matroska/KaxBlock.h>
#include <matroska/KaxCluster.h>
#include <matroska/KaxCues.h>
#include <matroska/KaxCuesData.h>
#include <matroska/KaxInfo.h>
#include <matroska/KaxInfoData.h>
#include <matroska/KaxSeekHead.h>
#include <matroska/KaxSegment.h>
#include <matroska/KaxSemantic.h>
#include <matroska/KaxTag.h>
#include <matroska/KaxTags.h>
#include <matroska/KaxTracks.h>
#include <matroska/KaxVersion.h>

#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>

namespace mvinr::mkv {
namespace {

using namespace libmatroska;

// Bytes reserved for the index of the four top elements: 4 x 21 and their parent's head.
constexpr size_t kSeekHeadBytes = 112;
// An element's size field of this length need not grow when the element does.
constexpr int kSizeLength = 8;
constexpr size_t kDurationBytes = 2 + 1 + 8;  // id, size, binary64

// What libebml writes, from a place in the file on.
class Memory : public IOCallback {
 public:
  explicit Memory(uint64_t offset) : chunk_{.offset = offset}, position_(offset) {}
  Chunk take() { return std::move(chunk_); }
  uint64_t end() const { return chunk_.offset + chunk_.bytes.size(); }

  uint32 read(void*, size_t) override { return 0; }
  void close() override {}
  uint64 getFilePointer() override { return position_; }
  void setFilePointer(int64 offset, seek_mode mode) override {
    const uint64_t base = mode == seek_beginning ? 0 : mode == seek_current ? position_ : end();
    position_ = base + uint64_t(offset);
    if (position_ < chunk_.offset || position_ > end())
      throw std::out_of_range("libebml seeks out of what it writes");
  }
  size_t write(const void* data, size_t count) override {
    const size_t at = size_t(position_ - chunk_.offset);
    if (at + count > chunk_.bytes.size()) chunk_.bytes.resize(at + count);
    std::memcpy(chunk_.bytes.data() + at, data, count);
    position_ += count;
    return count;
  }

 private:
  Chunk chunk_;
  uint64_t position_;
};

// Calls `body` and turns an exception into a value.
template <typename Body>
auto guarded(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::limit_exceeded, "out of memory"};
  } catch (const std::exception& e) {
    return Error{ErrorCode::internal, std::string("libmatroska: ") + e.what()};
  } catch (...) {
    return Error{ErrorCode::internal, "libmatroska failed without saying why"};
  }
}

void fill_void(Memory& out, size_t bytes) {
  EbmlVoid nothing;
  nothing.SetSize(bytes - 2);  // bytes < 128: one byte each for id and size
  nothing.Render(out);
}

void describe(KaxTrackEntry& entry, const Track& track, size_t number) {
  entry.SetGlobalTimecodeScale(kTick);
  GetChild<KaxTrackNumber>(entry).SetValue(number);
  GetChild<KaxTrackUID>(entry).SetValue(number);
  GetChild<KaxTrackType>(entry).SetValue(track.video ? track_video : track_audio);
  entry.EnableLacing(false);
  GetChild<KaxCodecID>(entry).SetValue(track.codec_id);
  GetChild<KaxCodecPrivate>(entry).CopyBuffer(
      reinterpret_cast<const binary*>(track.codec_private.data()),
      uint32(track.codec_private.size()));
  GetChild<KaxTrackLanguage>(entry).SetValue(track.language);
  if (track.default_duration)
    GetChild<KaxTrackDefaultDuration>(entry).SetValue(track.default_duration);
  if (track.codec_delay) GetChild<KaxCodecDelay>(entry).SetValue(track.codec_delay);
  if (track.seek_preroll) GetChild<KaxSeekPreRoll>(entry).SetValue(track.seek_preroll);
  if (track.video) {
    auto& video = GetChild<KaxTrackVideo>(entry);
    GetChild<KaxVideoPixelWidth>(video).SetValue(uint64(track.width));
    GetChild<KaxVideoPixelHeight>(video).SetValue(uint64(track.height));
  } else {
    auto& audio = GetChild<KaxTrackAudio>(entry);
    GetChild<KaxAudioSamplingFreq>(audio).SetValue(track.sample_rate);
    GetChild<KaxAudioChannels>(audio).SetValue(uint64(track.channels));
  }
}

void render_head(Memory& out) {
  EbmlHead head;
  GetChild<EDocType>(head).SetValue("matroska");
  GetChild<EDocTypeVersion>(head).SetValue(4);  // CodecDelay
  GetChild<EDocTypeReadVersion>(head).SetValue(2);
  head.Render(out, true);
}

void fill_tags(KaxTags& tags, const FileInfo& info) {
  auto& tag = GetChild<KaxTag>(tags);
  GetChild<KaxTagTargetTypeValue>(GetChild<KaxTagTargets>(tag)).SetValue(50);  // the whole film
  bool first = true;
  for (const auto& [name, value] : info.tags) {
    auto& simple = first ? GetChild<KaxTagSimple>(tag) : AddNewChild<KaxTagSimple>(tag);
    GetChild<KaxTagName>(simple).SetValueUTF8(name);
    GetChild<KaxTagString>(simple).SetValueUTF8(value);
    first = false;
  }
}

struct IndexEntry {
  uint64_t time;      // ticks
  uint32_t track;     // number
  uint64_t position;  // of the cluster, from the segment's data on
};

}  // namespace

struct Writer::Impl {
  KaxSegment segment;
  KaxInfo info;
  KaxTracks tracks;
  KaxTags tags;
  std::vector<KaxTrackEntry*> entries;  // owned by `tracks`
  std::vector<bool> video;              // per track
  std::vector<IndexEntry> index;
  uint64_t seek_head_offset = 0, info_offset = 0, end = 0;
};

Writer::Writer() = default;
Writer::~Writer() = default;

std::string Writer::libraries() {
  return "libebml " + EbmlCodeVersion + " + libmatroska " + KaxCodeVersion;
}

Result<Chunk> Writer::begin(const FileInfo& info, const std::vector<Track>& tracks,
                            bool streamable) {
  return guarded([&]() -> Result<Chunk> {
    impl_ = std::make_unique<Impl>();
    Impl& file = *impl_;
    Memory out(0);
    render_head(out);

    file.segment.SetSizeInfinite();
    file.segment.WriteHead(out, kSizeLength);

    file.seek_head_offset = out.end();
    if (!streamable) fill_void(out, kSeekHeadBytes);

    GetChild<KaxTimecodeScale>(file.info).SetValue(kTick);
    GetChild<KaxMuxingApp>(file.info).SetValueUTF8(libraries());
    GetChild<KaxWritingApp>(file.info).SetValueUTF8(info.writing_app);
    if (!info.title.empty()) GetChild<KaxTitle>(file.info).SetValueUTF8(info.title);
    file.info_offset = out.end();
    file.info.SetSizeLength(kSizeLength);
    file.info.Render(out);
    if (!streamable) fill_void(out, kDurationBytes);

    for (size_t i = 0; i < tracks.size(); ++i) {
      auto& entry =
          i ? AddNewChild<KaxTrackEntry>(file.tracks) : GetChild<KaxTrackEntry>(file.tracks);
      describe(entry, tracks[i], i + 1);
      file.entries.push_back(&entry);
      file.video.push_back(tracks[i].video);
    }
    file.tracks.Render(out);
    if (!info.tags.empty()) {
      fill_tags(file.tags, info);
      file.tags.Render(out);
    }
    file.end = out.end();
    return out.take();
  });
}

Result<Chunk> Writer::cluster(const std::vector<Block>& blocks) {
  return guarded([&]() -> Result<Chunk> {
    Impl& file = *impl_;
    KaxCluster cluster;
    cluster.SetParent(file.segment);
    cluster.InitTimecode(blocks.front().time, kTick);
    for (const Block& block : blocks) {
      const KaxTrackEntry& track = *file.entries.at(block.track);
      const uint64_t time = block.time * kTick;
      // The block deletes the DataBuffer, but not the bytes, which are the caller's and are only
      // read.
      auto* bytes = reinterpret_cast<binary*>(const_cast<std::byte*>(block.data.data()));
      auto buffer = std::make_unique<DataBuffer>(bytes, uint32(block.data.size()));
      if (file.video[block.track] || block.discard) {
        KaxBlockGroup* group = nullptr;
        cluster.AddFrame(track, time, *buffer.release(), group, LACING_NONE);
        if (block.duration) group->SetBlockDuration(block.duration * kTick);
        if (block.discard) GetChild<KaxDiscardPadding>(*group).SetValue(int64(block.discard));
      } else {
        auto& simple = AddNewChild<KaxSimpleBlock>(cluster);
        simple.SetParent(cluster);
        simple.AddFrame(track, time, *buffer.release(), LACING_NONE);
        simple.SetKeyframe(true);
        simple.SetDiscardable(false);
      }
    }
    Memory out(file.end);
    KaxCues none;
    none.SetGlobalTimecodeScale(kTick);
    cluster.Render(out, none);
    for (const Block& block : blocks)
      if (file.video[block.track])
        file.index.push_back({block.time, uint32_t(block.track + 1), cluster.GetPosition()});
    file.end = out.end();
    return out.take();
  });
}

Result<std::vector<Chunk>> Writer::finish(uint64_t duration) {
  return guarded([&]() -> Result<std::vector<Chunk>> {
    Impl& file = *impl_;
    std::vector<Chunk> chunks;
    KaxSeekHead seek_head;
    seek_head.IndexThis(file.info, file.segment);
    seek_head.IndexThis(file.tracks, file.segment);
    if (file.tags.GetElementPosition()) seek_head.IndexThis(file.tags, file.segment);

    KaxCues cues;
    if (!file.index.empty()) {
      cues.SetGlobalTimecodeScale(kTick);
      bool first = true;
      for (const IndexEntry& entry : file.index) {
        auto& point = first ? GetChild<KaxCuePoint>(cues) : AddNewChild<KaxCuePoint>(cues);
        GetChild<KaxCueTime>(point).SetValue(entry.time);
        auto& where = GetChild<KaxCueTrackPositions>(point);
        GetChild<KaxCueTrack>(where).SetValue(entry.track);
        GetChild<KaxCueClusterPosition>(where).SetValue(entry.position);
        first = false;
      }
      Memory out(file.end);
      cues.Render(out);
      file.end = out.end();
      chunks.push_back(out.take());
      seek_head.IndexThis(cues, file.segment);
    }

    Memory front(file.seek_head_offset);
    seek_head.Render(front);
    fill_void(front, kSeekHeadBytes - size_t(front.end() - file.seek_head_offset));
    auto& length = GetChild<KaxDuration>(file.info);
    length.SetPrecision(EbmlFloat::FLOAT_64);
    length.SetValue(double(duration));
    file.info.Render(front);
    chunks.push_back(front.take());

    Memory head(file.segment.GetElementPosition());
    const uint64_t data = file.seek_head_offset;  // the segment's first child
    if (!file.segment.ForceSize(file.end - data))
      return Error{ErrorCode::internal, "libmatroska cannot set the segment's size"};
    // Rendering would look for the children, which are written already.
    file.segment.OverwriteHead(head);
    chunks.push_back(head.take());
    return chunks;
  });
}

}  // namespace mvinr::mkv
