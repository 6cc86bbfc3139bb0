// Where decoded pictures go: raw files, MD5, PSNR against reference files.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mvinr/stream.h"
#include "tools/quality.h"
#include "tools/raw_video.h"

namespace mvinr::tools {

struct OutputOptions {
  std::string output;                      // folder, "-" for stdout, "" for none
  std::string pattern = kDefaultPattern;   // of the files in it
  std::vector<std::string> names;          // of the views; default v0, v1, ...
  bool md5 = false, md5_pictures = false;  // per stream | per picture
  std::string reference;                   // folder of the source, "" for no PSNR
  std::string reference_texture = kDefaultPattern, reference_depth = kDefaultPattern;
  int64_t reference_start = 0;  // frame of the files that is frame 0 of the stream
};

/// All pictures of one component of one view.
class OutputStream {
 public:
  /// `standard_output` is where "-" leads, shared by all streams; else null.
  OutputStream(const OutputOptions& options, const ViewInfo& info, int view, Component component,
               OutputFile* standard_output);

  void add(uint64_t frame, const PictureBuffer& picture);
  /// Prints MD5 and PSNR where they were asked for.
  void report() const;

  int view() const { return view_; }
  Component component() const { return component_; }
  SampleFormat format() const { return format_; }

 private:
  const OutputOptions& options_;
  std::string label_;  // "v0 texture"
  int view_;
  Component component_;
  SampleFormat format_;
  OutputFile* file_ = nullptr;  // owned_ or standard output, or null
  std::unique_ptr<OutputFile> owned_;
  std::unique_ptr<RawVideoReader> reference_;
  PsnrMeter psnr_;
  mutable Md5 md5_;
  int64_t pictures_ = 0;
};

}  // namespace mvinr::tools
