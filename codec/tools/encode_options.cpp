#include "tools/encode_options.h"

#include <CLI/CLI.hpp>
#include <map>

#include "tools/cli.h"
#include "tools/work_share.h"

namespace mvinr::tools {
namespace {

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

std::optional<int> parse_encode_options(int argc, char** argv, EncodeOptions& options) {
  CLI::App app{
      "Encodes raw multi-view video with depth into an MV-INR stream by training a network for\n"
      "every group of pictures (GOP). The figures at the end are measured on decoded pictures.\n"
      "\nExamples:\n"
      "  mvinr-encode --input-dir clip --cameras clip/cameras.json -o clip.mvinr\n"
      "  mvinr-encode --size 1920x1080 --texture left.yuv --texture right.yuv -o two.mvinr\n"
      "  mvinr-encode --cameras c.json --effort 3 -o - | mvinr-decode - -o decoded\n"
      "  mvinr-encode --cameras c.json --effort 7 --workers 8 -o clip.mvinr\n"
      "  mpirun -n 16 mvinr-encode --cameras c.json --effort 7 --share parts -o clip.mvinr",
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

  group = "Many processes (docs/training.md)";
  app.add_option("--workers", options.workers,
                 "processes on this machine that share the GOPs, 1 to 256; finished GOPs wait in "
                 "the folder OUTPUT.parts, and the same command goes on after an interruption")
      ->group(group)
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 256).description(""));
  app.add_option("--share", options.share,
                 "share the GOPs with all processes, on any machine, that were started with the "
                 "same options and this folder, which all of them see")
      ->group(group)
      ->type_name("DIR");

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
  if (options.output == "-" && (options.workers > 1 || !options.share.empty()))
    fail_usage("-o - with --workers or --share: the parts are joined into a file; name one");
  if (encoder.warm_start && (options.workers > 1 || !options.share.empty()))
    fail_usage("--warm-start with --workers or --share: GOPs would depend on who coded them");
  if (options.workers > 1 && !options.share.empty())
    fail_usage("--workers has a folder of its own: leave --share or --workers out");
  if (options.share.empty() && parallel_job_size() > 1)
    fail_usage(
        format("this is one of %d processes of a parallel job, and without --share DIR each "
               "would encode everything",
               parallel_job_size()));
  return std::nullopt;
}

}  // namespace mvinr::tools
