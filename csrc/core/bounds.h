// The screen's certificate: when may a (point, pick) pair be skipped without looking closer?
//
// A row x is packed as x' = float32(m (x - c)): c is any centre, m the row's multiplier. For
// squared distances m is one power of two for all rows (so that nothing overflows); for cosine
// distances m = 1 / |x| and c is subtracted after it, so that |x^ - y^|^2 = 2 (1 - cos). Write D
// for the true squared distance in packed units (m^2 |x - y|^2, or |x^ - y^|^2), D' = |x' - y'|^2,
// nx = |x'|^2, ny = |y'|^2, u = 2^-24 (float32's unit roundoff), and dot for the float32 inner
// product that the screening kernel returns. Then:
//
//  1. dot. However the kernel orders, fuses or splits its d products and sums,
//     |dot - x'.y'| <= gamma |x'| |y'| <= gamma (nx + ny) / 2 with gamma = d u / (1 - d u)
//     (Higham, Accuracy and Stability, section 3.1, and Cauchy-Schwarz), plus d 2^-149 where
//     products underflow. So nx + ny - 2 dot <= D' + gamma (nx + ny) + d 2^-148.
//  2. packing. x - c is rounded once in float64 and once to float32 (m is exact, or costs two more
//     float64 roundings), so |x' - m (x - c)| <= (u + 2^-50) |x'| (1 + 2u) + e, where e covers
//     subnormal results, sqrt(d) 2^-149, and for cosine the rounding of x^ before c is taken
//     away, 2^-50. By the triangle inequality sqrt(D) >= sqrt(D') - r, r the sum of both rows'
//     errors, and sqrt(D') <= |x'| + |y'| =: s, so D >= D' - 2 r s, and with s^2 <= 2 (nx + ny):
//     2 r s <= 2 (u + 2^-50)(1 + 2u) s^2 + 4 e s <= (4 u + 2^-45)(nx + ny) + 4 e s.
//     With 4 e s <= 4 e (1 + nx + ny) (s <= 1 + s^2 / 4 <= 1 + (nx + ny) / 2) everything is
//     proportional to (nx + ny), but for an absolute term 4 e.
//  3. norms. nx and ny are summed in float64: relative error below (d + 2) 2^-53 <= u / 4 for d <= 2^26.
//  4. refinement. The contract's float64 total differs from the true one by less than a factor
//     1 +- (d + 8) 2^-53; rounding to float32 is monotone, so a total of at least v (a stored value)
//     cannot round below v. For cosine the absolute error of 1 - x.y / sqrt(x.x y.y) is below
//     (d + 16) 2^-52.
//  5. the test itself: half the sums below are rounded down to float32 and added in float32: two more u
//     on (nx + ny) / 2 + v / 2.
//
// Together: the canonical value is at least v whenever
//     dot <= A + B,   A = (nx (1 - g) - v' (1 + h) - a) / 2,   B = ny (1 - g) / 2,
//     g = gamma + 16 u,  h = 2^-21,  a = the absolute terms, v' = v in packed units,
// g and h being a few times what 1 to 5 ask for: the slack costs survivors only where radii are below
// g |x'|^2. The test separates into a number a point and a number a pick, and is one comparison.
//
// The coarse screen does not know x'.y' but bounds it from above. A row is coded as
//     Q x' = s q + rest,   |s q| <= a,   |rest| <= r,
// q whole numbers, Q a matrix of h orthonormal rows up to |Q Q^T - 1| <= e (the identity with e = 0, or a
// basis that holds most of the data's spread; cpu/head.h). Then:
//
//  6. codes. (Q x').(Q y') = s_x s_y q_x.q_y + (s_x q_x).rest_y + rest_x.(Q y')
//     <= s_x s_y q_x.q_y + a_x r_y + r_x (a_y + r_y), by Cauchy-Schwarz; q_x.q_y is exact in 32 bits.
//  7. tails. Let P = Q^T (Q Q^T)^-1 Q project on the rows of Q. x'.y' = Px'.Py' + (x'-Px').(y'-Py'), and
//     Px'.Py' = Qx'.(Q Q^T)^-1 Qy' differs from Qx'.Qy' by at most e / (1 - e) |Qx'| |Qy'|
//     <= 2 e |x'| |y'| <= e (nx + ny) for e < 1/4. The other product is at most t_x t_y with
//     t_x^2 >= nx - |Px'|^2, for which |Px'|^2 >= |Qx'|^2 (1 - e).
//  8. rounding of the test. It adds six float32 terms, each at most 2 (nx + ny) + a few e: their
//     roundings are below 48 u (nx + ny); underflow, scaled by q_x.q_y <= 2^14 d, is below d 2^-130.
//
//  9. prefixes. The first p of the h coordinates are a screen of their own. Q_p, the first p rows of Q, is as
//     near orthonormal as Q: Q_p Q_p^T - 1 is a principal block of Q Q^T - 1, so its norm is at most e; and
//     the rotation's error in p coordinates is at most that in all h. The first p whole numbers with the
//     scale s of the row are a code of Q_p x'. So 6 to 8 hold as they stand with a, r and t of the prefix: |s
//     q| and |rest| over p coordinates, and t_x^2 >= nx - |Q_p x'|^2 (1 - e). Larger a, r and t only raise
//     the bound, so they may be kept rounded up to 16 bits (cpu/codes.h).
//
// So x'.y' <= the sum of 6 and 7 with errors that g = 112 u + 16 u + 4 e covers (half of g (nx + ny) is taken
// off on the other side), and the test is: skip when
//     s_x s_y q_x.q_y + a_x r_y + r_x (a_y + r_y) + t_x t_y - B <= A.
#pragma once

#include <cmath>
#include <limits>

#include "core/rounding.h"
#include "core/types.h"

namespace farpoint {

class ScreenBound {
 public:
  // Lets every pair through.
  ScreenBound() = default;
  // value_to_packed: v' = v * value_to_packed (2^-T for squared distances, 2 for cosine).
  static ScreenBound of_floats(Metric metric, Index dimension, double value_to_packed) {
    const double du = static_cast<double>(dimension) * 0x1p-24;
    // Beyond 2^22 columns gamma says nothing: every pair is refined.
    return {metric, dimension, value_to_packed, du / (1.0 - du), du < 0.25};
  }
  // basis_error: e of step 7.
  static ScreenBound of_codes(Metric metric, Index dimension, double value_to_packed, double basis_error) {
    return {metric, dimension, value_to_packed, 112 * 0x1p-24 + 4 * basis_error,
            dimension <= kMaxCodeColumns && basis_error < 0.25};
  }
  // Inner products of more columns of codes might leave 32 bits (cpu/code.inl).
  static constexpr Index kMaxCodeColumns = Index{1} << 16;

  bool usable() const { return usable_; }
  // The stored value that a packed squared distance stands for, roughly.
  double value_of_packed(double squared) const { return squared / value_to_packed_; }

  // A of a point whose packed row has squared norm nx (or a little less) and whose distance so far is
  // `value`. +infinity never survives the test, -infinity always does.
  FARPOINT_HOST_DEVICE float point_bias(double nx, double value) const {
    if (value <= 0.0) {
      return kFloatInfinity;  // no distance is below 0
    }
    if (!usable_ || value == kInfinity) {
      return -kFloatInfinity;
    }
    const double v = value * value_to_packed_;
    return round_down(0.5 * (nx * shrink_ - v * (1.0 + 0x1p-21) - absolute_));
  }

  // B of a pick (or of any row of the other side) with squared norm ny.
  FARPOINT_HOST_DEVICE float pick_bias(double ny) const { return round_down(0.5 * ny * shrink_); }

 private:
  static constexpr float kFloatInfinity = std::numeric_limits<float>::infinity();

  ScreenBound(Metric metric, Index dimension, double value_to_packed, double product_error, bool usable)
      : value_to_packed_(value_to_packed), shrink_(1.0 - (product_error + 16 * 0x1p-24)), usable_(usable) {
    const auto d = static_cast<double>(dimension);
    absolute_ = 16.0 * (std::sqrt(d) + d) * 0x1p-149 + d * 0x1p-130;
    if (metric == Metric::cosine) {
      absolute_ += 0x1p-44 + d * 0x1p-50;
    }
  }

  double value_to_packed_ = 1.0;
  double shrink_ = 1.0;
  double absolute_ = 0.0;
  bool usable_ = false;
};

}  // namespace farpoint
