// Recognises a raw MV-INR stream by the first access unit's header.
#include "gstmvinr.h"

static mvinr::Bytes peek(GstTypeFind* find, guint size) {
  const guint8* data = gst_type_find_peek(find, 0, size);
  return {reinterpret_cast<const std::byte*>(data), data ? size : 0};
}

// The header's CRC makes the answer certain. Sources that show only their first bytes still get a
// likely one from the prefix. Another version is possible: the parser then says which one it is.
static void gst_mvinr_type_find(GstTypeFind* find, gpointer) {
  const auto prefix = peek(find, mvinr::kAccessUnitPrefixBytes);
  if (prefix.empty()) return;
  if (const auto bytes = mvinr::access_unit_bytes(prefix); !bytes) {
    if (bytes.error().code == mvinr::ErrorCode::unsupported)
      gst_type_find_suggest_empty_simple(find, GST_TYPE_FIND_POSSIBLE, GST_MVINR_MEDIA_TYPE);
    return;
  }
  GstTypeFindProbability probability = GST_TYPE_FIND_LIKELY;
  for (guint size = 256; size <= 65536; size *= 4) {
    auto data = peek(find, size);
    if (data.empty()) {  // a stream shorter than this
      const guint64 length = gst_type_find_get_length(find);
      if (length == 0 || length > size) break;
      data = peek(find, guint(length));
    }
    const auto gop = mvinr::read_gop_info(data);
    if (gop) {
      probability = GST_TYPE_FIND_MAXIMUM;
      break;
    }
    if (gop.error().code != mvinr::ErrorCode::truncated) return;
  }
  gst_type_find_suggest_empty_simple(find, probability, GST_MVINR_MEDIA_TYPE);
}

static GstStaticCaps typefind_caps = GST_STATIC_CAPS(GST_MVINR_MEDIA_TYPE);

GST_TYPE_FIND_REGISTER_DEFINE(mvinr, "mvinr", GST_RANK_PRIMARY, gst_mvinr_type_find, "mvinr",
                              gst_static_caps_get(&typefind_caps), nullptr, nullptr);
