#include "fixture.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "format/model_units.h"
#include "mvinr/decoder.h"
#include "train/export.h"

namespace mvinr::train_test {
namespace {

/// Pictures this small are trained fastest by one thread, above all where tests run side by side.
class OneThread : public testing::Environment {
  void SetUp() override { at::set_num_threads(1); }
};
const testing::Environment* const kOneThread = testing::AddGlobalTestEnvironment(new OneThread);

}  // namespace

PictureStore store_of(const testutil::Clip& clip) {
  PictureStore store(clip.sequence);
  for (int t = 0; t < clip.frames; ++t) {
    for (int v = 0; v < int(clip.sequence.views.size()); ++v) {
      for (const Component c : {Component::texture, Component::depth}) {
        const tools::PictureBuffer& picture = clip.at(t, v, c);
        if (picture.format() == SampleFormat::none) continue;
        const Status status = store.add({t, v, c}, picture.picture());
        EXPECT_TRUE(status) << status.error().message;
      }
    }
  }
  return store;
}

ModelConfig profile_for(const testutil::Clip& clip, const std::string& name) {
  auto config = make_profile(name, clip.sequence, clip.frames);
  EXPECT_TRUE(config) << config.error().message;
  return std::move(config).value();
}

Network random_network(const ModelConfig& config, uint64_t seed) {
  Network net = make_network(config, seed, at::kCPU);
  at::Generator random = at::make_generator<at::CPUGeneratorImpl>(seed + 100);
  c10::NoGradGuard guard;
  for (Parameter& p : net.parameters) {
    // Grids and biases start near zero; a tenth of the steps is moved by up to an octave.
    const double spread = p.spec.kind == TensorKind::weight ? 0.02 : 0.4;
    p.value.add_(at::empty_like(p.value).normal_(0, spread, random));
    p.log_step.add_(at::empty_like(p.log_step).uniform_(-1, 1, random));
  }
  for (ContextParameters& c : net.contexts) {
    if (!c.out_bias.defined()) continue;
    for (at::Tensor t : c.all()) t.add_(at::empty_like(t).normal_(0, 0.05, random));
  }
  return net;
}

Trained train_on(const testutil::Clip& clip, const std::string& profile, TrainOptions options) {
  const PictureStore store = store_of(clip);
  Trained out{.network = make_network(profile_for(clip, profile), options.seed, at::kCPU)};
  auto result = train(out.network, store, options, {});
  EXPECT_TRUE(result) << result.error().message;
  if (result) out.result = *result;
  return out;
}

const Example& trained_example() {
  static const Example example = [] {
    Example e{.clip = testutil::make_clip({.views = 2, .frames = 4, .width = 64, .height = 48})};
    e.trained = train_on(e.clip, "xxs", {.lambda = 0.001, .steps = 250});
    return e;
  }();
  return example;
}

std::vector<std::byte> access_unit_of(const testutil::Clip& clip, const Network& network) {
  auto units = encode_model(export_model(network));
  EXPECT_TRUE(units) << units.error().message;
  if (!units) return {};
  const Header header{.sequence = clip.sequence, .frames = clip.frames, .model = network.config};
  auto bytes = write_access_unit(header, *units);
  EXPECT_TRUE(bytes) << bytes.error().message;
  return bytes ? std::move(bytes).value() : std::vector<std::byte>();
}

std::vector<tools::PictureBuffer> decode(const std::vector<std::byte>& bytes) {
  std::vector<tools::PictureBuffer> pictures;
  auto decoder = Decoder::create({.threads = 2});
  EXPECT_TRUE(decoder);
  const auto gop = (*decoder)->start_gop(bytes);
  EXPECT_TRUE(gop) << gop.error().message;
  if (!gop) return pictures;
  for (int t = 0; t < gop->frames; ++t) {
    for (int v = 0; v < int(gop->sequence.views.size()); ++v) {
      const ViewInfo& view = gop->sequence.views[size_t(v)];
      tools::PictureBuffer texture(view.texture, view.width, view.height);
      tools::PictureBuffer depth(view.depth, view.width, view.height);
      MutablePicture t_out = texture.mutable_picture(), d_out = depth.mutable_picture();
      const RenderJob job{.frame = t,
                          .view = v,
                          .texture = &t_out,
                          .depth = view.depth == SampleFormat::none ? nullptr : &d_out};
      const Status status = (*decoder)->render({&job, 1});
      EXPECT_TRUE(status) << status.error().message;
      pictures.push_back(std::move(texture));
      pictures.push_back(std::move(depth));
    }
  }
  return pictures;
}

}  // namespace mvinr::train_test
