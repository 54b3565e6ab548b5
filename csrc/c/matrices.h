// The matrices of a call: checked, looked through, and brought into one frame. The twin of
// python/farpoint/_preparing.py.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "c/boundary.h"
#include "c/farpoint.h"
#include "c/metrics.h"
#include "c/run.h"
#include "core/control.h"
#include "core/errors.h"
#include "core/types.h"
#include "cpu/work_memory.h"

namespace farpoint::c {

// Refuses what is no matrix, or not one of packed bits where the metric takes these. `name` is what messages
// call it.
MatrixView check_matrix(const farpoint_matrix* given, const std::string& name, const Metric& metric);

// Refuses two matrices whose rows cannot be compared.
void check_same_kind(const MatrixView& first, const std::string& first_name, const MatrixView& other,
                     const std::string& other_name);

// What the engine is handed.
struct Frame {
  std::vector<MatrixView> matrices;
  std::vector<std::unique_ptr<double[]>> copies;  // that some of them borrow
  Unit unit;
  double scale = 1.0;    // the contract's power of two
  double largest = 0.0;  // upper bound of |element|
  Index copied = 0;      // bytes of the limit on memory that are taken
  cpu::MemoryOptions memory;

  // Does `work`, which the engine may refuse for the limit on memory. `purpose` completes "is too little
  // for".
  template <class Work>
  auto within_limit(const Run& run, const std::string& purpose, const Work& work) const {
    try {
      return work();
    } catch (const LimitTooSmall& small) {
      throw TooLittleMemory("memory_limit = " + std::to_string(run.memory.limit) +
                            " bytes is too little for " + purpose + ": at least " +
                            std::to_string(small.least() + copied) + " bytes are needed");
    }
  }
};

struct NamedMatrix {
  MatrixView view;
  std::string name;
};

// Refuses elements that are not finite, and zero rows where they have no distance. `held`: bytes of the limit
// on memory that were taken before.
Frame make_frame(std::span<const NamedMatrix> matrices, const Metric& metric, const Run& run, Index held,
                 Control& control);

// "12 rows of 3 columns", for messages.
std::string shape_text(const MatrixView& matrix);

}  // namespace farpoint::c
