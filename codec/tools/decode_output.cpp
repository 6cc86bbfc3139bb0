#include "tools/decode_output.h"

#include <cinttypes>
#include <filesystem>

#include "tools/cli.h"

namespace mvinr::tools {

OutputStream::OutputStream(const OutputOptions& options, const ViewInfo& info, int view,
                           Component component, OutputFile* standard_output)
    : options_(options),
      view_(view),
      component_(component),
      format_(component == Component::texture ? info.texture : info.depth) {
  const std::string name =
      size_t(view) < options.names.size() ? options.names[view] : "v" + std::to_string(view);
  label_ = name + " " + component_name(component);
  const PatternFields fields{name,       view,        component,
                             info.width, info.height, raw_format_name(format_)};
  if (standard_output != nullptr) {
    file_ = standard_output;
  } else if (!options.output.empty()) {
    const std::filesystem::path path =
        std::filesystem::path(options.output) / expand_pattern(options.pattern, fields);
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) fail(path.parent_path().string() + ": cannot be made: " + error.message());
    owned_ = std::make_unique<OutputFile>(path.string());
    file_ = owned_.get();
  }
  if (!options.reference.empty()) {
    const std::string& pattern =
        component == Component::texture ? options.reference_texture : options.reference_depth;
    reference_ = std::make_unique<RawVideoReader>(
        (std::filesystem::path(options.reference) / expand_pattern(pattern, fields)).string(),
        RawFormat{format_, false, fields.format}, info.width, info.height);
  }
}

void OutputStream::add(uint64_t frame, const PictureBuffer& picture) {
  ++pictures_;
  if (file_ != nullptr) {
    file_->write(picture.bytes());
    file_->flush();
  }
  if (options_.md5) md5_.add(picture.picture());
  if (options_.md5_pictures)
    std::printf("%s  %s frame %" PRIu64 "\n", md5_of(picture.picture()).c_str(), label_.c_str(),
                frame);
  if (reference_) {
    const int64_t at = int64_t(frame) + options_.reference_start;
    if (at < 0 || at >= reference_->frames())
      fail(tools::format("%s: holds no picture for frame %" PRIu64, reference_->path().c_str(),
                         frame));
    psnr_.add(picture.picture(), reference_->read(at).picture());
  }
}

void OutputStream::report() const {
  if (options_.md5) std::printf("%s  %s\n", md5_.hex().c_str(), label_.c_str());
  if (reference_ && !psnr_.empty()) {
    if (component_ == Component::texture) {
      std::printf("%-12s PSNR  Y %.2f dB  U %.2f dB  V %.2f dB  (%" PRId64 " pictures)\n",
                  label_.c_str(), psnr_.psnr(0), psnr_.psnr(1), psnr_.psnr(2), pictures_);
    } else {
      std::printf("%-12s PSNR  %.2f dB  (%" PRId64 " pictures)\n", label_.c_str(), psnr_.psnr(0),
                  pictures_);
    }
  }
}

}  // namespace mvinr::tools
