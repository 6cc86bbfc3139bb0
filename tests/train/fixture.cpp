#include "fixture.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

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

PictureStore store_of(const testutil::Clip& clip, const std::vector<int>& views) {
  PictureStore store(clip.sequence, views);
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

std::vector<int> network_views(const testutil::Clip& clip, const std::vector<int>& base_views) {
  return Header{.sequence = clip.sequence, .base_views = base_views}.network_views();
}

OwnedPicture base_picture(const testutil::Clip& clip, const PictureId& id) {
  const Picture source = clip.at(id.frame, id.view, id.component).picture();
  OwnedPicture picture(source.format, source.width, source.height);
  const int most = (1 << bit_depth(source.format)) - 1, noise = most / 100 + 1;
  std::mt19937 random(uint32_t(id.frame * 100 + id.view * 2 + int(id.component)));
  for (int p = 0; p < plane_count(source.format); ++p)
    for (int y = 0; y < plane_size(source.height, p); ++y)
      for (int x = 0; x < plane_size(source.width, p); ++x) {
        const int value = tools::sample(source, p, x, y) + int(random() % uint32_t(2 * noise + 1));
        tools::set_sample(picture.writable(), p, x, y, std::clamp(value - noise, 0, most));
      }
  return picture;
}

BaseStore base_store_of(const testutil::Clip& clip, const std::vector<int>& base_views,
                        Motion motion) {
  BaseStore store(clip.sequence, base_views);
  for (const int v : base_views)
    for (const Component c : {Component::texture, Component::depth}) {
      if (clip.at(0, v, c).picture().format == SampleFormat::none) continue;
      for (int t = 0; t < clip.frames; ++t)
        EXPECT_TRUE(store.add({t, v, c}, base_picture(clip, {t, v, c}).picture()));
      EXPECT_TRUE(store.add_unit(v, c, std::vector<std::byte>(20, std::byte(v))));
    }
  const Status status = store.predict(profile_for(clip, "xxs", base_views, motion),
                                      network_views(clip, base_views), {});
  EXPECT_TRUE(status) << status.error().message;
  return store;
}

ModelConfig profile_for(const testutil::Clip& clip, const std::string& name,
                        const std::vector<int>& base_views, Motion motion) {
  auto config =
      make_profile(name, clip.sequence, clip.frames, network_views(clip, base_views), motion);
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

Trained train_on(const testutil::Clip& clip, const std::string& profile, TrainOptions options,
                 const std::vector<int>& base_views, Motion motion) {
  const PictureStore store = store_of(clip, network_views(clip, base_views));
  const BaseStore base = base_store_of(clip, base_views, motion);
  const ModelConfig config = profile_for(clip, profile, base_views, motion);
  Trained out{.network = make_network(config, options.seed, at::kCPU)};
  auto result = train(out.network, store, base, options, {});
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

std::vector<std::byte> access_unit_of(const testutil::Clip& clip, const Network& network,
                                      const std::vector<int>& base_views) {
  auto units = encode_model(export_model(network));
  EXPECT_TRUE(units) << units.error().message;
  if (!units) return {};
  const std::vector<int> views = network_views(clip, base_views);
  for (UnitPayload& unit : *units)
    if (unit.type == UnitType::view) unit.index = views[size_t(unit.index)];
  const Header header{.sequence = clip.sequence,
                      .frames = clip.frames,
                      .base_views = base_views,
                      .model = network.config};
  auto bytes = write_access_unit(header, *units);
  EXPECT_TRUE(bytes) << bytes.error().message;
  return bytes ? std::move(bytes).value() : std::vector<std::byte>();
}

std::vector<tools::PictureBuffer> decode(const std::vector<std::byte>& bytes,
                                         const testutil::Clip* clip) {
  std::vector<tools::PictureBuffer> pictures;
  auto decoder = Decoder::create({.threads = 2});
  EXPECT_TRUE(decoder);
  const auto gop = (*decoder)->start_gop(bytes);
  EXPECT_TRUE(gop) << gop.error().message;
  if (!gop) return pictures;
  for (const int v : gop->base_views)
    for (const Component c : {Component::texture, Component::depth})
      for (int t = 0; t < gop->frames && clip->at(t, v, c).picture().format != SampleFormat::none;
           ++t)
        EXPECT_TRUE((*decoder)->set_base({t, v, c}, base_picture(*clip, {t, v, c}).picture()));
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

Tensors read_tensors(const std::string& name) {
  std::ifstream file(std::string(MVINR_REFERENCE) + "/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  std::vector<std::pair<std::string, std::vector<int64_t>>> index;
  for (std::string line; std::getline(file, line) && !line.empty();) {
    std::istringstream words(line);
    index.emplace_back();
    words >> index.back().first;
    for (int64_t size; words >> size;) index.back().second.push_back(size);
  }
  Tensors tensors;
  for (const auto& [key, shape] : index) {
    at::Tensor t = at::empty(shape, at::kFloat);
    file.read(reinterpret_cast<char*>(t.mutable_data_ptr<float>()), t.numel() * 4);
    tensors[key] = t;
  }
  EXPECT_TRUE(file) << name << " is too short";
  EXPECT_FALSE(tensors.empty());
  return tensors;
}

}  // namespace mvinr::train_test
