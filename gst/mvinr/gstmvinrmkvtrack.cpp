#include "gstmvinrmkvtrack.h"

#include <gst/pbutils/pbutils.h>
#include <gst/tag/tag.h>

#include "gstmvinr.h"

using mvinr::Error;
using mvinr::ErrorCode;
using mvinr::Result;
using mvinr::mkv::Track;

namespace {

constexpr guint kOpusRate = 48000;                  // of its time stamps, whatever it codes
constexpr gsize kOpusHeadBytes = 19;                // without a channel mapping
constexpr guint64 kOpusPreroll = 80 * GST_MSECOND;  // RFC 7845 4.6

std::vector<std::byte> bytes_of(GstBuffer* buffer) {
  std::vector<std::byte> bytes(gst_buffer_get_size(buffer));
  gst_buffer_extract(buffer, 0, bytes.data(), bytes.size());
  return bytes;
}

// The OpusHead packet that the caps carry, or one made from their fields.
std::vector<std::byte> opus_head(GstCaps* caps) {
  const GstStructure* s = gst_caps_get_structure(caps, 0);
  const GValue* headers = gst_structure_get_value(s, "streamheader");
  if (headers && GST_VALUE_HOLDS_ARRAY(headers) && gst_value_array_get_size(headers) > 0) {
    const GValue* first = gst_value_array_get_value(headers, 0);
    if (GST_VALUE_HOLDS_BUFFER(first)) return bytes_of(gst_value_get_buffer(first));
  }
  guint32 rate;
  guint8 channels, family, streams, coupled, mapping[256];
  if (!gst_codec_utils_opus_parse_caps(caps, &rate, &channels, &family, &streams, &coupled,
                                       mapping))
    return {};
  GstBuffer* made =
      gst_codec_utils_opus_create_header(rate, channels, family, streams, coupled, mapping, 0, 0);
  if (!made) return {};
  auto bytes = bytes_of(made);
  gst_buffer_unref(made);
  return bytes;
}

Result<Track> opus_track(GstCaps* caps) {
  Track track{.codec_id = "A_OPUS", .codec_private = opus_head(caps), .sample_rate = kOpusRate};
  if (track.codec_private.size() < kOpusHeadBytes)
    return Error{ErrorCode::invalid_argument,
                 "the audio/x-opus caps have neither a stream header nor rate, channels and "
                 "channel-mapping-family; put an opusparse in front"};
  const auto* head = reinterpret_cast<const guint8*>(track.codec_private.data());
  track.channels = head[9];
  const guint64 pre_skip = GST_READ_UINT16_LE(head + 10);
  track.codec_delay = gst_util_uint64_scale(pre_skip, GST_SECOND, kOpusRate);
  track.seek_preroll = kOpusPreroll;
  return track;
}

Result<Track> aac_track(GstCaps* caps) {
  const GstStructure* s = gst_caps_get_structure(caps, 0);
  Track track{.codec_id = "A_AAC"};
  int rate = 0;
  const GValue* data = gst_structure_get_value(s, "codec_data");
  if (!data || !GST_VALUE_HOLDS_BUFFER(data) || !gst_structure_get_int(s, "rate", &rate) ||
      !gst_structure_get_int(s, "channels", &track.channels))
    return Error{
        ErrorCode::invalid_argument,
        "the audio/mpeg caps need codec_data, rate and channels; put an aacparse in front"};
  track.codec_private = bytes_of(gst_value_get_buffer(data));
  track.sample_rate = rate;
  return track;
}

// Names as matroskademux and MKVToolNix know them; the title is a field of its own.
constexpr struct {
  const char *gst, *matroska;
} kTagNames[] = {
    {GST_TAG_ARTIST, "ARTIST"},
    {GST_TAG_ALBUM, "ALBUM"},
    {GST_TAG_COMPOSER, "COMPOSER"},
    {GST_TAG_PERFORMER, "LEAD_PERFORMER"},
    {GST_TAG_COPYRIGHT, "COPYRIGHT"},
    {GST_TAG_LICENSE, "TERMS_OF_USE"},
    {GST_TAG_GENRE, "GENRE"},
    {GST_TAG_COMMENT, "COMMENT"},
    {GST_TAG_DESCRIPTION, "DESCRIPTION"},
    {GST_TAG_KEYWORDS, "KEYWORDS"},
    {GST_TAG_ISRC, "ISRC"},
    {GST_TAG_ENCODER, "ENCODER"},
    {GST_TAG_DATE_TIME, "DATE_RELEASED"},
};

std::optional<std::string> text_of(const GstTagList* tags, const char* name) {
  const GValue* value = gst_tag_list_get_value_index(tags, name, 0);
  gchar* text = nullptr;
  if (value && G_VALUE_HOLDS_STRING(value))
    text = g_value_dup_string(value);
  else if (value && GST_VALUE_HOLDS_DATE_TIME(value))
    text = gst_date_time_to_iso8601_string(static_cast<GstDateTime*>(g_value_get_boxed(value)));
  if (!text) return {};
  std::string result = text;
  g_free(text);
  return result;
}

}  // namespace

Result<Track> gst_mvinr_mkv_audio_track(GstCaps* caps) {
  const bool opus = gst_structure_has_name(gst_caps_get_structure(caps, 0), "audio/x-opus");
  return opus ? opus_track(caps) : aac_track(caps);
}

Result<Track> gst_mvinr_mkv_video_track(mvinr::Bytes access_unit) {
  const auto gop = mvinr::read_gop_info(access_unit);
  if (!gop) return gop.error();
  const auto& view = gop->sequence.views.front();
  Track track{.video = true, .codec_id = "V_MVINR", .width = view.width, .height = view.height};
  // docs/bitstream.md 2: the header's size stands at byte 6, and the header was found intact.
  const size_t header = mvinr::kAccessUnitPrefixBytes +
                        GST_READ_UINT16_LE(reinterpret_cast<const guint8*>(&access_unit[6]));
  track.codec_private.assign(access_unit.begin(), access_unit.begin() + ptrdiff_t(header));
  const auto& rate = gop->sequence.frame_rate;
  if (rate.num > 0 && rate.den <= 1'000'000) {  // else it would not fit into 64 bits
    const guint64 time = guint64(gop->frames) * rate.den * GST_SECOND;
    if (time % rate.num == 0) track.default_duration = time / rate.num;
  }
  return track;
}

void gst_mvinr_mkv_add_tags(const GstTagList* tags, mvinr::mkv::FileInfo& info) {
  if (const auto title = text_of(tags, GST_TAG_TITLE)) info.title = *title;
  for (const auto& name : kTagNames)
    if (const auto text = text_of(tags, name.gst)) info.tags.emplace_back(name.matroska, *text);
}

std::optional<std::string> gst_mvinr_mkv_language(const GstTagList* tags) {
  const auto text = text_of(tags, GST_TAG_LANGUAGE_CODE);
  if (!text) return {};
  const gchar* code = gst_tag_get_language_code_iso_639_2B(text->c_str());
  return code ? std::optional<std::string>(code) : std::nullopt;
}
