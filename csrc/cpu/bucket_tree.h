// Points of low dimension in buckets: a tree of bounding boxes over small sets of neighbouring points.
//
// A box of more than tuning::kBucketPoints points is split at the median of its widest dimension (of a
// sample), twice, so that a node has up to four children: a quad, whose boxes are tested together. What is
// not split is a bucket; its points lie together, by coordinate (bucket_kernels.h), rows rising. Equal
// points are split by row number, so that no bucket is larger. A call's points are in several trees when
// several threads share them.
//
// Any tree gives the same selection: the splits decide about speed alone.
//
// Memory: the trees hold a copy of the points, for what lies together must be together: a point takes d + 1 T
// and 4 bytes (4 more for labels), a tenth of that as padding, and boxes and pending picks about 4 d T / 96
// and 3 bytes. While they are built, another d T and 4 bytes a point, and as much again for the splits, which
// is given back before the first is asked for. With 3 columns of float32: 24 bytes a point, 40 at the peak;
// the rows themselves are 12. A pick takes 8 d bytes.
#pragma once

#include <vector>

#include "core/control.h"
#include "core/tuning.h"
#include "core/types.h"
#include "cpu/bucket_kernels.h"
#include "cpu/large_array.h"
#include "cpu/simd_level.h"
#include "cpu/thread_team.h"

namespace farpoint::cpu {

using Slot = std::uint32_t;

// A point whose value is this is taken: picked, kept away from, or no point at all.
inline constexpr int kTakenSlot = -1;
// The row of a slot without a point.
inline constexpr std::uint32_t kNoRow = 0xffffffff;

template <class T>
struct BucketTree {
  struct Quad {
    T largest[kQuad];   // of the values of child c; kTakenSlot if there is none
    Slot slot[kQuad];   // which has it: the lowest row among equals
    Slot begin[kQuad];  // a bucket's first slot, or the number of a quad
    Slot slots[kQuad];  // of a bucket; 0: the child is a quad, or missing
  };

  // Picks that a child may have to meet, but has not. They wait until its largest value, which is then an
  // upper bound, matters. A cache line.
  struct Pending {
    std::uint32_t count;
    PickNumber picks[tuning::kBucketPending];
  };

  const T* boxes_of(std::size_t quad, Index dimension) const {
    return boxes.data() + static_cast<Index>(quad) * dimension * 2 * kQuad;
  }

  std::vector<Quad> quads;  // the first is the root
  std::vector<T> boxes;
  std::vector<Pending> pending;  // kQuad of each quad
  int depth = 0;                 // quads from the root down to the deepest bucket
};

template <class T>
struct BucketForest {
  T* coordinates_of(Slot begin) { return coordinates.data() + static_cast<Index>(begin) * dimension; }

  Index dimension = 0;
  std::vector<BucketTree<T>> trees;
  // By slot; buckets begin at multiples of kBucketLanes.
  LargeArray<T> coordinates;
  LargeArray<T> values;
  LargeArray<std::uint32_t> rows;
  LargeArray<PickNumber> labels;  // empty unless asked for
};

template <class T>
const BucketKernels<T>& bucket_kernels(SimdLevel level);

// At most `trees` trees over the rows of `points` (at most kBucketMaxDimension columns, fewer than 2^32
// rows), all values infinity, but for `taken` rows. Throws Interrupted.
template <class T>
BucketForest<T> build_bucket_forest(const MatrixView& points, const std::vector<bool>& taken, bool labels,
                                    int trees, const BucketKernels<T>& kernels, ThreadTeam& team,
                                    Control& control);

}  // namespace farpoint::cpu
