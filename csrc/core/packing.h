// The units in which rows are packed for the screens (core/bounds.h, step 2). Powers of two, so exact.
#pragma once

#include <cmath>

#include "core/types.h"

namespace farpoint {

// What elements are multiplied by: the power of two that brings `largest` to [1/2, 1), so that nothing
// overflows; for cosine rows have length 1.
inline double packing_scale(Metric metric, double largest) {
  if (metric == Metric::cosine || !(largest > 0.0)) {
    return 1.0;
  }
  int exponent = 0;
  std::frexp(largest, &exponent);
  return std::ldexp(1.0, -exponent);
}

// v' = v * value_to_packed. Stored values are scale * |x - y|^2, packed ones packing_scale^2 * |x - y|^2; for
// manhattan and chebyshev the same without the squares.
inline double value_to_packed(Metric metric, double scale, double packing) {
  switch (metric) {
    case Metric::cosine:
      return 2.0;
    case Metric::manhattan:
    case Metric::chebyshev:
      return packing / scale;
    case Metric::squared_euclidean:
    case Metric::hamming:  // bits are never packed
    case Metric::jaccard:
      break;
  }
  return packing / scale * packing;
}

}  // namespace farpoint
