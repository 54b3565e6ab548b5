// Distances without selection, on a device: nearest rows, the closest pair, all pairs, and one pass over a
// matrix. Twins of csrc/cpu/distances.h and csrc/cpu/scan.h.
#pragma once

#include <span>

#include "core/control.h"
#include "core/distances.h"
#include "core/types.h"
#include "cuda/device.h"

namespace farpoint::cuda {

struct DistanceProblem {
  Matrix x;
  Matrix y;  // of x's element type and columns
  Metric metric = Metric::squared_euclidean;
  double scale = 1.0;
  double largest = 1.0;  // upper bound of |element| over both
  DeviceOptions options;
};

// For each row of x the stored value to, and number of, its nearest row of y; ties to the lowest. `values`
// and `indices` are host memory.
void nearest(const DistanceProblem& problem, std::span<double> values, std::span<Index> indices,
             Control& control);

// The closest two rows of x (y is not read); ties to the lowest i, then the lowest j. At least two rows.
ClosestPair closest_pair(const DistanceProblem& problem, Control& control);

// values[i * y.rows + j], in host memory: stored values of all pairs.
void pairwise(const DistanceProblem& problem, std::span<double> values, Control& control);

Scan scan(const Matrix& matrix, const DeviceOptions& options, Control& control);

}  // namespace farpoint::cuda
