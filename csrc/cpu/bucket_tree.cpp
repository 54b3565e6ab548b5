#include "cpu/bucket_tree.h"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>
#include <utility>

#include "core/tuning.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

template <class T, int D>
struct Record {
  T x[D];
  std::uint32_t row;
};

struct Range {
  Index begin;
  Index end;
  Index size() const { return end - begin; }
};

template <class T, int D>
class Builder {
 public:
  using Tree = BucketTree<T>;
  using Point = Record<T, D>;

  Builder(const MatrixView& points, const std::vector<bool>& taken, bool labels, ThreadTeam& team,
          Control& control)
      : points_(points), taken_(taken), labels_(labels), team_(team), control_(control) {}

  BucketForest<T> build(int trees, BucketKernels<T>::Widen widen) {
    forest_.dimension = D;
    read(widen);
    std::vector<Range> ranges = {{0, points_.rows}};
    spare_ = LargeArray<Point>(records_.size());
    for (int parts = 1; parts < trees; parts *= 2) {
      std::vector<Range> halves(ranges.size() * 2, Range{0, 0});
      team_.for_each(static_cast<Index>(ranges.size()), 1, control_, [&](int thread, Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
          const Range range = ranges[at(i)];
          halves[at(2 * i)] = range;
          if (range.size() > tuning::kBucketPoints) {
            std::tie(halves[at(2 * i)], halves[at(2 * i + 1)]) = split(range, thread);
          }
        }
      });
      control_.throw_if_stopped();
      ranges = std::move(halves);
      std::erase_if(ranges, [](const Range& range) { return range.size() == 0; });
    }
    std::vector<Work> work(ranges.size());
    forest_.trees.resize(ranges.size());
    const auto count = static_cast<Index>(ranges.size());
    team_.for_each(count, 1, control_, [&](int thread, Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        Tree& tree = forest_.trees[at(i)];
        tree.quads.emplace_back();
        tree.depth = divide(ranges[at(i)], 0, tree, work[at(i)], thread);
      }
    });
    control_.throw_if_stopped();
    spare_ = {};
    Slot slots = 0;
    for (Work& of_tree : work) {
      of_tree.first_slot = slots;
      slots += of_tree.slots;
    }
    forest_.coordinates = LargeArray<T>(std::size_t{slots} * D);
    forest_.values = LargeArray<T>(slots);
    forest_.rows = LargeArray<std::uint32_t>(slots);
    forest_.labels = LargeArray<PickNumber>(labels_ ? slots : 0);
    team_.for_each(count, 1, control_, [&](int thread, Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        fill(forest_.trees[at(i)], work[at(i)], thread);
      }
    });
    control_.throw_if_stopped();
    return std::move(forest_);
  }

 private:
  // A tree being made.
  struct Work {
    std::vector<Range> buckets;
    Slot slots = 0;
    Slot first_slot = 0;
  };
  struct Box {
    std::array<T, D> lower;
    std::array<T, D> upper;
  };

  void read(BucketKernels<T>::Widen widen) {
    records_ = LargeArray<Point>(at(points_.rows));
    team_.for_each(points_.rows, tuning::kRowsPerTask, control_, [&](int, Index begin, Index end) {
      points_.for_each_run(begin, end, [&](Index first, Index last, std::ptrdiff_t row_stride) {
        widen(points_.row(first), row_stride, last - first, D,
              reinterpret_cast<std::byte*>(records_.data() + first), sizeof(Point));
      });
      for (Index i = begin; i < end; ++i) {
        records_[at(i)].row = static_cast<std::uint32_t>(i);
      }
    });
    control_.throw_if_stopped();
  }

  // True when the call shall stop. Cheap enough for every few thousand points.
  bool stop(int thread) const { return thread == 0 ? control_.poll() : control_.stopped(); }

  Box box_of(Range range) const {
    Box box;
    std::copy_n(records_[at(range.begin)].x, D, box.lower.begin());
    box.upper = box.lower;
    for (Index i = range.begin; i < range.end; ++i) {
      for (std::size_t j = 0; j < D; ++j) {
        const T x = records_[at(i)].x[j];
        box.lower[j] = x < box.lower[j] ? x : box.lower[j];
        box.upper[j] = x > box.upper[j] ? x : box.upper[j];
      }
    }
    return box;
  }

  static std::pair<std::size_t, double> widest(const Box& box) {
    std::pair<std::size_t, double> result = {0, 0.0};
    for (std::size_t j = 0; j < D; ++j) {
      const double width = static_cast<double>(box.upper[j]) - static_cast<double>(box.lower[j]);
      if (width > result.second) {
        result = {j, width};
      }
    }
    return result;
  }

  // Two ranges, neither of them empty. `range` has at least two points.
  std::pair<Range, Range> split(Range range, int thread) {
    std::array<T, kSample> sample;
    const Index size = range.size();
    const Index samples = std::min(size, size >= kLarge ? Index{kSample} : Index{kSmallSample});
    const auto record = [&](Index s) { return range.begin + (2 * s + 1) * size / (2 * samples); };
    Box box;
    std::copy_n(records_[at(record(0))].x, D, box.lower.begin());
    box.upper = box.lower;
    for (Index s = 1; s < samples; ++s) {
      const T* x = records_[at(record(s))].x;
      for (std::size_t j = 0; j < D; ++j) {
        box.lower[j] = std::min(box.lower[j], x[j]);
        box.upper[j] = std::max(box.upper[j], x[j]);
      }
    }
    auto [dimension, width] = widest(box);
    if (width > 0.0) {
      for (Index s = 0; s < samples; ++s) {
        sample[at(s)] = records_[at(record(s))].x[dimension];
      }
      const auto end = sample.begin() + samples;
      const auto middle = sample.begin() + samples / 2;
      std::nth_element(sample.begin(), middle, end);
      T pivot = *middle;
      if (pivot == box.lower[dimension]) {
        // The next larger one: then both sides hold a point of the sample.
        pivot = box.upper[dimension];
        for (Index s = 0; s < samples; ++s) {
          if (sample[at(s)] > box.lower[dimension] && sample[at(s)] < pivot) {
            pivot = sample[at(s)];
          }
        }
      }
      return partition(range, dimension, pivot, thread);
    }
    // All of the sample are equal; perhaps not all of the range.
    box = box_of(range);
    std::tie(dimension, width) = widest(box);
    if (width > 0.0) {
      const auto lower = static_cast<double>(box.lower[dimension]);
      const auto middle = static_cast<T>(lower + width / 2);
      const T pivot =
          middle > box.lower[dimension] && middle <= box.upper[dimension] ? middle : box.upper[dimension];
      return partition(range, dimension, pivot, thread);
    }
    const Index middle = range.begin + size / 2;
    return {{range.begin, middle}, {middle, range.end}};
  }

  // Points below the pivot to the front, both parts in their old order. No branch depends on a point.
  std::pair<Range, Range> partition(Range range, std::size_t dimension, T pivot, int thread) {
    Point* left = records_.data() + range.begin;
    Point* right = spare_.data() + range.begin;
    for (Index begin = range.begin; begin < range.end && !stop(thread); begin += kChunk) {
      const Index end = std::min(begin + kChunk, range.end);
      for (Index i = begin; i < end; ++i) {
        const Point point = records_[at(i)];
        const bool below = point.x[dimension] < pivot;
        *left = point;
        *right = point;
        left += below ? 1 : 0;
        right += below ? 0 : 1;
      }
    }
    const Index middle = left - records_.data();
    std::copy(spare_.data() + range.begin, right, left);
    return {{range.begin, middle}, {middle, range.end}};
  }

  // The children of `quad`; returns the depth below it.
  // NOLINTNEXTLINE(misc-no-recursion): as deep as the tree
  int divide(Range range, std::size_t quad, Tree& tree, Work& work, int thread) {
    std::array<Range, kQuad> children;
    int count = 1;
    children[0] = range;
    for (int round = 0; round < 2; ++round) {
      for (int c = count - 1; c >= 0; --c) {
        const Range child = children[at(c)];
        if (child.size() > tuning::kBucketPoints) {
          std::tie(children[at(c)], children[at(count)]) = split(child, thread);
          ++count;
        }
      }
      if (control_.stopped()) {
        return 0;
      }
    }
    int depth = 1;
    for (int c = 0; c < kQuad; ++c) {
      const Range child = c < count ? children[at(c)] : Range{0, 0};
      auto& node = tree.quads[quad];
      node.largest[c] = c < count ? std::numeric_limits<T>::infinity() : T{kTakenSlot};
      node.slot[c] = 0;
      node.slots[c] = 0;
      if (child.size() > tuning::kBucketPoints) {
        const std::size_t below = tree.quads.size();
        node.begin[c] = static_cast<Slot>(below);
        tree.quads.emplace_back();
        depth = std::max(depth, 1 + divide(child, below, tree, work, thread));
      } else {
        node.begin[c] = static_cast<Slot>(work.buckets.size());
        node.slots[c] = static_cast<Slot>((child.size() + kBucketLanes - 1) / kBucketLanes * kBucketLanes);
        work.slots += node.slots[c];
        work.buckets.push_back(child);
      }
    }
    return depth;
  }

  // Copies the points to their slots and finds the boxes, from the buckets up.
  void fill(Tree& tree, const Work& work, int thread) {
    tree.boxes.resize(tree.quads.size() * 2 * D * kQuad);
    tree.pending.resize(tree.quads.size() * kQuad);
    Slot next = work.first_slot;
    // A quad comes after its parent: backwards, the boxes of children are there before they are asked for.
    for (std::size_t q = tree.quads.size(); q-- > 0;) {
      if (q % 64 == 0 && stop(thread)) {
        return;
      }
      auto& quad = tree.quads[q];
      T* boxes = tree.boxes.data() + q * 2 * D * kQuad;
      for (int c = 0; c < kQuad; ++c) {
        Box box = {};
        if (quad.slots[c] > 0) {
          const Range range = work.buckets[quad.begin[c]];
          quad.begin[c] = next;
          next += quad.slots[c];
          quad.slot[c] = quad.begin[c];
          fill_bucket(quad.begin[c], quad.slots[c], range);
          box = box_of(range);
        } else if (quad.largest[c] > T{kTakenSlot}) {
          box = box_below(tree, quad.begin[c]);
        }
        for (std::size_t j = 0; j < D; ++j) {
          boxes[j * kQuad + static_cast<std::size_t>(c)] = box.lower[j];
          boxes[(D + j) * kQuad + static_cast<std::size_t>(c)] = box.upper[j];
        }
      }
    }
  }

  static Box box_below(const Tree& tree, Slot q) {
    const T* boxes = tree.boxes.data() + static_cast<std::size_t>(q) * 2 * D * kQuad;
    Box box;
    for (std::size_t j = 0; j < D; ++j) {
      box.lower[j] = boxes[j * kQuad];
      box.upper[j] = boxes[(D + j) * kQuad];
      for (std::size_t c = 1; c < kQuad && tree.quads[q].largest[c] > T{kTakenSlot}; ++c) {
        box.lower[j] = std::min(box.lower[j], boxes[j * kQuad + c]);
        box.upper[j] = std::max(box.upper[j], boxes[(D + j) * kQuad + c]);
      }
    }
    return box;
  }

  void fill_bucket(Slot first, Slot slots, Range range) {
    T* coordinates = forest_.coordinates_of(first);
    T* values = forest_.values.data() + first;
    for (Slot s = 0; s < slots; ++s) {
      const bool real = s < range.size();
      const Point& point = records_[at(range.begin + (real ? s : 0))];
      for (std::size_t j = 0; j < D; ++j) {
        coordinates[j * slots + s] = point.x[j];
      }
      const bool taken = !real || (!taken_.empty() && taken_[point.row]);
      values[s] = taken ? T{kTakenSlot} : std::numeric_limits<T>::infinity();
      forest_.rows[first + s] = real ? point.row : kNoRow;
      if (labels_) {
        forest_.labels[first + s] = 0;
      }
    }
  }

  // Sampled to find a split: from kLarge points on, kSample of them.
  static constexpr std::size_t kSample = 127;
  static constexpr std::size_t kSmallSample = 15;
  static constexpr Index kLarge = 4096;
  static constexpr Index kChunk = 65536;  // points between two looks at the stop flag

  const MatrixView& points_;
  const std::vector<bool>& taken_;
  bool labels_;
  ThreadTeam& team_;
  Control& control_;
  LargeArray<Point> records_;
  LargeArray<Point> spare_;
  BucketForest<T> forest_;
};

template <class T, int D>
BucketForest<T> build(const MatrixView& points, const std::vector<bool>& taken, bool labels, int trees,
                      const BucketKernels<T>& kernels, ThreadTeam& team, Control& control) {
  return Builder<T, D>(points, taken, labels, team, control)
      .build(trees, kernels.widen[static_cast<std::size_t>(points.type)]);
}

}  // namespace

template <>
const BucketKernels<float>& bucket_kernels<float>(SimdLevel level) {
  switch (level) {
#if defined(FARPOINT_X86_LEVELS)
    case SimdLevel::avx512vnni:
    case SimdLevel::avx512:
      return avx512::bucket_kernels_float();
    case SimdLevel::avxvnni:
    case SimdLevel::avx2:
      return avx2::bucket_kernels_float();
#endif
    default:
      return baseline::bucket_kernels_float();
  }
}

template <>
const BucketKernels<double>& bucket_kernels<double>(SimdLevel level) {
  switch (level) {
#if defined(FARPOINT_X86_LEVELS)
    case SimdLevel::avx512vnni:
    case SimdLevel::avx512:
      return avx512::bucket_kernels_double();
    case SimdLevel::avxvnni:
    case SimdLevel::avx2:
      return avx2::bucket_kernels_double();
#endif
    default:
      return baseline::bucket_kernels_double();
  }
}

template <class T>
BucketForest<T> build_bucket_forest(const MatrixView& points, const std::vector<bool>& taken, bool labels,
                                    int trees, const BucketKernels<T>& kernels, ThreadTeam& team,
                                    Control& control) {
  constexpr decltype(&build<T, 1>) kBuild[kBucketMaxDimension] = {
      build<T, 1>, build<T, 2>, build<T, 3>, build<T, 4>, build<T, 5>, build<T, 6>, build<T, 7>, build<T, 8>};
  return kBuild[points.columns - 1](points, taken, labels, trees, kernels, team, control);
}

template BucketForest<float> build_bucket_forest(const MatrixView&, const std::vector<bool>&, bool, int,
                                                 const BucketKernels<float>&, ThreadTeam&, Control&);
template BucketForest<double> build_bucket_forest(const MatrixView&, const std::vector<bool>&, bool, int,
                                                  const BucketKernels<double>&, ThreadTeam&, Control&);

}  // namespace farpoint::cpu
