// Farthest-point selection on a device: the stages of core/select.h, twins of those in csrc/cpu/ by file
// name.
#pragma once

#include <span>

#include "core/control.h"
#include "core/select.h"
#include "core/types.h"
#include "cuda/device.h"

namespace farpoint::cuda {

struct SelectProblem {
  Matrix points;
  Metric metric = Metric::squared_euclidean;
  double scale = 1.0;               // the contract's power of two
  double largest = 1.0;             // upper bound of |element| over points and anchors
  std::span<const Index> selected;  // rows of points kept away from and never returned; no duplicates
  Matrix anchors;                   // rows kept away from; no rows: none
  SelectRequest request;
  DeviceOptions options;
};

// Throws Interrupted when `control` says so, Error when the device does. The problem has been validated.
SelectResult select(const SelectProblem& problem, Control& control);

}  // namespace farpoint::cuda
