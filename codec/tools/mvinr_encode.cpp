// mvinr-encode: raw multi-view video with depth -> an MV-INR elementary stream.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "mvinr/encoder.h"
#include "tools/cli.h"
#include "tools/encode_input.h"
#include "tools/encode_report.h"
#include "tools/progress.h"

namespace mvinr::tools {
namespace {

struct Options {
  InputOptions input;
  EncoderOptions encoder;
  std::string output, stats;
  int64_t start_frame = 0, frames = 0;
  bool quiet = false;
};

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Returns an exit code if the program is to end now (--help, --version).
std::optional<int> parse(int argc, char** argv, Options& options) {
  CLI::App app{
      "Encodes raw multi-view video with depth into an MV-INR stream by training a network for\n"
      "every group of pictures (GOP). The figures at the end are measured on decoded pictures.\n"
      "\nExamples:\n"
      "  mvinr-encode --input-dir clip --cameras clip/cameras.json -o clip.mvinr\n"
      "  mvinr-encode --size 1920x1080 --texture left.yuv --texture right.yuv -o two.mvinr\n"
      "  mvinr-encode --cameras c.json --effort 3 -o - | mvinr-decode - -o decoded",
      "mvinr-encode"};
  const CLI::Validator non_negative = CLI::Validator(CLI::NonNegativeNumber).description("");
  app.set_version_flag("--version", MVINR_VERSION);
  InputOptions& input = options.input;
  EncoderOptions& encoder = options.encoder;

  const char* group = "Input";
  app.add_option("--cameras", input.cameras,
                 "cameras.json (MPEG Immersive Video style): views, sizes, formats, frame rate")
      ->group(group)
      ->type_name("FILE");
  app.add_option("--input-dir", input.directory, "folder of the raw files")
      ->group(group)
      ->type_name("DIR");
  app.add_option("--texture", input.texture,
                 std::string("texture files: one per view (repeat the option), or one pattern; "
                             "default ") +
                     kDefaultPattern)
      ->group(group)
      ->type_name("FILE|PATTERN")
      ->allow_extra_args(false);
  app.add_option("--depth", input.depth, "depth files, likewise")
      ->group(group)
      ->type_name("FILE|PATTERN")
      ->allow_extra_args(false);
  app.add_flag("--no-depth", input.no_depth, "code textures only")->group(group);
  app.add_option("--views", input.views, "names of the views to code, for example v0,v2")
      ->group(group)
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--size", input.size,
                 "size of the pictures; with --cameras: when it differs from the file's")
      ->group(group)
      ->type_name("WxH");
  app.add_option("--texture-format", input.texture_format, "yuv420p or yuv420p10le")
      ->group(group)
      ->type_name("NAME");
  app.add_option(
         "--depth-format", input.depth_format,
         "gray, gray10le, gray16le, or yuv420p, yuv420p10le, yuv420p16le (chroma is skipped)")
      ->group(group)
      ->type_name("NAME");
  app.add_option("--fps", input.fps, "frame rate, for example 30 or 30000/1001")
      ->group(group)
      ->type_name("RATE");
  app.add_option("--start-frame", options.start_frame, "first frame to code (0)")
      ->group(group)
      ->type_name("N")
      ->check(non_negative);
  app.add_option("--frames", options.frames, "number of frames (0: all)")
      ->group(group)
      ->type_name("N")
      ->check(non_negative);

  group = "Coding";
  const std::map<std::string, Mode> modes{
      {"auto", Mode::automatic}, {"implicit", Mode::implicit}, {"hybrid", Mode::hybrid}};
  const std::map<std::string, Loss> losses{{"psnr", Loss::psnr}, {"ssim", Loss::ssim}};
  app.add_option("--mode", encoder.mode, "auto, implicit or hybrid")
      ->group(group)
      ->transform(CLI::CheckedTransformer(modes).description(""))
      ->type_name("NAME");
  app.add_option("--lambda", encoder.lambda,
                 "weight of the rate, (0, 10]: larger is smaller and worse")
      ->group(group)
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--effort", encoder.effort, "1 (seconds per GOP) to 9 (hours)")
      ->group(group)
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--time-budget", encoder.time_budget,
                 "seconds of training per GOP; 0: as effort says")
      ->group(group)
      ->type_name("S")
      ->capture_default_str();
  app.add_option("--gop", encoder.gop_frames, "frames per GOP, 1 to 256")
      ->group(group)
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--profile", encoder.profile, "size and kind of network: " + join(profile_names()))
      ->group(group)
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--depth-weight", encoder.depth_weight,
                 "weight of depth distortion beside texture, 0 to 100")
      ->group(group)
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--loss", encoder.loss, "psnr (YUV 6:1:1) or ssim (0.7 L1 + 0.3 (1 - MS-SSIM))")
      ->group(group)
      ->transform(CLI::CheckedTransformer(losses).description(""))
      ->type_name("NAME");
  app.add_option("--prune", encoder.prune, "share of the weights set to zero, 0 to 0.95")
      ->group(group)
      ->type_name("X")
      ->capture_default_str();
  app.add_flag("--warm-start", encoder.warm_start,
               "begin the training of a GOP with the network of the one before")
      ->group(group);
  app.add_option("--seed", encoder.seed, "seed of everything random")
      ->group(group)
      ->type_name("N")
      ->capture_default_str();

  group = "Machine";
  app.add_option("--device", encoder.device, "auto, cpu or cuda:N")
      ->group(group)
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--threads", encoder.threads, "0: one per core")
      ->group(group)
      ->type_name("N")
      ->capture_default_str()
      ->check(non_negative);
  double memory_gb = 0;
  app.add_option("--max-memory", memory_gb, "GB; 0: three quarters of what is free")
      ->group(group)
      ->type_name("X")
      ->check(non_negative);

  group = "Output";
  app.add_option("-o,--output", options.output, "the stream; - writes to stdout")
      ->group(group)
      ->type_name("FILE")
      ->required();
  app.add_option("--stats", options.stats, "write sizes and PSNR as JSON")
      ->group(group)
      ->type_name("FILE");
  app.add_flag("-q,--quiet", options.quiet, "no progress, no table")->group(group);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kExitOk : kExitUsage;
  }
  encoder.max_memory = uint64_t(memory_gb * 1e9);
  return std::nullopt;
}

void add_frame(Encoder& encoder, Input& input, int64_t source_frame, int gop_frame) {
  for (size_t v = 0; v < input.views.size(); ++v) {
    InputView& view = input.views[v];
    if (!input.poses.empty())
      value_or_fail(encoder.add_pose(gop_frame, int(v), input.poses[size_t(source_frame)][v]),
                    view.name);
    value_or_fail(encoder.add({gop_frame, int(v), Component::texture},
                              view.texture->read(source_frame).picture()),
                  view.texture->path());
    if (view.depth)
      value_or_fail(encoder.add({gop_frame, int(v), Component::depth},
                                view.depth->read(source_frame).picture()),
                    view.depth->path());
  }
}

int encode(int argc, char** argv) {
  static std::stop_source stop;  // outlives the thread that waits for signals
  stop_on_signals(&stop);

  Options options;
  if (const auto code = parse(argc, argv, options)) return *code;
  Input input = open_input(options.input);
  if (options.start_frame >= input.frames)
    fail_usage(format("--start-frame %lld: the input has %lld frames",
                      (long long)options.start_frame, (long long)input.frames));
  const int64_t available = input.frames - options.start_frame;
  if (options.frames > available)
    fail_usage(format("--frames %lld: only %lld are there", (long long)options.frames,
                      (long long)available));
  const int64_t total = options.frames > 0 ? options.frames : available;
  if (const int64_t end = options.start_frame + total;
      !input.poses.empty() && end > int64_t(input.poses.size()))
    fail_usage(
        format("--cameras: the cameras move, and poses.json has %zu frames, none for frame "
               "%zu; --frames limits what is coded",
               input.poses.size(), input.poses.size()));
  const int64_t gop_frames = std::clamp(options.encoder.gop_frames, 1, kMaxGopFrames);

  ProgressLine progress(int((total + gop_frames - 1) / gop_frames), options.quiet);
  options.encoder.on_progress = [&](const Progress& state) { progress.update(state); };
  const std::unique_ptr<Encoder> encoder =
      value_or_fail(Encoder::create(input.sequence, options.encoder), "");
  OutputFile output(options.output);
  std::optional<OutputFile> stats_file;  // opened before hours of training, not after
  if (!options.stats.empty()) stats_file.emplace(options.stats);

  std::vector<std::string> names;
  for (const InputView& view : input.views) names.push_back(view.name);
  EncodeReport report(input.sequence, names);
  bool cancelled = false;
  for (int64_t first = 0; first < total && !cancelled; first += gop_frames) {
    const int frames = int(std::min(gop_frames, total - first));
    progress.begin_gop(int(first / gop_frames), uint64_t(first), frames);
    for (int t = 0; t < frames; ++t) add_frame(*encoder, input, options.start_frame + first + t, t);
    Result<EncodedGop> gop = encoder->encode_gop(frames, stop.get_token());
    if (!gop.has_value() && gop.error().code == ErrorCode::cancelled) {
      cancelled = true;
      break;
    }
    const EncodedGop encoded = value_or_fail(std::move(gop), "frame " + std::to_string(first));
    output.write(encoded.bytes);
    output.flush();
    report.add(encoded.stats);
    progress.end_gop(encoded.stats);
    cancelled = stop.stop_requested() && first + frames < total;
  }

  if (!options.quiet && !report.empty()) std::fputs(report.table().c_str(), stderr);
  if (stats_file && !report.empty()) {
    const std::string json = report.json();
    stats_file->write(std::as_bytes(std::span(json)));
    stats_file->flush();
  }
  if (!cancelled) return kExitOk;
  std::fputs("mvinr-encode: stopped; the GOPs finished so far were written\n", stderr);
  return kExitCancelled;
}

}  // namespace
}  // namespace mvinr::tools

int main(int argc, char** argv) {
  return mvinr::tools::run_tool("mvinr-encode", mvinr::tools::encode, argc, argv);
}
