#include "cpu/scan.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/tuning.h"
#include "cpu/points.h"
#include "cpu/thread_team.h"

namespace farpoint::cpu {
namespace {

// -1 stands for "none".
Index lower_row(Index a, Index b) {
  if (a < 0 || b < 0) {
    return std::max(a, b);
  }
  return std::min(a, b);
}

void merge(Scan& into, const Scan& from) {
  into.first_bad_row = lower_row(into.first_bad_row, from.first_bad_row);
  into.first_zero_row = lower_row(into.first_zero_row, from.first_zero_row);
  into.largest = std::max(into.largest, from.largest);
  into.smallest_row = std::min(into.smallest_row, from.smallest_row);
}

}  // namespace

Scan scan(const MatrixView& matrix, int threads, SimdLevel level, Control& control) {
  const double work = static_cast<double>(matrix.rows) * static_cast<double>(matrix.columns);
  ThreadTeam team(useful_threads(work, threads));
  const auto largest_magnitude =
      kernel_set(level).refine->largest_magnitude[static_cast<std::size_t>(matrix.type)];
  std::vector<Scan> partial(static_cast<std::size_t>(team.size()));
  team.for_each(matrix.rows, tuning::kRowsPerTask, control, [&](int thread, Index begin, Index end) {
    Scan found;
    for (Index i = begin; i < end; ++i) {
      const double largest = largest_magnitude(matrix.row(i), matrix.columns);
      if (std::isnan(largest)) {
        found.first_bad_row = lower_row(found.first_bad_row, i);
      } else if (largest == 0.0) {
        found.first_zero_row = lower_row(found.first_zero_row, i);
      } else {
        found.largest = std::max(found.largest, largest);
        found.smallest_row = std::min(found.smallest_row, largest);
      }
    }
    merge(partial[static_cast<std::size_t>(thread)], found);
  });
  control.throw_if_stopped();
  Scan result;
  for (const Scan& part : partial) {
    merge(result, part);
  }
  return result;
}

}  // namespace farpoint::cpu
