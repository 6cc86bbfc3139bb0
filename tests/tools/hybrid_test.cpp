// Hybrid streams through mvinr-decode and mvinr-info, which have no 2D decoder.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "../unit/base_pictures.h"
#include "../unit/random_model.h"
#include "format/access_unit.h"
#include "program.h"
#include "tools/quality.h"
#include "tools/raw_video.h"

namespace mvinr::testutil {
namespace {

constexpr Component kComponents[] = {Component::texture, Component::depth};

/// Two GOPs of three frames; views 0 and 2 of four are base views.
class HybridPrograms : public testing::Test {
 protected:
  HybridPrograms() {
    for (const NamedConfig& named : test_configs())
      if (std::string(named.name) == "hybrid_reduce_first") config_ = named.config;
    std::string stream;
    for (uint32_t i = 0; i < 2; ++i) {
      units_.push_back(access_unit_of(random_coded_model(config_, i), sequence_for(config_)));
      AccessUnit unit = *parse_access_unit(units_[i]);
      std::vector<UnitPayload> payloads;
      for (const UnitView& u : unit.units)
        payloads.push_back({u.type, u.index, {u.payload.begin(), u.payload.end()}});
      unit.header.first_frame = 3 * i;
      units_[i] = *write_access_unit(unit.header, payloads);
      stream.append(reinterpret_cast<const char*>(units_[i].data()), units_[i].size());
      bases_.emplace_back(*read_gop_info(units_[i]), 2 * i);
    }
    folder_.write("clip.mvinr", stream);
    sequence_ = sequence_for(config_);
  }

  ProgramResult run(const std::string& command) {
    return run_shell("cd '" + folder_.path() + "' && { " + command + "; }");
  }

  static std::string file_name(const ViewInfo& info, int view, Component c,
                               const std::string& format = "") {
    const SampleFormat samples = c == Component::texture ? info.texture : info.depth;
    return tools::expand_pattern(tools::kDefaultPattern,
                                 {"v" + std::to_string(view), view, c, info.width, info.height,
                                  format.empty() ? tools::raw_format_name(samples) : format});
  }

  /// The base pictures in the folder "base".
  void write_bases(int frames = 6) {
    run("mkdir -p base");
    for (const int view : {0, 2})
      for (const Component c : kComponents) {
        std::string all;
        for (int t = 0; t < frames; ++t) {
          const auto& samples = bases_[size_t(t / 3)].at({t % 3, view, c}).samples();
          all.append(reinterpret_cast<const char*>(samples.data()), samples.size());
        }
        folder_.write("base/" + file_name(sequence_.views[size_t(view)], view, c), all);
      }
  }

  /// The pictures of one view as the library renders them, as a raw file holds them.
  std::string expected(int view, Component c) {
    std::string all;
    const auto decoder = *Decoder::create({.threads = 1});
    for (size_t i = 0; i < 2; ++i) {
      const auto gop = decoder->start_gop(units_[i]);
      EXPECT_TRUE(gop.has_value());
      bases_[i].give_to(*decoder);
      const ViewInfo& info = sequence_.views[size_t(view)];
      for (int t = 0; t < 3; ++t) {
        tools::PictureBuffer buffer(c == Component::texture ? info.texture : info.depth, info.width,
                                    info.height);
        MutablePicture out = buffer.mutable_picture();
        RenderJob job{.frame = t, .view = view};
        (c == Component::texture ? job.texture : job.depth) = &out;
        EXPECT_TRUE(decoder->render({&job, 1}).has_value());
        all.append(reinterpret_cast<const char*>(buffer.bytes().data()), buffer.bytes().size());
      }
    }
    return all;
  }

  void expect_decoded(int view, Component c) {
    const std::string name = file_name(sequence_.views[size_t(view)], view, c);
    EXPECT_EQ(folder_.read("out/" + name), expected(view, c)) << name;
  }

  TemporaryFolder folder_;
  ModelConfig config_;
  SequenceInfo sequence_;
  std::vector<std::vector<std::byte>> units_;
  std::vector<BasePictures> bases_;
};

TEST_F(HybridPrograms, DecodeSaysThatItNeedsTheBaseViews) {
  for (const char* options : {"", "--md5", "--views 1 -o out"}) {
    const ProgramResult result = run(std::string("$TOOL/mvinr-decode clip.mvinr ") + options);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.errors.find("clip.mvinr: hybrid stream: the base views need a 2D decoder: "
                                 "play it with mvinrdec, or give their decoded pictures with "
                                 "--base-dir DIR"),
              std::string::npos)
        << result.errors;
  }
}

TEST_F(HybridPrograms, DecodeTakesBasePicturesFromFiles) {
  write_bases();
  const ProgramResult result = run("$TOOL/mvinr-decode clip.mvinr --base-dir base -o out");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  for (int view = 0; view < 4; ++view)
    for (const Component c : kComponents)
      if (c == Component::texture || sequence_.views[size_t(view)].depth != SampleFormat::none)
        expect_decoded(view, c);
}

TEST_F(HybridPrograms, DecodeFindsTheFramesOfAPart) {
  write_bases();
  const ProgramResult result =
      run("$TOOL/mvinr-decode clip.mvinr --base-dir base --views 1 --component texture "
          "--start-frame 4 --frames 1 -o out");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const std::string all = expected(1, Component::texture);
  EXPECT_EQ(folder_.read("out/" + file_name(sequence_.views[1], 1, Component::texture)),
            all.substr(all.size() / 6 * 4, all.size() / 6));
}

TEST_F(HybridPrograms, DepthOfTenBitsIsExpandedToSixteen) {
  write_bases();
  const ViewInfo& info = sequence_.views[0];
  ASSERT_EQ(info.depth, SampleFormat::gray_16);
  // The luma of 4:2:0 with 10 bits, as a 2D decoder gives it.
  std::string coded, full;
  const int chroma = plane_size(info.width, 1) * plane_size(info.height, 1);
  for (int t = 0; t < 6; ++t) {
    for (int i = 0; i < info.width * info.height; ++i) {
      const int s = (i * 37 + t * 11) % 1024, wide = s << 6 | s >> 4;
      coded += {char(s), char(s >> 8)};
      full += {char(wide), char(wide >> 8)};
    }
    for (int i = 0; i < 2 * chroma; ++i) coded += {char(0), char(2)};
  }
  const std::string exact = "base/" + file_name(info, 0, Component::depth);
  folder_.write(exact, full);
  const std::string command = "$TOOL/mvinr-decode clip.mvinr --base-dir base --md5";
  const ProgramResult expected = run(command);
  ASSERT_EQ(expected.exit_code, 0) << expected.errors;
  run("rm " + exact);
  folder_.write("base/" + file_name(info, 0, Component::depth, "yuv420p10le"), coded);
  const ProgramResult expanded = run(command);
  ASSERT_EQ(expanded.exit_code, 0) << expanded.errors;
  EXPECT_EQ(expanded.output, expected.output);
}

TEST_F(HybridPrograms, DecodeNamesTheBaseFileThatIsMissingOrTooShort) {
  write_bases(4);
  ProgramResult result = run("$TOOL/mvinr-decode clip.mvinr --base-dir base --md5");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.errors.find("base/v0_texture_48x40_yuv420p.yuv: holds no picture for frame 4"),
            std::string::npos)
      << result.errors;
  run("rm base/v2_depth*");
  result = run("$TOOL/mvinr-decode clip.mvinr --base-dir base --md5");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.errors.find("base/" + file_name(sequence_.views[2], 2, Component::depth)),
            std::string::npos)
      << result.errors;
}

TEST_F(HybridPrograms, InfoDescribesThemFully) {
  const ProgramResult result = run("$TOOL/mvinr-info clip.mvinr");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  for (const char* words :
       {"base views 2\n", "base view 0: view 0\n", "base view 1: view 2\n", "grids of view 1 ",
        "grids of view 3 ", "texture of base view 0 ", "depth of base view 2 ",
        "stage2.prediction.weight", "stage2.prediction.bias", "15 x 6"})
    EXPECT_NE(result.output.find(words), std::string::npos) << words << "\n" << result.output;
  EXPECT_EQ(result.output.find("unknown"), std::string::npos);
  EXPECT_EQ(result.output.find("DAMAGED"), std::string::npos);
}

TEST_F(HybridPrograms, InfoExtractsTheCodedBaseViews) {
  const ProgramResult result = run("$TOOL/mvinr-info -b clip.mvinr --extract-base coded/here");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  for (const int view : {0, 2})
    for (const Component c : kComponents) {
      const int index = base_unit_index(view, c);
      const std::string name =
          "coded/here/v" + std::to_string(view) + "_" + tools::component_name(c) + ".bin";
      // Two packets per GOP: see access_unit_of().
      EXPECT_EQ(folder_.read(name), std::string(size_t(4 * (5 + index)), char(index))) << name;
      EXPECT_NE(result.output.find(name + ": 4 packets, " + std::to_string(4 * (5 + index)) +
                                   " bytes of video/x-test"),
                std::string::npos)
          << result.output;
    }
}

TEST_F(HybridPrograms, InfoNamesElementaryStreamsByTheirCodec) {
  AccessUnit unit = *parse_access_unit(units_[0]);
  std::vector<UnitPayload> payloads;
  for (const UnitView& u : unit.units)
    if (u.type != UnitType::base)
      payloads.push_back({u.type, u.index, {u.payload.begin(), u.payload.end()}});
  const std::vector<std::byte> packet(3, std::byte{'x'});
  const char* caps[] = {"video/x-h265, stream-format=(string)byte-stream", "video/x-h264",
                        "video/x-av1", "video/x-vp9"};
  const char* names[] = {"v0_texture.h265", "v0_depth.h264", "v2_texture.obu", "v2_depth.bin"};
  for (int i = 0; i < 4; ++i)
    payloads.push_back({UnitType::base, i < 2 ? i : i + 2,
                        *write_base_payload(caps[i], std::vector<Bytes>(1, packet))});
  const auto bytes = *write_access_unit(unit.header, payloads);
  folder_.write("one.mvinr", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  ASSERT_EQ(run("$TOOL/mvinr-info -b one.mvinr --extract-base coded").exit_code, 0);
  for (const char* name : names) EXPECT_EQ(folder_.read("coded/" + std::string(name)), "xxx");
}

TEST_F(HybridPrograms, InfoReportsADamagedBaseUnit) {
  std::string stream = folder_.read("clip.mvinr");
  stream[units_[0].size() - 1] ^= 1;  // the depth of view 2
  folder_.write("clip.mvinr", stream);
  const ProgramResult result = run("$TOOL/mvinr-info clip.mvinr --extract-base coded");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.output.find("not all was extracted"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("DAMAGED"), std::string::npos) << result.output;
}

TEST_F(HybridPrograms, ImplicitStreamsHaveNothingToExtract) {
  const ModelConfig config = test_configs()[1].config;
  const auto bytes = access_unit_of(random_coded_model(config, 1), sequence_for(config));
  folder_.write("plain.mvinr", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const ProgramResult result = run("$TOOL/mvinr-info -b plain.mvinr --extract-base coded");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.output.find("no base views"), std::string::npos) << result.output;
  EXPECT_EQ(run("$TOOL/mvinr-decode plain.mvinr --md5 --base-dir nowhere").exit_code, 0);
}

}  // namespace
}  // namespace mvinr::testutil
