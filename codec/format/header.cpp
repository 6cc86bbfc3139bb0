#include "format/header.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/byte_io.h"
#include "format/header_fields.h"

namespace mvinr {
namespace {

/// Where an archive is, for messages: "view 3".
class Place {
 public:
  void enter(const char* what, size_t index) {
    text_ = what + (" " + std::to_string(index) + ": ");
  }
  void enter(const char* what) { text_ = std::string(what) + ": "; }
  void leave() { text_.clear(); }
  Error error(ErrorCode code, const char* name, const std::string& rest) const {
    return {code, "header: " + text_ + name + " " + rest};
  }

 private:
  std::string text_;
};

std::string range(uint64_t low, uint64_t high) {
  return std::to_string(low) + ".." + std::to_string(high);
}

const char* find_choice(std::span<const Choice> choices, uint64_t value) {
  for (const Choice& c : choices)
    if (c.value == value) return c.text;
  return nullptr;
}

std::string list_choices(std::span<const Choice> choices) {
  std::string text;
  for (const Choice& c : choices)
    text += (text.empty() ? "" : ", ") + std::to_string(c.value) + " (" + c.text + ")";
  return text;
}

class Reader {
 public:
  static constexpr bool kReads = true;
  explicit Reader(Bytes data) : in_(data) {}
  size_t remaining() const { return in_.remaining(); }

  template <class T>
  Status integer(const char* name, T& value, int bytes, uint64_t low, uint64_t high) {
    MVINR_ASSIGN(const uint64_t raw, take(name, bytes));
    if (raw < low || raw > high)
      return corrupt(name, "is " + std::to_string(raw) + ", must be " + range(low, high));
    value = static_cast<T>(raw);
    return ok();
  }

  template <class T>
  Status choice(const char* name, T& value, std::span<const Choice> choices) {
    MVINR_ASSIGN(const uint64_t raw, take(name, 1));
    if (find_choice(choices, raw) == nullptr)
      return corrupt(name, "is " + std::to_string(raw) + ", must be " + list_choices(choices));
    value = static_cast<T>(raw);
    return ok();
  }

  template <class... Bits>
  Status flags(const char* const (&)[sizeof...(Bits)], Bits&... bits) {
    uint64_t all = 0;
    MVINR_TRY(integer("flags", all, 1, 0, (1u << sizeof...(Bits)) - 1));
    int i = 0;
    ((bits = ((all >> i++) & 1) != 0), ...);
    return ok();
  }

  template <size_t N>
  Status numbers(const char* name, std::array<float, N>& values) {
    for (float& value : values) {
      MVINR_ASSIGN(const uint64_t raw, take(name, 4));
      value = std::bit_cast<float>(static_cast<uint32_t>(raw));
      if (!std::isfinite(value)) return corrupt(name, "is not a finite number");
    }
    return ok();
  }

  template <class T, class F>
  Status list(const char* what, size_t first, std::vector<T>& items, size_t low, size_t high,
              F&& each) {
    size_t count = 0;
    MVINR_TRY(integer(("number of " + std::string(what) + "s").c_str(), count, 1, low, high));
    items.resize(count);
    for (size_t i = 0; i < count; ++i) {
      place_.enter(what, first + i);
      MVINR_TRY(each(items[i]));
    }
    place_.leave();
    return ok();
  }

  template <class F>
  Status group(const char* name, F&& f) {
    place_.enter(name);
    MVINR_TRY(f());
    place_.leave();
    return ok();
  }

 private:
  Result<uint64_t> take(const char* name, int bytes) {
    auto value = in_.unsigned_integer(bytes);
    // The prefix says how long the header is: more input would not help.
    if (!value) return corrupt(name, value.error().message);
    return value;
  }
  Error corrupt(const char* name, const std::string& rest) const {
    return place_.error(ErrorCode::corrupt, name, rest);
  }

  ByteReader in_;
  Place place_;
};

class Writer {
 public:
  static constexpr bool kReads = false;
  std::vector<std::byte> release() { return out_.release(); }

  template <class T>
  Status integer(const char* name, const T& value, int bytes, uint64_t low, uint64_t high) {
    // A negative value becomes one above every range, except for first_frame, which is unsigned.
    if (static_cast<uint64_t>(value) < low || static_cast<uint64_t>(value) > high)
      return invalid(name, "is " + std::to_string(value) + ", must be " + range(low, high));
    out_.unsigned_integer(static_cast<uint64_t>(value), bytes);
    return ok();
  }

  template <class T>
  Status choice(const char* name, const T& value, std::span<const Choice> choices) {
    const auto raw = static_cast<uint64_t>(value);
    if (find_choice(choices, raw) == nullptr)
      return invalid(name, "is " + std::to_string(raw) + ", must be " + list_choices(choices));
    out_.unsigned_integer(raw, 1);
    return ok();
  }

  template <class... Bits>
  Status flags(const char* const (&)[sizeof...(Bits)], const Bits&... bits) {
    int i = 0;
    uint64_t all = 0;
    ((all |= uint64_t{bits} << i++), ...);
    out_.unsigned_integer(all, 1);
    return ok();
  }

  template <size_t N>
  Status numbers(const char* name, const std::array<float, N>& values) {
    for (float value : values) {
      if (!std::isfinite(value)) return invalid(name, "is not a finite number");
      out_.unsigned_integer(std::bit_cast<uint32_t>(value), 4);
    }
    return ok();
  }

  template <class T, class F>
  Status list(const char* what, size_t first, const std::vector<T>& items, size_t low, size_t high,
              F&& each) {
    MVINR_TRY(
        integer(("number of " + std::string(what) + "s").c_str(), items.size(), 1, low, high));
    for (size_t i = 0; i < items.size(); ++i) {
      place_.enter(what, first + i);
      MVINR_TRY(each(items[i]));
    }
    place_.leave();
    return ok();
  }

  template <class F>
  Status group(const char* name, F&& f) {
    place_.enter(name);
    MVINR_TRY(f());
    place_.leave();
    return ok();
  }

 private:
  Error invalid(const char* name, const std::string& rest) const {
    return place_.error(ErrorCode::invalid_argument, name, rest);
  }

  ByteWriter out_;
  Place place_;
};

/// One line per list item or group: "view 0: width 256, height 144, ...".
class Printer {
 public:
  static constexpr bool kReads = false;
  std::string release() { return std::move(text_) + "\n"; }

  template <class T>
  Status integer(const char* name, const T& value, int, uint64_t, uint64_t) {
    return field(name, std::to_string(value));
  }
  template <class T>
  Status choice(const char* name, const T& value, std::span<const Choice> choices) {
    const char* text = find_choice(choices, static_cast<uint64_t>(value));
    return field(name, text != nullptr ? text : "invalid");
  }
  template <class... Bits>
  Status flags(const char* const (&names)[sizeof...(Bits)], const Bits&... bits) {
    int i = 0;
    (static_cast<void>(field(names[i++], bits ? "yes" : "no")), ...);
    return ok();
  }
  template <size_t N>
  Status numbers(const char* name, const std::array<float, N>& values) {
    std::string text;
    for (float value : values) {
      char number[32];
      std::snprintf(number, sizeof number, text.empty() ? "%.9g" : " %.9g", double{value});
      text += number;
    }
    return field(name, text);
  }
  template <class T, class F>
  Status list(const char* what, size_t first, const std::vector<T>& items, size_t, size_t,
              F&& each) {
    text_ += "\n";
    separator_ = "";
    MVINR_TRY(field((std::string(what) + "s").c_str(), std::to_string(items.size())));
    for (size_t i = 0; i < items.size(); ++i) {
      begin_line(what + (" " + std::to_string(first + i)));
      MVINR_TRY(each(items[i]));
    }
    return ok();
  }
  template <class F>
  Status group(const char* name, F&& f) {
    begin_line(name);
    return f();
  }

 private:
  void begin_line(const std::string& name) {
    text_ += "\n" + name + ":";
    separator_ = " ";
  }
  Status field(const char* name, const std::string& value) {
    text_ += separator_ + (name + (" " + value));
    separator_ = ", ";
    return ok();
  }

  std::string text_;
  std::string separator_;
};

/// What the ranges of single fields do not say.
Status check_relations(const Header& h, ErrorCode code) {
  const auto error = [code](const std::string& what) { return Error{code, "header: " + what}; };
  const std::vector<int> network = h.network_views();
  if (network.empty()) {
    if (!(h.model == no_network(h.frames))) return error("there is a model, but no view for it");
  } else if (Status status = validate(h.model); !status) {
    if (status.error().code == ErrorCode::limit_exceeded) return status.error();
    return error(status.error().message);
  }
  if (!h.base_views.empty()) {
    const bool geometry = h.model.motion != Motion::learned;
    if (h.model.motion == Motion::learned && h.model.flow_bases != h.base_views.size())
      return error("the model displaces " + std::to_string(h.model.flow_bases) + " pictures of " +
                   std::to_string(h.base_views.size()) + " base views");
    if (h.model.motion == Motion::refined && h.model.flow_bases != 1)
      return error("the model refines " + std::to_string(h.model.flow_bases) +
                   " predictions, there is one");
    for (size_t i = 0; i < h.base_views.size(); ++i) {
      const int v = h.base_views[i];
      const std::string name = "base view " + std::to_string(v);
      if (v >= static_cast<int>(h.sequence.views.size())) return error(name + " is not there");
      if (i > 0 && v <= h.base_views[i - 1]) return error("the base views are not in rising order");
      if (geometry && h.sequence.views[static_cast<size_t>(v)].depth == SampleFormat::none)
        return error(name + " has no depth, which the warp to the other views needs");
    }
    for (size_t v = 0; geometry && v < h.sequence.views.size(); ++v)
      if (!h.sequence.views[v].camera)
        return error("view " + std::to_string(v) + " has no camera, which the warp needs");
  }
  if (network.empty()) return ok();
  if (h.model.prediction != !h.base_views.empty())
    return error("the model's prediction does not agree with the base views");
  bool depth = false;
  for (const ViewInfo& view : h.sequence.views) depth = depth || view.depth != SampleFormat::none;
  for (const int v : network) {
    const ViewInfo& view = h.sequence.views[static_cast<size_t>(v)];
    if (view.width > h.model.canvas_width || view.height > h.model.canvas_height)
      return error("view " + std::to_string(v) + " (" + std::to_string(view.width) + "x" +
                   std::to_string(view.height) + ") is larger than the canvas (" +
                   std::to_string(h.model.canvas_width) + "x" +
                   std::to_string(h.model.canvas_height) + ")");
  }
  if (depth != h.model.depth)
    return error(depth ? "a view has depth, but the model has none"
                       : "the model has depth, but no view has");
  return ok();
}

}  // namespace

std::vector<int> Header::network_views() const {
  std::vector<int> views;
  for (int v = 0; v < static_cast<int>(sequence.views.size()); ++v)
    if (std::find(base_views.begin(), base_views.end(), v) == base_views.end()) views.push_back(v);
  return views;
}

Result<Header> read_header(Bytes data) {
  Header header;
  Reader reader(data);
  MVINR_TRY(visit(reader, header));
  if (reader.remaining() != 0)
    return Error{ErrorCode::corrupt,
                 "header: " + std::to_string(reader.remaining()) + " bytes behind the last field"};
  MVINR_TRY(check_relations(header, ErrorCode::corrupt));
  return header;
}

Result<std::vector<std::byte>> write_header(const Header& header) {
  Writer writer;
  MVINR_TRY(visit(writer, header));
  const size_t views = header.network_views().size();
  if (header.model.frames != header.frames || header.model.views != views)
    return Error{ErrorCode::invalid_argument,
                 "header: the model is for " + std::to_string(header.model.frames) + " frames of " +
                     std::to_string(header.model.views) + " views, not " +
                     std::to_string(header.frames) + " of " + std::to_string(views)};
  MVINR_TRY(check_relations(header, ErrorCode::invalid_argument));
  return writer.release();
}

Status validate(const Header& header) {
  auto bytes = write_header(header);
  return bytes ? ok() : bytes.error();
}

Status validate(const SequenceInfo& sequence) {
  Writer writer;
  return visit_sequence(writer, sequence);
}

std::string describe_header(const Header& header) {
  Printer printer;
  // A printer has no errors.
  static_cast<void>(visit(printer, header));
  return printer.release();
}

}  // namespace mvinr
