// One pass over a matrix: is every element finite, how large do they get, is a row zero?
#pragma once

#include "core/control.h"
#include "core/types.h"
#include "cpu/simd_level.h"

namespace farpoint::cpu {

struct Scan {
  Index first_bad_row = -1;         // holds NaN or an infinity; -1: none
  Index first_zero_row = -1;        // -1: none
  double largest = 0;               // |element| over the matrix (finite rows only)
  double smallest_row = kInfinity;  // smallest row maximum of |element| that is not 0
};

Scan scan(const MatrixView& matrix, int threads, SimdLevel level, Control& control);

}  // namespace farpoint::cpu
