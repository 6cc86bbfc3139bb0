#include "base_caps.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace mvinr::gst {
namespace {

enum class Kind { text, number, fraction, bytes };
struct Field {
  const char* name;
  const char* type;  // as in a caps string
  Kind kind;
};
// In the order in which they are written.
constexpr Field kFields[] = {
    {"stream-format", "string", Kind::text}, {"alignment", "string", Kind::text},
    {"profile", "string", Kind::text},       {"tier", "string", Kind::text},
    {"level", "string", Kind::text},         {"width", "int", Kind::number},
    {"height", "int", Kind::number},         {"framerate", "fraction", Kind::fraction},
    {"codec_data", "buffer", Kind::bytes},
};

Error corrupt(const std::string& what) { return {ErrorCode::corrupt, "base view: caps: " + what}; }

// What GStreamer writes without quotes; enough for every value of the fields above.
bool is_plain(char c) {
  return g_ascii_isalnum(c) || std::string_view("-_+./:").find(c) != std::string_view::npos;
}
bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return is_plain(c); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// The text before the next comma; `rest` continues behind it.
std::string_view next_part(std::string_view& rest) {
  const size_t comma = rest.find(',');
  const std::string_view part = rest.substr(0, comma);
  rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  return trimmed(part);
}

std::optional<int> to_int(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return {};
  return value;
}

bool set_bytes(GstCaps* caps, const char* name, std::string_view hex) {
  if (hex.size() % 2 != 0) return false;
  std::vector<guint8> bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = g_ascii_xdigit_value(hex[i]), low = g_ascii_xdigit_value(hex[i + 1]);
    if (high < 0 || low < 0) return false;
    bytes.push_back(guint8(high << 4 | low));
  }
  const GstPtr<GstBuffer> buffer(gst_buffer_new_memdup(bytes.data(), bytes.size()));
  gst_caps_set_simple(caps, name, GST_TYPE_BUFFER, buffer.get(), nullptr);
  return true;
}

bool set_field(GstCaps* caps, const Field& field, std::string_view text) {
  switch (field.kind) {
    case Kind::text:
      gst_caps_set_simple(caps, field.name, G_TYPE_STRING, std::string(text).c_str(), nullptr);
      return true;
    case Kind::number: {
      const auto value = to_int(text);
      if (value) gst_caps_set_simple(caps, field.name, G_TYPE_INT, *value, nullptr);
      return value.has_value();
    }
    case Kind::fraction: {
      const size_t slash = text.find('/');
      if (slash == std::string_view::npos) return false;
      const auto num = to_int(text.substr(0, slash)), den = to_int(text.substr(slash + 1));
      if (!num || !den || *den == 0) return false;
      gst_caps_set_simple(caps, field.name, GST_TYPE_FRACTION, *num, *den, nullptr);
      return true;
    }
    case Kind::bytes:
      return set_bytes(caps, field.name, text);
  }
  return false;
}

// "name=(type)value", or an empty text if it is that of no known field.
std::string parse_field(GstCaps* caps, std::string_view part) {
  const size_t equals = part.find('=');
  const std::string_view name = trimmed(part.substr(0, equals));
  if (equals == std::string_view::npos || !is_plain(name)) return "a field without a value";
  const auto* field = std::find_if(std::begin(kFields), std::end(kFields),
                                   [&](const Field& f) { return f.name == name; });
  if (field == std::end(kFields)) return "unknown field " + std::string(name);
  const std::string type = "(" + std::string(field->type) + ")";
  std::string_view value = trimmed(part.substr(equals + 1));
  if (value.substr(0, type.size()) != type)
    return "field " + std::string(name) + " is not of type " + field->type;
  value = trimmed(value.substr(type.size()));
  if (!is_plain(value) || !set_field(caps, *field, value))
    return "field " + std::string(name) + " has a wrong value";
  return "";
}

bool is_allowed(std::string_view name) {
  const auto begins = [&](std::string_view with) { return name.substr(0, with.size()) == with; };
  return is_plain(name) && (begins("video/x-") || begins("image/")) && !begins("video/x-raw") &&
         !begins("video/x-mvinr");
}

}  // namespace

Result<GstPtr<GstCaps>> parse_base_caps(std::string_view text) {
  std::string_view rest = text;
  const std::string_view name = next_part(rest);
  if (!is_allowed(name)) {
    const bool printable = is_plain(name) && name.size() < 100;
    return corrupt(printable ? std::string(name) + " is no coded video" : "no name of a format");
  }
  GstPtr<GstCaps> caps(gst_caps_new_empty_simple(std::string(name).c_str()));
  std::vector<std::string_view> seen;
  while (!rest.empty()) {
    const std::string_view part = next_part(rest);
    const std::string_view field = trimmed(part.substr(0, part.find('=')));
    if (std::find(seen.begin(), seen.end(), field) != seen.end())
      return corrupt("a field comes twice");
    seen.push_back(field);
    if (const std::string wrong = parse_field(caps.get(), part); !wrong.empty())
      return corrupt(wrong);
  }
  return caps;
}

Result<std::string> format_base_caps(const GstCaps* caps) {
  const GstStructure* structure = gst_caps_get_structure(caps, 0);
  std::string text = gst_structure_get_name(structure);
  for (const Field& field : kFields) {
    const GValue* value = gst_structure_get_value(structure, field.name);
    if (!value) continue;
    const GstPtr<gchar> serialized(gst_value_serialize(value));
    if (serialized && is_plain(serialized.get()))
      text += ", " + std::string(field.name) + "=(" + field.type + ")" + serialized.get();
  }
  if (auto parsed = parse_base_caps(text); !parsed)
    return Error{ErrorCode::invalid_argument,
                 "the base encoder's output cannot be carried: " + parsed.error().message};
  return text;
}

}  // namespace mvinr::gst
