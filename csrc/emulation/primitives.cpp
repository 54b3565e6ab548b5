// cuda/primitives.h as loops: CUB needs a device.

#include "cuda/primitives.h"

#include <algorithm>
#include <vector>

namespace farpoint::cuda {

Index Primitives::admitted(const double* values, Index size, const Threshold& threshold, Index* rows,
                           Control& control) {
  control.throw_if_stopped();
  const emulation::DeviceAccess access;
  Index count = 0;
  for (Index i = 0; i < size; ++i) {
    if (values[i] != kTaken && threshold.admits(values[i], i)) {
      rows[count++] = i;
    }
  }
  return count;
}

Index Primitives::filter(const Index* listed, Index count, const RowState& state, const Threshold& threshold,
                         Index picks, Keep keep, Index* rows, Control& control) {
  control.throw_if_stopped();
  const emulation::DeviceAccess access;
  return std::copy_if(listed, listed + count, rows,
                      [&](Index row) {
                        return threshold.admits(state.values[row], row) &&
                               (state.progress[row] == picks) == (keep == Keep::current);
                      }) -
         rows;
}

void Primitives::order_by_progress(Index* rows, Index count, const std::int32_t* progress, Index /*picks*/) {
  const emulation::DeviceAccess access;
  std::stable_sort(rows, rows + count, [&](Index a, Index b) { return progress[a] < progress[b]; });
}

double Primitives::largest(const double* values, Index size, Control& control) {
  control.throw_if_stopped();
  const emulation::DeviceAccess access;
  return *std::max_element(values, values + size);
}

}  // namespace farpoint::cuda
