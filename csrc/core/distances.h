// What the operations beside selection return, on every device.
#pragma once

#include "core/types.h"

namespace farpoint {

struct ClosestPair {
  double value = kInfinity;
  Index i = -1;
  Index j = -1;
};

// Of one pass over a matrix.
struct Scan {
  Index first_bad_row = -1;         // holds NaN or an infinity; -1: none
  Index first_zero_row = -1;        // -1: none
  double largest = 0;               // |element| over the matrix (finite rows only)
  double smallest_row = kInfinity;  // smallest row maximum of |element| that is not 0
};

}  // namespace farpoint
