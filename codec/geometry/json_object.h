// JSON files with messages that say where something is wrong.
#pragma once

#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "base/try.h"

namespace mvinr {

using Json = nlohmann::json;

/// One object of the file, with its place for messages: "cameras.json, camera v0".
class JsonObject {
 public:
  JsonObject(const Json& json, std::string place) : json_(json), place_(std::move(place)) {}

  Error error(const std::string& rest) const {
    return {ErrorCode::invalid_argument, place_ + ": " + rest};
  }
  Error error(const char* field, const std::string& rest) const {
    return error("field " + (field + (" " + rest)));
  }

  /// nullptr if the field is absent.
  const Json* find(const char* field) const {
    const auto it = json_.find(field);
    return it != json_.end() ? &*it : nullptr;
  }

  Status text(const char* field, std::string& out, bool required) const {
    const Json* value = find(field);
    if (value == nullptr) return missing(field, required);
    if (!value->is_string()) return wrong_type(field, "a string", *value);
    out = *value->get_ptr<const std::string*>();
    return ok();
  }

  Status number(const char* field, double& out, double low, double high) const {
    const Json* value = find(field);
    return value == nullptr ? ok() : element(field, *value, out, low, high);
  }

  Status integer(const char* field, int& out, int low, int high) const {
    double value = out;
    MVINR_TRY(number(field, value, low, high));
    if (value != std::floor(value)) return error(field, "is not a whole number");
    out = static_cast<int>(value);
    return ok();
  }

  /// A required array of N numbers.
  template <typename T, size_t N>
  Status numbers(const char* field, std::array<T, N>& out, double low, double high) const {
    const Json* value = find(field);
    if (value == nullptr) return missing(field, true);
    if (!value->is_array() || value->size() != N)
      return wrong_type(field, "an array of " + std::to_string(N) + " numbers", *value);
    for (size_t i = 0; i < N; ++i) {
      double number = 0;
      MVINR_TRY(element(field, (*value)[i], number, low, high));
      out[i] = static_cast<T>(number);
    }
    return ok();
  }

  /// `value` is (an element of) the field.
  Status element(const char* field, const Json& value, double& out, double low, double high) const {
    if (!value.is_number()) return wrong_type(field, "a number", value);
    const double number = value.get<double>();
    if (!(number >= low && number <= high)) {
      char text[96];
      std::snprintf(text, sizeof text, "is %g, must be %g..%g", number, low, high);
      return error(field, text);
    }
    out = number;
    return ok();
  }

 private:
  Status missing(const char* field, bool required) const {
    if (!required) return ok();
    return error(field, "is missing");
  }
  Status wrong_type(const char* field, const std::string& wanted, const Json& value) const {
    return error(field, "must be " + wanted + ", not " +
                            (value.is_array() ? "an array of " + std::to_string(value.size())
                                              : std::string(value.type_name())));
  }
  const Json& json_;
  std::string place_;
};

/// The file's one JSON object; `kind` names the file in messages: "camera file".
Result<Json> read_json_object(const std::string& path, const std::string& kind);

}  // namespace mvinr
