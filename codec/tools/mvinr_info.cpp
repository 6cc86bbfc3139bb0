// mvinr-info: what an MV-INR stream consists of.
#include <CLI/CLI.hpp>

#include "tools/base_files.h"
#include "tools/cli.h"
#include "tools/stream_reader.h"

namespace mvinr::tools {
namespace {

int info(int argc, char** argv) {
  CLI::App app{
      "Prints the header of every access unit of an MV-INR stream and where its bytes went:\n"
      "network, grids, latents of every view. Reads .mvinr, and .mp4 or .mov with one MV-INR "
      "track.",
      "mvinr-info"};
  const CLI::Validator non_negative = CLI::Validator(CLI::NonNegativeNumber).description("");
  app.set_version_flag("--version", MVINR_VERSION);
  std::string path, extract;
  int limit = 0;
  bool brief = false;
  app.add_option("input", path, "the stream; - reads stdin")->type_name("FILE")->required();
  app.add_option("-n,--access-units", limit, "print only the first N")
      ->type_name("N")
      ->check(non_negative);
  app.add_flag("-b,--brief", brief, "one line for every access unit");
  app.add_option("--extract-base", extract,
                 "hybrid streams: write the coded base views to this folder, one elementary stream "
                 "for every component (v0_texture.h265, ...)")
      ->type_name("DIR");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }

  StreamReader reader(path);
  std::optional<BaseExtractor> extractor;
  if (!extract.empty()) extractor.emplace(extract);
  uint64_t bytes = 0, frames = 0, damaged = 0;
  int count = 0;
  while (const auto unit = reader.next()) {
    if (unit->skipped > 0 && !reader.is_container()) {
      std::printf("%llu bytes before offset %llu belong to no access unit\n",
                  (unsigned long long)unit->skipped, (unsigned long long)unit->offset);
      ++damaged;
    }
    const GopInfo gop = value_or_fail(read_gop_info(unit->bytes), reader.name());
    bytes += gop.bytes;
    frames += uint64_t(gop.frames);
    if (limit > 0 && count >= limit) {
      ++count;
      continue;
    }
    std::printf("access unit %d: offset %llu, %u bytes, frames %llu..%llu, %zu views\n", count++,
                (unsigned long long)unit->offset, gop.bytes, (unsigned long long)gop.first_frame,
                (unsigned long long)(gop.first_frame + uint64_t(gop.frames) - 1),
                gop.sequence.views.size());
    if (extractor) {
      const std::string wrong = extractor->add(unit->bytes);
      if (!wrong.empty()) {
        std::printf("  not all was extracted: %s\n", wrong.c_str());
        ++damaged;
      }
    }
    if (brief) continue;
    const Result<std::string> text = describe_access_unit(unit->bytes);
    if (text.has_value()) {
      std::printf("%s\n", text->c_str());
    } else {
      std::printf("  damaged: %s (%s)\n", text.error().message.c_str(),
                  to_string(text.error().code));
      ++damaged;
    }
  }
  if (reader.trailing_bytes() > 0 && !reader.is_container()) {
    std::printf("%llu bytes at the end belong to no whole access unit\n",
                (unsigned long long)reader.trailing_bytes());
    ++damaged;
  }
  if (count == 0) fail(reader.name() + ": no MV-INR access unit in it");
  if (extractor) extractor->report();
  std::printf("%d access units, %llu frames, %llu bytes\n", count, (unsigned long long)frames,
              (unsigned long long)bytes);
  return damaged == 0 ? kExitOk : kExitDamaged;
}

}  // namespace
}  // namespace mvinr::tools

int main(int argc, char** argv) {
  return mvinr::tools::run_tool("mvinr-info", mvinr::tools::info, argc, argv);
}
