// mvinr-encode: raw multi-view video with depth -> an MV-INR elementary stream.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <thread>

#include "mvinr/encoder.h"
#include "tools/cli.h"
#include "tools/encode_options.h"
#include "tools/encode_report.h"
#include "tools/progress.h"
#include "tools/work_share.h"

namespace mvinr::tools {
namespace {

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

/// The frames to code, cut into GOPs.
struct Cut {
  int64_t start = 0, total = 0, gop_frames = 1;
  int gops() const { return int((total + gop_frames - 1) / gop_frames); }
  int64_t first(int gop) const { return gop * gop_frames; }  // from `start`
  int frames(int gop) const { return int(std::min(gop_frames, total - first(gop))); }
};

Cut cut_into_gops(const EncodeOptions& options, const Input& input) {
  if (options.start_frame >= input.frames)
    fail_usage(format("--start-frame %lld: the input has %lld frames",
                      (long long)options.start_frame, (long long)input.frames));
  const int64_t available = input.frames - options.start_frame;
  if (options.frames > available)
    fail_usage(format("--frames %lld: only %lld are there", (long long)options.frames,
                      (long long)available));
  const int64_t total = options.frames > 0 ? options.frames : available;
  if (!input.poses.empty() && options.start_frame + total > int64_t(input.poses.size()))
    fail_usage(
        format("--cameras: the cameras move, and poses.json has %zu frames, none for frame "
               "%zu; --frames limits what is coded",
               input.poses.size(), input.poses.size()));
  return {options.start_frame, total, std::clamp(options.encoder.gop_frames, 1, kMaxGopFrames)};
}

/// Everything that decides about the bytes of a stream, as text: what processes that share an
/// encode must agree on.
std::string plan_of(const EncodeOptions& options, const Input& input, const Cut& cut) {
  const EncoderOptions& o = options.encoder;
  std::string text = format(
      "mvinr-encode %s\nframes %lld from %lld, GOPs of %lld, %u/%u per second\n"
      "mode %d loss %d lambda %.17g effort %d seconds %.17g profile %s depth-weight %.17g prune "
      "%.17g seed %llu\n",
      MVINR_VERSION, (long long)cut.total, (long long)cut.start, (long long)cut.gop_frames,
      input.sequence.frame_rate.num, input.sequence.frame_rate.den, int(o.mode), int(o.loss),
      o.lambda, o.effort, o.time_budget, o.profile.c_str(), o.depth_weight, o.prune,
      (unsigned long long)o.seed);
  for (size_t v = 0; v < input.views.size(); ++v) {
    const ViewInfo& info = input.sequence.views[v];
    const InputView& view = input.views[v];
    text += format("view %s %dx%d formats %d %d", view.name.c_str(), info.width, info.height,
                   int(info.texture), int(info.depth));
    for (const auto& file : {&view.texture, &view.depth})
      if (*file) {
        const std::filesystem::path path((*file)->path());
        text += format(" %s (%lld frames)", path.filename().c_str(), (long long)(*file)->frames());
      }
    if (info.camera) {
      const Camera& c = *info.camera;
      text += " camera";
      for (const auto* pair : {&c.focal, &c.principal_point, &c.depth_range})
        text += format(" %.9g %.9g", double((*pair)[0]), double((*pair)[1]));
      for (const auto* triple : {&c.position, &c.rotation})
        text += format(" %.9g %.9g %.9g", double((*triple)[0]), double((*triple)[1]),
                       double((*triple)[2]));
    }
    for (const std::vector<Pose>& frame : input.poses)
      for (const auto* triple : {&frame[v].position, &frame[v].rotation})
        text += format(" %.9g %.9g %.9g", double((*triple)[0]), double((*triple)[1]),
                       double((*triple)[2]));
    text += "\n";
  }
  return text;
}

class Program {
 public:
  Program(const EncodeOptions& options, std::stop_source& stop)
      : options_(options),
        stop_(stop),
        input_(open_input(options.input)),
        cut_(cut_into_gops(options, input_)),
        shared_(!options.share.empty()),
        progress_(cut_.gops(), options.quiet ? ProgressLine::Style::quiet
                               : shared_     ? ProgressLine::Style::finished_gops
                                             : ProgressLine::Style::full),
        report_(input_.sequence, names()) {
    EncoderOptions encoder = options.encoder;
    encoder.on_progress = [this](const Progress& state) { progress_.update(state); };
    encoder_ = value_or_fail(Encoder::create(input_.sequence, encoder), "");
  }

  int run() { return shared_ ? run_shared() : run_alone(); }

 private:
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const InputView& view : input_.views) names.push_back(view.name);
    return names;
  }

  // nullopt: stopped.
  std::optional<EncodedGop> encode_gop(int gop) {
    const int64_t first = cut_.first(gop);
    const int frames = cut_.frames(gop);
    progress_.begin_gop(gop, uint64_t(first), frames);
    for (int t = 0; t < frames; ++t) add_frame(*encoder_, input_, cut_.start + first + t, t);
    encoder_->set_first_frame(uint64_t(first));
    Result<EncodedGop> result = encoder_->encode_gop(frames, stop_.get_token());
    if (!result.has_value() && result.error().code == ErrorCode::cancelled) return std::nullopt;
    EncodedGop encoded = value_or_fail(std::move(result), "frame " + std::to_string(first));
    progress_.end_gop(encoded.stats);
    return encoded;
  }

  void open_outputs() {
    output_.emplace(options_.output);
    if (!options_.stats.empty()) stats_.emplace(options_.stats);
  }
  void write_report() {
    if (report_.empty()) return;
    if (!options_.quiet) std::fputs(report_.table().c_str(), stderr);
    if (!stats_) return;
    const std::string json = report_.json();
    stats_->write(std::as_bytes(std::span(json)));
    stats_->flush();
  }

  int run_alone() {
    open_outputs();  // before hours of training, not after
    bool stopped = false;
    for (int gop = 0; gop < cut_.gops() && !stopped; ++gop) {
      const auto encoded = encode_gop(gop);
      if (encoded) {
        output_->write(encoded->bytes);
        output_->flush();
        report_.add(encoded->stats);
      }
      stopped = !encoded || (stop_.stop_requested() && gop + 1 < cut_.gops());
    }
    write_report();
    if (!stopped) return kExitOk;
    std::fputs("mvinr-encode: stopped; the GOPs finished so far were written\n", stderr);
    return kExitCancelled;
  }

  int run_shared() {
    WorkShare share(options_.share, plan_of(options_, input_, cut_), cut_.gops());
    const std::stop_token stop = stop_.get_token();
    while (const auto gop = share.claim(stop)) {
      const auto encoded = encode_gop(*gop);
      if (!encoded) break;
      share.finish(*gop, encoded->bytes, gop_to_json(encoded->stats));
    }
    const bool joins = !stop.stop_requested() && share.begin_join(stop);
    if (joins) join(share);
    if (stop.stop_requested() && !joins) {
      std::fprintf(stderr,
                   "mvinr-encode: stopped; the GOPs finished so far are in %s, and the same "
                   "command goes on\n",
                   options_.share.c_str());
      return kExitCancelled;
    }
    if (!joins && !std::filesystem::exists(options_.output))
      fail(options_.share + ": says that its parts have been joined, but " + options_.output +
           " is not there; to encode again remove the folder");
    return kExitOk;
  }

  void join(WorkShare& share) {
    open_outputs();
    for (int gop = 0; gop < cut_.gops(); ++gop) {
      const std::vector<std::byte> bytes = share.bytes(gop);
      const std::string where = options_.share + ", GOP " + std::to_string(gop);
      const GopInfo info = value_or_fail(read_gop_info(bytes), where);
      if (info.bytes != bytes.size() || info.first_frame != uint64_t(cut_.first(gop)) ||
          info.frames != cut_.frames(gop))
        fail(where + ": is another GOP; remove the folder and encode again");
      output_->write(bytes);
      report_.add(gop_from_json(share.info(gop), where));
    }
    output_->sync();
    write_report();
    share.end_join();
  }

  const EncodeOptions& options_;
  std::stop_source& stop_;
  Input input_;
  const Cut cut_;
  const bool shared_;
  ProgressLine progress_;
  EncodeReport report_;
  std::unique_ptr<Encoder> encoder_;
  std::optional<OutputFile> output_, stats_;
};

int encode(int argc, char** argv) {
  EncodeOptions options;
  if (const auto code = parse_encode_options(argc, argv, options)) return *code;
  if (options.workers > 1) {
    options.share = options.output + ".parts";
    int exit_code = 0;
    if (fork_workers(options.workers, exit_code) < 0) {
      std::error_code error;  // what stays is in nobody's way
      if (exit_code == kExitOk) std::filesystem::remove_all(options.share, error);
      return exit_code;
    }
    const int cores = int(std::thread::hardware_concurrency());
    if (options.encoder.threads == 0)
      options.encoder.threads = std::max(1, cores / options.workers);
  }
  static std::stop_source stop;  // outlives the thread that waits for signals
  stop_on_signals(&stop);
  return Program(options, stop).run();
}

}  // namespace
}  // namespace mvinr::tools

int main(int argc, char** argv) {
  return mvinr::tools::run_tool("mvinr-encode", mvinr::tools::encode, argc, argv);
}
