// The rows of a problem as the kernels see them: packed for the screen, canonical for refinement.
//
// Owns what belongs to a row whatever the algorithm: the metric's per-row numbers, the centre, the
// scale. Works for one matrix (select) or two with a common frame (nearest).
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "core/bounds.h"
#include "core/contract.h"
#include "core/difference_bound.h"
#include "core/types.h"
#include "cpu/bit_kernels.h"
#include "cpu/kernels.h"
#include "cpu/simd_level.h"
#include "cpu/thread_team.h"
#include "cpu/work_memory.h"

namespace farpoint::cpu {

struct KernelSet {
  const ScreenKernels* screen = nullptr;
  const ByteKernels* bytes = nullptr;
  const CodeKernels* code = nullptr;
  const RefineKernels* refine = nullptr;
  const BitKernels* bits = nullptr;
};
KernelSet kernel_set(SimdLevel level);

// What all matrices of one call share: how rows are packed and how totals become stored values.
class Frame {
 public:
  // `scale`: the contract's power of two. `largest`: an upper bound of |element| over all matrices.
  Frame(const MatrixView& sample, Metric metric, double scale, double largest, SimdLevel level);

  Metric metric() const { return metric_; }
  // Whether distances are made of absolute differences rather than of products.
  bool differences() const { return metric_ == Metric::manhattan || metric_ == Metric::chebyshev; }
  Index dimension() const { return dimension_; }
  ElementType type() const { return type_; }
  const ScreenKernels& screen() const { return *kernels_.screen; }
  const CodeKernels& code() const { return *kernels_.code; }
  // What the float32 screen computes of pairs.
  const ScreenKernels::Screen& pair_screen() const { return *pair_screen_; }
  // What it compares that with: of a point at `value`, and of a pick (core/bounds.h,
  // core/difference_bound.h).
  float point_bias(double squared_norm, double value) const {
    return differences() ? difference_bound_.point_bias(difference_bound_.error(squared_norm), value)
                         : bound_.point_bias(squared_norm, value);
  }
  float pick_bias(double squared_norm) const {
    return differences() ? difference_bound_.pick_bias(difference_bound_.error(squared_norm))
                         : bound_.pick_bias(squared_norm);
  }
  const BitKernels& bits() const { return *kernels_.bits; }
  // The bound of rows that are coded in a basis with that error (core/bounds.h, step 7). Not usable for
  // metrics that are not inner products: their rows are never coded.
  ScreenBound code_bound(double basis_error) const {
    return differences() || counts_bits(metric_)
               ? ScreenBound()
               : ScreenBound::of_codes(metric_, dimension_, value_to_packed_, basis_error);
  }
  const ByteKernels& byte_kernels() const { return *kernels_.bytes; }
  // The bound of rows that are coded as bytes with that step (core/difference_bound.h, step 5).
  DifferenceBound byte_bound(double step) const {
    return DifferenceBound::of_bytes(metric_, dimension_, value_to_packed_, step);
  }
  int lanes() const { return kernels_.screen->lanes; }
  int tile_picks() const { return kernels_.screen->tile_picks; }
  Index group_floats() const { return dimension_ * lanes(); }

  // Rows of packed bits as words: how many, and a row's, padded with zeros.
  Index words() const {
    constexpr Index kWord = sizeof(std::uint64_t);
    return (dimension_ + kWord - 1) / kWord;
  }
  void copy_words(const std::byte* row, std::uint64_t* out) const {
    out[words() - 1] = 0;
    std::memcpy(out, row, static_cast<std::size_t>(dimension_));
  }

  double self_dot(const std::byte* x) const {
    if (counts_bits(metric_)) {
      return static_cast<double>(kernels_.bits->common(x, x, dimension_));
    }
    return kernels_.refine->dot[static_cast<int>(type_)](x, x, dimension_);
  }
  // Canonical stored value of a pair of packed bits of which so many are set in both, and in each.
  double bit_value(double common, double x_bits, double y_bits) const {
    return metric_ == Metric::hamming ? hamming_value(common, x_bits, y_bits)
                                      : jaccard_value(common, x_bits, y_bits);
  }
  // Canonical stored value of a pair; the self products matter where needs_self_dots() says so.
  double value(const std::byte* x, double x_dot_x, const std::byte* y, double y_dot_y) const;

  // Packs up to lanes() rows; `rows` and `self_dots` may be shorter than a group.
  void pack_group(std::span<const std::byte* const> rows, std::span<const double> self_dots, float* out,
                  std::vector<float>& scratch, double* squared_norms) const;
  double pack_row(const std::byte* row, double row_self_dot, float* out) const;

 private:
  double row_multiplier(double row_self_dot) const;

  KernelSet kernels_;
  Metric metric_;
  ElementType type_;
  const ScreenKernels::Screen* pair_screen_;
  RefineKernels::Pair pair_total_;
  Index dimension_;
  double scale_;
  double packing_scale_ = 1.0;  // a power of two, 1 for cosine
  double value_to_packed_;
  std::vector<double> centre_;
  ScreenBound bound_;                 // of metrics that are made of products
  DifferenceBound difference_bound_;  // of the others
};

// A matrix within a frame.
class Points {
 public:
  // The products of rows with themselves are in the plan of `memory` already.
  Points(const MatrixView& matrix, const Frame& frame, WorkMemory& memory, ThreadTeam& team,
         Control& control);

  const Frame& frame() const { return *frame_; }
  Index size() const { return matrix_.rows; }
  const std::byte* row(Index i) const { return matrix_.row(i); }
  // x.x where the metric needs it; else 0.
  double self_dot(Index i) const {
    return self_dots_.empty() ? 0.0 : self_dots_[static_cast<std::size_t>(i)];
  }

 private:
  MatrixView matrix_;
  const Frame* frame_;
  WorkArray<double> self_dots_;
};

}  // namespace farpoint::cpu
