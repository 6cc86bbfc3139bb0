#include "geometry/json_object.h"

#include <memory>

namespace mvinr {
namespace {

constexpr size_t kMaxFileBytes = 16 << 20;

Result<std::string> read_file(const std::string& path, const std::string& kind) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr)
    return Error{ErrorCode::invalid_argument, "cannot open the " + kind + " " + path};
  std::string text;
  char block[1 << 14];
  while (const size_t got = std::fread(block, 1, sizeof block, file.get())) {
    text.append(block, got);
    if (text.size() > kMaxFileBytes)
      return Error{ErrorCode::invalid_argument, path + ": a " + kind + " has at most " +
                                                    std::to_string(kMaxFileBytes) + " bytes"};
  }
  if (std::ferror(file.get()) != 0)
    return Error{ErrorCode::invalid_argument, "cannot read the " + kind + " " + path};
  return text;
}

}  // namespace

Result<Json> read_json_object(const std::string& path, const std::string& kind) {
  MVINR_ASSIGN(const std::string text, read_file(path, kind));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded())
    return Error{ErrorCode::invalid_argument, path + ": the file is not valid JSON"};
  if (!json.is_object()) return JsonObject(json, path).error("the file must hold one JSON object");
  return json;
}

}  // namespace mvinr
