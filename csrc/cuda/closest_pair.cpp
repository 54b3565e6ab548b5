// The closest pair of a set of rows: every row against the rows after it, and against the best so far. Twin
// of cpu/closest_pair.cpp.

#include <vector>

#include "cuda/distances.h"
#include "cuda/passes.h"
#include "cuda/select_state.h"

namespace farpoint::cuda {

ClosestPair closest_pair(const DistanceProblem& problem, Control& control) {
  check_sizes(problem.x.view.rows, problem.x.view.rows);
  const Device device(problem.options);
  const Frame frame(problem.x, problem.metric, problem.scale, problem.largest, device, control);
  // All rows are met as a whole, so they must fit.
  Points points(problem.x, frame, Placement::resident, device, control);
  Matrix there = problem.x;
  there.on_device = true;  // whatever it was
  SelectState state(points, points.size(), plan_memory(there, frame, points.size(), device), true, control);
  state.picks().append_others(points);

  constexpr unsigned long long kInfinityBits = 0x7ff0000000000000ULL;
  Buffer<unsigned long long> best(1);
  upload(device, best.data(), std::span<const unsigned long long>(&kInfinityBits, 1));
  seed_pairs(frame.contract(), points.rows(), points.size(), points.self_dots(), best.data(), device);
  state.meet_later_rows(best.data());

  std::vector<double> values(static_cast<std::size_t>(points.size()));
  std::vector<std::int32_t> partners(values.size());
  read(device, std::span(values), state.rows().values, control);
  read(device, std::span(partners), state.rows().labels, control);
  // The row that a closest pair begins with has found it: its screen let equal values through.
  ClosestPair found;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < found.value) {
      found = {values[i], static_cast<Index>(i), partners[i]};
    }
  }
  return found;
}

}  // namespace farpoint::cuda
