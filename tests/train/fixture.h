// Small clips and networks for the tests of codec/train.
#pragma once

#include <c10/core/GradMode.h>

#include <map>
#include <string>
#include <vector>

#include "testutil/clip.h"
#include "train/base_store.h"
#include "train/network.h"
#include "train/picture_store.h"
#include "train/trainer.h"

namespace mvinr::train_test {

/// All pictures of the clip. `views`: those of the network, empty: all.
PictureStore store_of(const testutil::Clip& clip, const std::vector<int>& views = {});

/// The views of the clip that are no base views.
std::vector<int> network_views(const testutil::Clip& clip, const std::vector<int>& base_views);

/// The named profile for the clip.
ModelConfig profile_for(const testutil::Clip& clip, const std::string& name = "xxs",
                        const std::vector<int>& base_views = {}, Motion motion = Motion::geometry);

/// A picture as another codec would return it: the clip's, with noise of a hundredth of the range.
OwnedPicture base_picture(const testutil::Clip& clip, const PictureId& id);

/// Base pictures of all frames and BASE units of any bytes, warped to the other views.
BaseStore base_store_of(const testutil::Clip& clip, const std::vector<int>& base_views = {},
                        Motion motion = Motion::geometry);

/// A network with values worth coding: its parameters moved by random amounts.
Network random_network(const ModelConfig& config, uint64_t seed = 1);

/// What a decoder computes: rounded weights, grids and activations.
inline constexpr Precision kHard{.weights = true, .grids_hard = true, .activations = true};

/// A network trained on the clip for a few steps (fails the test if training fails).
struct Trained {
  Network network;
  TrainResult result;
};
Trained train_on(const testutil::Clip& clip, const std::string& profile, TrainOptions options,
                 const std::vector<int>& base_views = {}, Motion motion = Motion::geometry);

/// A clip of two views with depth (64 x 48, 4 frames) and the profile xxs trained on it for 250
/// steps, once for all tests.
struct Example {
  testutil::Clip clip;
  Trained trained;
};
const Example& trained_example();

/// Access unit of a network.
std::vector<std::byte> access_unit_of(const testutil::Clip& clip, const Network& network,
                                      const std::vector<int>& base_views = {});

/// The decoder's pictures of an access unit, in the order of Clip::pictures. Base views get the
/// base_picture()s of `clip`, which implicit streams do without.
std::vector<tools::PictureBuffer> decode(const std::vector<std::byte>& bytes,
                                         const testutil::Clip* clip = nullptr);

/// Tensors by name, from a file of the folder reference; hinerv.py there describes the format.
using Tensors = std::map<std::string, at::Tensor>;
Tensors read_tensors(const std::string& name);

}  // namespace mvinr::train_test
