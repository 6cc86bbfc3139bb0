// Interface between the operations (LibTorch) and their kernels (plain C++, compiled once per
// instruction set). Pointers are to float32; NHWC tensors are dense, packed ones have rows padded
// with zeros to a multiple of `lanes` (suffix "p" in the shapes below).
#pragma once

#include <cstddef>
#include <cstdint>

#include "entropy/grid_coder.h"

namespace mvinr::ops {

/// convnext_block of ops.h. Packed weights carry the scales that let quantised activations stay
/// integers between the layers (all powers of two, so exact): see pack_block in block.cpp.
struct Block {
  int64_t images = 0;
  int height = 0, width = 0;
  int channels = 0, hidden = 0, outputs = 0;
  bool norm = false, residual = false, quantise = false;
  const float* x = nullptr;        // [images][height][width][channels]
  const float* taps = nullptr;     // [9][channels p]
  const float* flipped = nullptr;  // the same with taps 8..0: the transposed convolution
  const float* dw_bias = nullptr;  // [channels p]
  // Mantissas of the three layers, by which taps, w1t and w2t are divided; used if quantise.
  const float* dw_mantissa = nullptr;  // [channels p]
  const float* mantissa1 = nullptr;    // [hidden p]
  const float* mantissa2 = nullptr;    // [outputs p]
  const float* w1t = nullptr;          // [channels][hidden p]
  const float* b1 = nullptr;           // [hidden p]
  const float* w2t = nullptr;          // [hidden][outputs p]
  const float* b2 = nullptr;           // [outputs p]
  // Quantised, and all weights are pairs of bfloat16 numbers, [inner / 2][columns p][2], in the
  // place of half as many floats: see block_bf16.h.
  bool bf16 = false;
  // Backward only.
  float guard = 0;            // pull on outputs beyond kGuardFrom
  const float* w1 = nullptr;  // [hidden][channels p]
  const float* w2 = nullptr;  // [outputs][hidden p]
  const float* y = nullptr;   // [images][height][width][outputs]
  const float* dy = nullptr;  // the same shape
};

/// Sums of one thread's share of the backward pass; zeroed by the caller, added to by the kernels.
struct BlockGradients {
  float* taps;     // [9][channels p]
  float* dw_bias;  // [channels p]
  float* w1t;      // [channels][hidden p], times kInputScale if quantise
  float* b1;       // [hidden p]
  float* w2;       // [outputs][hidden p], times kHiddenScale if quantise
  float* b2;       // [outputs p]
};

/// pointwise of ops.h: y = [add +] x * w^T + b; rows are pixels.
struct Linear {
  int inputs = 0, outputs = 0;
  bool quantise = false;
  const float* x = nullptr;         // [pixels][inputs]
  const int16_t* planes = nullptr;  // instead of x: in Q10
  const float* add = nullptr;       // [pixels][outputs] or null
  const float* wt = nullptr;        // [inputs][outputs p], times 1024 / mantissa if quantise
  const float* b = nullptr;         // [outputs p]
  const float* mantissa = nullptr;  // [outputs p], if quantise
  // Backward only.
  const float* w = nullptr;   // [outputs][inputs p]
  const float* y = nullptr;   // [pixels][outputs], if quantise
  const float* dy = nullptr;  // [pixels][outputs]
};

struct Upsample {
  int64_t images = 0;
  int height = 0, width = 0;  // of the input
  int channels = 0, scale = 1;
  bool quantise = false;
  const float* x = nullptr;     // [images][height][width][channels]
  const float* tile = nullptr;  // [1 or images][scale][scale][channels] or null
  bool tile_per_image = false;
  const float* y = nullptr;   // backward with quantise
  const float* dy = nullptr;  // [images][height * scale][width * scale][channels]
};

/// layer_norm of ops.h; rows are pixels.
struct Norm {
  int channels = 0;
  int fraction_bits = 0;      // 0: plain floats; 5, 10: as in docs/bitstream.md 5.5
  const float* x = nullptr;   // [pixels][channels]
  const float* dy = nullptr;  // backward only
};

inline constexpr int kHeadLanes = 16;  // outputs of a head, padded for every vector length

/// head_loss of ops.h: features to outputs, the prediction added, against packed samples.
struct Head {
  int64_t images = 0;
  int height = 0, width = 0;  // of the features
  int channels = 0;
  int outputs = 0;                      // 6, 10, or 15 with a prediction
  const float* features = nullptr;      // [images][height][width][channels]
  const float* wt = nullptr;            // [channels][kHeadLanes]
  const float* b = nullptr;             // [kHeadLanes]
  const float* w = nullptr;             // [outputs][channels p]
  const int16_t* prediction = nullptr;  // [images][height][width][14] in Q10, or null
  // Samples: per image [rows][columns][6] and [rows][columns][4] (null: no depth), rows and columns
  // half of the picture's, rounded up; uint8, or uint16 if wide.
  const void* const* texture = nullptr;
  const void* const* depth = nullptr;
  bool wide_texture = false, wide_depth = false;
  float texture_unit = 1, depth_unit = 1;     // of a sample
  int picture_height = 0, picture_width = 0;  // in samples
  float weight[kHeadLanes] = {};              // of each picture output's squared error
};

/// One row of symbols of a grid: where each context's values start, and where their gradients go
/// (null: nowhere).
struct ContextRow {
  const float* symbol = nullptr;
  float* symbol_gradient = nullptr;  // null: no gradients at all
  const float* context[kContexts] = {};
  float* context_gradient[kContexts] = {};
  int64_t width = 0;
};
/// ContextParameters as one array.
struct ContextFloats {
  float hidden_weight[kContextHidden][kContexts], hidden_bias[kContextHidden];
  float out_weight[2][kContextHidden], skip_weight[2][kContexts], out_bias[2];
};
inline constexpr int kContextFloats = int(sizeof(ContextFloats) / sizeof(float));

/// What the bits of a Laplace distribution need of its scale b.
struct LaplaceScale {
  float inverse = 1, half = 0.5f;  // 1 / b, 1 / 2b
  float constant = 0;              // bits beyond 1/2 from the mean, less those that grow with x / b
  float constant_slope = 0;        // derivative of these bits for log2 b, less -x / b
};

/// One step of optimizer.h's Adam.
struct AdamStep {
  float beta1, beta2;
  float rate, epsilon;  // with the bias corrections
  float kept;           // of a parameter, by the decay
};

/// One instruction set's kernels. Rows are counted over all images: row r is row r % height of
/// image r / height; a call handles rows [begin, end) with scratch memory of its own. `*_scratch`
/// tell how many floats that needs.
struct Kernels {
  const char* name;
  int lanes;
  bool bf16;  // takes blocks with bf16 set

  size_t (*block_scratch)(const Block&);
  void (*block_forward)(const Block&, float* y, int64_t begin, int64_t end, float* scratch);
  /// Gradient of the depthwise layer's output, dd [images][height][width][channels p], and sums.
  void (*block_backward)(const Block&, float* dd, const BlockGradients&, int64_t begin, int64_t end,
                         float* scratch);
  /// dx = transposed depthwise of dd (+ dy if residual).
  void (*block_input_gradient)(const Block&, const float* dd, float* dx, int64_t begin, int64_t end,
                               float* scratch);

  size_t (*linear_scratch)(const Linear&);
  void (*linear_forward)(const Linear&, float* y, int64_t begin, int64_t end, float* scratch);
  /// dx and dadd may be null; dw [inputs][outputs p] and db [outputs p] are added to.
  void (*linear_backward)(const Linear&, float* dx, float* dadd, float* dw, float* db,
                          int64_t begin, int64_t end, float* scratch);

  /// Rows are rows of the input.
  size_t (*upsample_scratch)(const Upsample&);
  void (*upsample_forward)(const Upsample&, float* y, int64_t begin, int64_t end, float* scratch);
  /// dtile [images or 1][scale][scale][channels p] or null is added to.
  void (*upsample_backward)(const Upsample&, float* dx, float* dtile, int64_t begin, int64_t end,
                            float* scratch);

  size_t (*norm_scratch)(const Norm&);
  void (*norm_forward)(const Norm&, float* y, int64_t begin, int64_t end, float* scratch);
  void (*norm_backward)(const Norm&, float* dx, int64_t begin, int64_t end, float* scratch);

  size_t (*head_scratch)(const Head&);
  /// Adds the squared errors of each output to sums [kHeadLanes]. With dfeatures also writes the
  /// gradients of the weighted sum, and adds to dw [channels][kHeadLanes] and db [kHeadLanes].
  void (*head_loss)(const Head&, double* sums, float* dfeatures, float* dw, float* db,
                    int64_t begin, int64_t end, float* scratch);

  /// Bits of a row; gradients of the model are added to sums [kContextFloats][lanes].
  double (*context_row)(const ContextRow&, const ContextFloats&, float* sums);
  /// Bits of symbols of a Laplace distribution of mean 0. `slope` [count] (null: no gradients) gets
  /// the derivatives; that of log2 of the scale is added to *scale_slope.
  double (*laplace_row)(const float* symbols, int64_t count, const LaplaceScale&, float* slope,
                        double* scale_slope);

  /// Updates `count` parameters p and their moments m and v by the gradient g.
  void (*adam)(const AdamStep&, float* p, const float* g, float* m, float* v, int64_t count);
};

inline constexpr float kGuardFrom = 8;  // of the residual stream's range of 32
inline constexpr int kGeluSegments = 32;
inline constexpr int kGeluCoefficients = 5;
inline constexpr float kGeluScale = 31.0f / 5.25f;  // segments per unit
inline constexpr float kSlopeScale = 16384.0f;
inline constexpr int kGeluLast = 122;        // behind it, the table's value is clamped to 244 / 64
inline constexpr float kInputScale = 32.0f;  // of a block's quantised input of fc1
inline constexpr float kHiddenScale = 64.0f * 65536.0f;  // and of fc2

/// See activation.h. The tables of the quantised GELU are indexed by i & 255, i = -128..127.
struct GeluTables {
  float tail[kGeluCoefficients][kGeluSegments];
  int16_t value[256];       // times 64
  int16_t bf16_value[256];  // the upper halves of value * 65536 as float32
  int16_t slope[256];       // times kSlopeScale; of the GELU, clamped or not
  int16_t padding[2];
};
const GeluTables& gelu_tables();

}  // namespace mvinr::ops
