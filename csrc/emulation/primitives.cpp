// cuda/primitives.h as loops: CUB needs a device.
// NOLINTBEGIN(readability-convert-member-functions-to-static): on a device they work with what the class
// holds.

#include "cuda/primitives.h"

#include <algorithm>
#include <utility>
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
  std::vector<std::pair<std::int32_t, Index>> keys;  // and places, so that equal keys keep their order
  keys.reserve(static_cast<std::size_t>(count));
  for (Index place = 0; place < count; ++place) {
    keys.emplace_back(progress[rows[place]], place);
  }
  std::ranges::sort(keys);
  const std::vector<Index> before(rows, rows + count);
  std::ranges::transform(keys, rows,
                         [&](const auto& key) { return before[static_cast<std::size_t>(key.second)]; });
}

double Primitives::largest(const double* values, Index size, Control& control) {
  control.throw_if_stopped();
  const emulation::DeviceAccess access;
  return *std::max_element(values, values + size);
}

}  // namespace farpoint::cuda
// NOLINTEND(readability-convert-member-functions-to-static)
