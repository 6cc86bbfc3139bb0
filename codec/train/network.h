// The network of one GOP in LibTorch: parameters in the order of tensor_specs(), and the forward
// pass that simulates docs/bitstream.md chapter 5. Activations are float NHWC.
#pragma once

#include <ATen/ATen.h>

#include <stop_token>
#include <vector>

#include "model/config.h"
#include "train/motion.h"
#include "train/noise.h"

namespace mvinr {

/// One learned tensor. Weights [rows][columns], biases [1][n], grids [V or 1][T][C][h][w]
/// (all views of a grid in one tensor).
struct Parameter {
  TensorSpec spec;      // of the first view for grids per view
  at::Tensor value;     // requires grad
  at::Tensor log_step;  // log2 of the quantisation step, broadcasts against value; requires grad
  at::Tensor mask;      // pruned weights: 0; undefined if nothing is pruned
  int limit = 127;      // largest symbol
};

/// Float twin of entropy/grid_coder.h's ContextModel, for one grid.
struct ContextParameters {
  at::Tensor hidden_weight, hidden_bias;         // [hidden][contexts], [hidden]
  at::Tensor out_weight, skip_weight, out_bias;  // [2][hidden], [2][contexts], [2]
  std::vector<at::Tensor> all() const {
    return {hidden_weight, hidden_bias, out_weight, skip_weight, out_bias};
  }
};

/// How the forward pass treats numbers.
struct Precision {
  bool weights = false;      // fake-quantised weights and biases
  bool grids_hard = false;   // grids rounded (else additive uniform noise when grids_noise)
  bool grids_noise = false;  // noise of one step width: the training stand-in for rounding
  SoftRounding soft;         // of grids with noise
  bool activations = false;  // the decoder's 8- and 16-bit activations
};

/// The network tensors as the forward pass uses them, in the order of Network::parameters (grids:
/// see grid_planes.h).
using Values = std::vector<at::Tensor>;

struct Network {
  ModelConfig config;
  std::vector<Parameter> parameters;        // network tensors, then one entry per grid
  std::vector<ContextParameters> contexts;  // one per grid; empty tensors where factorised
  at::Device device = at::kCPU;
  mutable at::Generator noise;  // of grid_planes and estimate_rate

  /// Index into `parameters` of the grid `g`.
  int grid_parameter(int g) const { return first_grid + g; }
  int first_grid = 0;
};

/// Thrown out of forward() and of the backward pass through it when a stop is requested.
struct Cancelled {};

/// A key of noise.h for one step; 0 on other devices, which have their own generator.
uint32_t noise_key(const Network& network);

/// Uniform noise in [-1/2, 1/2) in the shape of `like`; on the CPU by `key`, so that every way of
/// computing a step has the same.
at::Tensor uniform_noise(const Network& network, uint32_t key, const at::Tensor& like);

/// SoftRounding::symbol() of every element, with gradient.
at::Tensor soft_symbols(const at::Tensor& q, const at::Tensor& noise, const SoftRounding& soft);

/// Fresh parameters, reproducible from the seed.
Network make_network(const ModelConfig& config, uint64_t seed, at::Device device);

/// Copies the parameters of a trained network, if it is of the same shape.
void start_from(Network& network, const Network& trained);

/// Dequantised (or plain) values for this precision.
Values prepare_values(const Network& network, const Precision& precision);

/// All layers up to the head, the head's weight and bias, and what the head adds to.
struct Trunk {
  at::Tensor features;  // [N][h][w][C]
  at::Tensor head_weight, head_bias;
  at::Tensor prediction;  // as given, or displaced: float [N][h][w][planes]
  at::Tensor flow;        // displacements [N][h][w][3 * bases] at the flow stage (see motion.h)
};
/// Of frame t for the listed views. `prediction`: BaseStore::prediction() of the same pictures,
/// `bases`: BaseStore::displaced().
Trunk trunk(const Network& network, const Values& values, const Precision& precision, int frame,
            const std::vector<int64_t>& views, const at::Tensor& prediction = {},
            std::stop_token stop = {}, const std::vector<DisplaceBase>& bases = {});
/// Head outputs [N][h][w][outputs] at the trunk's resolution (half the canvas for shuffle420, the
/// canvas for full444 where sigmoid is applied), the prediction added.
at::Tensor head(const ModelConfig& config, const Trunk& trunk);
/// Both.
at::Tensor forward(const Network& network, const Values& values, const Precision& precision,
                   int frame, const std::vector<int64_t>& views, const at::Tensor& prediction = {},
                   std::stop_token stop = {}, const std::vector<DisplaceBase>& bases = {});

}  // namespace mvinr
