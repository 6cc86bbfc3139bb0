#include "train/motion_search.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/clones.h"
#include "base/thread_pool.h"

namespace mvinr {
namespace {

constexpr int kSearchedFrames = 8;  // of a GOP; the others take the nearest one's vectors
constexpr int kCoarse = 4;          // reduction of the first search
constexpr int kCoarseBlock = 4, kCoarseWindow = 8;
constexpr int kLeastBlock = 8;  // luma samples; finer flow stages repeat its vectors
constexpr int kOverlap = 4;     // samples around a block that count too
constexpr int kRefinement = 3;  // samples around the best candidate

struct Vector {
  int x = 0, y = 0;
};

/// Eight-bit luma with a border of repeated samples.
struct Image {
  int width = 0, height = 0, border = 0;
  std::vector<uint8_t> samples;
  ptrdiff_t stride() const { return width + 2 * border; }
  const uint8_t* at(int x, int y) const {
    return samples.data() + (y + border) * stride() + x + border;
  }
};

template <typename F>
Image make_image(int width, int height, int border, F&& sample) {
  Image image{width, height, border, {}};
  for (int y = -border; y < height + border; ++y)
    for (int x = -border; x < width + border; ++x)
      image.samples.push_back(
          uint8_t(sample(std::clamp(x, 0, width - 1), std::clamp(y, 0, height - 1))));
  return image;
}

Image reduced(const Image& from, int border) {
  const int w = std::max(1, from.width / kCoarse), h = std::max(1, from.height / kCoarse);
  return make_image(w, h, border, [&](int x, int y) {
    int sum = 0;
    for (int r = 0; r < kCoarse; ++r)
      for (int c = 0; c < kCoarse; ++c) sum += *from.at(kCoarse * x + c, kCoarse * y + r);
    return sum / (kCoarse * kCoarse);
  });
}

MVINR_CLONES int difference(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b,
                            ptrdiff_t b_stride, int width, int height) {
  int sum = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) sum += std::abs(a[y * a_stride + x] - b[y * b_stride + x]);
  return sum;
}

template <typename Values>
int median(Values& values) {
  const auto middle = values.begin() + ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// A field of vectors of columns x rows blocks.
struct Field {
  int columns = 0, rows = 0;
  std::vector<Vector> vectors;
  const Vector& at(int x, int y) const {
    return vectors[size_t(std::clamp(y, 0, rows - 1) * columns + std::clamp(x, 0, columns - 1))];
  }
  Vector median_around(int x, int y) const {
    std::array<int, 9> xs, ys;
    for (int i = 0; i < 9; ++i) {
      const Vector& v = at(x + i % 3 - 1, y + i / 3 - 1);
      xs[size_t(i)] = v.x, ys[size_t(i)] = v.y;
    }
    return {median(xs), median(ys)};
  }
};

class Search {
 public:
  /// The best vector for the window at (x, y) among what is tried.
  Search(const Image& target, const Image& base, int x, int y, int size, int reach_x, int reach_y)
      : target_(target), base_(base), x_(x), y_(y), size_(size), rx_(reach_x), ry_(reach_y) {}
  void attempt(Vector v) {
    v.x = std::clamp(v.x, -rx_, rx_), v.y = std::clamp(v.y, -ry_, ry_);
    const int cost = difference(target_.at(x_, y_), target_.stride(), base_.at(x_ + v.x, y_ + v.y),
                                base_.stride(), size_, size_);
    if (cost < cost_) cost_ = cost, best = v;
  }
  Vector best;

 private:
  const Image &target_, &base_;
  int x_, y_, size_, rx_, ry_, cost_ = INT32_MAX;
};

/// Row by row on all threads; a stop leaves rows out.
struct Crew {
  ThreadPool& pool;
  std::stop_token stop;
  template <typename F>
  void fill(Field& field, F&& vector_at) const {
    field.vectors.resize(size_t(field.columns) * size_t(field.rows));
    pool.parallel_for(field.rows, [&](int y, int) {
      for (int x = 0; x < field.columns && !stop.stop_requested(); ++x)
        field.vectors[size_t(y * field.columns + x)] = vector_at(x, y);
    });
  }
};

Field coarse_field(const Image& target, const Image& base, int reach_x, int reach_y,
                   const Crew& crew) {
  Field field{(target.width + kCoarseBlock - 1) / kCoarseBlock,
              (target.height + kCoarseBlock - 1) / kCoarseBlock,
              {}};
  const int margin = (kCoarseWindow - kCoarseBlock) / 2;
  crew.fill(field, [&](int x, int y) {
    Search search(target, base, kCoarseBlock * x - margin, kCoarseBlock * y - margin, kCoarseWindow,
                  reach_x, reach_y);
    search.attempt({0, 0});  // preferred where there is no texture
    for (int dy = -reach_y; dy <= reach_y; ++dy)
      for (int dx = -reach_x; dx <= reach_x; ++dx) search.attempt({dx, dy});
    return search.best;
  });
  return field;
}

/// Blocks of `block` luma samples: the coarse vectors around, then their neighbourhood.
Field fine_field(const Image& target, const Image& base, const Field& coarse, int block,
                 int columns, int rows, int reach_x, int reach_y, const Crew& crew) {
  Field field{columns, rows, {}}, smooth{columns, rows, {}};
  const int per_coarse = kCoarse * kCoarseBlock;
  crew.fill(field, [&](int x, int y) {
    // Beyond the picture the last blocks count.
    const int left = std::min(block * x, target.width - 1) - kOverlap;
    const int top = std::min(block * y, target.height - 1) - kOverlap;
    Search search(target, base, left, top, block + 2 * kOverlap, reach_x, reach_y);
    const int cx = block * x / per_coarse, cy = block * y / per_coarse;
    const Vector middle = coarse.median_around(cx, cy);
    search.attempt({kCoarse * middle.x, kCoarse * middle.y});
    for (int r = -1; r <= 1; ++r)
      for (int c = -1; c <= 1; ++c) {
        const Vector& v = coarse.at(cx + c, cy + r);
        search.attempt({kCoarse * v.x, kCoarse * v.y});
      }
    const Vector start = search.best;
    for (int dy = -kRefinement; dy <= kRefinement; ++dy)
      for (int dx = -kRefinement; dx <= kRefinement; ++dx)
        search.attempt({start.x + dx, start.y + dy});
    return search.best;
  });
  crew.fill(smooth, [&](int x, int y) { return field.median_around(x, y); });
  return smooth;
}

Image image_of(const std::vector<uint16_t>& samples, int width, int height, int bits, int border) {
  return make_image(width, height, border, [&](int x, int y) {
    return std::min(samples[size_t(y) * size_t(width) + size_t(x)] >> (bits - 8), 255);
  });
}

Image image_of(const Picture& p, int border) {
  const bool wide = bytes_per_sample(p.format) == 2;
  const int down = bit_depth(p.format) - 8;
  return make_image(p.width, p.height, border, [&](int x, int y) {
    const std::byte* row = p.data[0] + y * p.stride[0];
    return wide ? std::min(reinterpret_cast<const uint16_t*>(row)[x] >> down, 255)
                : int(reinterpret_cast<const uint8_t*>(row)[x]);
  });
}

}  // namespace

Result<MotionSearch> search_motion(const ModelConfig& config, const SequenceInfo& sequence,
                                   const PictureStore& pictures, const BaseStore& base,
                                   const std::vector<int>& views, int threads,
                                   std::stop_token stop) {
  ThreadPool pool(threads);
  const Crew crew{pool, stop};
  const std::vector<int>& bases = base.views();
  const int columns = config.stage_width(config.flow_stage);
  const int rows = config.stage_height(config.flow_stage);
  const int block = std::max(config.canvas_width / columns, kLeastBlock);
  const int block_columns = (config.canvas_width + block - 1) / block;
  const int block_rows = (config.canvas_height + block - 1) / block;
  const int coarse_x = std::max(4, config.canvas_width / kCoarse / 6);
  const int coarse_y = std::max(2, config.canvas_height / kCoarse / 8);
  const int reach_x = kCoarse * coarse_x + kRefinement, reach_y = kCoarse * coarse_y + kRefinement;
  int beyond = 0;  // a base may be smaller than the others
  for (const int b : bases) {
    const ViewInfo& info = sequence.views[size_t(b)];
    beyond =
        std::max({beyond, config.canvas_width - info.width, config.canvas_height - info.height});
  }
  const int border = std::max(reach_x, reach_y) + block + 2 * kOverlap + kCoarseWindow + beyond;
  const int searched = std::min<int>(config.frames, kSearchedFrames);
  const auto frame_of = [&](int i) { return (2 * i + 1) * config.frames / (2 * searched); };

  std::vector<Field> fields;  // [searched frame][view][base]
  for (int i = 0; i < searched; ++i) {
    std::vector<Image> from, from_coarse;
    for (const int b : bases) {
      from.push_back(image_of(base.at({frame_of(i), b, Component::texture}).picture(), border));
      from_coarse.push_back(reduced(from.back(), border));
    }
    for (const int v : views) {
      const ViewInfo& info = sequence.views[size_t(v)];
      const Image target = image_of(pictures.samples({frame_of(i), v, Component::texture}),
                                    info.width, info.height, bit_depth(info.texture), border);
      const Image target_coarse = reduced(target, border);
      for (size_t b = 0; b < bases.size(); ++b) {
        const Field coarse = coarse_field(target_coarse, from_coarse[b], coarse_x, coarse_y, crew);
        fields.push_back(fine_field(target, from[b], coarse, block, block_columns, block_rows,
                                    reach_x, reach_y, crew));
        if (stop.stop_requested()) return Error{ErrorCode::cancelled, "encoding was stopped"};
      }
    }
  }

  MotionSearch result;
  const size_t pairs = views.size() * bases.size();
  int farthest = 0;
  for (size_t p = 0; p < pairs; ++p) {
    std::vector<int> xs, ys;
    for (size_t f = p; f < fields.size(); f += pairs)
      for (const Vector& v : fields[f].vectors) xs.push_back(v.x), ys.push_back(v.y);
    const Offset offset{int16_t(median(xs)), int16_t(median(ys))};
    result.offsets.push_back(offset);
    for (const int x : xs) farthest = std::max(farthest, std::abs(x - offset.x));
    for (const int y : ys) farthest = std::max(farthest, std::abs(y - offset.y));
  }
  // Q10 outputs in -32..32 times 4 << shift samples; half of that leaves room.
  while (result.shift < kMaxFlowShift && farthest > 64 << result.shift) ++result.shift;
  const float unit = float(4 << result.shift);

  std::vector<at::Tensor> targets;
  for (int i = 0; i < searched; ++i) {
    at::Tensor t =
        at::empty({int64_t(views.size()), rows, columns, 2 * int64_t(bases.size())}, at::kFloat);
    auto to = t.accessor<float, 4>();
    for (size_t v = 0; v < views.size(); ++v)
      for (size_t b = 0; b < bases.size(); ++b) {
        const size_t pair = v * bases.size() + b;
        const Field& field = fields[size_t(i) * pairs + pair];
        for (int y = 0; y < rows; ++y)
          for (int x = 0; x < columns; ++x) {
            const Vector& found = field.at(x * block_columns / columns, y * block_rows / rows);
            auto out = to[int64_t(v)][y][x];
            out[int64_t(2 * b)] = float(found.x - result.offsets[pair].x) / unit;
            out[int64_t(2 * b + 1)] = float(found.y - result.offsets[pair].y) / unit;
          }
      }
    targets.push_back(t);
  }
  for (int t = 0; t < config.frames; ++t)
    result.targets.push_back(targets[size_t(t * searched / config.frames)]);
  return result;
}

}  // namespace mvinr
