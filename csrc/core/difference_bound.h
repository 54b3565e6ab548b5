// The screen's certificate for manhattan and chebyshev: when may a (point, pick) pair be skipped?
//
// |.| is the metric's norm: the sum or the largest of the absolute elements of a row of d columns. A row x is
// packed as x' = float32(m (x - c)), m a power of two for all rows, c any centre (core/packing.h). Write D
// for m |x - y|, D' for |x' - y'|, u = 2^-24 (float32's unit roundoff), and S for what the screening kernel
// finds in place of D' in float32. Then:
//
//  1. sums. Every difference of packed elements is rounded once, and where it is subnormal not at all (as
//     long as subnormal numbers are not flushed to zero, which nothing here asks for). For manhattan the d
//     terms, none negative, are added in any order, d - 1 roundings at most on the way of each:
//     S <= D' (1 + u)^d, so D' >= S (1 - gamma) with gamma = d u / (1 - d u). A maximum is not rounded: for
//     chebyshev gamma = u / (1 - u).
//  2. packing. x - c is rounded once in float64 and once to float32, so |x'_j - m (x_j - c_j)| is at most
//     (u + 2^-50)(1 + 2u) |x'_j| + 2^-149, the last where the result is subnormal. With nx the sum of
//     squares of x', |x'| is at most sqrt(nx) for chebyshev and sqrt(d nx) for manhattan. So
//     D >= D' - e_x - e_y with e_x = 1.01 u sqrt(k nx) + k 2^-149, k = 1 or d. nx is summed in float64, in
//     whose range the squares of float32 are: what it lacks the 1.01 holds.
//  3. refinement. The contract's float64 total is m^-1 D (1 +- (d + 2) 2^-53); rounding to a stored value is
//     monotone, so a total of at least v (a stored value) cannot round below v.
//  4. the test itself: A and B below are rounded down to float32, and their sum is rounded once more, by a
//     factor of 1 +- u (or not at all where it is subnormal).
//
// Together: the canonical value is at least v whenever
//     -S <= A + B,   A = -(v' + e_x)(1 + h) / (1 - gamma),   B = -e_y (1 + h) / (1 - gamma),
// v' = v in packed units and h = 2^-21, eight u, of which 3 and 4 take less than two. Unlike the bound of
// products (core/bounds.h) the error shrinks with the distance, all but e_x + e_y: pairs survive in vain only
// where distances are near v by a factor of 1 + gamma, or where v is below some 2^-22 of the rows' norms.
//
// The screen of bytes knows more exactly less: a packed row is coded as x' = s q + rest, s one step for all
// rows, q whole numbers (cpu/bytes.inl).
//
//  5. bytes. By the triangle inequality D' >= s |q_x - q_y| - r_x - r_y, r_x = |rest| of x. |q_x - q_y| is
//     found exactly and is a float32: it is at most 255 d, and d at most 2^16 - 1. r_x is measured in float64
//     to a relative error of (d + 2) 2^-53. So in place of e_x there is e_x + r_x (1 + 2^-30), gamma is 0,
//     and A and B are divided by s: the test compares with |q_x - q_y|. Nothing underflows, for s is at
//     least 2^-100.
#pragma once

#include <cmath>
#include <limits>

#include "core/rounding.h"
#include "core/types.h"

namespace farpoint {

class DifferenceBound {
 public:
  // Lets every pair through.
  DifferenceBound() = default;
  // For Metric::manhattan and Metric::chebyshev. value_to_packed: v' = v * value_to_packed.
  static DifferenceBound of_floats(Metric metric, Index dimension, double value_to_packed) {
    const double rounding = terms(metric, dimension) * 0x1p-24;
    // Beyond 2^22 columns gamma says nothing: every pair is refined.
    return {terms(metric, dimension), value_to_packed, 1.0 - rounding / (1.0 - rounding), rounding < 0.25};
  }
  static DifferenceBound of_bytes(Metric metric, Index dimension, double value_to_packed, double step) {
    return {terms(metric, dimension), value_to_packed, step, dimension < Index{1} << 16};
  }

  bool usable() const { return usable_; }

  // What a row whose packed row has squared norm nx adds to the error: e_x, and r_x of bytes.
  double error(double nx, double rest = 0.0) const {
    return 1.01 * 0x1p-24 * std::sqrt(terms_ * nx) + terms_ * 0x1p-149 + rest * (1.0 + 0x1p-30);
  }

  // A of a point with that error whose distance so far is `value`. +infinity never survives the test,
  // -infinity always does.
  float point_bias(double error, double value) const {
    if (value <= 0.0) {
      return kFloatInfinity;  // no distance is below 0
    }
    if (!usable_ || value == kInfinity) {
      return -kFloatInfinity;
    }
    return round_down(-(value * value_to_packed_ + error) * widen_);
  }

  // B of a pick (or of any row of the other side) with that error.
  float pick_bias(double error) const { return round_down(-error * widen_); }

 private:
  static constexpr float kFloatInfinity = std::numeric_limits<float>::infinity();

  DifferenceBound(double terms, double value_to_packed, double shrink, bool usable)
      : value_to_packed_(value_to_packed), terms_(terms), widen_((1.0 + 0x1p-21) / shrink), usable_(usable) {}

  static double terms(Metric metric, Index dimension) {
    return metric == Metric::manhattan ? static_cast<double>(dimension) : 1.0;
  }

  double value_to_packed_ = 1.0;
  double terms_ = 1.0;  // k of step 2
  double widen_ = 1.0;  // (1 + h) / (1 - gamma), or (1 + h) / s
  bool usable_ = false;
};

}  // namespace farpoint
