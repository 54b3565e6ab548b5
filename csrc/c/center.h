// The row nearest the mean of all rows: where a selection with FARPOINT_START_CENTER starts. The twin of
// python/farpoint/_start.py, to the bit.
#pragma once

#include <vector>

#include "c/matrices.h"
#include "c/metrics.h"
#include "core/control.h"
#include "core/types.h"
#include "cpu/simd_level.h"

namespace farpoint::c {

// Of the rows that `may_be`; ties to the lowest. `points` is that of the frame.
Index center_row(const MatrixView& points, const Frame& frame, const Metric& metric, cpu::SimdLevel level,
                 const std::vector<bool>& may_be, Control& control);

}  // namespace farpoint::c
