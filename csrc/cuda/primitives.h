// Selections, orders and maxima over device arrays: CUB on a device, loops in the emulation
// (csrc/emulation/primitives.cpp).
#pragma once

#include "core/threshold.h"
#include "cuda/device.h"
#include "cuda/state.h"

namespace farpoint::cuda {

// Which of the listed rows.
enum class Keep { current, behind };  // rows that the threshold admits and have, or have not, seen all picks

class Primitives {
 public:
  explicit Primitives(const Device& device) : device_(&device), count_(1) {}

  // Rows 0 .. size - 1 that the threshold admits and are not taken, rising; returns how many.
  Index admitted(const double* values, Index size, const Threshold& threshold, Index* rows, Control& control);
  // Those of `listed` (in their order) to keep; returns how many. `rows` is another array.
  Index filter(const Index* listed, Index count, const RowState& state, const Threshold& threshold,
               Index picks, Keep keep, Index* rows, Control& control);
  // Orders `rows` by rising progress (below `picks`), rows of equal progress as they were.
  void order_by_progress(Index* rows, Index count, const std::int32_t* progress, Index picks);
  // The largest of values; -1 (taken) when all are taken.
  double largest(const double* values, Index size, Control& control);

 private:
  Index read_count(Control& control);
  std::byte* temporary(std::size_t bytes);

  const Device* device_;
  Buffer<Index> count_;
  Buffer<std::byte> temporary_;
  Buffer<Index> rows_;
  Buffer<std::int32_t> keys_[2];
  Buffer<double> largest_{1};
};

}  // namespace farpoint::cuda
