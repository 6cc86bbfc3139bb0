#include "encoder_table.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

namespace mvinr::gst {
namespace {

constexpr char kBad[] = "gstreamer1.0-plugins-bad", kUgly[] = "gstreamer1.0-plugins-ugly";

// How an encoder is told a constant quality: properties, separated by blanks, in which Q stands for
// the quantiser, and P, in those of the automatic choice, for a preset of x264 and x265.
// "name+=text" appends to a list of options with ':'.
struct KnownEncoder {
  std::string_view element;
  const char* package;
  std::string_view settings;   // of the automatic choice
  std::string_view quantiser;  // see above
  int scale;                   // quantiser 51 is this
  int width_multiple = 2;
};

// A GOP has one intra picture (key-int-max and scenecut), because each is coded by a new encoder.
constexpr KnownEncoder kEncoders[] = {
    {"x265enc", kBad,
     "speed-preset=P tune=psnr log-level=none key-int-max=1024 "
     "option-string=info=0:scenecut=0:open-gop=0",
     "option-string+=crf=Q", 51,
     64},  // cuTree of x265 3.5 takes blocks of 16x16 by fours, and writes behind the last one
    {"nvh265enc", kBad, "preset=hq gop-size=-1", "rc-mode=constqp qp-const=Q", 51},
    {"vah265enc", kBad, "key-int-max=1024", "rate-control=cqp qpi=Q qpp=Q qpb=Q", 51},
    {"x264enc", kUgly,
     "speed-preset=P psy-tune=psnr bframes=3 b-pyramid=true key-int-max=1024 "
     "option-string=scenecut=0:open-gop=0",
     "pass=qual quantizer=Q", 50},
    {"nvh264enc", kBad, "preset=hq gop-size=-1", "rc-mode=constqp qp-const=Q", 51},
    {"vah264enc", kBad, "key-int-max=1024", "rate-control=cqp qpi=Q qpp=Q qpb=Q", 51},
    {"openh264enc", kBad, "complexity=high gop-size=1024 scene-change-detection=false",
     "rate-control=quality qp-min=Q qp-max=Q", 51},
    {"av1enc", kBad, "cpu-used=4 keyframe-max-dist=1024 lag-in-frames=19 end-usage=q",
     "min-quantizer=Q max-quantizer=Q", 63},
};

const KnownEncoder* known_encoder(std::string_view element) {
  for (const KnownEncoder& known : kEncoders)
    if (known.element == element) return &known;
  return nullptr;
}

std::string name_and_package(std::string_view element) {
  const KnownEncoder* known = known_encoder(element);
  return std::string(element) + (known ? " (Debian: " + std::string(known->package) + ")" : "");
}

bool is_installed(std::string_view element) {
  return GstPtr<GstElementFactory>(gst_element_factory_find(std::string(element).c_str())) !=
         nullptr;
}

// The text with `value` in place of every `sign` that stands behind '='.
std::string filled_in(std::string_view text, char sign, const std::string& value) {
  std::string done;
  for (const char c : text) c == sign&& done.ends_with('=') ? done += value : done += c;
  return done;
}

// By the microseconds per sample that x265 takes on one core, about (docs/training.md 6); x264 is
// faster.
std::string preset(double time) {
  return time >= 1.2 ? "slower" : time >= 0.35 ? "slow" : time >= 0.2 ? "medium" : "veryfast";
}

Status set_quantiser(GstElement* element, const KnownEncoder& known, int quantiser) {
  const int scaled = int(std::lround(double(quantiser) * known.scale / kMaxQuantiser));
  std::string_view rest = known.quantiser;
  while (!rest.empty()) {
    const std::string_view setting = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), setting.size() + 1));
    const size_t equals = setting.find('=');
    const bool append = setting[equals - 1] == '+';
    const std::string name(setting.substr(0, append ? equals - 1 : equals));
    std::string value = filled_in(setting.substr(equals), 'Q', std::to_string(scaled)).substr(1);
    if (!g_object_class_find_property(G_OBJECT_GET_CLASS(element), name.c_str()))
      return Error{ErrorCode::invalid_argument,
                   std::string(known.element) + " of this GStreamer has no property " + name +
                       ": the quantiser cannot be set, say it in base-encoder"};
    if (append) {
      gchar* before = nullptr;
      g_object_get(element, name.c_str(), &before, nullptr);
      const GstPtr<gchar> options(before);
      if (before && *before) value = std::string(before) + ":" + value;
    }
    gst_util_set_object_arg(G_OBJECT(element), name.c_str(), value.c_str());
  }
  return ok();
}

// The first known encoder that `element` is or holds, or null.
GstPtr<GstElement> find_known(GstElement* element, const KnownEncoder** known) {
  const auto is_known = [known](GstElement* candidate) {
    GstElementFactory* factory = gst_element_get_factory(candidate);
    *known = factory ? known_encoder(GST_OBJECT_NAME(factory)) : nullptr;
    return *known != nullptr;
  };
  GstPtr<GstElement> found;
  if (is_known(element)) found.reset(GST_ELEMENT(gst_object_ref(element)));
  if (found || !GST_IS_BIN(element)) return found;
  GstIterator* elements = gst_bin_iterate_recurse(GST_BIN(element));
  GValue item = G_VALUE_INIT;
  while (!found && gst_iterator_next(elements, &item) == GST_ITERATOR_OK) {
    auto* inner = GST_ELEMENT(g_value_get_object(&item));
    if (is_known(inner)) found.reset(GST_ELEMENT(gst_object_ref(inner)));
    g_value_reset(&item);
  }
  if (G_IS_VALUE(&item)) g_value_unset(&item);
  gst_iterator_free(elements);
  return found;
}

Error parse_error(const std::string& fragment, GError* error, GstParseContext* context) {
  Error result{ErrorCode::invalid_argument,
               "base-encoder \"" + fragment + "\": " + (error ? error->message : "no elements")};
  gchar** missing = gst_parse_context_get_missing_elements(context);
  if (missing && missing[0] && !is_installed(missing[0]))
    result = {ErrorCode::unsupported, "the base encoder needs " + name_and_package(missing[0]) +
                                          ", which is not installed"};
  g_strfreev(missing);
  g_clear_error(&error);
  return result;
}

}  // namespace

std::vector<std::string> known_base_encoders() {
  std::vector<std::string> names;
  for (const KnownEncoder& known : kEncoders) names.emplace_back(known.element);
  return names;
}

Result<std::string> automatic_base_encoder(double time) {
  for (const KnownEncoder& known : kEncoders)
    if (is_installed(known.element))
      return std::string(known.element) + " " + filled_in(known.settings, 'P', preset(time));
  return Error{ErrorCode::unsupported, "no encoder for base views is installed; the preferred is " +
                                           name_and_package(kEncoders[0].element)};
}

int width_multiple(GstElement* element) {
  const KnownEncoder* known = nullptr;
  return find_known(element, &known) ? known->width_multiple : 2;
}

Result<GstPtr<GstElement>> make_base_encoder(const std::string& fragment, int quantiser) {
  GstParseContext* context = gst_parse_context_new();
  GError* error = nullptr;
  GstPtr<GstElement> bin = own(gst_parse_bin_from_description_full(
      fragment.c_str(), TRUE, context,
      GstParseFlags(GST_PARSE_FLAG_FATAL_ERRORS | GST_PARSE_FLAG_NO_SINGLE_ELEMENT_BINS), &error));
  std::optional<Error> failed;
  if (error || !bin) failed = parse_error(fragment, error, context);
  gst_parse_context_free(context);
  if (failed) return *failed;

  const GstPtr<GstPad> sink(gst_element_get_static_pad(bin.get(), "sink"));
  const GstPtr<GstPad> source(gst_element_get_static_pad(bin.get(), "src"));
  if (!sink || !source)
    return Error{ErrorCode::invalid_argument,
                 "base-encoder \"" + fragment + "\": not a chain with one input and one output"};
  if (quantiser < 0) return bin;
  const KnownEncoder* known = nullptr;
  const GstPtr<GstElement> encoder = find_known(bin.get(), &known);
  if (!encoder)
    return Error{ErrorCode::invalid_argument,
                 "base-quantiser is not known for base-encoder \"" + fragment +
                     "\": say it there and leave base-quantiser at -1"};
  if (Status set = set_quantiser(encoder.get(), *known, quantiser); !set) return set.error();
  return bin;
}

}  // namespace mvinr::gst
