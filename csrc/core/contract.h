// The numerical contract: what a distance is, to the bit (docs/contract.md is the long form).
//
//   squared distance   total = sum over 16 accumulators of (x_j - y_j)^2 in float64, element j in
//                      accumulator j mod 16, rising j; then the halving sums
//                      a[l] + a[l+8], a[l] + a[l+4], a[l] + a[l+2], a[l] + a[l+1]
//   manhattan          the same, of |x_j - y_j|
//   chebyshev          total = the largest |x_j - y_j| in float64
//   stored value       float64 elements: total;  all others: float32(total * scale)
//   cosine distance    c = 1 - x.y / sqrt(x.x * y.y), not below 0; the three products by the same
//                      accumulators; float64 elements: c, all others: float32(c)
//
//   packed bits        x.y = bits set in both rows, a whole number; hamming x.x + y.y - 2 x.y, exact;
//                      jaccard 1 - x.y / (x.x + y.y - x.y), 0 where both rows are empty; not rounded further
//
// Every operation is rounded by itself: this project is compiled with -ffp-contract=off, but for
// the screening kernels, on whose bits no result depends.
//
// `scale` is a power of two that the caller chooses from the largest element (_preparing.py), so
// that distances stay inside float32's range whatever the unit of the data. Multiplying
// by it is exact, and so is taking it out again.
//
// Stored values travel through the engine as float64: every float32 is one, comparisons are the
// same, and one engine serves all element types.
#pragma once

#include <cmath>

#include "core/types.h"

namespace farpoint {

inline constexpr int kAccumulators = 16;

// Sum of the 16 accumulators in the contract's halving order. Leaves `a` overwritten.
inline double halving_sum(double (&a)[kAccumulators]) {
  for (int width = kAccumulators / 2; width >= 1; width /= 2) {
    for (int lane = 0; lane < width; ++lane) {
      a[lane] += a[lane + width];
    }
  }
  return a[0];
}

FARPOINT_HOST_DEVICE inline double stored_value(double value, ElementType type) {
  return type == ElementType::float64 ? value : static_cast<double>(static_cast<float>(value));
}

// Of squared distances, and of manhattan and chebyshev.
FARPOINT_HOST_DEVICE inline double scaled_value(double total, double scale, ElementType type) {
  return stored_value(total * scale, type);
}

// Rounding can leave 1 - x.y / sqrt(x.x * y.y) a few 2^-53 below zero for parallel rows.
FARPOINT_HOST_DEVICE inline double cosine_value(double dot, double x_dot_x, double y_dot_y,
                                                ElementType type) {
  const double distance = 1.0 - dot / std::sqrt(x_dot_x * y_dot_y);
  return stored_value(distance > 0.0 ? distance : 0.0, type);
}

// Whole numbers below 2^53: exact.
FARPOINT_HOST_DEVICE inline double hamming_value(double dot, double x_dot_x, double y_dot_y) {
  return x_dot_x + y_dot_y - 2.0 * dot;
}

FARPOINT_HOST_DEVICE inline double jaccard_value(double dot, double x_dot_x, double y_dot_y) {
  const double either = x_dot_x + y_dot_y - dot;
  return either > 0.0 ? 1.0 - dot / either : 0.0;
}

}  // namespace farpoint
