// Distances without selection: nearest rows, the closest pair, all pairs. The same screen and the same
// refinement as selection.
#pragma once

#include <span>

#include "core/control.h"
#include "core/distances.h"
#include "core/types.h"
#include "cpu/simd_level.h"
#include "cpu/work_memory.h"

namespace farpoint::cpu {

struct DistanceProblem {
  MatrixView x;
  MatrixView y;  // of x's element type and columns
  Metric metric = Metric::squared_euclidean;
  double scale = 1.0;
  double largest = 1.0;  // upper bound of |element| over both
  int threads = 1;
  SimdLevel level = SimdLevel::baseline;
  bool eager = false;  // for tests: tuning::kEagerSchedule
  MemoryOptions memory;
};

// For each row of x the stored value to, and number of, its nearest row of y; ties to the lowest.
void nearest(const DistanceProblem& problem, std::span<double> values, std::span<Index> indices,
             Control& control);

// The closest two rows of x (y is not read); ties to the lowest i, then the lowest j. At least two rows.
ClosestPair closest_pair(const DistanceProblem& problem, Control& control);

// values[i * y.rows + j]: stored values of all pairs.
void pairwise(const DistanceProblem& problem, std::span<double> values, Control& control);

}  // namespace farpoint::cpu
