// One pass over a matrix: is every element finite, how large do they get, is a row zero?
#pragma once

#include "core/control.h"
#include "core/distances.h"
#include "core/types.h"
#include "cpu/simd_level.h"

namespace farpoint::cpu {

Scan scan(const MatrixView& matrix, int threads, SimdLevel level, Control& control);

}  // namespace farpoint::cpu
