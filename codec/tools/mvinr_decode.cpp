// mvinr-decode: an MV-INR stream -> raw video files per view and component.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <future>
#include <set>

#include "mvinr/decoder.h"
#include "tools/base_files.h"
#include "tools/cli.h"
#include "tools/decode_output.h"
#include "tools/stream_reader.h"

namespace mvinr::tools {
namespace {

struct Options {
  std::string input;
  OutputOptions output;
  DecoderOptions decoder;
  std::vector<int> views;
  std::string component = "both", base_dir;
  int64_t start_frame = 0, frames = 0;
  bool quiet = false;
};

std::optional<int> parse(int argc, char** argv, Options& options) {
  CLI::App app{
      "Decodes an MV-INR stream (.mvinr, or .mp4 or .mov with one MV-INR track) to raw video "
      "files,\n"
      "one per view and component. The pictures are the same, bit for bit, on every machine.\n"
      "\nExamples:\n"
      "  mvinr-decode clip.mvinr -o decoded\n"
      "  mvinr-decode clip.mvinr --views 0 --component texture -o - | ffplay -f rawvideo \\\n"
      "      -video_size 256x144 -pixel_format yuv420p -\n"
      "  mvinr-decode clip.mvinr --md5\n"
      "  mvinr-decode clip.mvinr --reference clip",
      "mvinr-decode"};
  const CLI::Validator non_negative = CLI::Validator(CLI::NonNegativeNumber).description("");
  app.set_version_flag("--version", MVINR_VERSION);
  OutputOptions& output = options.output;
  app.add_option("input", options.input, "the stream; - reads stdin")
      ->type_name("FILE")
      ->required();

  const char* group = "What";
  app.add_option("--views", options.views, "numbers of the views, for example 0,2 (all)")
      ->group(group)
      ->type_name("N,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(0, kMaxViews - 1).description(""));
  app.add_option("--component", options.component, "texture, depth or both")
      ->group(group)
      ->type_name("NAME")
      ->capture_default_str()
      ->check(CLI::IsMember({"texture", "depth", "both"}).description(""));
  app.add_option("--start-frame", options.start_frame, "first frame of the sequence (0)")
      ->group(group)
      ->type_name("N")
      ->check(non_negative);
  app.add_option("--frames", options.frames, "number of frames (0: all)")
      ->group(group)
      ->type_name("N")
      ->check(non_negative);

  app.add_option("--base-dir", options.base_dir,
                 "hybrid streams: folder of the base views' decoded pictures, as raw files "
                 "v0_texture_..., v0_depth_... (mvinr-info --extract-base writes their coded form)")
      ->group(group)
      ->type_name("DIR");

  group = "Output";
  app.add_option("-o,--output", output.output,
                 "folder of the files; - writes the pictures to stdout, frame by frame, view by "
                 "view, texture before depth; without this option nothing is written")
      ->group(group)
      ->type_name("DIR");
  app.add_option("--pattern", output.pattern, "names of the files")
      ->group(group)
      ->type_name("PATTERN")
      ->capture_default_str();
  app.add_option("--names", output.names, "names of the views (v0,v1,...)")
      ->group(group)
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_flag("--md5", output.md5, "print the MD5 of every view and component")->group(group);
  app.add_flag("--md5-pictures", output.md5_pictures, "print the MD5 of every picture")
      ->group(group);
  app.add_option("--reference", output.reference, "print PSNR against the raw files in this folder")
      ->group(group)
      ->type_name("DIR");
  app.add_option("--reference-texture", output.reference_texture, "names of its texture files")
      ->group(group)
      ->type_name("PATTERN")
      ->capture_default_str();
  app.add_option("--reference-depth", output.reference_depth, "names of its depth files")
      ->group(group)
      ->type_name("PATTERN")
      ->capture_default_str();
  app.add_option("--reference-start", output.reference_start,
                 "frame of the reference that is frame 0 of the stream")
      ->group(group)
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("-q,--quiet", options.quiet, "no summary")->group(group);

  group = "Machine";
  std::string kernels = "auto";
  for (const std::string& name : available_kernels()) kernels += ", " + name;
  app.add_option("--kernels", options.decoder.kernels, "kernel set: " + kernels)
      ->group(group)
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--threads", options.decoder.threads, "0: one per core")
      ->group(group)
      ->type_name("N")
      ->capture_default_str()
      ->check(non_negative);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (output.output == "-" && (output.md5 || output.md5_pictures || !output.reference.empty()))
    fail_usage("-o - needs stdout for itself: no --md5, --reference");
  return std::nullopt;
}

class Program {
 public:
  explicit Program(const Options& options)
      : options_(options),
        decoder_(value_or_fail(Decoder::create(options.decoder), "")),
        base_files_(options.base_dir, options.output.names) {
    if (options.output.output == "-") stdout_.emplace("-");
  }

  /// The next access unit of the stream, with its symbols decoded if any of it is wanted.
  struct Ahead {
    std::optional<AccessUnit> unit;  // nullopt: the stream has ended
    bool in_container = false;
    Result<GopInfo> info = GopInfo();
    Result<std::unique_ptr<PreparedGop>> gop = std::unique_ptr<PreparedGop>();
  };
  /// Runs beside show().
  Ahead read_ahead(StreamReader& reader, std::stop_token stop) const;
  void show(Ahead& ahead, const std::string& name, std::stop_token stop);
  /// The time of waiting counts as decoding.
  Ahead wait_for(std::future<Ahead>& ahead);
  void damage(const std::string& message) {
    ++damages_;
    std::fprintf(stderr, "mvinr-decode: %s\n", message.c_str());
  }
  int finish(bool stopped);
  /// No frame behind this GOP is wanted.
  bool is_last(const Ahead& ahead) const { return ahead.info && wanted(*ahead.info).last; }

 private:
  struct Rendered {
    uint64_t frame;
    OutputStream* stream;
    PictureBuffer buffer;
    MutablePicture picture;
    bool valid = true;
  };

  /// Frames [begin, end) of the sequence that are wanted of a GOP.
  struct Range {
    uint64_t begin, end;
    bool last;  // nothing is wanted behind it
  };
  Range wanted(const GopInfo& gop) const;
  void open(const GopInfo& gop);
  void render(std::vector<std::unique_ptr<Rendered>>& batch, uint64_t first_frame,
              std::stop_token stop);
  static std::vector<RenderJob> jobs_of(const std::vector<std::unique_ptr<Rendered>>& batch,
                                        uint64_t first_frame);

  const Options& options_;
  std::unique_ptr<Decoder> decoder_;
  BaseFiles base_files_;
  std::optional<OutputFile> stdout_;
  std::vector<ViewInfo> views_;
  std::vector<OutputStream> streams_;  // by view, texture before depth
  std::set<std::string> reported_;     // damages of views, once per access unit
  uint64_t frames_ = 0, pictures_ = 0;
  int damages_ = 0;
  double seconds_ = 0;
};

void Program::open(const GopInfo& gop) {
  const std::vector<ViewInfo>& views = gop.sequence.views;
  const auto same_pictures = [](const ViewInfo& a, const ViewInfo& b) {
    return a.width == b.width && a.height == b.height && a.texture == b.texture &&
           a.depth == b.depth;
  };
  if (!views_.empty()) {
    if (!std::equal(views.begin(), views.end(), views_.begin(), views_.end(), same_pictures))
      fail(format("at frame %" PRIu64 " the sizes, formats or number of views change; decode the "
                  "parts before and after it separately",
                  gop.first_frame));
    return;
  }
  views_ = views;
  std::vector<int> wanted = options_.views;
  if (wanted.empty())
    for (int v = 0; v < int(views.size()); ++v) wanted.push_back(v);
  for (const int v : wanted) {
    if (v >= int(views.size()))
      fail_usage(format("--views %d: the stream has views 0..%zu", v, views.size() - 1));
    for (const Component component : {Component::texture, Component::depth}) {
      const bool chosen =
          options_.component == "both" || options_.component == component_name(component);
      const bool present = component == Component::texture || views[v].depth != SampleFormat::none;
      if (chosen && present)
        streams_.emplace_back(options_.output, views[v], v, component,
                              stdout_ ? &*stdout_ : nullptr);
    }
  }
  if (streams_.empty()) fail_usage("--component depth: these views have no depth");
}

std::vector<RenderJob> Program::jobs_of(const std::vector<std::unique_ptr<Rendered>>& batch,
                                        uint64_t first_frame) {
  std::vector<RenderJob> jobs;
  for (const auto& item : batch) {
    const int frame = int(item->frame - first_frame), view = item->stream->view();
    if (jobs.empty() || jobs.back().frame != frame || jobs.back().view != view)
      jobs.push_back({.frame = frame, .view = view});
    (item->stream->component() == Component::texture ? jobs.back().texture : jobs.back().depth) =
        &item->picture;
  }
  return jobs;
}

void Program::render(std::vector<std::unique_ptr<Rendered>>& batch, uint64_t first_frame,
                     std::stop_token stop) {
  const std::vector<RenderJob> jobs = jobs_of(batch, first_frame);
  const auto start = std::chrono::steady_clock::now();
  Status status = decoder_->render(jobs, stop);
  if (!status.has_value() && status.error().code == ErrorCode::corrupt) {
    // One view is damaged: decode job by job, so that the other views survive.
    for (const RenderJob& job : jobs) {
      status = decoder_->render({&job, 1}, stop);
      if (status.has_value()) continue;
      if (status.error().code != ErrorCode::corrupt) break;
      const std::string message =
          format("view %d: %s; grey pictures instead", job.view, status.error().message.c_str());
      if (reported_.insert(message).second) damage(message);
      for (const auto& item : batch)
        if (int(item->frame - first_frame) == job.frame && item->stream->view() == job.view)
          item->valid = false;
      status = ok();
    }
  }
  value_or_fail(std::move(status), "render");
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  for (const auto& item : batch) {
    if (!item->valid) {
      const int middle = 1 << (bit_depth(item->stream->format()) - 1);
      for (int p = 0; p < plane_count(item->picture.format); ++p)
        for (int y = 0; y < plane_size(item->picture.height, p); ++y)
          for (int x = 0; x < plane_size(item->picture.width, p); ++x)
            set_sample(item->picture, p, x, y, middle);
    }
    item->stream->add(item->frame, item->buffer);
  }
  pictures_ += batch.size();
  batch.clear();
}

Program::Range Program::wanted(const GopInfo& gop) const {
  Range range{std::max(gop.first_frame, uint64_t(options_.start_frame)),
              gop.first_frame + uint64_t(gop.frames), false};
  if (options_.frames > 0) {
    const uint64_t last = uint64_t(options_.start_frame) + uint64_t(options_.frames);
    range.last = range.end >= last;
    range.end = std::min(range.end, last);
  }
  return range;
}

Program::Ahead Program::read_ahead(StreamReader& reader, std::stop_token stop) const {
  Ahead ahead{.unit = reader.next()};
  if (!ahead.unit) return ahead;
  ahead.in_container = reader.is_container();
  ahead.info = read_gop_info(ahead.unit->bytes);
  if (!ahead.info) return ahead;
  const Range range = wanted(*ahead.info);
  if (range.begin >= range.end) return ahead;
  std::vector<int> views;
  for (int v = 0; v < int(ahead.info->sequence.views.size()); ++v)
    if (options_.views.empty() || std::count(options_.views.begin(), options_.views.end(), v) > 0)
      views.push_back(v);
  ahead.gop = decoder_->prepare_gop(ahead.unit->bytes, views, stop);
  return ahead;
}

Program::Ahead Program::wait_for(std::future<Ahead>& ahead) {
  const auto start = std::chrono::steady_clock::now();
  Ahead result = ahead.get();
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

void Program::show(Ahead& ahead, const std::string& name, std::stop_token stop) {
  constexpr size_t kBatchBytes = 64 << 20;  // of pictures that are rendered together
  if (ahead.unit->skipped > 0 && !ahead.in_container)
    damage(format("%" PRIu64 " bytes before offset %" PRIu64 " are no access unit",
                  ahead.unit->skipped, ahead.unit->offset));
  const GopInfo info = value_or_fail(std::move(ahead.info), name);
  const auto [begin, end, last] = wanted(info);
  if (begin >= end) return;
  if (!info.base_views.empty() && options_.base_dir.empty())
    fail(name +
         ": hybrid stream: the base views need a 2D decoder: play it with mvinrdec, or give "
         "their decoded pictures with --base-dir DIR");
  open(info);

  Result<std::unique_ptr<PreparedGop>>& prepared = ahead.gop;
  if (!prepared.has_value()) {
    const ErrorCode code = prepared.error().code;
    if (code != ErrorCode::corrupt && code != ErrorCode::truncated)
      value_or_fail(std::move(prepared), name);
    damage(format("access unit at offset %" PRIu64 ": %s; frames %" PRIu64 "..%" PRIu64
                  " are missing",
                  ahead.unit->offset, prepared.error().message.c_str(), begin, end - 1));
    return;
  }
  const Result<GopInfo> gop = decoder_->start_gop(std::move(*prepared));
  base_files_.give(*decoder_, *gop, begin, end);
  reported_.clear();
  std::vector<std::unique_ptr<Rendered>> batch;
  size_t batch_bytes = 0;
  for (uint64_t frame = begin; frame < end; ++frame) {
    for (OutputStream& stream : streams_) {
      const ViewInfo& view = views_[stream.view()];
      auto item = std::make_unique<Rendered>(
          Rendered{frame, &stream, PictureBuffer(stream.format(), view.width, view.height), {}});
      item->picture = item->buffer.mutable_picture();
      batch_bytes += item->buffer.bytes().size();
      batch.push_back(std::move(item));
    }
    ++frames_;
    if (batch_bytes >= kBatchBytes || frame + 1 == end) {
      render(batch, info.first_frame, stop);
      batch_bytes = 0;
    }
  }
}

int Program::finish(bool stopped) {
  for (const OutputStream& stream : streams_) stream.report();
  if (!options_.quiet && frames_ > 0)
    std::fprintf(stderr, "%" PRIu64 " frames, %" PRIu64 " pictures, decoded at %.1f frames/s\n",
                 frames_, pictures_, seconds_ > 0 ? double(frames_) / seconds_ : 0.0);
  if (stopped) return kExitCancelled;
  return damages_ == 0 ? kExitOk : kExitDamaged;
}

int decode(int argc, char** argv) {
  static std::stop_source stop;  // outlives the thread that waits for signals
  stop_on_signals(&stop);
  Options options;
  if (const auto code = parse(argc, argv, options)) return *code;

  StreamReader reader(options.input);
  Program program(options);
  // A pipe is read when its bytes are needed: waiting for more would keep back what is there.
  const bool beside = options.decoder.threads != 1 && options.input != "-";
  const auto read_ahead = [&] {
    return std::async(beside ? std::launch::async : std::launch::deferred,
                      [&] { return program.read_ahead(reader, stop.get_token()); });
  };
  bool any = false;
  for (auto ahead = read_ahead(); ahead.valid() && !stop.stop_requested();) {
    Program::Ahead gop = program.wait_for(ahead);
    if (!gop.unit) break;
    any = true;
    if (!program.is_last(gop)) ahead = read_ahead();
    program.show(gop, reader.name(), stop.get_token());
  }
  if (!any && !stop.stop_requested()) fail(reader.name() + ": no MV-INR access unit in it");
  if (reader.trailing_bytes() > 0 && !reader.is_container())
    program.damage(
        format("%" PRIu64 " bytes at the end are no whole access unit", reader.trailing_bytes()));
  return program.finish(stop.stop_requested());
}

}  // namespace
}  // namespace mvinr::tools

int main(int argc, char** argv) {
  return mvinr::tools::run_tool("mvinr-decode", mvinr::tools::decode, argc, argv);
}
